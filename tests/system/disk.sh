#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Disks with ext4 in a VM: programs use them, e2fsck finds nothing after, debugfs reads what they wrote.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/disk" "$MOTOR_TOP/tests/programs/disk.c" || exit 1
disk=$scratch/image

# make_disk SIZE MKE2FS-OPTION...
make_disk() {
    rm -f "$disk"
    truncate -s "$1" "$disk"
    shift
    mke2fs -q -F -t ext4 "$@" "$disk" || exit 1
}

check_disk() {
    e2fsck -fn "$disk" >"$scratch/e2fsck" 2>&1 || { fail "$1: e2fsck complains"; cat "$scratch/e2fsck"; }
}

# run_disk MACHINE ARGUMENT...
run_disk() {
    local machine=$1 out
    shift
    out=$(timeout 150 "$run" -t 120 -M "$machine" -d "$disk" "$scratch/disk" "$@" 2>&1)
    is "disk $* on $machine" "$out" ok
    check_disk "disk $* on $machine"
}

for what in 'microvm -b 1024' 'q35 -b 4096'; do
    read -r machine options <<<"$what"
    # shellcheck disable=SC2086
    make_disk 32M $options
    run_disk "$machine" work
    is 'a small file, by debugfs' "$(debugfs -R 'cat many/file-7' "$disk" 2>/dev/null)" 'file 7'
    is 'its target, by debugfs' "$(debugfs -R 'stat short' "$disk" 2>/dev/null | sed -n 's/^Fast link dest: //p')" '"many/renamed-1"'
    is 'the mode, by debugfs' "$(debugfs -R 'stat again' "$disk" 2>/dev/null | sed -n 's/.*Mode: *\([0-7]*\).*/\1/p')" 04751
    run_disk "$machine" full
done

# Extended attributes as on tmpfs: in the inode, and in blocks.
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/xattr" "$MOTOR_TOP/tests/posix/xattr.c" || exit 1
for options in '-b 4096' '-b 4096 -I 128'; do
    # shellcheck disable=SC2086
    make_disk 8M $options
    is "attributes ($options)" "$(timeout 100 "$run" -t 90 -d "$disk" "$scratch/xattr" /mnt/vda 2>&1)" ok
    check_disk "attributes ($options)"
done

# Supplementary groups count as on tmpfs.
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/groups" "$MOTOR_TOP/tests/posix/groups.c" || exit 1
make_disk 32M
is 'groups' "$(timeout 100 "$run" -t 90 -d "$disk" "$scratch/groups" /mnt/vda 2>&1)" ''
check_disk 'groups'

# Files on disks are watched as those of tmpfs are.
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -pthread -o "$scratch/inotify" "$MOTOR_TOP/tests/posix/inotify.c" || exit 1
make_disk 32M
is 'inotify' "$(timeout 100 "$run" -t 90 -d "$disk" "$scratch/inotify" /mnt/vda 2>&1)" ''
check_disk 'inotify'

# Appends without calls, the last of which are there when the machine ends.
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/appends" "$MOTOR_TOP/tests/posix/hot_appends.c" || exit 1
for options in '-b 1024' '-b 4096'; do
    # shellcheck disable=SC2086
    make_disk 64M $options
    is "appends ($options)" "$(timeout 100 "$run" -t 90 -d "$disk" "$scratch/appends" /mnt/vda 2>&1)" ''
    check_disk "appends ($options)"
    is "what was left of appends ($options)" "$(debugfs -R 'cat hot-appends' "$disk" 2>/dev/null | wc -c)" 60600
done

# Reads of what is not in memory, beside all other calls.
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -pthread -o "$scratch/beside" "$MOTOR_TOP/tests/programs/beside.c" || exit 1
for options in '-b 1024' '-b 4096'; do
    # shellcheck disable=SC2086
    make_disk 32M $options
    is "reads beside ($options)" "$(timeout 150 "$run" -t 140 -d "$disk" "$scratch/beside" /mnt/vda 2>&1)" ok
    check_disk "reads beside ($options)"
done

# Without a program the machine ends, too.
make_disk 8M
timeout 60 "$run" -t 50 -d "$disk" /bin/true >"$scratch/out" 2>&1
[ $? = 126 ] || { fail 'a program that is none'; cat "$scratch/out"; }
check_disk 'a program that is none'

# A disk with something else is left alone.
head -c 1000000 /dev/urandom >"$scratch/noise"
truncate -s 1M "$scratch/noise"
cp "$scratch/noise" "$disk"
timeout 100 "$run" -t 90 -d "$disk" "$scratch/disk" work | grep -q 'No such file or directory' || fail 'noise was mounted'
cmp "$scratch/noise" "$disk" || fail 'a foreign disk was changed'

# Disks and partitions as files.
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/raw" "$MOTOR_TOP/tests/programs/raw.c" || exit 1
truncate -s 8M "$scratch/parts"
printf 'label: gpt\nstart=2048,size=8192,type=L\nsize=1024,type=U\n' | sfdisk -q "$scratch/parts"
mke2fs -q -F -t ext4 -b 1024 -E offset=1048576 "$scratch/parts" 4096k 2>/dev/null
is 'disks as files' "$(timeout 100 "$run" -t 90 -d "$disk" -d "$scratch/parts" "$scratch/raw" 2>&1)" ok
is 'bytes written to one' "$(dd if="$disk" bs=1 skip=5000 count=3000 status=none | tr -d c | wc -c) $(tail -c 5 "$disk")" '0 01234'
cmp -i 200000 -n 100 "$disk" "$scratch/noise" && fail 'nothing was written'
cmp -i 300001 -n 700000 "$disk" "$scratch/noise" || fail 'more was written than asked for'

finish
