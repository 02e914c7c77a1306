#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nginx as it is usually run: a master and four workers under another user, logs, and a life of years in half a minute: reload,
# reopened logs, a worker that is killed, an upgrade of the binary and its way back, quit. While wrk asks without a pause, with a
# connection for each request, no request fails. (A kept connection that nginx closes just when its client writes is a race of HTTP.)
. "$(dirname "$0")/lib.sh"
in_namespace "$@"

cat >"$scratch/nginx.conf" <<'END'
user nobody;
worker_processes 4;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events {
    worker_connections 1024;
}
http {
    include mime.types;
    access_log /var/log/nginx/access.log;
    sendfile on;
    server {
        listen 80 backlog=1024;
        root /srv/www;
        index index.html;
    }
}
END
# Commands come over the network: a shell for each connection.
cat >"$scratch/service" <<'END'
command /bin/sh -c "/usr/sbin/nginx -t && /usr/sbin/nginx; exec nc -p 7778 -L /bin/sh"
END
"$build/host/mkbundle" -i "$build/bundle-nginx.img" -f "$scratch/nginx.conf:/etc/nginx/nginx.conf:644" \
    -f "$scratch/service:/etc/services.d/nginx:644" -1 "$scratch/bundle" -- /sbin/init init || exit 1
url=http://10.0.2.15

# guest COMMANDS: what a shell in the VM says to them
guest() {
    printf '%s\nexit\n' "$*" | timeout 30 bash -c 'exec 3<>/dev/tcp/10.0.2.15/7778 && cat >&3 && cat <&3'
}

# until_guest WHAT COMMANDS WANTED: until the commands say that
until_guest() {
    local got=''
    for _ in $(seq 50); do
        got=$(guest "$2")
        [ "$got" != "$3" ] || return 0
        sleep 0.2
    done
    fail "$1: got '$got', wanted '$3'"
}
workers='ps -A -o user,args | grep "^nobody.*worker process$" | wc -l'

begin_load() {
    timeout 60 wrk -t 1 -c 8 -d "$1" -H 'Connection: close' "$url/" >"$scratch/wrk" 2>&1 &
    load=$!
}

end_load() {
    wait $load || fail "$1: wrk ended with $?"
    grep -Eq 'Socket errors|Non-2xx' "$scratch/wrk" && fail "$1: $(cat "$scratch/wrk")"
    grep -q ' requests in ' "$scratch/wrk" || fail "$1: no requests: $(cat "$scratch/wrk")"
    echo "$1:$(grep ' requests in ' "$scratch/wrk")"
}

life() {
    until_guest "workers" "$workers" 4
    is "the test of the configuration" "$(guest '/usr/sbin/nginx -t >/dev/null 2>&1; echo $?')" 0
    local master
    master=$(guest 'cat /run/nginx.pid')

    begin_load 6s
    for _ in 1 2 3; do
        is "reload" "$(guest '/usr/sbin/nginx -s reload; echo $?')" 0
        sleep 1
    done
    is "reopen" "$(guest 'mv /var/log/nginx/access.log /var/log/nginx/old.log; /usr/sbin/nginx -s reopen; echo $?')" 0
    end_load "reload and reopen, $1 CPUs"
    curl -s -m 20 -o /dev/null "$url/" || fail "a request after reopen"
    until_guest "the new log is written" 'test -s /var/log/nginx/access.log && echo yes' yes
    until_guest "workers after reloads" "$workers" 4

    guest 'kill -9 $(pgrep -f "worker process" | head -n 1)' >/dev/null
    until_guest "a killed worker is replaced" "$workers" 4
    is "the page after that" "$(curl -s -m 20 "$url/" | sha256sum)" "$(sha256sum <"$MOTOR_TOP/ports/nginx/files/index.html")"

    begin_load 8s
    guest "kill -USR2 $master" >/dev/null
    until_guest "two masters" 'test -s /run/nginx.pid.oldbin && test -s /run/nginx.pid && echo yes' yes
    guest "kill -WINCH $master" >/dev/null
    sleep 1
    guest "kill -QUIT $master" >/dev/null
    until_guest "the old master has gone" "test -e /run/nginx.pid.oldbin || echo gone" gone
    end_load "upgrade, $1 CPUs"
    [ "$(guest 'cat /run/nginx.pid')" != "$master" ] || fail "the master is still the old one"
    until_guest "workers after the upgrade" "$workers" 4

    is "quit" "$(guest '/usr/sbin/nginx -s quit; echo $?')" 0
    until_guest "nothing is left of it" 'ps -A -o args | grep -c "^nginx"' 0
    is "alerts in its log" "$(guest 'grep -E "\[(alert|emerg|crit)\]" /var/log/nginx/error.log | grep -v "signal 9"')" ''
}

for cpus in ${MOTOR_TEST_CPUS:-1 2 4}; do
    # shellcheck disable=SC2086
    "$MOTOR_TOP/tools/qemu.sh" -k "$build/kernel/motor.elf" -b "$scratch/bundle" -c "$cpus" -m 192M $tap_args -A "$tap_cmdline" \
        </dev/null >"$scratch/serial" 2>&1 &
    vm=$!
    pids="$pids $vm"
    if wait_http "$url/" 60; then
        life "$cpus"
    else
        fail "nginx does not answer with $cpus CPUs: $(cat "$scratch/serial")"
    fi
    kill $vm 2>/dev/null
    wait $vm 2>/dev/null
done
finish
