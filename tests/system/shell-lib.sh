# SPDX-License-Identifier: MIT
# For tests/system/shell-GROUP.sh: the shell scripts tests/shell/GROUP/*.sh under dash and toybox give the same output and
# status in a VM as on the host, where the very same executables run. One boot runs them all, each in a folder of its own,
# with nothing in the environment but what is set here. MOTOR_SHELL_SCRIPTS='trap* here*' chooses some. Sourced.
. "$(dirname "$0")/lib.sh"

cat >"$scratch/all" <<'EOF'
# all TOOLS WORK NAME...: runs script.sh in the folder of each name, with a pipe for its output; that and its status are told.
# dash tells of a background job that a signal has ended only if it has not seen that before it is asked to wait: not compared.
tools=$1 work=$2
umask 022
shift 2
for name; do
    echo "== $name"
    {
        cd "$work/$name" && "$tools/timeout" -k 5 100 "$tools/env" -i PATH="$tools" HOME=/home TZ=UTC0 LC_ALL=C \
            "$tools/sh" ./script.sh 2>&1
        echo "== status $?"
    } | "$tools/sed" '/^\(Terminated\|Killed\|Hangup\)$/d'
done
EOF
chmod 755 "$scratch/all"

# The commands: the shell, and toybox under each of its names.
mkdir "$scratch/tools"
cp "$build/ports/dash/bin/dash" "$scratch/tools/sh"
cp "$build/ports/toybox/bin/toybox" "$scratch/tools/toybox"
while IFS= read -r link; do
    ln -s toybox "$scratch/tools/${link##*/}"
done <"$build/ports/toybox/links.txt"

group=$(basename "$0" .sh)
group=${group#shell-}
names=()
set -f
for pattern in ${MOTOR_SHELL_SCRIPTS:-'*'}; do
    set +f
    for script in "$MOTOR_TOP/tests/shell/$group"/$pattern.sh; do
        [ -e "$script" ] || continue
        name=$(basename "$script" .sh)
        names+=("$name")
        install -D "$script" "$scratch/scripts/$name/script.sh"
    done
done
set +f
[ ${#names[@]} -gt 0 ] || fail "no scripts"

cp -a "$scratch/scripts" "$scratch/pristine"
"$scratch/tools/sh" "$scratch/all" "$scratch/tools" "$scratch/scripts" "${names[@]}" >"$scratch/host" </dev/null
for cpus in 1 2; do
    "$run" -t 450 -c $cpus -m 256M -f "$scratch/all:/all" -f "$scratch/tools:/tools" -f "$scratch/pristine:/work" \
        "$scratch/tools/sh" /all /tools /work "${names[@]}" >"$scratch/vm" 2>"$scratch/err" </dev/null
    is "status with $cpus CPUs" $? 0
    diff -a -U 3 -F '^== [a-z]' "$scratch/host" "$scratch/vm" >"$scratch/diff" ||
        fail "$cpus CPUs: $(tail -n +3 "$scratch/diff" | head -n 60; head "$scratch/err")"
done
finish
