# SPDX-License-Identifier: MIT
#
# Upstream's musl, the same release with the same fixes as Motor's, as a Linux user builds it: no overlay, no frame pointers.

CC=gcc "$SRC/configure" --prefix=/ --disable-shared --disable-wrapper CFLAGS=-O2
make
make install DESTDIR="$OUT"
