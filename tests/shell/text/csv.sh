# comma-separated values with quotes: parsing in shell, sorting, grouping, joining back
cat >d.csv <<'E'
id,name,city,amount
1,"Smith, John",Paris,10.50
2,Miller,"New ""York""",7.25
3,"O'Neil",London,100
4,,Paris,0.75
5,"multi word",London,33.3
E
fields() { l=$1 out=; while [ -n "$l" ]; do case $l in '"'*) l=${l#?}; f=; while :; do f=$f${l%%\"*}; l=${l#*\"}; case $l in '"'*) f=$f'"'; l=${l#?};; *) break;; esac; done; l=${l#,}; more=$l;; *,*) f=${l%%,*}; l=${l#*,};; *) f=$l; l=;; esac; printf '%s\n' "$f"; done; }
while IFS= read -r line; do fields "$line" | { read -r a; read -r b; read -r c; read -r d; echo "[$a] [$b] [$c] [$d]"; }; done <d.csv; sed 1d d.csv | while IFS= read -r l; do fields "$l" | sed -n '3p;4p' | paste -s; done | sort >by_city; cat by_city; cut -f1 by_city | uniq | while read -r c; do echo "$c $(grep "^$c	" by_city | cut -f2 | paste -s -d+ | bc)"; done
tail -n +2 d.csv | sed 's/.*,//' | sort -n; tail -n +2 d.csv | sed 's/.*,//' | sort -rn | head -n 1; grep -c '"' d.csv; sed 's/"[^"]*"/Q/g' d.csv; head -n 1 d.csv | tr , '\n' | nl | sed 's/^ *//'; quote() { case $1 in *[,\"]*) printf '"%s"' "$(printf '%s' "$1" | sed 's/"/""/g')";; *) printf '%s' "$1";; esac; }; quote plain; echo; quote 'a,b'; echo; quote 'say "x"'; echo; i=0; while [ $i -lt 50 ]; do echo "$i,$(quote "v,$i"),$((i * i))"; i=$((i + 1)); done >big.csv; while IFS= read -r l; do fields "$l" | sed -n 2p; done <big.csv | cksum; sort -t, -k1,1nr big.csv | head -n 2; paste -d, big.csv big.csv | tail -n 1; cut -d, -f1 big.csv | paste -s -d+ | bc
