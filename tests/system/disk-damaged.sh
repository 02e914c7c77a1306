#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# VMs with damaged disks: whatever is wrong with a file system, the machine starts, programs that use it get an answer, and it powers off.
# DISK_DAMAGED (3): how many disks. (Many more are tried on the host: tests/host/ext4/ext4_fuzz.c.)
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$scratch/damaged" "$MOTOR_TOP/tests/programs/damaged.c" || exit 1
good=$scratch/good
mkdir -p "$scratch/tree/many" "$scratch/tree/deep/er"
for i in $(seq 300); do echo "file $i" >"$scratch/tree/many/a-name-that-fills-blocks-$i"; done
seq 60000 >"$scratch/tree/large"
ln -s large "$scratch/tree/short"
ln "$scratch/tree/large" "$scratch/tree/deep/er/linked"
seed=${DISK_SEED:-$RANDOM}
for ((n = 0; n < ${DISK_DAMAGED:-3}; n++)); do
    case $((n % 3)) in
    0) options='-b 1024 -J size=1 -O ^metadata_csum' ;;
    1) options='-b 4096 -O ^metadata_csum' ;;
    2) options='-b 1024 -J size=1' ;;
    esac
    rm -f "$good"
    # shellcheck disable=SC2086
    mke2fs -q -F -t ext4 -U 01020304-0506-0708-090a-0b0c0d0e0f10 -E hash_seed=01020304-0506-0708-090a-0b0c0d0e0f10 $options -d "$scratch/tree" "$good" 8M >/dev/null || exit 1
    python3 - "$good" $((seed + n)) <<'END'
import random, sys
data = bytearray(open(sys.argv[1], "rb").read())
random.seed(int(sys.argv[2]))
used = [at for at in range(0, len(data), 1024) if any(data[at:at + 1024])]
for _ in range(random.randint(1, 30)):
    at = random.choice(used[:200] if random.randint(0, 1) else used) + random.randrange(1024)
    width = random.choice((1, 2, 4))
    data[at:at + width] = random.choice((0, 1, 0xff, 0x7f, 0x80, random.randrange(256))).to_bytes(1, "little") * width
data[1024 + 56:1024 + 58] = b"\x53\xef"
open(sys.argv[1], "wb").write(data)
END
    cp "$good" "$scratch/tried"
    out=$(timeout 200 "$run" -t 180 -d "$scratch/tried" "$scratch/damaged" /mnt/vda 2>"$scratch/errors")
    [ "$out" = ok ] || {
        fail "seed $((seed + n)), $options: '$out'"
        tail -n 20 "$scratch/errors"
        cp "$good" "/tmp/motor-disk-damaged-$((seed + n)).img"
    }
done
finish
