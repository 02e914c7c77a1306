# SPDX-License-Identifier: MIT
#
# sqlite3: the shell, by its own configure script, and the speed test from its sources.

cp -a "$SRC/." .
./configure --host=x86_64-motor-linux-musl --prefix=/usr --disable-tcl --disable-readline --disable-shared \
    CC=x86_64-motor-linux-musl-gcc BUILD_CC=gcc
make sqlite3 sqlite3.c
install -D sqlite3 "$OUT/bin/sqlite3"
x86_64-motor-linux-musl-gcc -O2 -DSQLITE_THREADSAFE=0 -I. -o speedtest1 test/speedtest1.c sqlite3.c -lm
install -D speedtest1 "$OUT/bin/speedtest1"
