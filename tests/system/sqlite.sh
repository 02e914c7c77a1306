#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# sqlite3 on ext4: its speed test with a check of the database; transactions in a VM that is killed, of which none that was told to be
# committed is lost and none is seen in part.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
sqlite=$build/ports/sqlite3/bin
disk=$scratch/image

# fresh: an empty file system
fresh() {
    rm -f "$disk"
    truncate -s 64M "$disk"
    mke2fs -q -F -t ext4 "$disk" || exit 1
}

fresh
out=$(timeout 190 "$run" -t 180 -d "$disk" "$sqlite/speedtest1" --size 1 --verify /mnt/vda/speed.db 2>&1) || fail "speedtest1: status $?"
[[ $out == *'TOTAL'* ]] || { fail 'speedtest1 did not end'; tail -n 5 <<<"$out"; }
is 'its database' "$(timeout 100 "$run" -t 90 -d "$disk" "$sqlite/sqlite3" /mnt/vda/speed.db 'pragma integrity_check' 2>&1)" ok

# Each transaction moves 1 from one account to another and tells its number when it is committed.
# With synchronous=full sqlite would not wait for the removal of its journal, which is what commits it (mode delete).
cat >"$scratch/transactions" <<'EOF'
create table if not exists account(id integer primary key, sum integer);
create table if not exists done(n integer);
insert or ignore into account values (1, 1000000), (2, 0);
EOF
for i in $(seq 3000); do
    echo "begin; update account set sum = sum - 1 where id = 1; update account set sum = sum + 1 where id = 2; insert into done values ($i); commit; select $i;"
done >>"$scratch/transactions"
for mode in delete wal; do
    fresh
    timeout 100 "$run" -t $((6 + RANDOM % 6)) -d "$disk" "$sqlite/sqlite3" -cmd "pragma journal_mode=$mode" -cmd 'pragma synchronous=extra' /mnt/vda/bank.db \
        <"$scratch/transactions" >"$scratch/told" 2>/dev/null
    told=$(grep -c '^[0-9]*$' "$scratch/told")
    [ "$told" -gt 0 ] || { fail "$mode: no transaction was committed"; continue; }
    found=$(timeout 100 "$run" -t 90 -d "$disk" "$sqlite/sqlite3" /mnt/vda/bank.db \
        'pragma integrity_check; select sum(sum) = 1000000 from account; select (select sum from account where id = 2) = count(*) from done; select count(*) from done' 2>&1)
    is "$mode: whole, after $told" "$(head -n 3 <<<"$found" | tr '\n' ' ')" 'ok 1 1 '
    [ "$(tail -n 1 <<<"$found")" -ge "$told" ] || fail "$mode: $told were committed, $(tail -n 1 <<<"$found") are there"
    e2fsck -fn "$disk" >"$scratch/e2fsck" 2>&1 || { fail "$mode: e2fsck complains"; cat "$scratch/e2fsck"; }
done
finish
