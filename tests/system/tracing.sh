#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tracing of running processes, through /proc/PID/trace and by the command strace: tracing.exp says what.
. "$(dirname "$0")/lib.sh"

"$build/host/mkbundle" -1 -i "$build/bundle-base.img" "$scratch/bundle" -- /sbin/init init || exit 1
for cpus in 1 2; do
    timeout 200 expect "$MOTOR_TOP/tests/system/tracing.exp" "$scratch/bundle" $cpus || fail "with $cpus CPUs"
done
finish
