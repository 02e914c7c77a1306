#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every machine type, CPU model, number of CPUs and size of memory that we name boots and serves; damaged and missing bundles end QEMU
# with a status and one clear line.
. "$(dirname "$0")/lib.sh"

port=$(free_port)

# serves QEMU.SH-OPTION...: boots nginx and fetches the 1 MiB file
serves() { boots -p "$port:80" "$@"; }

# behind MACHINE BRIDGE...: the same with a network device behind bridges, each of QEMU's -device arguments
behind() {
    local machine=$1 bridge id=0 bus='' bridges=()
    shift
    for bridge; do
        id=$((id + 1))
        bridges+=(-device "$bridge,id=bridge$id${bus:+,bus=$bus}")
        bus=bridge$id
    done
    boots -M "$machine" -a tcg -n none -- -netdev "user,id=n1,hostfwd=tcp:127.0.0.1:$port-:80" "${bridges[@]}" \
        -device "virtio-net-pci,netdev=n1,bus=$bus"
}

boots() {
    local vm sum
    "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$build/bundle-nginx.img" "$@" \
        </dev/null >"$scratch/serial" 2>&1 &
    vm=$!
    pids="$pids $vm"
    if wait_http "http://127.0.0.1:$port/" 60; then
        sum=$(curl -s -m 60 "http://127.0.0.1:$port/1m.bin" | sha256sum)
        is "$* serves 1 MiB" "$sum" "04897330e996739d8c3a81a8394a55ce303bb1b790a3e542d8125b20a4e5ed13  -"
    else
        fail "$* does not serve: $(tail -n 20 "$scratch/serial")"
    fi
    kill "$vm"
    wait "$vm" 2>/dev/null
}

for machine in microvm q35 pc; do
    for cpu in qemu64 max; do
        serves -M $machine -a tcg -C $cpu -m 64M
    done
    serves -M $machine -a tcg -c 4 -m 128M
    serves -M $machine -a tcg -c 16 -m 256M
    serves -M $machine -a tcg -m 16M
    serves -M $machine -a tcg -m 6G
done
# as libvirt connects devices; and by the older kind of bridge, twice
behind q35 pcie-root-port,chassis=1
behind q35 pcie-root-port,chassis=1 x3130-upstream xio3130-downstream,chassis=2
behind pc pci-bridge,chassis_nr=1 pci-bridge,chassis_nr=2

# ends STATUS TEXT QEMU.SH-OPTION...
ends() {
    local status=$1 text=$2 got
    shift 2
    timeout 30 "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -a tcg -n none "$@" </dev/null >"$scratch/serial" 2>&1
    got=$?
    is "QEMU's status with $*" $got "$status"
    grep -q "$text" "$scratch/serial" || fail "$* says: $(cat "$scratch/serial")"
}
cp "$build/bundle-nginx.img" "$scratch/bundle"
ends 3 bundle
printf 'XXXX' | dd of="$scratch/bundle" conv=notrunc bs=1 2>/dev/null
ends 3 bundle -b "$scratch/bundle"
head -c 100000 "$build/bundle-nginx.img" >"$scratch/bundle"
ends 3 bundle -b "$scratch/bundle"
head -c 10 "$build/bundle-nginx.img" >"$scratch/bundle"
ends 3 bundle -b "$scratch/bundle"
cp "$build/bundle-nginx.img" "$scratch/bundle"
printf 'XXXX' | dd of="$scratch/bundle" conv=notrunc bs=1 seek=70 2>/dev/null
ends 3 bundle -b "$scratch/bundle"
finish
