#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# beanstalkd, a work queue with a write-ahead log, driven from outside: jobs of all sizes and bytes, waiting, delays,
# priorities, many connections at once, connections that die with jobs reserved.
. "$(dirname "$0")/lib.sh"
in_namespace "$@"

"$build/host/mkbundle" -i "$build/bundle-base.img" -m /var/lib/beanstalkd \
    -f "$build/ports/beanstalkd/usr/bin/beanstalkd:/usr/bin/beanstalkd:755" "$scratch/bundle" -- \
    /usr/bin/beanstalkd beanstalkd -b /var/lib/beanstalkd -z 4194304 || exit 1
# shellcheck disable=SC2086
"$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -c 2 -m 128M $tap_args -A "$tap_cmdline" \
    </dev/null >"$scratch/serial" 2>&1 &
vm=$!
pids="$pids $vm"

timeout 240 python3 "$MOTOR_TOP/tests/system/beanstalkd.py" 10.0.2.15 || fail "the client: status $?"
kill -0 $vm 2>/dev/null || fail "the VM has ended"
[ $failures -eq 0 ] || cat "$scratch/serial"
finish
