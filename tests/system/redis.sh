#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# redis, driven from outside by redis-cli and redis-benchmark of the distribution: values of all sizes and bytes,
# pipelines, transactions, scripts, subscriptions, blocking calls, expiry, I/O threads; snapshots and log rewriting by
# forked children while values change; an orderly end.
. "$(dirname "$0")/lib.sh"
in_namespace "$@"

server=$build/ports/redis/usr/bin/redis-server
"$sdk/bin/motor-strip" -g -o "$scratch/redis-server" "$server" || exit 1
host=10.0.2.15
"$build/host/mkbundle" -i "$build/bundle-base.img" -f "$scratch/redis-server:/usr/bin/redis-server:755" \
    -m /var/lib/redis "$scratch/bundle" -- /usr/bin/redis-server redis-server --bind 0.0.0.0 --protected-mode no \
    --save '' --appendonly no --dir /var/lib/redis --io-threads 2 \
    --enable-debug-command yes || exit 1
# shellcheck disable=SC2086
"$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -c 2 -m 256M $tap_args -A "$tap_cmdline" \
    </dev/null >"$scratch/serial" 2>&1 &
vm=$!
pids="$pids $vm"

cli() { timeout 60 redis-cli -h $host "$@"; }
end=$((SECONDS + 60))
until [ "$(timeout 5 redis-cli -h $host ping 2>&1)" = PONG ]; do
    if [ $SECONDS -gt $end ]; then
        cat "$scratch/serial"
        fail "redis does not answer"
        finish
    fi
    sleep 0.2
done

is version "$(cli info server | tr -d '\r' | sed -n 's/^redis_version://p')" 8.0.2
is poll "$(cli info server | tr -d '\r' | sed -n 's/^multiplexing_api://p')" epoll
is set "$(cli set greeting 'hello, world')" OK
is get "$(cli get greeting)" 'hello, world'
is "a key that is not there" "$(cli get none)" ''
is incrby "$(cli incrby counter 41; cli incr counter)" "$(printf '41\n42')"
is "a wrong type" "$(cli lpush greeting x)" "WRONGTYPE Operation against a key holding the wrong kind of value"
is list "$(cli rpush list a b c; cli lrange list 0 -1)" "$(printf '3\na\nb\nc')"
is hash "$(cli hset hash one 1 two 2; cli hget hash two)" "$(printf '2\n2')"
is scores "$(cli zadd scores 1.5 a +inf b -2e3 c; cli zrangebyscore scores '(-2000' +1e1)" "$(printf '3\na')"
is "a bound that is no number" "$(cli zrangebyscore scores one 2)" "ERR min or max is not a float"
is script "$(cli eval 'return {KEYS[1], ARGV[1] * 2, redis.call("get", "counter")}' 1 key 21)" "$(printf 'key\n42\n42')"
is transaction "$(printf 'multi\nincr counter\nincr counter\nexec\n' | cli | tail -n 2)" "$(printf '43\n44')"

# Values with every byte, up to 32 MiB
for size in 1 4096 65537 1048576 33554432; do
    head -c $size /dev/urandom >"$scratch/value"
    is "set of $size bytes" "$(cli -x set value <"$scratch/value")" OK
    is strlen "$(cli strlen value)" $size
    cli get value | head -c $size | cmp - "$scratch/value" || fail "a value of $size bytes changed"
done
is del "$(cli del value)" 1

# A pipeline of 20,000 commands in one connection
seq 20000 | awk '{ printf "SET pipe:%d %d\r\n", $1, $1 * 7 }' | cli --pipe >"$scratch/pipe"
is pipe "$(tail -n 1 "$scratch/pipe")" "errors: 0, replies: 20000"
is "a key of the pipe" "$(cli get pipe:12345)" 86415
is "keys of the pipe" "$(cli --scan --pattern 'pipe:*' | sort -u | wc -l)" 20000

