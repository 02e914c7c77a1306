# SPDX-License-Identifier: MIT
#
# redis with the C library's malloc, without TLS and systemd. Its build keeps the settings in a step of its own,
# which also makes the libraries that it brings along; the one of them that is C++ is left out there and made of
# one C file of ours.

cp -a "$SRC/." .

settings='MALLOC=libc BUILD_TLS=no USE_SYSTEMD=no OPTIMIZATION=-O2 V=1
    CC=x86_64-motor-linux-musl-gcc AR=x86_64-motor-linux-musl-ar'

# shellcheck disable=SC2086 # a list of settings
make -C src $settings DEPENDENCY_TARGETS='hiredis linenoise lua hdr_histogram fpconv' .make-prerequisites
motor-cc -O2 -Ideps/fast_float -c -o fast_float_strtod.o "$ROOT/ports/redis/fast_float_strtod.c"
motor-ar rcs deps/fast_float/libfast_float.a fast_float_strtod.o

# shellcheck disable=SC2086
make -C src $settings redis-server
install -D src/redis-server "$OUT/usr/bin/redis-server"
