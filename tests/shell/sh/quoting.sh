# quotes, escapes, and what the shell splits
v='a  b'; echo $v "$v" '$v' \$v "\$v" "a\"b" 'a"b' "it's" it\'s "\\" '\' "a\b" "\`" "$(echo "in $(echo "deep $v")")"
printf '<%s>\n' a\ b "c d"'e f'"g" '' "" x""y
echo "line one
line two" 'a
b'; echo joined\
together; echo "joined\
too" 'not\
joined'
set -- $v "$v" ''$v'' ""; echo $#; for w; do printf '[%s]' "$w"; done; echo
IFS=,; l='a,b,,c,'; set -- $l; echo $#; printf '(%s)' "$@"; echo; set -- "$l"; echo $#
IFS=' ,'; l=' a , b ,c '; set -- $l; echo $#; printf '(%s)' "$@"; echo; IFS=; set -- $v; echo $#; unset IFS; set -- $v; echo $#
IFS=x; set -- $(echo axbxc); echo "$#" "$*"; IFS=-; echo "$*" $*; unset IFS
printf '%s\n' "tab	in" 'hash # in' hash#in # comment
echo "#not comment" \# x#y; echo a;echo b; echo 'a;b' a\;b; echo "!" '!' \!; HOME=/h; echo ~ ~/x a~ '~' x=~; y=~; echo $y; z=a:~; echo $z; echo {a,b} {1..3}
c='echo hi; echo there'; $c; eval $c; eval "$c"; s='"a b" c'; set -- $s; echo $#; eval set -- $s; echo $# $1
q() { for a; do printf "'%s' " "$(echo "$a" | sed "s/'/'\\\\''/g")"; done; }; w=$(q "it's" 'a b' '$x'); echo "$w"; eval "set -- $w"; echo $#; printf '%s\n' "$@"
echo "a`echo "b\`echo c\`"`d" $(echo ')') $(case x in x) echo esac;; esac) "$(printf 'trailing\n\n\n')|" "`printf 'x\\ty'`"
