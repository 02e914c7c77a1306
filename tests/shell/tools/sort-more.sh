# sort against orders made by hand: several keys, numbers with signs, versions, checks, merge of many
i=0 seed=9; while [ $i -lt 120 ]; do seed=$(((seed * 1103515245 + 12345) & 0x7fffffff)); echo "k$((seed / 7 % 5)) $((seed / 35 % 200 - 100)) w$((seed / 7000 % 30))"; i=$((i + 1)); done >d; md5sum d; for k in '' -r '-k2,2n' '-k2,2nr' '-k1,1 -k2,2n' '-k1,1r -k3,3' '-k3.2,3n' '-k1,1 -s' '-u -k1,1' '-k2n -k1' '-f' '-b -k3' '-k2,2n -u'; do echo "$k: $(sort $k d | md5sum | cut -c1-8) $(sort $k d | wc -l) $(sort $k d | head -n 1)"; done; sort -k2,2n d | cut -d' ' -f2 >s; p=-1000; while read -r v; do [ $v -ge $p ] || echo wrong; p=$v; done <s; sort -c -k2,2n d 2>/dev/null; echo $?; sort -k2,2n d | sort -c -k2,2n; echo $?; split -l 30 d p.; for f in p.*; do sort -o $f $f; done; sort -m p.* | cmp - s 2>/dev/null >/dev/null; sort -m p.* | md5sum; sort d | md5sum; printf '1.10\n1.2\n1.9\n' | sort -V; printf '1.10\n1.2\n1.9\n' | sort -n; printf '1.10\n1.2\n1.9\n' | sort -t. -k2,2n; printf 'b 1\na 1\nb 0\na 0\n' | sort -k2 -k1r; printf '+5\n-5\n5\n0\n-0\n' | sort -n; printf 'x\nX\ny\nY\n' | sort -fu; printf 'a,3\nb,1\nc,2\n' | sort -t, -k2; printf 'a::3\nb:x:1\n' | sort -t: -k2,2; printf '3\n1\n2' | sort; printf '' | sort | wc -c; printf '\n\na\n' | sort | od -c | head -n 1; printf 'é\ne\nf\n' | sort | md5sum; sort -n <<E
    5
 3
10
abc
-1
E
sort d d | uniq -d | wc -l; sort -u d d d | wc -l; sort -k1,1 d | cut -d' ' -f1 | uniq -c | sed 's/^ *//'; sort none 2>/dev/null; echo $?; sort -k 0 d 2>/dev/null >/dev/null; echo $?; sort -t '' d >/dev/null 2>&1; sort d >d; wc -c d
