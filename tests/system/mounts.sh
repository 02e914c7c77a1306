#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# mount(2) and umount2(2), and the programs mount, umount and df, on a disk with ext4; e2fsck finds nothing after.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/mounts" "$MOTOR_TOP/tests/programs/mounts.c" || exit 1
disk=$scratch/image
truncate -s 16M "$disk"
mke2fs -q -F -t ext4 "$disk" || exit 1
is 'mounts' "$(timeout 100 "$run" -t 90 -d "$disk" "$scratch/mounts" 2>&1)" ok
e2fsck -fn "$disk" >"$scratch/e2fsck" 2>&1 || { fail 'e2fsck complains'; cat "$scratch/e2fsck"; }
is 'a file, by debugfs' "$(debugfs -R 'cat file' "$disk" 2>/dev/null)" cello

cat >"$scratch/script" <<'EOF'
umount /mnt/vda && mkdir /data && mount -o noatime /dev/vda /data && mount | grep /data
df -h /data | tail -n 1 | sed 's/  */ /g' | cut -d' ' -f1,6
mount -o remount,ro /data && mount | grep /data && umount /data && ls /data
EOF
tools=()
for tool in umount mkdir mount grep df tail sed cut ls; do
    tools+=(-f "$build/ports/toybox/bin/toybox:/bin/$tool")
done
is 'by hand' "$(timeout 100 "$run" -t 90 -d "$disk" "${tools[@]}" -f "$scratch/script:/script" "$build/ports/dash/bin/dash" /script 2>&1)" \
    '/dev/vda on /data type ext4 (rw,noatime)
/dev/vda /data
/dev/vda on /data type ext4 (ro,noatime)'
finish
