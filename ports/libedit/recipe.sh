# SPDX-License-Identifier: MIT
#
# libedit: line editing with history, for the shell. Its configure script wants a termcap library: ours (termcap.c),
# which becomes part of libedit.a.

mkdir termcap
cp "$ROOT/ports/libedit/termcap.h" termcap/
x86_64-motor-linux-musl-gcc -O2 -Wall -Wextra -c "$ROOT/ports/libedit/termcap.c" -o termcap/termcap.o
x86_64-motor-linux-musl-ar rcs termcap/libtermcap.a termcap/termcap.o

# __STDC_ISO_10646__: wchar_t is Unicode, which musl tells only who includes its <features.h>
"$SRC/configure" --host=x86_64-motor-linux-musl --prefix=/usr --enable-static --disable-shared --disable-examples \
    --disable-dependency-tracking \
    CPPFLAGS="-I$PWD/termcap -D__STDC_ISO_10646__=201103L" LDFLAGS="-L$PWD/termcap"
make -C src
make -C src DESTDIR="$OUT" install
x86_64-motor-linux-musl-ar rs "$OUT/usr/lib/libedit.a" termcap/termcap.o
