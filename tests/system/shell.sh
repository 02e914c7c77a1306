#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Shell scripts (tests/shell) under dash: the same output and status in a VM as on the host, where the very same
# executable runs. One boot runs them all, each in a folder of its own.
. "$(dirname "$0")/lib.sh"
dash=$build/ports/dash/bin/dash

cat >"$scratch/all" <<'END'
# all DASH NAMES WORK: runs script.sh in the folder of each name; its output and status are told
dash=$1 names=$2 work=$3
for name in $names; do
    echo "== $name"
    (cd "$work/$name" && "$dash" ./script.sh 2>&1)
    echo "== status $?"
done
END

names='' files=()
for script in "$MOTOR_TOP"/tests/shell/*.sh; do
    name=$(basename "$script" .sh)
    names="$names $name"
    install -D "$script" "$scratch/work/$name/script.sh"
    files+=(-f "$script:/work/$name/script.sh")
done
timeout 60 "$dash" "$scratch/all" "$dash" "$names" "$scratch/work" >"$scratch/host" </dev/null
for cpus in 1 2; do
    timeout 120 "$run" -t 110 -c $cpus -f "$scratch/all:/all" -f "$dash:/bin/dash" "${files[@]}" "$dash" \
        /all /bin/dash "$names" /work >"$scratch/vm" 2>"$scratch/err" </dev/null
    is "status with $cpus CPUs" $? 0
    diff "$scratch/host" "$scratch/vm" >"$scratch/diff" || fail "$cpus CPUs: $(head -n 20 "$scratch/diff" "$scratch/err")"
done
finish
