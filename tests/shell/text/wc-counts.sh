# wc: lines, words, bytes, characters, several files, no input
printf 'one two  three\n\n four\tfive\nsix' >w
wc w; wc -l w; wc -w w; wc -c w; wc -lw w; wc <w; : >empty; wc empty; wc w empty; cat w w w | wc
printf 'h\303\251llo\n' >u; wc -c <u; wc -m <u; seq 1 100000 | wc; wc missing; echo "status $?"
for f in w empty u; do echo "$f $(wc -c <$f) $(wc -l <$f)"; done
yes word | head -n 5000 | wc; yes 'a b c' | head -c 60001 | wc
head -c 1000000 /dev/zero | wc; head -c 1000000 /dev/zero | tr '\0' '\n' | wc -l
total=0; for f in w w u; do total=$((total + $(wc -c <$f))); done; echo $total
