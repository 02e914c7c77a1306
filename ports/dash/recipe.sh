# SPDX-License-Identifier: MIT
#
# dash, the Debian Almquist shell, by its own configure script; lines are edited by libedit. Its tables are made by programs
# that are compiled for the build host.

cp -a "$SRC/." .
./configure --host=x86_64-motor-linux-musl --prefix=/usr --with-libedit \
    CC=x86_64-motor-linux-musl-gcc CC_FOR_BUILD=gcc \
    CPPFLAGS="-I$PORTS/libedit/usr/include" LDFLAGS="-L$PORTS/libedit/usr/lib"
make
install -D src/dash "$OUT/bin/dash"
