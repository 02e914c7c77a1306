#!/bin/sh
# SPDX-License-Identifier: MIT
#
# unpack.sh DIR PACKAGE ARCHIVE SHA256 [MEMBER SHA256]...: lays out a pinned source (see ports.mk) in DIR, with its
# patches applied. DIR/.motor-source tells what DIR was made of; when that is asked for again, nothing is done.
set -eu

dir=$1 package=$2 archive=$3 sum=$4
shift 4
here=$(dirname "$0")
made_of=$(printf '%s\n' "$archive $sum" "$@")

# Two makes may run in one tree.
mkdir -p "$(dirname "$dir")"
exec 8>"$dir.lock"
flock 8

if [ -f "$dir/.motor-source" ] && [ "$(cat "$dir/.motor-source")" = "$made_of" ]; then
    touch "$dir/.motor-source"
    exit
fi
path=$("$here/fetch.sh" "$sum" "$archive" "$package")
printf '  UNPACK  %s\n' "$archive"
rm -rf "$dir" "$dir.new"
mkdir -p "$dir.new"
tar -xf "$path" -C "$dir.new" --strip-components=1 --no-same-owner
while [ $# -ge 2 ]; do
    path=$("$here/fetch.sh" "$2" "$(basename "$1")" "$package" "$1")
    patch -d "$dir.new" -p1 -s --no-backup-if-mismatch <"$path"
    shift 2
done
printf '%s\n' "$made_of" >"$dir.new/.motor-source"
mv "$dir.new" "$dir"
