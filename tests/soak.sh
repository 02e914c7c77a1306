#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests that have to pass many times in a row: the torture of threads and of the network, in a VM with 1, 2 and 4 CPUs and across the
# wire, and the fuzzers of both call interfaces for a long time. One line for each part, and the same closing line as tests/run.
# ROUNDS (default 50) of each, HOSTILE_SECONDS (default 600) for each mode and number of CPUs of tests/system/hostile.sh. `make soak`.
set -u
cd "$(dirname "$0")/.."
export MOTOR_TOP=$PWD MOTOR_BUILD=${MOTOR_BUILD:-$PWD/build} MOTOR_SDK=${MOTOR_BUILD:-$PWD/build}/sdk LC_ALL=C
rounds=${ROUNDS:-50}
export HOSTILE_SECONDS=${HOSTILE_SECONDS:-600}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0

# part NAME COMMAND...: ROUNDS times
part() {
    local name=$1 bad=0 start=$SECONDS i
    shift
    for i in $(seq "$rounds"); do
        "$@" >"$log" 2>&1 || {
            bad=$((bad + 1))
            echo "round $i of $name:"
            tail -n 20 "$log" | sed 's/^/      | /'
        }
    done
    echo "$name: $((rounds - bad)) of $rounds rounds passed, $((SECONDS - start)) s"
    passed=$((passed + rounds - bad)) failed=$((failed + bad))
}

for cpus in 1 2 4; do
    for program in thread_torture net_torture; do
        part "$program with $cpus CPUs" "$MOTOR_SDK/bin/motor-run" -t 120 -c $cpus -m 256M "$MOTOR_BUILD/tests/posix/$program"
    done
    part "the wire with $cpus CPUs" env MOTOR_TEST_CPUS=$cpus MOTOR_TEST_ROUNDS=3 MOTOR_TEST_IDLE=10000 timeout 600 tests/system/net-torture.sh
done
rounds=1
for cpus in 1 2; do
    part "nothing left behind with $cpus CPUs" "$MOTOR_SDK/bin/motor-run" -t 7200 -c $cpus -m 128M "$MOTOR_BUILD/tests/posix/leaks" 20000 20000 5000
done
part "hostile programs" tests/system/hostile.sh
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
