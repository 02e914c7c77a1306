# signals from one process to another: handlers, ignored ones, kill by number and by name, waiting shells
cat >child <<'E'
trap 'echo "child got USR1"; n=$((n + 1))' USR1
trap 'echo "child ends after $n"; exit 3' TERM
n=0; : >ready
while :; do sleep 0.02; done
E
sh child & p=$!; while [ ! -e ready ]; do sleep 0.01; done
i=0; while [ $i -lt 3 ]; do kill -USR1 $p; sleep 0.3; i=$((i + 1)); done; kill -TERM $p; wait $p; echo "status $?"; kill -0 $p 2>/dev/null; echo "gone $?"
for s in HUP INT QUIT ABRT KILL ALRM TERM USR1 USR2 PIPE SEGV; do sh -c 'ulimit -c 0; kill -'$s' $$; sleep 5'; echo "$s $?"; done 2>/dev/null; for n in 1 2 9 15; do sh -c "kill -$n \$\$"; echo $?; done 2>/dev/null; kill -l 9; kill -l 15; kill -l 1; kill -NOSUCH $$ 2>/dev/null; echo $?; kill 2>/dev/null; echo $?; kill -0 $$; echo $?; (kill -0 1) 2>/dev/null; kill abc 2>/dev/null; echo $?
trap 'echo parent got it' USR2; sh -c 'kill -USR2 $PPID'; sh -c 'sleep 0.05; kill -USR2 $0; sleep 0.5' $$ & wait; echo "interrupted $([ $? -gt 128 ] && echo yes)"; wait; echo "then $?"; trap - USR2
(trap '' TERM; : >r1; sleep 0.4; echo survived) & p=$!; while [ ! -e r1 ]; do sleep 0.01; done; kill $p; wait $p; echo $?; sleep 50 & p=$!; kill -STOP $p; kill -TERM $p; kill -CONT $p; wait $p; echo "stopped then killed $?"; sleep 50 & p=$!; kill -STOP $p; kill -KILL $p; wait $p; echo "killed while stopped $?"
i=0; while [ $i -lt 30 ]; do sleep 30 & kill $!; wait $!; [ $? = 143 ] || echo wrong; i=$((i + 1)); done 2>/dev/null; echo $i; (sh -c 'trap "echo cleanup; exit 0" TERM; : >r2; while :; do sleep 0.01; done' & q=$!; while [ ! -e r2 ]; do sleep 0.01; done; kill $q; wait $q; echo "in subshell $?")
