#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints the reference page of POSIX (Linux) system calls: which the runtime has, from posix/calls.def and its sources.
set -eu
cd "$(dirname "$0")/.."

cat <<'TEXT'
# Linux system calls on Motor

Made from `posix/calls.def`. Numbers, structures and errors are those of Linux on x86-64. A call that is not there
returns the error shown; `motor-run --missing` lists those that a program tried.

| number | call | arguments | |
| ---: | --- | --- | --- |
TEXT
cat posix/*.c | grep -o '^long px_sys_[a-z0-9_]*' | sed 's/.*px_sys_//' | sort -u | awk '
    FILENAME == "-" { have[$0] = 1; next }
    /^CALL\(/ {
        gsub(/^CALL\(|\)$/, "")
        n = split($0, part, /, */)
        arguments = ""
        for (i = 4; i <= n; i += 2)
            arguments = arguments (i > 4 ? ", " : "") part[i]
        printf "| %s | %s | %s | %s |\n", part[1], part[2], arguments, part[2] in have ? "yes" : "ENOSYS"
    }
    /^NONE\(/ {
        gsub(/^NONE\(|\)$/, "")
        split($0, part, /, */)
        printf "| %s | %s | | %s |\n", part[1], part[2], part[3]
    }' - posix/calls.def
