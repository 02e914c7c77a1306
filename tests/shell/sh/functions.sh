fact() { [ $1 -le 1 ] && echo 1 || echo $(($1 * $(fact $(($1 - 1))))); }
fact 10
f() { local x=inner; x=${x}_changed; echo $x; return 9; }
x=outer; f; echo "$? $x"
g() { set -- a b c; echo $#; }; set -- 1; g; echo $#
case abc in a*) echo a;; *) echo other;; esac
for p in '[0-9]*' '?b*' '*'; do case 1bc in $p) echo "matches $p";; esac; done
while getopts ab:c o -a -b val -c rest; do echo "$o ${OPTARG-}"; done
i=0; until [ $i = 5 ]; do i=$((i + 1)); [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done
