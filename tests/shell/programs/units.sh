# conversions by a table, chained through a base unit with bc, both ways, with errors
cat >units <<'E'
m length 1
km length 1000
cm length 0.01
inch length 0.0254
mile length 1609.344
g mass 1
kg mass 1000
lb mass 453.59237
s time 1
min time 60
h time 3600
d time 86400
E
conv() { a=$(grep "^$2 " units) b=$(grep "^$3 " units); [ -n "$a" ] || { echo "no unit $2"; return 1; }; [ -n "$b" ] || { echo "no unit $3"; return 1; }; set -- $1 $a $b; [ $3 = $6 ] || { echo "$3 is not $6"; return 2; }; echo "scale=6; $1 * $4 / $7" | bc; }
while read -r n f t; do r=$(conv $n $f $t); s=$?; echo "$n $f = $r $t ($s)"; [ $s = 0 ] && conv $r $t $f; done <<'E'
1 mile km
26.2 mile m
12 inch cm
5 kg lb
90 min h
2 d s
1 foot m
1 m foot
3 kg h
0 km m
1000000 s d
E
for k in length mass time; do echo "$k: $(grep " $k " units | cut -d' ' -f1 | paste -s -d ' ')"; done; c=-40; while [ $c -le 100 ]; do echo "$c C = $((c * 9 / 5 + 32)) F = $(echo "scale=2; $c + 273.15" | bc) K"; c=$((c + 20)); done; for u in $(grep length units | cut -d' ' -f1); do for v in $(grep length units | cut -d' ' -f1); do printf '%s ' $(conv 1 $u $v); done; echo; done
