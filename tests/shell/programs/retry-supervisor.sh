# a supervisor: starts services, restarts what dies, gives up after some tries, stops the rest in order
cat >svc <<'E'
# NAME LIVES: dies until it has been started often enough, then stays
n=$(cat count.$1 2>/dev/null || echo 0); n=$((n + 1)); echo $n >count.$1
[ $n -le $2 ] && exit $((n + 10))
trap 'echo "$1 stops" >>log.$1; exit 0' TERM
echo "$1 up at try $n" >>log.$1; : >up.$1
while :; do sleep 0.02; done
E
max=5
supervise() { # NAME LIVES
    tries=0; trap 'stop=1; [ -n "$c" ] && kill $c' TERM; stop=0 c=
    while [ $stop = 0 ] && [ $tries -lt $max ]; do tries=$((tries + 1)); sh svc $1 $2 & c=$!; wait $c; s=$?; [ $stop = 1 ] && { wait $c; echo "$1 stopped with $?" >>log.$1; exit 0; }; echo "$1 try $tries ended with $s" >>log.$1; done
    echo "$1 given up" >>log.$1; : >up.$1; exit 1
}
pids=; for s in web:0 db:3 bad:9; do supervise ${s%:*} ${s#*:} & eval "pid_${s%:*}=$!"; done
for s in web db bad; do while [ ! -e up.$s ]; do sleep 0.01; done; done; wait $pid_bad; echo "bad: $?"; for s in db web; do eval "p=\$pid_$s"; kill $p; wait $p; echo "$s: $?"; done; for s in web db bad; do echo "-- $s"; cat log.$s; cat count.$s; done
