#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs that mean harm (tests/programs/hostile.c) run beside nginx, in the same VM, which must go on serving. HOSTILE_SECONDS
# (default 3) for each mode, HOSTILE_SEED (default: the clock).
. "$(dirname "$0")/lib.sh"
in_namespace "$@"

seconds=${HOSTILE_SECONDS:-3}
seed=${HOSTILE_SEED:-$(date +%s)}
echo "seed $seed"

for mode in ${HOSTILE_MODES:-motor linux rings faults memory forks signals}; do
    for cpus in 1 2; do
        with_companions "$scratch/bundle" hostile.c "$mode $seed $seconds"
        # shellcheck disable=SC2086
        "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -c $cpus -m 96M $tap_args -A "$tap_cmdline" \
            </dev/null >"$scratch/serial" 2>&1 &
        vm=$!
        pids="$pids $vm"
        wait_http http://10.0.2.15/ 60 || fail "$mode, $cpus CPUs: nginx does not answer: $(tail -n 30 "$scratch/serial")"
        end=$((SECONDS + seconds + 2))
        while [ $SECONDS -lt $end ]; do
            "$build/host/httpload" -c 8 -n 200 -s 15 10.0.2.15:80/ >"$scratch/load" 2>&1 ||
                { fail "$mode, $cpus CPUs: $(cat "$scratch/load"; tail -n 30 "$scratch/serial")"; break; }
        done
        kill "$vm" 2>/dev/null
        wait "$vm" 2>/dev/null
    done
done
finish
