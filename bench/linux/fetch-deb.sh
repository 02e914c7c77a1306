#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fetch-deb.sh PACKAGE OUT: brings Debian's binary package, as the machine's own archive has it now, and unpacks it into the folder OUT.
# Nothing is installed on the host. A package that only names another (linux-image-cloud-amd64 names the current kernel) brings that too.
#
# The apt client works with state folders of our own: a plain user can run this, and apt checks the archive's signatures. What was
# brought is kept in $MOTOR_CACHE; OUT/PACKAGE.version says which version it is.
set -eu

package=$1 out=$2
cache=${MOTOR_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/motor}
state=$cache/apt/host
kept=$cache/debs
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$kept" "$out"
exec 9>"$cache/apt/lock"
flock 9

apt_options="-qq -o Dir::State::Lists=$state/lists -o Dir::Cache=$state/cache -o APT::Sandbox::User=root
    -o Acquire::Languages=none -o Acquire::Retries=3"
if [ -z "$(find "$state/stamp" -mtime -7 2>/dev/null)" ]; then
    printf '  INDEX   host packages\n' >&2
    # shellcheck disable=SC2086 # a list of options
    if apt-get $apt_options update >&2; then
        touch "$state/stamp"
    elif [ ! -f "$state/stamp" ]; then
        exit 1
    fi
fi

field() # PACKAGE FIELD: of the version that apt would install
{
    # shellcheck disable=SC2086
    apt-cache $apt_options show --no-all-versions "$1" 2>/dev/null | sed -n "s/^$2: //p" | head -n 1
}

bring() # PACKAGE
{
    file=$(basename "$(field "$1" Filename)")
    sum=$(field "$1" SHA256)
    if [ -z "$file" ] || [ -z "$sum" ]; then
        echo "fetch-deb: the archive has no package $1" >&2
        exit 1
    fi
    if ! echo "$sum  $kept/$file" | sha256sum -c --status 2>/dev/null; then
        printf '  FETCH   %s\n' "$file" >&2
        # shellcheck disable=SC2086
        (cd "$kept" && apt-get $apt_options download "$1" >&2)
        # apt quotes the epoch's colon in names
        [ -f "$kept/$file" ] || mv "$kept/$1_"*.deb "$kept/$file"
        echo "$sum  $kept/$file" | sha256sum -c --status
    fi
    dpkg-deb -x "$kept/$file" "$out"
    field "$1" Version >"$out/$1.version"
}

bring "$package"
case $package in
linux-image-*)
    real=$(field "$package" Depends | tr ',|' '\n\n' | sed -n 's/^ *\(linux-image-[^ ]*\).*/\1/p' | head -n 1)
    [ ! "$real" ] || bring "$real"
    ;;
esac
