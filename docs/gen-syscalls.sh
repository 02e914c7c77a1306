#!/bin/sh
# SPDX-License-Identifier: MIT
# The reference of system calls and status codes, as Markdown on stdout, from the tables in sdk/include/motor.
set -eu
cd "$(dirname "$0")/.."
cat <<'HEAD'
# Motor system calls

Made from `sdk/include/motor/syscalls.def` and `errors.def`; structures and constants are described in
`sdk/include/motor/abi.h`. The number goes in rax (added to 0x4d000000), arguments in rdi, rsi, rdx, r10, r8, r9; the result
comes in rax: zero or positive, or a negated status. rcx and r11 are lost.

| number | call | what it does |
| --- | --- | --- |
HEAD
# A row: SYSCALLn(number, name, type, argument, ..., "text")
sed -n 's/^SYSCALL[0-6](\(.*\))$/\1/p' sdk/include/motor/syscalls.def | awk '{
    quote = index($0, "\""); text = substr($0, quote + 1); sub(/"$/, "", text)
    n = split(substr($0, 1, quote - 1), part, /, */)
    args = ""
    for (i = 3; i + 1 < n; i += 2)
        args = args (args == "" ? "" : ", ") part[i] (part[i] ~ /\*$/ ? "" : " ") part[i + 1]
    printf "| %s | `%s(%s)` | %s |\n", part[1], part[2], args == "" ? "void" : args, text
}'
printf '\n# Status codes\n\n| code | value | meaning |\n| --- | --- | --- |\n'
sed -n 's/^X(\([A-Z0-9_]*\), \([0-9]*\), "\(.*\)")$/| \1 | \2 | \3 |/p' sdk/include/motor/errors.def
