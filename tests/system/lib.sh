# SPDX-License-Identifier: MIT
# For tests/system/*.sh: a scratch folder, checks, and a free port. Sourced.
set -u
sdk=$MOTOR_SDK
build=$MOTOR_BUILD
run=$sdk/bin/motor-run
scratch=$(mktemp -d)
pids=''
cleanup() {
    for pid in $pids; do kill "$pid" 2>/dev/null; done
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

failures=0
fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# is WHAT GOT WANTED
is() {
    [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}

# A TCP port that nobody listens on now.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo $port
            return
        fi
    done
}

# wait_http URL SECONDS: until it answers with 200
wait_http() {
    local end=$((SECONDS + $2))
    until [ "$(curl -s -o /dev/null -m 5 -w '%{http_code}' "$1")" = 200 ]; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

finish() {
    [ "$failures" -eq 0 ]
    exit
}
