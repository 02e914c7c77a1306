#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A second server, lighttpd: files, ranges, compression, listings, uploads by WebDAV, many requests, by curl and
# httpload.
. "$(dirname "$0")/lib.sh"

mkdir -p "$scratch/www"
echo '<title>lighttpd on Motor</title>' >"$scratch/www/index.html"
yes 'a line that compresses well' | head -n 2000 >"$scratch/www/text.txt"
head -c 3000000 /dev/urandom >"$scratch/www/big.bin"
: >"$scratch/empty"
port=$(free_port)
timeout 120 "$run" -t 110 -m 64M -p "$port:80" -f "$MOTOR_TOP/ports/lighttpd/files/lighttpd.conf:/etc/lighttpd.conf" \
    -f "$scratch/www/index.html:/srv/www/index.html" -f "$scratch/www/text.txt:/srv/www/text.txt" \
    -f "$scratch/www/big.bin:/srv/www/big.bin" -f "$scratch/empty:/srv/www/dav/empty" \
    "$build/ports/lighttpd/usr/sbin/lighttpd" -D -f /etc/lighttpd.conf </dev/null >"$scratch/out" 2>&1 &
vm=$!
pids="$pids $vm"
site=http://127.0.0.1:$port
wait_http "$site/" 60 || fail "no answer: $(cat "$scratch/out")"
c() { curl -s -m 20 "$@"; }

is index "$(c "$site/")" "$(cat "$scratch/www/index.html")"
c "$site/big.bin" | cmp - "$scratch/www/big.bin" || fail "3 MB changed"
is range "$(c -r 1000000-1000099 "$site/big.bin" | sha256sum)" "$(tail -c +1000001 "$scratch/www/big.bin" | head -c 100 | sha256sum)"
is gzip "$(c -H 'Accept-Encoding: gzip' "$site/text.txt" | gzip -dc | sha256sum)" "$(sha256sum <"$scratch/www/text.txt")"
is "not there" "$(c -o /dev/null -w '%{http_code}' "$site/none")" 404
c "$site/dav/" | grep -q 'Index of /dav/' || fail "no listing"

# Uploads, and what became of them.
is PUT "$(c -o /dev/null -w '%{http_code}' -T "$scratch/www/big.bin" "$site/dav/new.bin")" 201
c "$site/dav/new.bin" | cmp - "$scratch/www/big.bin" || fail "the upload changed"
is MOVE "$(c -o /dev/null -w '%{http_code}' -X MOVE -H "Destination: $site/dav/moved.bin" "$site/dav/new.bin")" 201
is "moved away" "$(c -o /dev/null -w '%{http_code}' "$site/dav/new.bin")" 404
is DELETE "$(c -o /dev/null -w '%{http_code}' -X DELETE "$site/dav/moved.bin")" 204

"$build/host/httpload" -c 8 -n 2000 -s 20 "127.0.0.1:$port/" >"$scratch/load" 2>&1 || fail "load: $(cat "$scratch/load")"
c "$site/status?auto" | grep -q 'Total Accesses' || fail "no status"
kill -TERM "$vm"
wait "$vm"
finish
