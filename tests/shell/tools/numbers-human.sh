# sizes with suffixes, ranges, precision: how tools read and write numbers
for s in 1 1k 1K 2kd 1m 1M 1b; do head -c $s /dev/zero 2>/dev/null | wc -c; done; truncate -s 1k a; truncate -s 2K b; truncate -s 1kd c 2>/dev/null; wc -c a b; head -n 1k /dev/null; echo $?; seq 1 0.5 3; seq 10 10 50; seq 1 2 2; seq 0 -0.25 -1; seq 3 -1 -3 | paste -s -d,; seq -w 1 5 20; seq -s ' ' 1 5; seq 100000 100002; seq 0.1 0.1 0.5; seq 1e3 1002 2>/dev/null; sleep 0.001; sleep .01; printf '%d\n' 0x10 010 -0 +5 2>/dev/null; printf '%.2f\n' 1 1.005 2.5 1e3 -0.001; printf '%5.1f|%-8.3f|%+d|% d\n' 3.14159 2.71828 5 5; printf '%e %E %g %G\n' 12345.678 0.00012 1e10 1e-10; printf '%x %X %o %#x\n' 255 255 8 255; printf '%s %d\n' a 1 b 2 c; printf '%03d|%3d|%-3d|\n' 7 7 7; printf '%10.4s|\n' abcdefgh; printf '%c' A B C; echo; printf '%u\n' 4294967295 18446744073709551615 2>/dev/null; factor 2 3 4 1000000; expr 1000000 \* 1000000; expr 9223372036854775807 + 0; echo $((9223372036854775807 - 1)); echo '2^200; 3^50' | bc; echo 'scale=30; 1/7' | bc; echo 'ibase=2; 1011; 1111' | bc; echo 'obase=8; 64; 100' | bc; echo '5 % 3; -5 % 3; 5 / -3' | bc; echo '0.1 + 0.2; 1.10 * 2' | bc; echo 'scale=4; sqrt(2); sqrt(16)' | bc; dd if=/dev/zero bs=1k count=3 2>/dev/null | wc -c; dd if=/dev/zero bs=2 count=1k 2>/dev/null | wc -c; split -b 1k -a 1 b x; wc -c x?; find . -size -2k -type f | sort; find . -size 2048c; head -c -500 a | wc -c; tail -c +1000 a | wc -c; cut -c 1-3,5 <<E
1234567
E
fold -w 4 <<E
123456789
E
od -N 4 -An -td1 a; od -j 1k -An -tx1 b | head -n 1; cal 2 1900 | tail -n 2 | head -n 1; date -u -d @1e9 +%s 2>/dev/null; nl -v 100 -i 10 a | wc -l; test 010 -eq 10; echo $?; test 0x10 -eq 16 2>/dev/null; echo $?; [ 2 -gt 10 ]; echo $?; [ 2 \> 10 ] 2>/dev/null; echo $?; sort -n <<E
10
9
-1
1.5
0x10
1e2
E
