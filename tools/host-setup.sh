#!/bin/sh
# SPDX-License-Identifier: MIT
#
# host-setup.sh LIST: makes sure that the packages of LIST (see host-packages.txt) are installed. Says which are
# missing and installs them, with sudo only if needed; NO_INSTALL=1 only lists them.
set -eu

list=$1

# Prints the first name of each line of which no alternative is installed.
missing()
{
    names=$(sed 's/#.*//; s/|/ /g' "$list")
    # shellcheck disable=SC2086 # a list of names
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' $names 2>/dev/null | awk '
        NR == FNR { if ($1 == "installed") have[$2] = 1; next }
        { sub(/#.*/, "") }
        NF == 0 { next }
        { for (i = 1; i <= NF; i += 2) if ($i in have) next; print $0 }' - "$list" || true
}

# The first alternative that this release has.
choose()
{
    while IFS= read -r line; do
        first=${line%%|*}
        for name in $(echo "$line" | tr '|' ' '); do
            if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
                first=$name
                break
            fi
        done
        echo $first
    done
}

if ! command -v dpkg-query >/dev/null; then
    echo "host-setup: this is not a Debian system: the packages of $list must be there by other means" >&2
    exit 0
fi
wanted=$(missing)
[ "$wanted" ] || exit 0

echo 'Host packages that are missing:' >&2
echo "$wanted" | sed 's/^/  /' >&2
if [ "${NO_INSTALL:-0}" != 0 ]; then
    echo 'NO_INSTALL is set: install them, then run make again.' >&2
    exit 1
fi

sudo=
if [ "$(id -u)" != 0 ]; then
    sudo=sudo
    if ! command -v sudo >/dev/null; then
        echo 'Not root, and there is no sudo: install them as root, then run make again.' >&2
        exit 1
    fi
    echo 'Installing them with sudo.' >&2
fi
$sudo apt-get update -q >&2
packages=$(echo "$wanted" | choose)
# shellcheck disable=SC2086 # a list of names
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages >&2
if [ "$(missing)" ]; then
    echo 'Some could not be installed:' >&2
    missing | sed 's/^/  /' >&2
    exit 1
fi
