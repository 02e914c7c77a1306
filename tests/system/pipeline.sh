#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Three stages of a pipeline carry many times the memory of their VM, whole and in order, and an endless writer ends with
# its reader. MOTOR_PIPELINE_MIB says how much (default 128).
. "$(dirname "$0")/lib.sh"
mib=${MOTOR_PIPELINE_MIB:-128}
bytes=$((mib * 1048576))
memory=24M

head -c 1000003 /dev/urandom >"$scratch/piece"
copies=$((bytes / 1000003 + 1))
feed() { local i=0; while [ $i -lt $copies ]; do cat "$scratch/piece"; i=$((i + 1)); done; }
wanted=$(feed | md5sum)
cat >"$scratch/stages" <<'END'
i=0; while [ $i -lt $1 ]; do cat /piece; i=$((i + 1)); done | cat | md5sum
yes | head -n 1
yes | cat | cat | head -n 1
sed -n 's/^MemTotal: *//p' /proc/meminfo
END
got=$(timeout 1800 "$run" -t 1700 -m $memory -c 2 -f "$scratch/piece:/piece" -f "$scratch/stages:/stages" "$build/ports/dash/bin/dash" \
    /stages $copies 2>"$scratch/err" </dev/null) || fail "status $?: $(cat "$scratch/err")"
is "sum of $mib MiB" "$(echo "$got" | head -n 1)" "$wanted"
is "endless writers" "$(echo "$got" | sed -n '2,3p' | paste -s)" "$(printf 'y\ty')"
total=$(echo "$got" | sed -n 's/ kB//; 4p' | tr -dc 0-9)
[ "${total:-999999999}" -lt $((bytes / 1024)) ] || fail "the VM's memory ($total KiB) is no proof"
finish
