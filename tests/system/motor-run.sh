#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# motor-run as a shell sees it: statuses, streams, arguments, files, and each way in which it can go wrong.
. "$(dirname "$0")/lib.sh"

probe=$scratch/probe
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -g -o "$probe" "$MOTOR_TOP/tests/programs/probe.c" || exit 1
r() { timeout 120 "$run" -t 60 "$@"; }

for status in 0 1 2 42 124 125 127 128 200 255; do
    r "$probe" exit $status </dev/null
    is "exit $status" $? $status
done
for signal in 1 2 6 9 11 15; do
    r "$probe" signal $signal </dev/null 2>"$scratch/err"
    is "signal $signal" $? $((128 + signal))
done
r "$probe" abort </dev/null 2>"$scratch/err"
is abort $? 134

# The first run on a machine finds out whether KVM works, the second knows.
for run_number in first second; do
    env -u MOTOR_ACCEL MOTOR_CACHE="$scratch/cache" timeout 120 "$run" -t 60 "$probe" exit 9 </dev/null
    is "the $run_number run of all" $? 9
done

# Streams
head -c $((16 << 20)) /dev/urandom >"$scratch/in"
r "$probe" cat <"$scratch/in" >"$scratch/out"
is "cat's status" $? 0
cmp "$scratch/in" "$scratch/out" || fail "16 MiB through stdin to stdout changed"
r "$probe" cat <"$scratch/in" | { sleep 2; cat; } >"$scratch/out" # a reader that is not ready
cmp "$scratch/in" "$scratch/out" || fail "16 MiB changed on the way to a slow reader"
r "$probe" both </dev/null >"$scratch/out" 2>"$scratch/err"
is stdout "$(cat "$scratch/out")" "to stdout"
is stderr "$(cat "$scratch/err")" "to stderr"
r "$probe" eof </dev/null
is "end of stdin" $? 7
r "$probe" closed </dev/null
is "closed streams" $? 5
printf 'a\r\nb\n\0c\004\003\021\023\377' >"$scratch/in"
r "$probe" cat <"$scratch/in" >"$scratch/out"
cmp "$scratch/in" "$scratch/out" || fail "control bytes changed"
yes | r "$probe" cat | head -n 1 >"$scratch/out"
is "yes | cat | head" "$(cat "$scratch/out")" y

# Every byte that C allows in arguments and environment
all=$(for i in $(seq 1 255); do printf "\\x$(printf %x "$i")"; done; printf .)
all=${all%.}
r "$probe" args "$all" '' "two words" '*' </dev/null >"$scratch/out"
printf '%s\0' "$all" '' "two words" '*' | cmp - "$scratch/out" || fail "arguments changed"
(
    VALUE="$all" EMPTY='' exec env -i VALUE="$all" EMPTY= PATH="$PATH" "$run" -t 60 "$probe" env </dev/null
) | tr '\0' '\n' | grep -c '' >/dev/null
env -i VALUE="$all" EMPTY= PATH="$PATH" "$run" -t 60 "$probe" env </dev/null >"$scratch/out"
printf '%s\0' "VALUE=$all" EMPTY= "PATH=$PATH" | cmp - "$scratch/out" || fail "the environment changed"

# Files
printf 'some data' >"$scratch/data"
chmod 640 "$scratch/data"
mkdir -p "$scratch/tree/sub"
echo deep >"$scratch/tree/sub/file"
is "a file" "$(r -f "$scratch/data:/etc/x/data" "$probe" file /etc/x/data </dev/null)" "some data"
is "its mode" "$(r -f "$scratch/data:/etc/x/data" "$probe" mode /etc/x/data </dev/null)" 640
is "a folder" "$(r -f "$scratch/tree:/opt/tree" "$probe" file /opt/tree/sub/file </dev/null)" deep

# What goes wrong
start=$SECONDS
timeout 60 "$run" -t 2 "$probe" sleep 1000 </dev/null 2>"$scratch/err"
is "the timeout's status" $? 124
[ $((SECONDS - start)) -lt 30 ] || fail "the timeout took $((SECONDS - start)) s"
timeout 60 "$run" -t 2 "$probe" spin </dev/null 2>/dev/null
is "the timeout of a spinning program" $? 124

says() { # STATUS TEXT COMMAND...
    local status=$1 text=$2 got
    shift 2
    timeout 60 "$@" </dev/null >"$scratch/out" 2>"$scratch/err"
    got=$?
    is "status of $*" $got "$status"
    grep -q "$text" "$scratch/err" || fail "$* says: $(cat "$scratch/err")"
    [ ! -s "$scratch/out" ] || fail "$* wrote to stdout: $(cat "$scratch/out")"
}
says 127 'No such file' "$run" "$scratch/nowhere"
says 126 'not an ELF' "$run" "$scratch/data"
says 126 'not a regular file' "$run" "$scratch"
{ head -c 18 "$probe"; printf '\267\000'; tail -c +21 "$probe"; } >"$scratch/arm"
says 126 'another machine' "$run" "$scratch/arm"
says 125 '' "$run" -m 2M "$probe" exit 0
says 125 'HOSTFILE:GUESTPATH' "$run" -f nonsense "$probe"
says 125 'No such file' "$run" -f "$scratch/nowhere:/x" "$probe"
says 125 'ports from 1' "$run" -p 80 "$probe"

# Death by a fault: signal, address, registers, names
r "$probe" null </dev/null 2>"$scratch/err"
is "null pointer" $? 139
for word in SIGSEGV 0x8 rip crash_here crash_caller main; do
    grep -q "$word" "$scratch/err" || fail "the crash report has no $word: $(cat "$scratch/err")"
done
r "$probe" recurse </dev/null 2>"$scratch/err"
is "stack overflow" $? 139
r "$probe" privileged </dev/null 2>"$scratch/err"
is "privileged instruction" $? 139

# --trace and --missing
r --trace "$probe" exit 3 </dev/null 2>"$scratch/err"
grep -q 'exit_group(3)' "$scratch/err" || fail "no exit_group in the trace: $(cat "$scratch/err")"
r --trace="$scratch/trace" "$probe" file /etc/nowhere </dev/null 2>/dev/null
grep -q 'open.*"/etc/nowhere".*ENOENT' "$scratch/trace" || fail "no open in the trace: $(cat "$scratch/trace")"
r --missing "$probe" missing </dev/null 2>"$scratch/err"
is "a call that is missing" $? 3
grep -q fanotify_init "$scratch/err" || fail "--missing lists: $(cat "$scratch/err")"
finish
