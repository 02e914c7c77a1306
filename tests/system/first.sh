#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A bundle's program as process 1: its pid, its orphans, its end.
. "$(dirname "$0")/lib.sh"

first=$scratch/first
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -g -o "$first" "$MOTOR_TOP/tests/programs/first.c" || exit 1

# boots MKBUNDLE-OPTION... -- ARGUMENT...: with 1 and 2 CPUs
boots() {
    local options=() cpus
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    "$build/host/mkbundle" -1 -i "$build/bundle-core.img" -f "$first:/sbin/first:755" "${options[@]}" "$scratch/bundle" -- /sbin/first first "$@" || exit 1
    for cpus in 1 2; do
        timeout 60 "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -n none -m 32M -c $cpus </dev/null >"$scratch/serial" 2>&1
        is "QEMU's status with $cpus CPUs" $? 0
        grep -q '^first: ok' "$scratch/serial" || fail "with $cpus CPUs: $(tail -n 5 "$scratch/serial")"
    done
}

boots --
boots -w '/sbin/first companion' -- idle # companions are ordinary processes
finish
