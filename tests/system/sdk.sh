#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The SDK on the host: what motor-cc makes of its options, that it can be moved, and that bundles keep what goes in.
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

# Moved to another folder, with a blank in its name, and called through a link.
mkdir 'my sdk'
cp -R "$sdk/bin" "$sdk/include" "$sdk/lib" "$sdk/share" 'my sdk'
ln -s "$scratch/my sdk/bin/motor-cc" cc
cat >zero.c <<'END'
#include <linux/fs.h> /* the kernel's headers */
#include <sys/queue.h>
#include <motor/abi.h>
#include <threads.h>
#if !defined __motor__ || !defined __linux__
#error "macros"
#endif
int main(void) { return 0; }
END
for options in '' -O2 -static -static-pie -no-pie '-no-pie -fno-pie -static' '-pie -fPIE' -flto '-pthread -lm -lrt -ldl -latomic' \
    '-fstack-protector-all' '-std=c11 -pedantic'; do
    # shellcheck disable=SC2086
    ./cc -Wall -Wextra -Werror $options -o zero zero.c || fail "motor-cc $options"
    ./zero || fail "the program of motor-cc $options"
    readelf -lW zero | grep -q INTERP && fail "motor-cc $options asks for an interpreter"
    readelf -lW zero | grep 'LOAD.*RWE' && fail "motor-cc $options makes writable code"
    case $options in *-no-pie*) type=EXEC ;; *) type=DYN ;; esac
    readelf -hW zero | grep -q "Type: *$type " || fail "motor-cc $options is not $type"
done
./cc -c zero.c && ./cc -r zero.o -o again.o && ./cc again.o -o zero && ./zero || fail "-c, -r, link"
./cc -S zero.c && ./cc -E zero.c >/dev/null && ./cc -MM zero.c >/dev/null || fail "-S, -E, -MM"
./cc -shared -fPIC zero.c -o zero.so 2>err && fail "-shared was not refused"
grep -q -- '-shared cannot be done' err || fail "-shared is refused without a reason"
is -dumpmachine "$(./cc -dumpmachine)" x86_64-motor-linux-musl
is -print-file-name "$(./cc -print-file-name=libc.a)" "$scratch/my sdk/lib/libc.a"
readelf -sW "$("$sdk/bin/motor-cc" -print-file-name=libc.a)" 2>/dev/null | grep -q __linux_syscall || fail "musl has no overlay"

# The host's libraries and headers are not seen.
echo 'int main(void) { return 0; }' >plain.c
./cc plain.c -lbfd 2>/dev/null && fail "a host library was found"
echo '#include <gnu/libc-version.h>' >glibc.c
./cc -c glibc.c 2>/dev/null && fail "a host header was found"

for tool in ar ranlib strip nm objcopy objdump readelf ld gcc cc pkg-config gcc-ar; do
    "$sdk/bin/x86_64-motor-linux-musl-$tool" --version >/dev/null || fail "tool $tool"
done

# A bundle made of a bundle has it all, and a damaged one is refused.
mkbundle=$build/host/mkbundle
mkdir -p tree/sub
echo one >tree/one
echo two >tree/sub/two
"$mkbundle" -d tree:/t -l /t/one:/link -m /tmp:1777 first.img || fail mkbundle
"$mkbundle" -i first.img -f zero.c:/t/one:600 second.img -- /t/sub/two two 'an argument' || fail "mkbundle -i"
for path in /t/one /t/sub/two /link /tmp /motor/run; do
    grep -qa "$path" second.img || fail "$path is not in the bundle"
done
is "size in pages" $(($(stat -c %s second.img) % 4096)) 0
printf X | dd of=first.img bs=1 seek=100 conv=notrunc 2>/dev/null
"$mkbundle" -i first.img third.img 2>/dev/null && fail "a damaged bundle was taken"
"$mkbundle" -f zero.c:relative third.img 2>/dev/null && fail "a relative path was taken"
"$mkbundle" -f zero.c:/a/../b third.img 2>/dev/null && fail "a path with .. was taken"

finish
