# split by lines and bytes, cat together again; count, tee, truncate, shred away
seq 1 1000 >n; split n; ls x*; cat x* | cmp - n && echo same; rm x*; split -l 300 n part; wc -l part*; rm part*; split -b 1000 -a 3 n c.; ls c.*; cat c.* | cmp - n && echo same
wc -c c.aaa c.aad; seq 1 10 | tee a b; seq 1 10 | tee -a a >/dev/null; cat a b | wc -l; seq 3 | tee /dev/null; seq 3 | tee c >d; cmp c d && echo equal; cat - n <a | wc -l
cat n a | tail -n 3; cat -; cat a - b <c | wc -l; truncate -s 10 n; cat n; echo; wc -c n; truncate -s +5 n; wc -c <n; truncate -s 100000 n; wc -c <n; tail -c 3 n | od -c; truncate -s 0 n; wc -c <n
count <a >out 2>/dev/null; cmp a out && echo counted; cat missing; echo "status $?"; cat missing a | wc -l; tee /nowhere/x <a >/dev/null; echo "status $?"
