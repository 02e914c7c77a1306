# a tiny JSON writer and reader by sed and the shell: records to lines and back
esc() { printf '%s' "$1" | sed 's/\\/\\\\/g;s/"/\\"/g;s/	/\\t/g'; }
rec() { printf '{"id":%d,"name":"%s","tags":[' "$1" "$(esc "$2")"; shift 2; c=; for t; do printf '%s"%s"' "$c" "$(esc "$t")"; c=,; done; printf ']}\n'; }
{ rec 1 plain a b; rec 2 'with "quotes"' x; rec 3 'back\slash'; rec 4 "tab	here" t1 t2 t3; rec 5 '' ''; rec 6 'a,b:{c}' '[x]'; } >db; cat db; wc -c db
field() { sed -n "s/^{\"id\":$1,\"name\":\"\(\([^\"\\\\]\|\\\\.\)*\)\",.*/\1/p" db | sed 's/\\t/	/g;s/\\\(.\)/\1/g'; }
for i in 1 2 3 4 5 6 7; do echo "$i: <$(field $i)>"; done; sed 's/.*"tags":\[\(.*\)\]}$/\1/' db | while IFS= read -r t; do n=$(printf '%s' "$t" | grep -o '"[^"]*"' | wc -l); echo "$n tags: $t"; done
pretty() { sed 's/\([{[,]\)/\1\n/g;s/\([]}]\)/\n\1/g' | while IFS= read -r l; do case $l in '}'* | ']'*) d=$((d - 1)) ;; esac; p=; i=0; while [ $i -lt ${d:-0} ]; do p="$p  "; i=$((i + 1)); done; printf '%s%s\n' "$p" "$l"; case $l in *'{' | *'[') d=$((${d:-0} + 1)) ;; esac; done; }
sed -n 1p db | pretty; sed -n 4p db | pretty | tr -d '\n ' | cmp - /dev/null 2>/dev/null; sed -n 1p db | pretty | tr -d '\n ' ; echo; sort -t: -k2,2nr db | cut -c1-7; grep -c '"x"' db
