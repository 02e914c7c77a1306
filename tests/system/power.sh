#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# reboot(2) on every machine type: off and halt power it off, reset resets it, and QEMU's status is 0; all output comes out first.
# QEMU tells a power-off from a reset in its trace.
. "$(dirname "$0")/lib.sh"

power=$scratch/power
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -g -I"$MOTOR_TOP/sdk/include" -o "$power" "$MOTOR_TOP/tests/programs/power.c" || exit 1

late=0 # seconds until somebody reads the serial line

# boots OPTIONS -- STEP...: runs the program on the serial console; its output is in $scratch/serial
boots() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    "$build/host/mkbundle" -i "$build/bundle-core.img" -f "$power:/bin/power:755" "$scratch/bundle" -- /bin/power power "$@" || exit 1
    timeout 60 "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -n none -m 32M "${options[@]}" -- \
        -trace qemu_system_shutdown_request,file="$scratch/trace" -D "$scratch/trace" </dev/null 2>"$scratch/err" | { sleep $late; cat; } >"$scratch/serial"
    is "QEMU's status with ${options[*]}: $*" "${PIPESTATUS[0]}" 0
    ! grep FAILED "$scratch/serial" || fail "${options[*]}: $*"
}

# ended HOW WHAT: by a request to power off (off), or without one (reset)
ended() {
    local how=reset
    ! grep -q qemu_system_shutdown_request "$scratch/trace" || how=off
    is "the end after $2" $how "$1"
}

for machine in microvm q35 pc; do
    for cpus in 1 2; do
        for step in off halt reset reset2; do
            boots -M $machine -c $cpus -- refused others output $step
            is "lines before $step" "$(grep -c '^line ' "$scratch/serial")" 1024
            grep -q "^$step: ok" "$scratch/serial" || fail "$machine: $step never came: $(tail -n 5 "$scratch/serial")"
            case $step in
            off | halt) ended off "$machine's $step" ;;
            *) ended reset "$machine's $step" ;;
            esac
        done
    done
done

# The pipe takes 64 KiB; what is beyond waits in the guest until somebody reads, and the end of the machine waits for it.
late=2
boots -- output off
is "lines read late" "$(grep -c '^line ' "$scratch/serial")" 1024
is "the last one" "$(tail -n 1 "$scratch/serial")" "off: ok"$'\r'
late=0

# A child that never stops writing does not keep the machine alive.
boots -c 2 -- fill off
ended off "the end among output"

# Under motor-run the program has ended with status 0.
for step in off halt reset; do
    timeout 120 "$run" -t 60 "$power" refused others output $step </dev/null | { sleep 1; cat; } >"$scratch/out"
    is "motor-run's status after $step" "${PIPESTATUS[0]}" 0
    is "its lines" "$(grep -c '^line ' "$scratch/out")" 1024
    is "its last line" "$(tail -n 1 "$scratch/out")" "$step: ok"
done
finish
