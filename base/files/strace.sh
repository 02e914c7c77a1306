#!/bin/sh
# SPDX-License-Identifier: MIT
#
# strace [-o FILE] -p PID | strace [-o FILE] COMMAND [ARGUMENT]...: the calls of a process and of its children to come, a line each,
# to standard error or a file. A process that runs goes on as before when this ends. Reading /proc/PID/trace does the work.
usage() {
    echo 'usage: strace [-o FILE] -p PID | strace [-o FILE] COMMAND [ARGUMENT]...' >&2
    exit 2
}

exec 3>&2 4<&0
pid=
while getopts o:p: option; do
    case $option in
    o) exec 3>"$OPTARG" || exit 1 ;;
    p) pid=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
if [ "$pid" ]; then
    [ $# = 0 ] || usage
    exec cat "/proc/$pid/trace" >&3
fi
[ $# -gt 0 ] || usage

# The command's process stops before it becomes the command, until somebody listens.
sh -c 'kill -STOP $$; exec "$@"' strace "$@" <&4 &
pid=$!
until grep -q '^State:.T' "/proc/$pid/status"; do
    sleep 0.01
done
exec 5<"/proc/$pid/trace" || exit 1
kill -CONT $pid
cat <&5 >&3 &
exec 5<&-
reader=$!
wait $pid
status=$?
wait $reader
exit $status
