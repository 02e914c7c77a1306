# accounts in files, transfers under a lock by many processes at once: nothing is lost, nothing made
mkdir acc; for a in 1 2 3 4 5 6; do echo 1000 >acc/$a; done
lock() { until mkdir lock.$1 2>/dev/null; do :; done; }; unlock() { rmdir lock.$1; }
transfer() { # FROM TO AMOUNT: locks in order of the numbers
    if [ $1 -lt $2 ]; then lock $1; lock $2; else lock $2; lock $1; fi
    read -r f <acc/$1; read -r t <acc/$2
    if [ $f -ge $3 ]; then echo $((f - $3)) >acc/$1; echo $((t + $3)) >acc/$2; s=0; else s=1; fi
    unlock $1; unlock $2; return $s
}
transfer 1 2 300; echo $?; transfer 2 3 5000; echo $?; cat acc/1 acc/2; transfer 2 1 300
worker() { seed=$1; i=0; while [ $i -lt 25 ]; do seed=$(((seed * 1103515245 + 12345) & 0x7fffffff)); a=$((seed / 7 % 6 + 1)) b=$((seed / 49 % 6 + 1)); [ $a = $b ] || transfer $a $b $((seed / 343 % 200)) && :; i=$((i + 1)); done; }
for w in 1 2 3 4; do worker $w & done; wait; cat acc/* | paste -s -d+ | bc; ls | grep -c lock; for a in acc/*; do [ $(cat $a) -ge 0 ] && echo fine; done
(worker 9); a=$(cat acc/* | paste -s -d ' '); for x in acc/*; do echo 1000 >$x; done; (worker 5); b=$(cat acc/* | paste -s -d ' '); for x in acc/*; do echo 1000 >$x; done; (worker 5); [ "$b" = "$(cat acc/* | paste -s -d ' ')" ] && echo repeatable; echo $b
