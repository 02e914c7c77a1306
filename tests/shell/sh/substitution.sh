# command substitution: nesting, statuses, newlines, size, side effects
a=$(echo one; echo two); echo "$a" $a; b=$(false); echo $?; c=$(exit 7); echo $?; d=$(echo x; exit 3); echo "$? $d"; echo $(false) $?; e=`echo back \`echo nested\``; echo $e
f=$(cat <<E
here $(echo inner)
E
); echo "$f"; g=$(printf 'a\n\n\n'); echo "${#g}"; h=$(printf '\n\na'); echo "${#h}"; i=$(:); echo "<$i>"; j=$(x=changed; echo $x); echo "$j ${x-unset}"; k=$( (echo sub) ); echo $k; l=$(echo $(echo $(echo $(echo deep)))); echo $l
m=$(seq 1 50000); echo ${#m}; n=$(head -c 300000 /dev/zero | tr '\0' z); echo ${#n}; echo "$(echo "a  b")" $(echo "a  b"); p=$(echo err 2>&1 >&2) 2>/dev/null; echo "<$p>"
q() { echo "args $#"; }; r=$(q a "b c"); echo $r; s=$(cd /; pwd); echo $s; [ "$PWD" != / ] && echo stayed; t=$(trap 'echo bye' EXIT; echo hi); echo $t; u=$(echo a & wait); echo $u; v=$(for i in 1 2 3; do echo $i; done | tac | tr '\n' ' '); echo $v; w=$(if true; then echo yes; fi); echo $w
n=0; while [ $n -lt 200 ]; do n=$(echo $((n + 1))); done; echo $n; n=0; while [ $n -lt 60 ]; do n=$(expr $n + 1); done; echo $n; v=$(i=0; while [ $i -lt 1000 ]; do echo $i; i=$((i + 1)); done); set -- $v; echo $# $1 ${1000}
echo "pid same: $([ $$ = $(echo $$) ] && echo yes)"; A=$(echo 1) B=$(echo 2); echo $A$B; C=$(echo c) env | grep ^C=; export D=$(echo 'two words'); echo "$D"; (set -e; E=$(true); echo still; F=$(false); echo not reached); echo "status $?"
