# renice, nice, taskset, chrt, prlimit, ulimit, pgrep, pkill, killall, pidof: what one process does to others, by number and by name
sleep 300 & p=$!
nice_of() { ps -o ni -p "$1" | tail -n 1 | tr -d ' '; }
n() { sed "s/pid $p/pid N/"; }
nice_of $p; renice -n 4 $p; nice_of $p; renice -n 3 $p; nice_of $p; renice -n 50 $p; nice_of $p
nice -n 6 sh -c 'ps -o ni -p $$ | tail -n 1 | tr -d " "'; renice -n 1 999999 2>/dev/null; echo $?; renice -n 2 -g $$ 2>/dev/null >/dev/null; nice_of $$
taskset -p 1 $p | tail -n 1 | n; taskset -p $p | n; taskset 1 sh -c 'taskset -p $$' | sed 's/pid [0-9]*/pid N/'; taskset -p 999999 2>/dev/null; echo $?
chrt -p $p | n; chrt -b -p $p 0; chrt -p $p | n; chrt -i -p $p 0; chrt -p $p | n; chrt -o -p $p 0; chrt -p $p | n; chrt -p 999999 2>/dev/null; echo $?
(ulimit -n 77; sh -c 'ulimit -n'; toybox ulimit -n; toybox ulimit -S -n 66; ulimit -n); toybox ulimit -P $p -n 55; toybox ulimit -P $p -n; grep 'Max open files' /proc/$p/limits | tr -s ' ' | cut -d ' ' -f 4
kill $p; wait $p; echo $?
ln -s "$(command -v sleep)" ./dozing; ./dozing 300 & a=$!; ./dozing 301 & b=$!
while [ "$(pgrep -c dozing)" != 2 ]; do sleep 0.05; done
pgrep dozing | sort -n | sed "s/^$a$/a/;s/^$b$/b/"; [ "$(pidof dozing | wc -w)" = 2 ] && echo both; pgrep -f 'dozing 301' | sed "s/^$b$/b/"; pgrep none_such; echo $?
pkill -f 'dozing 300'; wait $a; echo $?; killall dozing; wait $b; echo $?; killall dozing 2>/dev/null; echo $?; pidof dozing; echo $?
timeout -s KILL 0.2 sleep 10; echo $?; timeout 0.2 sleep 10; echo $?
