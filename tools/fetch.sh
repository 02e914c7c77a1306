#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fetch.sh SHA256 FILE PACKAGE [MEMBER]
#
# Brings one pinned upstream file into the cache and prints where it is. FILE is a file of Debian's source package
# PACKAGE; with MEMBER it is that member of the package's .debian.tar archive (a patch that Debian carries).
#
# Sources come through the apt client, with state folders of our own: neither root nor a change of the system's
# configuration is needed. The mirror, proxy and keyring are those of the machine's own Debian entry. A file is
# chosen by its checksum, not its version, so it does not matter which suite has it, and nothing with another
# checksum is ever kept.
set -eu

suites='trixie bookworm'

sha256=$1 file=$2 package=$3 member=${4-}
cache=${MOTOR_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/motor}
kept=$cache/sources/$(printf %.16s "$sha256")-$file

fail()
{
    printf 'fetch: %s\n' "$*" >&2
    exit 1
}

matches() # FILE
{
    [ "$(sha256sum <"$1")" = "$sha256  -" ]
}

if [ -f "$kept" ] && matches "$kept"; then
    echo "$kept"
    exit
fi

mkdir -p "$cache/sources" "$cache/apt"
exec 9>"$cache/apt/lock"
flock 9
work=$(mktemp -d "$cache/apt/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The machine's own Debian entry as a deb-src entry for another suite, in deb822 form. Reads both forms of
# sources; takes the first main archive that is not the security one.
derive_entry() # SUITE
{
    for list in /etc/apt/sources.list.d/*.sources; do
        [ -f "$list" ] || continue
        awk -v suite="$1" '
            function flush() {
                if (enabled !~ /^(no|false|0)$/ && uris !~ /^cdrom:/ && types ~ /(^| )deb( |$)/ &&
                    suites ~ /(^| )(bookworm|trixie|forky|sid|stable|testing|unstable)( |$)/ &&
                    components ~ /(^| )main( |$)/ && uris != "" && !found) {
                    found = 1
                    split(uris, uri, " ")
                    print "Types: deb-src\nURIs: " uri[1] "\nSuites: " suite "\nComponents: main"
                    if (signed != "")
                        print "Signed-By:" signed
                }
                types = suites = components = uris = signed = enabled = field = ""
            }
            /^#/ { next }
            /^[ \t]*$/ { flush(); next }
            /^[ \t]/ { if (field == "signed-by") signed = signed "\n" $0; next }
            {
                field = tolower($1); sub(/:.*/, "", field)
                value = $0; sub(/^[^:]*:[ \t]*/, "", value)
                if (field == "types") types = value
                if (field == "uris") uris = value
                if (field == "suites") suites = value
                if (field == "components") components = value
                if (field == "enabled") enabled = value
                if (field == "signed-by") signed = " " value
            }
            END { flush() }' "$list"
    done
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$list" ] || continue
        awk -v suite="$1" '
            $1 != "deb" || / cdrom:/ { next }
            {
                options = ""; first = 2
                if ($2 ~ /^\[/) {
                    while ($first !~ /\]$/ && first <= NF) { options = options " " $first; first++ }
                    options = options " " $first; first++
                }
                if ($(first + 1) ~ /^(bookworm|trixie|forky|sid|stable|testing|unstable)$/ && $0 ~ / main( |$)/) {
                    print "Types: deb-src\nURIs: " $first "\nSuites: " suite "\nComponents: main"
                    if (match(options, /signed-by=[^] ]*/))
                        print "Signed-By: " substr(options, RSTART + 10, RLENGTH - 10)
                    exit
                }
            }' "$list"
    done
}

# Sets $apt_options for one suite, with an index that is at most a day old.
use_suite() # SUITE
{
    state=$cache/apt/$1
    mkdir -p "$state/parts" "$state/lists/partial" "$state/cache/archives/partial"
    derive_entry "$1" | awk '/^Types:/ && n++ { exit } { print }' >"$state/parts/motor.sources"
    [ -s "$state/parts/motor.sources" ] || fail "no Debian archive is configured in /etc/apt"
    apt_options="-qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$state/parts
        -o Dir::State::Lists=$state/lists -o Dir::Cache=$state/cache -o APT::Sandbox::User=root
        -o Acquire::Languages=none -o Acquire::Retries=3"
    base=$(sed -n 's/^URIs: *//p' "$state/parts/motor.sources")
    case $base in
    mirror+file:*) # a list of mirrors, as cloud images have it; single files cannot be asked of that
        base=$(awk '/^[a-z]/ { print $1; exit }' "/${base#mirror+file:/}")
        sed -i "s|^URIs:.*|URIs: $base|" "$state/parts/motor.sources"
        ;;
    esac
    if [ -z "$(find "$state/stamp" -mtime -1 2>/dev/null)" ]; then
        printf '  INDEX   %s sources\n' "$1" >&2
        # shellcheck disable=SC2086 # a list of options
        apt-get $apt_options update >&2 || return 1
        touch "$state/stamp"
    fi
}

# Prints "SHA256 DIRECTORY/NAME" for each file of each version of the package in the suite.
list_files()
{
    # shellcheck disable=SC2086
    apt-cache $apt_options showsrc --only-source "$package" 2>/dev/null | awk '
        function flush(i) { for (i = 0; i < n; i++) print sums[i], directory "/" names[i]; n = 0; directory = "" }
        /^$/ { flush(); next }
        /^[^ ]/ { field = $1 }
        /^Directory:/ { directory = $2 }
        /^ / && field == "Checksums-Sha256:" { sums[n] = $1; names[n++] = $3 }
        END { flush() }'
}

download() # SHA256 DIRECTORY/NAME
{
    # shellcheck disable=SC2086
    /usr/lib/apt/apt-helper $apt_options download-file "${base%/}/$2" "$work/download" "SHA256:$1" >"$work/log" 2>&1
}

try_suite()
{
    list_files >"$work/files"
    while read -r sum path; do
        case $path in
        *.debian.tar.*) [ "$member" ] || continue ;;
        *) [ ! "$member" ] && [ "$sum" = "$sha256" ] || continue ;;
        esac
        rm -f "$work/download"
        download "$sum" "$path" || continue
        if [ "$member" ]; then
            tar -xOf "$work/download" "$member" >"$work/member" 2>/dev/null || continue
            mv "$work/member" "$work/download"
        fi
        if matches "$work/download"; then
            mv "$work/download" "$kept"
            return 0
        fi
    done <"$work/files"
    return 1
}

printf '  FETCH   %s\n' "$file" >&2
for suite in $suites; do
    use_suite "$suite" || continue
    if try_suite; then
        echo "$kept"
        exit
    fi
done
[ ! -s "$work/log" ] || tail -n 3 "$work/log" >&2
fail "$file (SHA-256 $sha256) of $package is not to be had from the Debian archive"
