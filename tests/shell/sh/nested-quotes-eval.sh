# scripts written by scripts: generated functions, tables of commands, templates, self-describing data
for op in add:+ sub:- mul:'*' div:/; do n=${op%%:*} s=${op#*:}; eval "$n() { echo \$((\$1 $s \$2)); }"; done; add 7 5; sub 7 5; mul 7 5; div 7 2; cat >template <<'E'
Dear @NAME@,
your order @ID@ of @COUNT@ @ITEM@ costs @TOTAL@.
E
fill() { s=$(cat template); for k in NAME ID COUNT ITEM TOTAL; do eval "v=\$$k"; s=$(printf '%s\n' "$s" | sed "s|@$k@|$v|g"); done; printf '%s\n' "$s"; }; while read -r NAME ID COUNT ITEM price; do TOTAL=$((COUNT * price)); fill; done <<'E'
Ann 17 3 nuts 5
Bob 18 10 bolts 7
E
gen() { echo "#!/bin/sh"; echo "# made for $1"; for i in $(seq 1 $2); do echo "echo \"step $i of $1: \$1\""; done; echo 'exit $#'; }; gen demo 3 >made; sh made arg; echo $?; sh made; echo $?; cat made; table='list:ls d | wc -l
sum:cat d/* | paste -s -d+ | bc
largest:sort -n d/* | tail -n 1'; mkdir d; for i in 4 8 15 16 23 42; do echo $i >d/$i; done; echo "$table" | while IFS=: read -r name cmd; do echo "$name = $(eval "$cmd")"; done; quine='q=%s; printf "$q" "$q"'; printf "$quine" "'$quine'" | wc -c; cat >rec <<'E'
[ $1 -le 0 ] && { echo bottom; exit 0; }
echo "level $1"; sh "$0" $(($1 - 1)); echo "back at $1"
E
sh rec 4; cfg='name="two words"; num=42; list="a b c"; cmd="echo nested \"\$name\""'; eval "$cfg"; echo "$name|$num"; for i in $list; do echo $i; done; eval "$cmd"; dump() { for v; do eval "printf '%s=%s\n' $v \"'\$$v'\""; done; }; dump name num list >saved; unset name num list; . ./saved; echo "$name $num $list"; esc="it's \"quoted\" \$5 \`x\` \\ end"; printf '%s' "$esc" | sed "s/'/'\\\\''/g;1s/^/'/;\$s/\$/'/" >q; eval "back=$(cat q)"; [ "$back" = "$esc" ] && echo 'round trip'; sh -c "sh -c 'sh -c \"echo three deep\"'"; sh -c 'eval "echo \"\$(echo '\''inner'\'')\""'; x='y'; y='z'; z='end'; eval "eval \"echo \\\$\$$x\""; printf '%s\n' 'echo one' 'echo two' | sh; printf 'for i in 1 2; do\necho $i\ndone\n' | sh -s; echo 'echo $#: $2' | sh -s a 'b c'; n=5; s=; while [ $n -gt 0 ]; do s="echo $n; $s"; n=$((n - 1)); done; eval "$s"
