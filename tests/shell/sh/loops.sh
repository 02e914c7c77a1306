# for, while, until, break and continue through levels, loops with redirections and in pipes
for i in 1 2 3; do for j in a b c; do [ $j = b ] && continue; [ $i = 3 ] && break 2; echo $i$j; done; done; for i in; do echo never; done
for i in 1 2 3 4 5; do for j in 1 2 3; do [ $j = 2 ] && continue 2; echo "$i $j"; done; done
i=10; while :; do i=$((i - 1)); [ $i -gt 5 ] || break; done; echo $i; until [ $i -ge 8 ]; do i=$((i + 1)); done; echo $i; while false; do :; done; echo $?
while read -r a b; do echo "$b-$a"; done <<E
1 one
2 two three
E
for w in one two three; do echo $w; done | while read -r l; do echo "got $l"; done; for w in z y x; do echo $w; done | sort; for f in a b; do echo $f; done >out; cat out
while read -r l; do echo "$l$l"; done <out >out2; cat out2; for i in 1 2; do read -r l; echo "$i:$l"; done <out
n=0; while [ $n -lt 10000 ]; do n=$((n + 1)); done; echo $n; s=0; for i in $(seq 1 3000); do s=$((s + i)); done; echo $s; a=0 b=1; while [ $a -lt 1000000000 ]; do c=$((a + b)); a=$b; b=$c; done; echo $a
for i in 1 2 3; do (exit $i) || echo "failed $?"; done; i=0; until i=$((i + 1)); [ $i -eq 4 ]; do echo "u$i"; done
set -- p q r; for x; do echo $x; done; for x in "$@" s; do shift 2>/dev/null; echo "$x $#"; done; f() { for i in 1 2 3; do [ $i = 2 ] && return $i; echo "f$i"; done; }; f; echo $?
for i in 1 2 3; do case $i in 2) continue;; esac; echo "c$i"; done; for i in a b; do echo $i & wait; done
sieve=''; n=2; while [ $n -lt 100 ]; do p=1; for d in $sieve; do [ $((d * d)) -gt $n ] && break; [ $((n % d)) -eq 0 ] && { p=0; break; }; done; [ $p = 1 ] && sieve="$sieve $n"; n=$((n + 1)); done; echo $sieve
