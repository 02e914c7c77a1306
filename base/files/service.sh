#!/bin/sh
# SPDX-License-Identifier: MIT
#
# service [status] | service start|stop|restart NAME...: what /etc/services.d names (docs/services.md). init does it when it hears
# SIGHUP; /run/service/NAME.down tells it which are not wanted.
folder=/etc/services.d state=/run/service

usage() {
    echo 'usage: service [status] | service start|stop|restart NAME...' >&2
    exit 2
}

# row NAME: its line in the table
row() {
    while read -r name rest; do
        [ "$name" != "$1" ] || echo "$rest"
    done <$state/status
}

stop() {
    : >"$state/$1.down" && kill -HUP 1 || return 1
    until case $(row "$1") in down*) true ;; *) false ;; esac; do
        sleep 0.1
    done
}

# Something that is up, or will be, stays as it is.
start() {
    before=$(row "$1")
    rm -f "$state/$1.down" && kill -HUP 1 || return 1
    case $before in
    down*) ;;
    *) return 0 ;;
    esac
    while [ "$(row "$1")" = "$before" ]; do
        sleep 0.1
    done
    case $(row "$1") in
    down*)
        echo "service: $1 has not started" >&2
        return 1
        ;;
    esac
}

action=${1:-status}
[ $# = 0 ] || shift
case $action in
status)
    [ $# = 0 ] || usage
    exec cat $state/status
    ;;
start | stop | restart) [ $# -gt 0 ] || usage ;;
*) usage ;;
esac
[ "$(id -u)" = 0 ] || { echo 'service: only root may' >&2; exit 1; }
for each; do
    case $each in
    '' | */* | .*) usage ;;
    esac
    [ -f "$folder/$each" ] || { echo "service: $each: no such service" >&2; exit 1; }
    [ "$action" = start ] || stop "$each" || exit 1
    [ "$action" = stop ] || start "$each" || exit 1
done
