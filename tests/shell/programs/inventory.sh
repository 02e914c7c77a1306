# joins, groups and reports over small tables with sort, cut, paste and while read
cat >items <<'E'
101,bolt,0.25
102,nut,0.10
103,gear,12.50
104,shaft,48.00
105,panel,99.99
E
cat >stock <<'E'
101 north 500
102 north 800
101 south 120
103 south 14
104 east 3
106 east 9
103 north 6
E
join_() { while IFS=, read -r id name price; do grep "^$id " stock | while read -r i where n; do echo "$id $name $where $n $(echo "$price * $n" | bc)"; done; done <items; }
join_ | sort -k3,3 -k1,1n >joined; cat joined; for w in $(cut -d' ' -f2 stock | sort -u); do echo "$w $(grep " $w " joined | cut -d' ' -f5 | paste -s -d+ | bc)"; done; echo "total $(cut -d' ' -f5 joined | paste -s -d+ | bc)"; cut -d, -f1 items | sort >a; cut -d' ' -f1 stock | sort -u >b; echo "never stocked: $(comm -23 a b | paste -s -d ' ')"; echo "unknown: $(comm -13 a b | paste -s -d ' ')"
sort -t, -k3,3nr items | head -n 2; while IFS=, read -r id name price; do printf '%-8s|%8.2f|%s\n' $name $price "$(printf '%*s' ${#name} '' | tr ' ' '*')"; done <items; cut -d, -f2 items | while read -r n; do printf '%s %d\n' $n $(grep -c " $n " joined); done; sed 's/,/|/g;s/^/|/;s/$/|/' items; paste -d';' a b; (echo id,name,price; sort -t, -k2 items) | sed -n '1p;$p'; awk 2>/dev/null; grep -E '^10[13] (north|south)' stock | sort -k3,3nr
