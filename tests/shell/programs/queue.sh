# a job queue in folders: producers, consumers that rename what they take, retries, a dead letter box
mkdir new taken done dead
put() { printf '%s\n' "$2" >new/.$1; mv new/.$1 new/$1; }
for n in 01 02 03 04 05 06 07 08 09 10 11 12; do case $n in 05|09) put $n "fail $n";; 07) put $n "once $n";; *) put $n "sum $n";; esac; done
work() { set -- $(cat "$1"); case $1 in sum) echo "$2: $(seq 1 ${2#0} | paste -s -d+ | bc)";; once) [ -e once.$2 ] && echo "$2: second try" || { : >once.$2; return 1; };; fail) return 1;; esac; }
consumer() { idle=0; while [ $idle -lt 5 ]; do got=; for j in new/*; do [ -e "$j" ] || continue; n=${j#new/}; mv "$j" taken/$n.$1 2>/dev/null || continue; got=$n; if work taken/$n.$1 >out.$n.$1; then mv out.$n.$1 done/$n; rm taken/$n.$1; else rm out.$n.$1; t=$(cat tries.$n 2>/dev/null | wc -l); echo x >>tries.$n; if [ $t -ge 2 ]; then mv taken/$n.$1 dead/$n; else mv taken/$n.$1 new/$n; fi; fi; break; done; [ -n "$got" ] && idle=0 || { idle=$((idle + 1)); sleep 0.02; }; done; }
for c in a b c; do consumer $c & done; wait; ls done; cat done/*; ls dead; wc -l tries.* | sed 's/^ *//'; ls new taken; find . -name '*once*' | sort
