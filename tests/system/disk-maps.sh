#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Files of disks in memory: mapped, executed, used as buffers (tests/posix/file_maps.c); and a file larger than the machine's memory, whose
# pages leave when a program needs theirs.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
for program in posix/file_maps programs/file_pressure; do
    "$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/${program#*/}" "$MOTOR_TOP/tests/$program.c" || exit 1
done
disk=$scratch/image

# try BLOCK-SIZE SIZE MOTOR-RUN-OPTION... -- PROGRAM ARGUMENT...
try() {
    local block=$1 size=$2 options=() out
    shift 2
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    rm -f "$disk"
    truncate -s "$size" "$disk"
    mke2fs -q -F -t ext4 -b "$block" "$disk" || exit 1
    out=$(timeout 150 "$run" -t 120 "${options[@]}" -d "$disk" "$scratch/$1" "${@:2}" 2>&1) || fail "$* (${options[*]}): status $?"
    is "$* (${options[*]})" "${out%ok}" ''
    e2fsck -fn "$disk" >"$scratch/e2fsck" 2>&1 || { fail "$*: e2fsck complains"; cat "$scratch/e2fsck"; }
}

try 1024 32M -c 1 -- file_maps /mnt/vda
try 4096 32M -c 2 -- file_maps /mnt/vda
try 4096 64M -m 32M -- file_pressure /mnt/vda 40 16
is 'the mapped bytes, by debugfs' "$(debugfs -R 'stat large' "$disk" 2>/dev/null | sed -n 's/^User.*Size: *//p')" $((40 << 20))
finish
