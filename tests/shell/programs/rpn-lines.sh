# reverse Polish notation with a stack in the positional parameters, over many lines with errors
rpn() { set -f; line=$1; set --; for t in $line; do case $t in [-+x/%^]) [ $# -ge 2 ] || { echo "too few for $t"; return 1; }; b=$1 a=$2; shift 2; case $t in /|%) [ $b -ne 0 ] || { echo 'by zero'; return 1; };; esac; case $t in x) r=$((a * b));; ^) r=1; while [ $b -gt 0 ]; do r=$((r * a)); b=$((b - 1)); done;; *) r=$((a $t b));; esac; set -- $r "$@";; dup) set -- $1 "$@";; swap) a=$1 b=$2; shift 2; set -- $b $a "$@";; drop) shift;; sum) s=0; for v; do s=$((s + v)); done; set -- $s;; max) m=$1; for v; do [ $v -gt $m ] && m=$v; done; set -- $m;; *[!0-9-]*) echo "word $t"; return 1;; *) set -- $t "$@";; esac; done; echo "$*"; }
while IFS= read -r l; do printf '%s => ' "$l"; rpn "$l" || echo "  status $?"; done <<'E'
1 2 +
3 4 x 5 -
2 10 ^
100 7 / 100 7 %
1 2 3 4 5 sum
9 3 7 max
5 dup x
1 2 swap -
+
1 0 /
1 2 frob
-5 3 x
2 3 ^ 2 ^
1 2 drop

999999999 999999999 x
E
seq 1 60 | while read -r n; do rpn "$n $n x $n +"; done | cksum; rpn "$(seq 1 300 | paste -s -d ' ') sum"; i=0; e=1; while [ $i -lt 40 ]; do e="$e 2 x"; i=$((i + 1)); done; rpn "$e"
