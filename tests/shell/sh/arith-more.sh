# arithmetic: operators, precedence, bases, assignment, 64 bits, errors
echo $((2 + 3 * 4)) $(((2 + 3) * 4)) $((2 - 3 - 4)) $((100 / 7 / 2)) $((-7 / 2)) $((-7 % 2)) $((7 % -2)) $((1 << 4 | 1)) $((6 & 3)) $((6 ^ 3)) $((~5)) $((!5)) $((!0)) $((-(-3))) $((+5))
echo $((1 < 2)) $((2 <= 1)) $((3 == 3)) $((3 != 3)) $((1 && 0)) $((1 || 0)) $((0 || 0)) $((1 ? 2 : 3)) $((0 ? 2 : 0 ? 3 : 4)) $((5 > 3 > 1)) $((1 | 2 ^ 3 & 4)) $((1 + 1 << 1 + 1))
echo $((0x10)) $((010)) $((0xff & 0x0f)) $((1 << 62)) $((9223372036854775807)) $((9223372036854775807 + 1)) $((-9223372036854775807 - 1)) $((1 << 63)) $((-8 >> 1))
x=5; echo $((x)) $(($x)) $((x + 1)) $((x = 7)) $x $((x += 3)) $((x -= 1)) $((x *= 2)) $((x /= 4)) $((x %= 3)) $((x <<= 4)) $((x |= 1)) $((x &= 3)) $((x ^= 5)) $x; a=1 b=2; echo $((a > b ? a : b)) $(( (a = 3) + a )) $((b = a = 9)) $a $b
(echo $((1 / 0))) 2>/dev/null; echo "status $?"; (echo $((1 +))) 2>/dev/null; echo "status $?"; (x=abc; echo $((x))) 2>/dev/null; echo "status $?"; echo $(( $(echo 6) * `echo 7` ))
pow() { r=1; k=$2; while [ $k -gt 0 ]; do r=$((r * $1)); k=$((k - 1)); done; echo $r; }; pow 2 40; pow 3 30; pow -2 15
isqrt() { l=0 h=$1; while [ $l -lt $h ]; do m=$(((l + h + 1) / 2)); [ $((m * m)) -le $1 ] && l=$m || h=$((m - 1)); done; echo $l; }; isqrt 1000000; isqrt 99999999
lcg=42; i=0; while [ $i -lt 2000 ]; do lcg=$(((lcg * 1103515245 + 12345) & 0x7fffffff)); i=$((i + 1)); done; echo $lcg
c=27 n=0; while [ $c -ne 1 ]; do [ $((c & 1)) -eq 0 ] && c=$((c / 2)) || c=$((3 * c + 1)); n=$((n + 1)); done; echo $n
crc=65535; for b in 49 50 51 52 53 54 55 56 57; do crc=$((crc ^ b << 8)); i=0; while [ $i -lt 8 ]; do crc=$((crc & 0x8000 ? (crc << 1 ^ 0x1021) & 65535 : crc << 1 & 65535)); i=$((i + 1)); done; done; printf '%x\n' $crc
