#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# memcached, with libevent and worker threads, driven from outside: its text and meta protocols, values of all sizes, many
# connections at once, expiry, eviction, UDP, and connections that die in the middle.
. "$(dirname "$0")/lib.sh"
in_namespace "$@"

for cpus in 1 2; do
    "$build/host/mkbundle" -i "$build/bundle-base.img" \
        -f "$build/ports/memcached/usr/bin/memcached:/usr/bin/memcached:755" "$scratch/bundle" -- \
        /usr/bin/memcached memcached -u root -m 32 -t 4 -c 2000 -U 11211 || exit 1
    # shellcheck disable=SC2086
    "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -c $cpus -m 192M $tap_args \
        -A "$tap_cmdline" </dev/null >"$scratch/serial" 2>&1 &
    vm=$!
    pids="$pids $vm"

    timeout 240 python3 "$MOTOR_TOP/tests/system/memcached.py" 10.0.2.15 || fail "$cpus CPUs: the client: status $?"
    kill -0 $vm 2>/dev/null || fail "$cpus CPUs: the VM has ended"
    [ $failures -eq 0 ] || cat "$scratch/serial"
    kill $vm 2>/dev/null
    wait $vm
done
finish
