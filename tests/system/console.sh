#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The shell on the serial console, driven as by a person: console.exp says what, with 1 and 2 CPUs.
. "$(dirname "$0")/lib.sh"

"$build/host/mkbundle" -1 -i "$build/bundle-base.img" "$scratch/bundle" -- /sbin/init init || exit 1
for cpus in 1 2; do
    timeout 200 expect "$MOTOR_TOP/tests/system/console.exp" "$scratch/bundle" $cpus || fail "with $cpus CPUs"
done
finish
