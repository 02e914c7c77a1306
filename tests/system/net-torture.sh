#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# TCP tortured across the wire (tests/programs/wire): the host drives a server in the VM, and that VM the host, at the same time.
# First over a TAP beside many idle connections, then over a wire that loses, duplicates and reorders frames.
# MOTOR_TEST_ROUNDS scales the rounds (default 1), MOTOR_TEST_SEED starts them, MOTOR_TEST_IDLE is the number of idle connections
# (default 1,000), MOTOR_TEST_CPUS that of CPUs (default: 1 and 2 by turns). make soak asks for more of each.
. "$(dirname "$0")/lib.sh"
in_namespace "$@"

rounds=${MOTOR_TEST_ROUNDS:-1} seed=${MOTOR_TEST_SEED:-$RANDOM} idle=${MOTOR_TEST_IDLE:-1000} cpus=${MOTOR_TEST_CPUS:-}
port=7600
sources=$MOTOR_TOP/tests/programs
flags='-std=gnu17 -D_GNU_SOURCE -O1 -g -pthread'
# shellcheck disable=SC2086
"$sdk/bin/motor-cc" $flags -o "$scratch/wire-guest" "$sources"/wire/*.c &&
    "${HOSTCC:-cc}" $flags -o "$scratch/wire" "$sources"/wire/*.c &&
    "${HOSTCC:-cc}" $flags -o "$scratch/badwire" "$sources/badwire.c" || exit 1

ulimit -n "$(ulimit -H -n)"
descriptors=$(ulimit -n)
if [ "$descriptors" != unlimited ] && [ "$idle" -gt $((descriptors - 1000)) ]; then
    idle=$((descriptors - 1000))
fi

# run CPUS SEED THREADS ROUNDS IDLE [lossy]; the network's arguments for QEMU are in $network
run() {
    local bundle=$scratch/bundle vm
    local cpus=$1
    shift
    # shellcheck disable=SC2086
    "$build/host/mkbundle" -i "$build/bundle-base.img" -f "$scratch/wire-guest:/wire:755" "$bundle" -- \
        /wire wire serve $port ${5:-} || exit 1
    : >"$scratch/serial" # "ready" in it is this VM's, not the last one's
    # shellcheck disable=SC2086
    "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$bundle" -m 256M -c "$cpus" -n "$network" -A "$tap_cmdline" \
        </dev/null >"$scratch/serial" 2>&1 &
    vm=$!
    pids="$pids $vm"
    for _ in $(seq 600); do
        ! grep -q ready "$scratch/serial" || break
        kill -0 "$vm" 2>/dev/null || break
        sleep 0.1
    done
    timeout 280 "$scratch/wire" drive 10.0.2.15 $port "$@" >"$scratch/driver" 2>&1 ||
        fail "wire drive $* ($cpus CPUs): $(cat "$scratch/driver")"
    if ! kill -0 "$vm" 2>/dev/null || grep -q FAILED "$scratch/serial"; then
        fail "the VM ($cpus CPUs, seed $1): $(tail -20 "$scratch/serial")"
    fi
    kill "$vm" 2>/dev/null
    wait "$vm" 2>/dev/null
}

network=${tap_args#-n }
run "${cpus:-$((1 + seed % 2))}" "$seed" 24 $((rounds * 20)) "$idle"

ip link set tap0 down && ip tuntap del dev tap0 mode tap && in_namespace "$@"
"$scratch/badwire" tap0 7701 7702 "$seed" 15 20 60 &
pids="$pids $!"
network=socket,id=net0,udp=127.0.0.1:7701,localaddr=127.0.0.1:7702
run "${cpus:-$((2 - seed % 2))}" "$seed" 24 $((rounds * 4)) 100 lossy
echo "seed $seed"
finish
