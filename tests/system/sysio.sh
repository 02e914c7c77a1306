#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# sysio from outside: bytes that survive signals, the serial console, exhaustion, bundles that name no program.
. "$(dirname "$0")/lib.sh"

compile() { "$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -o "$scratch/$1" "$MOTOR_TOP/tests/programs/$1.c" || exit 1; }
compile sigcat
compile glutton
compile probe
r() { timeout 120 "$run" -t 90 "$@"; }

# Streams
head -c 4000000 /dev/urandom >"$scratch/in"
for cpus in 1 2; do
    r -c $cpus "$scratch/sigcat" <"$scratch/in" >"$scratch/out" 2>"$scratch/err"
    is "cat under signals, $cpus CPUs" $? 0
    cmp "$scratch/in" "$scratch/out" || fail "bytes changed under signals: $(cat "$scratch/err")"
done

# Exhaustion: the program may die of it (137), sysio not (125)
for memory in 16M 64M; do
    r -m $memory "$scratch/glutton" memory </dev/null 2>"$scratch/err"
    status=$?
    [ $status = 0 ] || [ $status = 137 ] || fail "all memory of $memory eaten: $status: $(cat "$scratch/err")"
    r -m $memory "$scratch/glutton" objects </dev/null 2>"$scratch/err"
    is "all objects of $memory eaten" $? 0
done

# The console: editing, end of file, a line for the program's end; nothing lost of much output
boot() { # BUNDLE; the console's input on stdin
    timeout 60 "$MOTOR_TOP/tools/qemu.sh" -k "$sdk/share/motor/motor.elf" -b "$1" -n none -m 64M -S -- -serial stdio | tr -d '\r'
    return "${PIPESTATUS[0]}"
}
base=$sdk/share/motor/base.bundle
mkbundle=$build/host/mkbundle
"$mkbundle" -i "$base" -f "$scratch/probe:/bin/probe:755" "$scratch/console" -- /bin/probe probe cat
for machine in microvm q35; do
    { sleep 3; printf 'first\rsecoXX\177\177nd\r'; sleep 1; printf 'last\004'; sleep 1; printf '\004'; sleep 1; } |
        boot "$scratch/console" >"$scratch/out"
    is "the console's status" $? 0
    grep -q '^first$' "$scratch/out" || fail "no first line: $(cat "$scratch/out")"
    grep -q '^second$' "$scratch/out" || fail "no edited line: $(cat "$scratch/out")"
    grep -q 'lastlast' "$scratch/out" || fail "no unfinished line: $(cat "$scratch/out")"
done

# What names no program ends with one clear line and a status
"$mkbundle" -i "$base" "$scratch/none"
boot "$scratch/none" </dev/null >"$scratch/out"
[ $? != 0 ] || fail "no program, and status 0"
grep -q 'no program' "$scratch/out" || fail "no program: $(cat "$scratch/out")"
"$mkbundle" -i "$base" "$scratch/missing" -- /bin/nothing
boot "$scratch/missing" </dev/null >"$scratch/out"
[ $? != 0 ] || fail "a missing program, and status 0"
grep -q '/bin/nothing: not found' "$scratch/out" || fail "a missing program: $(cat "$scratch/out")"
finish
