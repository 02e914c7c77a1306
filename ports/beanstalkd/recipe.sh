# SPDX-License-Identifier: MIT
#
# beanstalkd, a work queue: its own Makefile. That makes warnings errors; one of gcc's about strncpy() appears only
# with optimisation, which the Makefile leaves to whoever builds.

cp -a "$SRC/." .
make OS=linux CC=x86_64-motor-linux-musl-gcc LD=x86_64-motor-linux-musl-gcc USE_SYSTEMD=no \
    CFLAGS='-O2 -Wno-error=stringop-truncation'
install -D beanstalkd "$OUT/usr/bin/beanstalkd"
