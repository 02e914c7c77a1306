# SPDX-License-Identifier: MIT
#
# musl with every system call a function call: see README.md. Built with the host's compiler, as position-independent
# code (for static PIE), with frame pointers (for backtraces of crashed programs).

CC=gcc "$SRC/configure" --prefix=/ --disable-shared --disable-wrapper --enable-debug \
    CFLAGS="-O2 -fno-omit-frame-pointer -ffile-prefix-map=$SRC=musl -ffile-prefix-map=$ROOT/="
{
    echo "OVERLAY = $ROOT/posix/musl"
    cat "$ROOT/posix/musl/overlay.mak"
} >>config.mak
make
make install DESTDIR="$OUT"

# Every system call goes through __sysinfo: the one place that executes `syscall` is the stub it starts at.
cd "$OUT"
objdump -d lib/libc.a | awk '
    /file format/ { object = $1 }
    $NF == "syscall" && object !~ /^defsysinfo\./ { print "raw syscall in " object; bad = 1 }
    END { exit bad }'

# The runtime rolls cancellation points back by two bytes: the call before __cp_end must be `call *%rax`.
objdump -d lib/libc.a | awk '
    /<__cp_end>:/ { ok = before ~ /\tff d0 / }
    /\t/ { before = $0 }
    END { exit !ok }'
