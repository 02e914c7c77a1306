# SPDX-License-Identifier: MIT
#
# zlib: its own configure script, static only.

cp -a "$SRC/." .
CHOST=x86_64-motor-linux-musl ./configure --prefix=/usr --static
make libz.a
make install DESTDIR="$OUT"
rm -rf "$OUT/usr/share"
