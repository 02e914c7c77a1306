# eval and dot: variables by name, quoting twice, arrays made of variables, libraries that are sourced
a=1; n=a; eval echo \$$n; eval "$n=2"; echo $a; eval 'echo "$a"'; eval eval eval echo deep; eval; echo $?; eval false; echo $?; eval 'for i in 1 2; do echo $i; done'; eval 'f() { echo made by eval; }'; f; x='a b'; eval "y=\$x"; echo "$y"; eval 'echo one' 'two;' 'echo three'; eval "echo \"\$x\""; cmd='echo "q r" | tr a-z A-Z'; eval "$cmd"; eval 'x=$(echo sub)'; echo $x
set_() { eval "arr_$1_$2=\$3"; }; get_() { eval "printf '%s\n' \"\${arr_$1_$2-}\""; }; i=0; for w in zero one 'two words' 'three $x' "four'q"; do set_ t $i "$w"; i=$((i + 1)); done; i=0; while [ $i -lt 6 ]; do get_ t $i; i=$((i + 1)); done; push() { eval "n_$1=\$((\${n_$1:-0} + 1)); s_$1_\$n_$1=\$2"; }; pop() { eval "[ \${n_$1:-0} -gt 0 ] || return 1; r=\$s_$1_\$n_$1; n_$1=\$((n_$1 - 1))"; }; push st a; push st 'b c'; push other x; pop st; echo $r; pop st; echo $r; pop st; echo $?; pop other; echo $r
cat >lib.sh <<'E'
# a library
lib_loaded=$((${lib_loaded:-0} + 1))
lib_hello() { echo "hello $1 from lib ($lib_loaded)"; }
[ $# -gt 0 ] && echo "args $*"
return 4
echo never
E
. ./lib.sh; echo $?; lib_hello x; . ./lib.sh; lib_hello y; (. ./lib.sh; echo $lib_loaded); echo $lib_loaded; mkdir d; echo 'echo "in d: $PWD" | sed "s,/.*/,,"' >d/s; cd d; . ./s; cd ..; echo '. ./lib.sh; echo nested $?' >outer.sh; . ./outer.sh; echo 'cd /; y=changed' >s2; (. ./s2; pwd); . ./lib.sh >out; cat out; PATH=$PWD:$PATH; . lib.sh; echo $lib_loaded; echo 'break; echo no' >b; for i in 1 2; do eval 'break'; echo no; done; echo $i; printf 'v=1\nif [ $v = 1 ]\nthen echo multi\nfi' >nonl; . ./nonl; echo 'syntax (' >bad; (. ./bad) 2>/dev/null; echo $?; : >empty; . ./empty; echo $?; trap 'echo t $?' EXIT; eval 'exit 9'
