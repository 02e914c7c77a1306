#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests that have to pass many times in a row: the torture of threads and of the network, in a VM with 1, 2 and 4 CPUs and across the
# wire, the fuzzers of both call interfaces for a long time, and disks: power cuts, damaged images, killed machines. One line for each part,
# and the same closing line as tests/run. `make soak`.
#
# ROUNDS (50): of each torture. HOSTILE_SECONDS (600): for each mode and number of CPUs of tests/system/hostile.sh. DISK_CUTS (20000): points
# at which a disk's power is cut. DISK_IMAGES (100000): damaged ones, and DISK_DAMAGED (200) in
# VMs. DISK_KILLS (300): of machines that write. SMALL_FILES (100000).
# PARTS (all): which ones of "threads", "hostile" and "disks".
set -u
cd "$(dirname "$0")/.."
export MOTOR_TOP=$PWD MOTOR_BUILD=${MOTOR_BUILD:-$PWD/build} MOTOR_SDK=${MOTOR_BUILD:-$PWD/build}/sdk LC_ALL=C
export DISK_KILLS=${DISK_KILLS:-300} SMALL_FILES=${SMALL_FILES:-100000}
parts=${PARTS:-threads hostile disks}
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

threads() {
    local cpus program
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
}

# seeds COUNT PER-SEED PROGRAM [ARGUMENT]: with as many seeds as make COUNT
seeds() {
    local seed
    for ((seed = 1; seed <= ($1 + $2 - 1) / $2; seed++)); do
        nice "$MOTOR_BUILD/tests/host/$3" $seed $4 || return 1
    done
}

disks() {
    rounds=1
    # ext4_crash has eight workloads, ext4_crash_db two; ext4_fuzz damages two and a half times as many as it is told
    part "power cuts" seeds $((${DISK_CUTS:-20000} * 4 / 5)) 2400 ext4_crash 300
    part "power cuts of a database" seeds $((${DISK_CUTS:-20000} / 5)) 1200 ext4_crash_db 600
    part "damaged disks" seeds "${DISK_IMAGES:-100000}" 1250 ext4_fuzz 500
    part "machines with damaged disks" env DISK_DAMAGED="${DISK_DAMAGED:-200}" tests/system/disk-damaged.sh
    part "killed machines" tests/system/disk-kills.sh
    part "many small files" tests/system/small-files.sh
}

hostile() {
    rounds=1
    part "hostile programs" tests/system/hostile.sh
}

for p in $parts; do
    rounds=${ROUNDS:-50}
    $p
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
