seq_() { i=1; while [ $i -le $1 ]; do echo $i; i=$((i + 1)); done; }
seq_ 500 | while read n; do [ $((n % 100)) = 0 ] && echo "$n"; done
seq_ 2000 | { read first; echo "first $first"; }
echo "status ${?}"
! false | true; echo "negated $?"
true | (exit 7); echo "last $?"
x=$(seq_ 50 | { s=0; while read n; do s=$((s + n)); done; echo $s; }); echo "sum $x"
echo a | { read a; echo b | { read b; echo "$a$b"; }; }
yes_() { while echo y; do :; done; }
(trap '' PIPE; yes_ 2>/dev/null; echo "ended by EPIPE" >&2) | { read l; echo "got $l"; } 2>&1
