# read: fields, backslashes, IFS, ends without newline, many variables
printf 'a b c\n' | { read x y; echo "$x|$y"; }; printf '  a  b  \n' | { read x y; echo "<$x><$y>"; }; printf '  a  b  \n' | { IFS= read x; echo "<$x>"; }; printf 'a\\b\n' | { read x; echo "$x"; }; printf 'a\\b\n' | { read -r x; echo "$x"; }; printf 'one\\\ntwo\n' | { read x; echo "$x"; }; printf 'a:b::c\n' | { IFS=: read w x y z; echo "<$w><$x><$y><$z>"; }; printf ':a:\n' | { IFS=: read x y z; echo "<$x><$y><$z>"; }; printf 'a b\n' | { read x y z; echo "<$z>"; }
printf 'no newline' | { read x; echo "$? $x"; }; printf '' | { read x; echo "$? <$x>"; }; printf '\n' | { read x; echo "$? <$x>"; }; printf 'l1\nl2' | { while read -r l; do echo "$l"; done; echo "left $l"; }; printf 'l1\nl2' | while read -r l || [ -n "$l" ]; do echo "all $l"; done; seq 1 500 | { n=0; while read -r x; do n=$((n + x)); done; echo $n; }
cat >pw <<E
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
user:x:1000:1000:A User,,,:/home/user:/bin/sh
E
while IFS=: read -r name _ uid gid gecos home shell; do echo "$uid $name ${gecos%%,*} $shell"; done <pw; while IFS=: read -r n rest; do echo "$rest" | { IFS=: read -r x u r; echo "$n=$u"; }; done <pw; exec 3<pw; read -r l1 <&3; read -r l2 <&3; echo "${l2%%:*}"; exec 3<&-
sum=0; while read -r k v; do case $k in '#'*|'') continue;; esac; eval "cfg_$k=\$v"; sum=$((sum + 1)); done <<E
# config
host example.org
port 8080

path /a b  c
E
echo "$sum $cfg_host $cfg_port '$cfg_path'"; printf 'k=v\nx=y=z\n' | while IFS='=' read -r k v; do echo "$k -> $v"; done; printf 'a,b;c\n' | { IFS=',;' read x y z; echo $x$y$z; }; read x </dev/null; echo $?; (sleep 0.05; echo late) | { read x; echo $x; }; printf '1\n2\n3\n' | { read a; sed 1q; cat; } | wc -l; i=0; while read -r line; do i=$((i + ${#line})); done <<E
$(seq 1 700)
E
echo $i
