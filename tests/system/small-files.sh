#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Many small files on ext4, as git makes them (tests/programs/small_files.c), in a VM with little memory. SMALL_FILES (1500): how many.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/small_files" "$MOTOR_TOP/tests/programs/small_files.c" || exit 1
disk=$scratch/image
files=${SMALL_FILES:-1500}
truncate -s $((64 + files / 100))M "$disk"
mke2fs -q -F -t ext4 -b 4096 -N $((files + 1000)) "$disk" || exit 1
limit=$((60 + files / 20))
is "$files files" "$(timeout $((limit + 20)) "$run" -t $limit -m 64M -d "$disk" "$scratch/small_files" /mnt/vda "$files" 2>"$scratch/times")" ok
cat "$scratch/times"
e2fsck -fn "$disk" >"$scratch/e2fsck" 2>&1 || { fail 'e2fsck complains'; cat "$scratch/e2fsck"; }
finish
