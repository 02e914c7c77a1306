# SPDX-License-Identifier: MIT
#
# libevent, for memcached: its own configure script, which finds epoll, eventfd, timerfd and the rest. Without TLS,
# samples and its test program (motor-cc builds that as well; see docs/ports.md for what it says).

"$SRC/configure" --host=x86_64-motor-linux-musl --prefix=/usr --enable-static --disable-shared \
    --disable-openssl --disable-samples --disable-libevent-regress --disable-dependency-tracking
make -j"$(nproc)"
make DESTDIR="$OUT" install
