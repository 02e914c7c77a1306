# word frequencies of a text made by a grammar, by three different ways that must agree
seed=11; rnd() { seed=$(((seed * 1103515245 + 12345) & 0x7fffffff)); r=$(((seed >> 12) % $1)); }
pick() { rnd $#; shift $r; w=$1; }
i=0; while [ $i -lt 150 ]; do pick The A One Every; s=$w; pick quick lazy brown old young; s="$s $w"; pick fox dog cat bird sheep; s="$s $w"; pick jumps runs sleeps eats; s="$s $w"; pick over under beside; s="$s $w"; pick the a; s="$s $w"; pick fence house river; echo "$s $w."; i=$((i + 1)); done >text
md5sum text; wc text; head -n 3 text
tr -cs A-Za-z '\n' <text | tr A-Z a-z | sort | uniq -c | sort -k1,1nr -k2 | sed 's/^ *//' >by_tools; head by_tools
sed 's/[^A-Za-z]/\n/g' text | sed '/^$/d;y/ABCDEFGHIJKLMNOPQRSTUVWXYZ/abcdefghijklmnopqrstuvwxyz/' | sort | uniq -c | sort -k1,1nr -k2 | sed 's/^ *//' | cmp - by_tools && echo 'sed agrees'
while read -r line; do for word in ${line%.}; do case $word in The) word=the;; A) word=a;; One) word=one;; Every) word=every;; esac; eval "n_$word=\$((\${n_$word:-0} + 1))"; done; done <text
set | sed -n "s/^n_\([a-z]*\)='*\([0-9]*\)'*$/\2 \1/p" | sort -k1,1nr -k2 | cmp - by_tools && echo 'the shell agrees'
sed 's/.* \([a-z]*\) [a-z]*\.$/\1/' text | sort | uniq -c | sed 's/^ *//'; grep -c 'fox jumps' text; grep -o '[a-z]* dog' text | sort -u; cut -d' ' -f2,3 text | sort | uniq -d | wc -l; fold -w 40 text | wc -l; fmt -w 60 text | wc -l; sort -u text | wc -l; sort -k3,3 -k4,4 -s text | head -n 4; tac text | head -n 1; rev text | cut -c1-8 | sort -u | rev | sort
