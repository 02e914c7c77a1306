# a recursive descent calculator over words, checked against the shell's arithmetic and bc
next() { tok=${input%% *}; rest=${input#* }; [ "$rest" = "$input" ] && rest=; input=$rest; }
expr_() { term; local v=$val; while [ "$tok" = + ] || [ "$tok" = - ]; do local op=$tok; next; term; v=$((v $op val)); done; val=$v; }
term() { factor_; local v=$val; while [ "$tok" = '*' ] || [ "$tok" = / ] || [ "$tok" = % ]; do local op=$tok; next; factor_; [ $val = 0 ] && [ "$op" != '*' ] && { echo 'division by zero'; exit 3; }; v=$((v $op val)); done; val=$v; }
factor_() { case $tok in '(') next; expr_; [ "$tok" = ')' ] || { echo "missing )"; exit 2; }; next ;; -) next; factor_; val=$((-val)) ;; [0-9]*) val=$tok; next ;; *) echo "unexpected '$tok'"; exit 2 ;; esac; }
calc() { (set -f; input=$(echo "$1" | sed 's/\([-+*/%()]\)/ \1 /g' | tr -s ' ' | sed 's/^ //;s/ $//'); next; expr_; [ -z "$tok" ] || { echo "trailing '$tok'"; exit 2; }; echo $val); }
set -f; for e in '1+2*3' '(1+2)*3' '2*(3+4)*5-6' '100/7%5' '-(3-10)*2' '((((7))))' '1-2-3-4' '2*-3' '10%4*3' '1000*1000*1000' '8/2/2' '(1+2' '1+' '5/0' '1)' 'x' '7%0' '--5' '1+2*(3-(4+5)*(6-7))'; do r=$(calc "$e"); s=$?; echo "$e = $r ($s)"; [ $s = 0 ] && [ "$r" != "$(echo "$e" | bc)" ] && echo "bc differs"; done
seed=3; i=0; while [ $i -lt 12 ]; do seed=$(((seed * 1103515245 + 12345) & 0x7fffffff)); a=$((seed % 97)) b=$((seed / 97 % 89 + 1)) c=$((seed / 9000 % 50)); e="($a+$b)*$c-$a*($b-$c)/$b"; [ "$(calc "$e")" = "$(($e))" ] && echo "$e ok" || echo "$e wrong"; i=$((i + 1)); done
