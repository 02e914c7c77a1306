# SPDX-License-Identifier: MIT
#
# pcre2: the 8-bit library alone, with its just-in-time compiler left out: Motor keeps pages W^X.

"$SRC/configure" --host=x86_64-motor-linux-musl --prefix=/usr --enable-static --disable-shared --disable-jit \
    --disable-pcre2grep-callout --disable-dependency-tracking
make libpcre2-8.la
make DESTDIR="$OUT" install-libLTLIBRARIES install-nodist_includeHEADERS install-pkgconfigDATA
