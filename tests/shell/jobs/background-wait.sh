# background jobs: wait for one, for all, for strangers; statuses in any order; output in order
(exit 1) & a=$!; (exit 2) & b=$!; (exit 3) & c=$!; wait $c; echo $?; wait $a; echo $?; wait $b; echo $?; wait; echo $?
wait 99999; echo "stranger $?"; wait $a 2>/dev/null; echo "again $([ $? -eq 127 ] && echo unknown || echo kept)"
for n in 5 3 1 4 2; do (sleep 0.0$n; exit $n) & pids="$pids $!"; done; for p in $pids; do wait $p; echo "got $?"; done
(sleep 0.05; echo slow) & (echo quick); wait; echo done
(sh -c 'exit 41') & wait $!; echo $?; sh -c 'kill -KILL $$' & wait $!; echo $?; sleep 100 & kill $!; wait $!; echo $?; sleep 100 & kill -9 $!; wait $!; echo $?; sleep 100 & kill -HUP $!; wait $!; echo $?
{ echo in group; exit 6; } & wait $!; echo $?; echo one | cat & wait $!; echo $?; true & false & wait; echo "all $?"; x=$(echo a & echo b & wait); echo $x | tr ' ' '\n' | sort
i=0; while [ $i -lt 40 ]; do (echo $i >o$i) & i=$((i + 1)); done; wait; cat o* | sort -n | paste -s -d ' '
f() { sleep 0.01; return $1; }; f 9 & wait $!; echo $?; (trap 'echo child trap; exit 8' TERM; echo ready >r; while :; do sleep 0.01; done) & p=$!; while [ ! -s r ]; do sleep 0.01; done; kill $p; wait $p; echo $?
sleep 0.05 & s=$!; (wait $s); echo "not mine $?"; wait $s; echo "mine $?"; (sleep 0.02; echo orphan >orphan) & while [ ! -s orphan ]; do sleep 0.01; done; cat orphan; wait; (set -m; (exit 4) & wait $!; echo "monitor $?")
