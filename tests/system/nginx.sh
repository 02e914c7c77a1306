#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nginx, booted as `make run` boots it: pages, load with kept and with new connections, no error, no stall, no slowing down,
# no memory lost.
# MOTOR_TEST_LOAD scales the load: 1 (default) is quick, 20 the full one (200,000 and 50,000 requests).
. "$(dirname "$0")/lib.sh"
in_namespace "$@"

load=${MOTOR_TEST_LOAD:-1}
with_companions "$scratch/bundle" counters.c ''
# shellcheck disable=SC2086
"$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -m 128M $tap_args -A "$tap_cmdline" \
    </dev/null >"$scratch/serial" 2>&1 &
vm=$!
pids="$pids $vm"
url=http://10.0.2.15
if ! wait_http "$url/" 60; then
    cat "$scratch/serial"
    fail "nginx does not answer"
    finish
fi

is "the page" "$(curl -s -m 20 "$url/" | sha256sum)" "$(sha256sum <"$MOTOR_TOP/ports/nginx/files/index.html")"
is "1 MiB" "$(curl -s -m 60 "$url/1m.bin" | sha256sum)" \
    "04897330e996739d8c3a81a8394a55ce303bb1b790a3e542d8125b20a4e5ed13  -"
is "a missing page" "$(curl -s -m 20 -o /dev/null -w '%{http_code}' "$url/none")" 404
is "gzip" "$(curl -s -m 20 --compressed -H 'Accept-Encoding: gzip' "$url/" | sha256sum)" \
    "$(sha256sum <"$MOTOR_TOP/ports/nginx/files/index.html")"
is "a range" "$(curl -s -m 20 -r 1000-1999 "$url/1m.bin" | wc -c)" 1000
head -c 300000 /dev/zero | curl -s -m 20 -o /dev/null -X POST --data-binary @- "$url/" || fail "a POST of 300,000 bytes"

# Errors and stalls are httpload's status. In the full load the last tenth must not be much slower than the first; a short one says
# more about the host.
check_load() {
    local result
    result=$("$build/host/httpload" "$@") || fail "httpload $*: $result"
    echo "httpload $*: $result"
    [ "$load" -lt 10 ] || echo "$result" | python3 -c 'import json, sys
r = json.load(sys.stdin)
sys.exit(r["last_tenth_rate"] < r["first_tenth_rate"] * 0.6)' || fail "httpload $*: the end is slower than the start"
}
check_load -c 64 -n 1000 10.0.2.15:80/ # what is kept for reuse is there from now on
check_load -1 -c 4 -n 200 10.0.2.15:80/
before=$(counter 10.0.2.15 kernel.free)
check_load -c 64 -n $((load * 10000)) "10.0.2.15:80/"
check_load -1 -c 4 -n $((load * 2500)) "10.0.2.15:80/"

# Connections in TIME_WAIT hold memory for a while; then it must be back.
for _ in $(seq 60); do
    after=$(counter 10.0.2.15 kernel.free)
    [ $((before - after)) -gt 1048576 ] || break
    sleep 1
done
echo "free memory: $before bytes before the load, $after after it"
[ $((before - after)) -le 1048576 ] || fail "the load left $((before - after)) bytes less of free memory"

check_load -c 4 -n $((load * 40)) "10.0.2.15:80/1m.bin"
check_load -c 16 -i 500 -n $((load * 2000)) "10.0.2.15:80/"

kill -0 "$vm" 2>/dev/null || fail "the VM has ended: $(cat "$scratch/serial")"
finish
