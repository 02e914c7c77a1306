# processes that wait for each other with signals and files: ping-pong, a barrier, a chain
cat >player <<'E'
# NAME ROUNDS: adds a line each time it is its turn
trap 'turn=1' USR1
turn=0; n=0; echo $$ >$1.pid
while [ $n -lt $2 ]; do
    while [ $turn = 0 ]; do sleep 0.005; done
    turn=0; n=$((n + 1)); echo "$1 $n" >>log
    if [ $1 = ping ]; then other=pong; else other=ping; fi
    kill -USR1 $(cat $other.pid) 2>/dev/null
done
E
sh player ping 8 & a=$!; sh player pong 8 & b=$!; while [ ! -s ping.pid ] || [ ! -s pong.pid ]; do sleep 0.01; done; sleep 0.1; kill -USR1 $(cat ping.pid); wait $a; echo $?; wait $b; echo $?; cat log
mkdir b; for w in 1 2 3 4 5; do (: >b/$w; while [ $(ls b | wc -l) -lt 5 ]; do sleep 0.01; done; echo "$w passed" >p$w) & done; wait; cat p?
first() { echo token >t0; }; for i in 1 2 3 4 5 6; do (while [ ! -s t$((i - 1)) ]; do sleep 0.01; done; sed "s/\$/ $i/" t$((i - 1)) >t$i.new; mv t$i.new t$i) & done; first; wait; cat t6
(for i in 1 2 3; do echo "request $i"; sleep 0.01; done) | (while read -r r n; do echo "$((n * 10))"; done) | (while read -r x; do echo "answer $x"; done)
