#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# VMs that are killed at random moments while four processes change a disk (tests/programs/disk_load.c), again and again on the same disk.
# After each: e2fsck finds nothing, neither after the host's replay of the journal nor after Motor's; what was told to be durable is there;
# what replaces something does so as a whole. DISK_KILLS (5): how many.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/disk_load" "$MOTOR_TOP/tests/programs/disk_load.c" || exit 1
disk=$scratch/image
kills=${DISK_KILLS:-5}
fresh() {
    rm -f "$disk"
    truncate -s 24M "$disk"
    # shellcheck disable=SC2086
    mke2fs -q -F -t ext4 $1 "$disk" 2>/dev/null || exit 1
    told=(-1 -1 -1 -1)
}

# judge WHEN: the disk of a machine that was killed; `told` becomes what is there
judge() {
    local found
    cp "$disk" "$scratch/replayed"
    e2fsck -p "$scratch/replayed" >"$scratch/e2fsck" 2>&1
    [ $? -le 1 ] && e2fsck -fn "$scratch/replayed" >"$scratch/e2fsck" 2>&1 || { fail "$1: e2fsck complains after its replay"; cat "$scratch/e2fsck"; }
    cp "$disk" "$scratch/killed"
    found=$(timeout 100 "$run" -t 90 -d "$disk" "$scratch/disk_load" /mnt/vda check "${told[@]}" 2>&1)
    e2fsck -fn "$disk" >"$scratch/e2fsck" 2>&1 || { fail "$1: e2fsck complains"; cat "$scratch/e2fsck"; }
    [[ $found =~ ^[-0-9]+\ [-0-9]+\ [-0-9]+\ [-0-9]+$ ]] || { fail "$1: after ${told[*]}: $found"; return 1; }
    read -ra told <<<"$found"
}

# Steps that were told; read leaves out a line without its end.
listen() {
    local worker step
    while read -r worker step; do
        told[worker]=$step
    done <"$scratch/told"
}

# A disk whose blocks are small, one with large ones, one without checksums: in turn, each for some kills.
options=('-b 1024 -J size=1' '-b 4096' '-b 1024 -J size=1 -O ^metadata_csum,^64bit')
steps=0
for ((cut = 0; cut < kills; cut++)); do
    ((cut % 10)) || fresh "${options[cut / 10 % 3]}"
    : >"$scratch/told"
    "$run" -t 100 -c $((1 + cut % 2)) -d "$disk" "$scratch/disk_load" /mnt/vda run "${told[@]}" >"$scratch/told" 2>"$scratch/errors" &
    motor_run=$!
    for ((i = 0; i < 600; i++)); do
        [ -s "$scratch/told" ] && break
        sleep 0.1
    done
    sleep "$((RANDOM % 3)).$((RANDOM % 10))"
    kill -KILL "$(pgrep -P $motor_run)" # its QEMU
    wait $motor_run 2>/dev/null
    [ -s "$scratch/told" ] || { fail "kill $cut: nothing was written"; cat "$scratch/errors"; }
    grep -q line "$scratch/told" && { fail "kill $cut: a worker failed"; grep line "$scratch/told"; }
    listen
    steps=$((steps + $(wc -l <"$scratch/told")))
    if ! judge "kill $cut"; then
        cp "$scratch/killed" "/tmp/motor-disk-kills-$$.img"
        echo "the disk as it was: /tmp/motor-disk-kills-$$.img"
        break
    fi
done
echo "$cut kills, $steps steps"
finish
