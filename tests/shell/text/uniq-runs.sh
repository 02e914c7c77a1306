# uniq: runs, counts, duplicates, fields and characters to skip
printf 'a\na\nb\nc\nc\nc\na\n' >r
uniq r; uniq -c r | sed 's/^ *//'; uniq -d r; uniq -u r; printf 'A\na\nB\n' | uniq -i
printf '1 x\n2 x\n3 y\n' | uniq -f 1; printf 'aax\nbbx\nccy\n' | uniq -s 2; printf 'abc1\nabc2\nabd3\n' | uniq -w 3
printf '' | uniq; echo "status $?"; uniq r out; cat out; sort r | uniq -c | sort -rn | sed 's/^ *//'
for w in the cat sat on the mat the end on top; do echo $w; done | sort | uniq -c | sort -k1,1nr -k2 | sed 's/^ *//'
i=0; while [ $i -lt 300 ]; do echo $((i / 7 % 5)); i=$((i + 1)); done >runs; uniq runs | wc -l; uniq -c runs | cksum; sort runs | uniq -c | sed 's/^ *//'
printf 'x\0x\0y\0' | uniq -z | tr '\0' '\n'; uniq missing; echo "status $?"
