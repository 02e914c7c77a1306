# SPDX-License-Identifier: MIT
#
# memcached: its own configure script, with the libevent of our ports.

cp -a "$SRC/." .
./configure --host=x86_64-motor-linux-musl --prefix=/usr --with-libevent="$PORTS/libevent/usr" --disable-docs \
    --disable-dependency-tracking
make -j"$(nproc)" memcached
install -D memcached "$OUT/usr/bin/memcached"
