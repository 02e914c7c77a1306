# cut, paste, comm, join of columns, fold, expand, nl, rev, tac
printf 'a:b:c:d\ne:f:g:h\nno delimiter\n' >cols
cut -d: -f2 cols; cut -d: -f2- cols; cut -d: -f-2 cols; cut -d: -f1,3 cols; cut -s -d: -f4 cols; cut -c1-3 cols; cut -c2,5- cols; cut -b1 cols
cut -d: -f 2,4 -O , cols 2>&1
seq 1 5 >one; seq 6 10 >two; seq 3 7 >three
paste one two; paste -d, one two three; paste -s one; paste -s -d+ one; paste - - <one
sort one >a; sort three >b; comm a b; comm -12 a b; comm -23 a b; comm -3 a b
printf 'x\ty\tz\n' | expand; printf 'x\ty\tz\n' | expand -t 4
printf 'the quick brown fox jumps over the lazy dog' | fold -w 10; echo
printf 'the quick brown fox jumps over the lazy dog\n' | fold -s -w 12
nl one; printf 'a\n\nb\n' | nl -b a; printf 'a\n\nb\n' | nl -w 3 -s: ; seq 3 | nl -v 10
rev cols; tac one; seq 1 100 | tac | head -n 3
echo 'one two three four five six seven' | fmt -w 20
cut -d: -f1 cols missing; echo "status $?"
