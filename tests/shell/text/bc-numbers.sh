# bc: precision, functions, arrays, loops, bases, large numbers
bc <<'END'
1 + 2 * 3
(1 + 2) * 3
2 ^ 100
10 / 3
scale = 10
10 / 3
22 / 7
sqrt(2)
scale = 0
17 % 5
-17 / 5
a = 5; b = 7; a * b
a += 3; a
a++; a
define f(n) { if (n <= 1) return 1; return n * f(n - 1); }
f(20)
f(50)
define g(a, b) { auto t; while (b != 0) { t = a % b; a = b; b = t; }; return a; }
g(1071, 462)
for (i = 0; i < 5; i++) i * i
x[0] = 3; x[1] = 4
x[0] * x[0] + x[1] * x[1]
obase = 16
255
3735928559
obase = 2
10
obase = 10
ibase = 16
FF
ibase = A
"text
"
length(12345)
1 < 2
2 < 1
3 == 3 && 4 > 3
END
echo "status $?"
echo 'scale=50; 4*a(1)' | bc -l; echo 'scale=20; e(1); l(10); s(1); c(1)' | bc -l; echo '2^1000' | bc | tr -d '\\\n' | wc -c
i=1; f=1; while [ $i -le 30 ]; do f=$(echo "$f * $i" | bc); i=$((i + 1)); done; echo $f
