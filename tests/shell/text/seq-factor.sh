# seq, factor, cal of fixed months, shuf-free number games
seq 5; seq 2 6; seq 1 3 10; seq 10 -3 1; seq -2 2; seq -s, 1 5; seq -w 8 11; seq 0.5 0.25 1.5; seq -f 'n%03g' 1 3; seq 5 1; echo "status $?"; seq; echo "status $?"; seq x; echo "status $?"
factor 1 2 12 97 360 1001 65536 999983 1000000007; echo 123456 | factor; seq 90 100 | factor
cal 2 2024; cal 9 1752; cal 1 1970; cal 12 1999
sum=0; for n in $(seq 1 1000); do sum=$((sum + n)); done; echo $sum; seq 1 10000 | paste -s -d+ | bc; seq 1 200000 | tail -n 1
primes=$(seq 2 60 | factor | sed -n 's/^\([0-9]*\): \1$/\1/p' | paste -s -d ' '); echo $primes
