# tables in text: alignment, sums of columns, transposition, pivoting, with cut, paste, printf and read
cat >t <<'E'
month north south east
jan 10 20 30
feb 11 19 35
mar 12 25 28
apr 9 30 31
E
while read -r a b c d; do printf '%-8s%8s%8s%8s\n' "$a" "$b" "$c" "$d"; done <t; i=1; while [ $i -le 4 ]; do cut -d' ' -f$i t | paste -s -d ' '; i=$((i + 1)); done; for c in 2 3 4; do printf '%s ' "$(head -n 1 t | cut -d' ' -f$c)" "$(sed 1d t | cut -d' ' -f$c | paste -s -d+ | bc)"; done; echo; sed 1d t | while read -r m r; do echo "$m $(echo $r | tr ' ' + | bc)"; done | sort -k2,2nr; sed 1d t | while read -r m a b c; do for p in north:$a south:$b east:$c; do echo "$m ${p%:*} ${p#*:}"; done; done >long; wc -l long; for r in east north south; do printf '%s' $r; for m in jan feb mar apr; do printf ' %s' $(sed -n "s/^$m $r //p" long); done; echo; done; sort -k3,3n long | sed -n '1p;$p'
bar() { printf '%-4s' $1; i=0; while [ $i -lt $2 ]; do printf '#'; i=$((i + 1)); done; echo; }; grep south long | while read -r m _ n; do bar $m $n; done; max=0; while read -r m r n; do [ $n -gt $max ] && max=$n best="$m $r"; done <long; echo "$best $max"; paste -d' ' t t | cut -d' ' -f1,5-8 | head -n 2; cut -d' ' -f2- t | sed 1d | tr ' ' '\n' | sort -n | uniq -c | sed 's/^ *//' | sort -k1,1nr -k2n | head -n 3; n=$(sed 1d t | wc -l); for c in 2 3 4; do s=$(sed 1d t | cut -d' ' -f$c | paste -s -d+ | bc); echo "scale=3; $s / $n" | bc; done; sed 1d t | cut -d' ' -f2 | sort -n | sed -n "$(((n + 1) / 2))p"; join_() { while read -r k v; do w=$(grep "^$k " $2 | cut -d' ' -f2-); [ -n "$w" ] && echo "$k $v $w"; done <$1; }; printf 'jan cold\nmar mild\nmay warm\n' >w; join_ w t; column 2>/dev/null; nl t; head -n 1 t | fold -w 10 -s; expand -t 20 t | md5sum; sed 's/ /\t/g' t | expand -t 8; rev t | cut -d' ' -f1 | rev | paste -s
