#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Malformed frames at a running system's network device (tests/programs/badframes.c): nginx goes on serving, beside them and after them,
# and no memory is lost. MOTOR_TEST_FRAMES is the number of frames in a round (default 100,000), MOTOR_TEST_SEED starts them.
. "$(dirname "$0")/lib.sh"
in_namespace "$@"

frames=${MOTOR_TEST_FRAMES:-100000} seed=${MOTOR_TEST_SEED:-$RANDOM}
"${HOSTCC:-cc}" -std=gnu17 -O1 -g -Wall -Wextra -o "$scratch/badframes" "$MOTOR_TOP/tests/programs/badframes.c" || exit 1
with_companions "$scratch/bundle" counters.c ''
url=http://10.0.2.15

boot() {
    # shellcheck disable=SC2086
    "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -m 128M -c "$1" $tap_args -A "$tap_cmdline" \
        </dev/null >"$scratch/serial" 2>&1 &
    vm=$!
    pids="$pids $vm"
    wait_http "$url/" 60 || fail "nginx does not answer: $(cat "$scratch/serial")"
}

# shower SEED: while the frames fall, the page is still the page
shower() {
    local load
    timeout 200 "$scratch/badframes" tap0 "$1" "$frames" >"$scratch/shower" 2>&1 &
    load=$!
    pids="$pids $load"
    while kill -0 "$load" 2>/dev/null; do
        is "the page in the shower (seed $1)" "$(curl -s -m 20 "$url/" | sha256sum)" "$page"
        [ "$failures" = 0 ] || break
    done
    wait "$load" || fail "badframes: $(cat "$scratch/shower")"
    is "the page after the shower (seed $1)" "$(curl -s -m 20 "$url/1m.bin" | wc -c)" 1048576
    kill -0 "$vm" 2>/dev/null || fail "the VM has ended: $(tail -30 "$scratch/serial")"
}

page=$(sha256sum <"$MOTOR_TOP/ports/nginx/files/index.html")
for cpus in 1 2; do
    boot "$cpus"
    shower "$seed" # after the first, what is kept for reuse is there
    before=$(counter 10.0.2.15 kernel.free)
    shower $((seed + 1))
    for _ in $(seq 90); do # half-open connections and fragments take their time to go
        after=$(counter 10.0.2.15 kernel.free)
        [ $((before - after)) -gt 1048576 ] || break
        sleep 1
    done
    echo "free memory with $cpus CPUs: $before bytes, then $after"
    [ $((before - after)) -le 1048576 ] || fail "$((before - after)) bytes less of free memory"
    kill "$vm"
    wait "$vm" 2>/dev/null
done
echo "seed $seed"
finish
