# head and tail: lines, bytes, from the start, several files, pipes
seq 1 100 >n
head n | tail -n 1; head -n 3 n; head -n -97 n; head -c 5 n; echo; tail -n 3 n; tail -n +98 n; tail -c 7 n; tail -c +290 n | wc -c; head -n 0 n; tail -n 0 n
printf 'no newline' >s; head -n 1 s; echo; tail -n 1 s; echo; : >e; head e; tail e
head -n 1 n s e; tail -n 1 n s e; head -q -n 1 n s; echo; head -v -n 1 s; echo
cat n n n n | head -n 150 | tail -n 50 | cksum; seq 1 50000 | tail -n 2; seq 1 50000 | tail -c 12; seq 1 50000 | head -n 49999 | cksum
seq 1 10 | { head -n 1; cat; } | wc -l; head missing; echo "status $?"; tail missing; echo "status $?"
(echo first; echo second) | head -n1; seq 5 | head -2; seq 5 | tail -2; tail -n 2 - <n
i=0; while [ $i -lt 30 ]; do i=$((i + 1)); head -n $((i * 3)) n | tail -n 1; done | paste -s -d ' '
