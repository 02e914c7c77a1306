#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The kernel's own tests (tests/kernel) on each kind of machine and with 1, 2 and 4 CPUs; then damaged bundles.
. "$MOTOR_TOP/tests/system/lib.sh"
cd "$MOTOR_TOP" || exit 1
bundle=$build/tests/kernel/ktest.bundle

boot() { # LOG BUNDLE OPTION...
    local log=$1 image=$2
    shift 2
    timeout -k 5 240 tools/qemu.sh -k "$build/kernel/motor.elf" ${image:+-b "$image"} -n none "$@" >"$log" 2>&1
}

for setting in 'microvm 1 max' 'microvm 2 max' 'microvm 4 qemu64' 'q35 1 qemu64' 'q35 2 max' 'q35 4 max' 'pc 2 qemu64'; do
    # shellcheck disable=SC2086
    set -- $setting
    boot "$scratch/log" "$bundle" -a tcg -M "$1" -c "$2" -C "$3" -m 128M
    status=$?
    if [ $status -ne 0 ] || ! grep -q '^ktest: passed' "$scratch/log" || grep -q '^FAIL' "$scratch/log"; then
        fail "$setting: status $status"
        tail -40 "$scratch/log"
    fi
done

# Damage: one clear line and a non-zero end, never a hang.
damaged() { # WHAT FILE
    boot "$scratch/log" "$2" -a tcg
    status=$?
    [ $status -ne 0 ] && [ $status -ne 124 ] || fail "$1: status $status"
    [ "$(grep -c bundle "$scratch/log")" = 1 ] || { fail "$1: not one line"; cat "$scratch/log"; }
}
head -c 5000 "$bundle" >"$scratch/truncated"
{ printf 'X'; tail -c +2 "$bundle"; } >"$scratch/magic"
{ head -c 80 "$bundle"; printf '\377'; tail -c +82 "$bundle"; } >"$scratch/table"
{ head -c 9000 "$bundle"; printf '\377\376\375'; tail -c +9004 "$bundle"; } >"$scratch/file"
damaged truncated "$scratch/truncated"
damaged magic "$scratch/magic"
damaged table "$scratch/table"
damaged file "$scratch/file"
damaged missing ''
finish