# Clients that wait for others
timeout 60 redis-cli -h $host blpop queue 50 >"$scratch/blpop" &
waiting=$!
timeout 60 redis-cli -h $host subscribe news >"$scratch/news" &
subscriber=$!
pids="$pids $subscriber"
until [ "$(cli publish news flash)" = 1 ]; do sleep 0.1; done
until grep -q flash "$scratch/news"; do sleep 0.1; done
until cli client list | grep -q cmd=blpop; do sleep 0.1; done
cli rpush queue job >/dev/null
wait $waiting || fail "blpop: status $?"
is blpop "$(cat "$scratch/blpop")" "$(printf 'queue\njob')"
kill $subscriber

is expiry "$(cli set short lived px 200; cli pttl none)" "$(printf 'OK\n-2')"
until [ -z "$(cli get short)" ]; do sleep 0.1; done
is "bytes after flushall" "$(cli flushall async; cli dbsize)" "$(printf 'OK\n0')"

# Snapshots: a forked child writes what it inherited, while the parent changes it. What redis then loads is one moment:
# pairs of counters that are always raised together are equal, and what was set before is all there.
info() { cli info persistence | tr -d '\r' | sed -n "s/^$1://p"; }
children() { until [ "$(info rdb_bgsave_in_progress)$(info aof_rewrite_in_progress)$(info aof_rewrite_scheduled)" = 000 ]; do sleep 0.1; done; }
is "keys for the snapshot" "$(cli debug populate 20000 snap 200; cli dbsize)" "$(printf 'OK\n20000')"
raise='redis.call("incr", "left"); for i = 1, 50 do redis.call("append", "snap:" .. i, "x") end; return redis.call("incr", "right")'
for round in 1 2 3; do
    for i in 1 2 3; do
        cli eval "$raise" 0 >/dev/null
        [ $i = 2 ] && is "bgsave $round" "$(cli bgsave)" "Background saving started"
    done
    children
    is "status of bgsave $round" "$(info rdb_last_bgsave_status)" ok
    cli eval "$raise" 0 >/dev/null
    is "reload $round" "$(cli debug reload nosave)" OK
    is "one moment $round" "$(cli get left)" "$(cli get right)"
    is "keys of snapshot $round" "$(cli dbsize)" 20002
done
cli bgsave >/dev/null
digest=$(cli debug digest)
children
cli flushall >/dev/null
is "digest after the snapshot" "$(cli debug reload nosave; cli debug digest)" "$(printf 'OK\n%s' "$digest")"

is "log on" "$(cli config set appendonly yes)" OK
children
for round in 1 2 3; do
    cli eval "$raise" 0 >/dev/null
    cli bgrewriteaof >/dev/null
    cli eval "$raise" 0 >/dev/null
    children
    is "status of rewrite $round" "$(info aof_last_bgrewrite_status)" ok
    digest=$(cli debug digest)
    is "digest of log $round" "$(cli debug loadaof; cli debug digest)" "$(printf 'OK\n%s' "$digest")"
done
is "log off" "$(cli config set appendonly no; cli flushall)" "$(printf 'OK\nOK')"

# Load: every reply is checked by redis-benchmark
for options in '-c 50 -n 5000 -t ping,set,get,incr,lpush,rpop,sadd,hset,zadd' '-c 20 -P 16 -n 20000 -t set,get' \
    '-c 10 -d 100000 -n 500 -t set,get' '-c 50 -k 0 -n 1000 -t set'; do
    # shellcheck disable=SC2086
    timeout 200 redis-benchmark -h $host -q $options >"$scratch/load" 2>&1 || fail "redis-benchmark $options: status $?"
    tr '\r' '\n' <"$scratch/load" | grep 'per second'
    grep -i error "$scratch/load" && fail "redis-benchmark $options"
done
is "connections refused" "$(cli info stats | tr -d '\r' | sed -n 's/^rejected_connections://p')" 0

# SHUTDOWN ends redis, and with it the VM
cli shutdown nosave >/dev/null 2>&1
end=$((SECONDS + 30))
while kill -0 $vm 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.1; done
if kill -0 $vm 2>/dev/null; then
    fail "SHUTDOWN did not end the VM"
else
    wait $vm
    is "status of the VM" $? 0
fi
[ $failures -eq 0 ] || tail -n 30 "$scratch/serial"
finish
