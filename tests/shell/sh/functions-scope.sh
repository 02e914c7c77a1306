# functions: arguments, local variables, recursion, redefinition, redirection of bodies, return
f() { echo "$# $1"; local v=in w; w=x; v2=$v; return 3; }; v=out w=keep; f a b; echo "$? $v $w $v2"; f() { echo redefined; }; f; unset -f f; f 2>/dev/null; echo $?; g() ( cd /; x=sub; echo $PWD; ); x=main; g; echo $x
h() { cat; } <<E
bound here
E
h; h; r() { [ $1 -eq 0 ] && return 0; r $(($1 - 1)); return $(($? + 1)); }; r 50; echo $?
depth() { local n=$1; [ $n -gt 0 ] && depth $((n - 1)); printf '%s ' $n; }; depth 8; echo
hanoi() { [ $1 -eq 0 ] && return; hanoi $(($1 - 1)) $2 $4 $3; moves=$((moves + 1)); hanoi $(($1 - 1)) $4 $3 $2; }; moves=0; hanoi 7 a b c; echo $moves
fib() { if [ $1 -lt 2 ]; then echo $1; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi; }; fib 9
ack() { if [ $1 -eq 0 ]; then echo $(($2 + 1)); elif [ $2 -eq 0 ]; then ack $(($1 - 1)) 1; else ack $(($1 - 1)) $(ack $1 $(($2 - 1))); fi; }; ack 2 2
out() { echo o; echo e >&2; }; out 2>/dev/null; out 2>&1 >/dev/null; x=$(out 2>&1); echo $x; p() { while read -r l; do echo "[$l]"; done; }; printf 'a\nb\n' | p; pre() { echo "A=$A"; }; A=2 pre; echo "A after: ${A-}"
e() { return; }; false; e; echo $?; true; e; echo $?; ! e; echo $?; set -- m n; s() { set -- x; echo $1; shift; echo $#; }; s y z; echo $1 $#; if s q; then echo yes; fi; l() { local IFS=:; set -- $1; echo $#; }; l a:b:c; set -- $(echo a:b); echo $#
map() { fn=$1; shift; for i; do $fn $i; done; }; sq() { echo $(($1 * $1)); }; map sq 1 2 3; map 'expr 1 +' 4 5; command -v map; ls() { echo shadowed; }; ls; command ls -d /; unset -f ls; q() { trap 'echo trap in q' EXIT; }; (q; echo in subshell); big() { :; }; i=0; while [ $i -lt 3000 ]; do big $i; i=$((i + 1)); done; echo $i
