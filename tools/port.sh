#!/bin/sh
# SPDX-License-Identifier: MIT
#
# port.sh NAME VERSION RECIPE SOURCE OUT INPUT...
#
# Builds a port: runs RECIPE, which fills OUT from SOURCE. The result is kept in the cache under a key of all INPUTs'
# contents, the recipe and the compiler's version, and taken from there when it has been built before. OUT/.motor-key
# is the key, and an input of whatever uses OUT: a change anywhere reaches everything that was made of it.
#
# A recipe is run in an empty folder with
#   SRC   the pristine source      OUT   where to install      ROOT  the top of this repository
#   SDK   the SDK; its bin/ is in PATH      PORTS  the other ports' results are in $PORTS/NAME
# The last two are $PORT_TREE/sdk and $PORT_TREE/ports; PORT_TREE is build unless the caller says otherwise.
set -eu

name=$1 version=$2 recipe=$3 source=$4 out=$5
shift 5
cache=${MOTOR_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/motor}
root=$(pwd)

# Two makes may run in one tree.
mkdir -p "$(dirname "$out")"
exec 8>"$out.lock"
flock 8

key=$( (cat "$recipe" "$@"; gcc --version; ld --version) | sha256sum | cut -c1-32)
if [ -f "$out/.motor-key" ] && [ "$(cat "$out/.motor-key")" = "$key" ]; then
    touch "$out/.motor-key"
    exit
fi
kept=$cache/ports/$name-$version-$key.tar
rm -rf "$out" "$out.work"
mkdir -p "$out" "$cache/ports"

if [ -f "$kept" ] && tar -xf "$kept" -C "$out" 2>/dev/null; then
    printf '  CACHED  %s %s\n' "$name" "$version"
else
    printf '  PORT    %s %s\n' "$name" "$version"
    rm -rf "$out"
    mkdir -p "$out" "$out.work"
    log=$root/$out.log
    tree=$root/${PORT_TREE:-build}
    export SRC="$root/$source" OUT="$root/$out" ROOT="$root" SDK="$tree/sdk" PORTS="$tree/ports"
    export PATH="$SDK/bin:$PATH" LC_ALL=C
    # Of our make's options only its job slots are for other people's Makefiles: many need the built-in rules.
    slots=''
    for word in ${MAKEFLAGS-}; do
        case $word in -j* | --jobserver*) slots="$slots $word" ;; esac
    done
    export MAKEFLAGS="$slots"
    if ! (cd "$out.work" && sh -eu "$root/$recipe") >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" | cut -c1-300 >&2
        echo "port $name failed; all of it is in $out.log" >&2
        exit 1
    fi
    rm -rf "$out.work"
    tar -cf "$kept.$$" -C "$out" .
    mv "$kept.$$" "$kept"
fi
echo "$key" >"$out/.motor-key"
