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

# Runs the calling script again in a network namespace of its own with a TAP device, tap0 (10.0.2.2/24), to which `tap_args` connects a
# VM at 10.0.2.15. QEMU's user networking has a listen backlog of 1, which loses simultaneous connections.
tap_args='-n tap,id=net0,ifname=tap0,script=no,downscript=no'
tap_cmdline='ip=10.0.2.15/24:10.0.2.2:10.0.2.2'
in_namespace() {
    if [ -z "${MOTOR_TEST_NAMESPACE:-}" ]; then
        trap - EXIT
        rm -rf "$scratch"
        [ "$(id -u)" = 0 ] || exec env MOTOR_TEST_NAMESPACE=1 unshare --map-root-user --net "$0" "$@"
        exec env MOTOR_TEST_NAMESPACE=1 unshare --net "$0" "$@"
    fi
    ip link set lo up && ip tuntap add dev tap0 mode tap && ip address add 10.0.2.2/24 dev tap0 && ip link set tap0 up || exit 1
}

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
        port=$((10000 + RANDOM % 20000)) # below the ephemeral ones
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

# with_companions OUT [PROGRAM.c 'ARGUMENTS']...: the nginx bundle with programs of tests/programs beside nginx
with_companions() {
    local out=$1 options=() name
    shift
    while [ $# -gt 0 ]; do
        name=${1%.c}
        "$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -g -pthread -o "$scratch/$name" "$MOTOR_TOP/tests/programs/$1" || exit 1
        options+=(-f "$scratch/$name:/usr/bin/$name:755" -w "/usr/bin/$name $2")
        shift 2
    done
    "$build/host/mkbundle" -i "$build/bundle-nginx.img" "${options[@]}" "$out" -- /usr/sbin/nginx nginx || exit 1
}

# counter HOST NAME: one of the numbers that the companion counters.c tells
counter() {
    timeout 20 bash -c "exec 3<>/dev/tcp/$1/7777 && cat <&3" | awk -v name="$2" '$1 == name { print $2 }'
}

finish() {
    [ "$failures" -eq 0 ]
    exit
}
