(exit 3) & a=$!; (exit 5) & b=$!
wait $b; echo "b $?"; wait $a; echo "a $?"
i=0; while [ $i -lt 20 ]; do (exit $i) & eval "p$i=$!"; i=$((i + 1)); done
i=0 s=0; while [ $i -lt 20 ]; do eval "wait \$p$i"; s=$((s + $?)); i=$((i + 1)); done; echo "sum $s"
{ read x; echo "child read $x"; } <<E2 & wait
from here
E2
( while :; do :; done ) & busy=$!; kill -TERM $busy; wait $busy; echo "killed $?"
( kill -STOP $(:) 2>/dev/null; : ) ; wait; echo "none left $?"
