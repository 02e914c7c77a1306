# printf, the command of toybox and the shell's own
for printf in printf 'env printf'; do
    $printf '%d %i %u\n' 42 -42 42; $printf '%o %x %X %#x %#o\n' 255 255 255 255 255; $printf '[%5d] [%-5d] [%05d] [%+d]\n' 42 42 42 42
    $printf '[%s] [%10s] [%-10s] [%.2s]\n' abc abc abc abc; $printf '%c%c%c\n' abc def ghi; $printf '%%|%b|%s\n' 'a\tb' 'a\tb'
    $printf '%s-%s\n' 1 2 3 4 5; $printf 'no args %s %d|\n'; $printf '\101\102\n'; $printf '%.3f %e %g\n' 3.14159 31415.9 0.00001
    $printf '[%*d]\n' 8 42; $printf '%d %d %d\n' 0x1f 010 "'A"; $printf 'a\\b\a\b\n' | od -c; $printf '%s\n' "two words" 'and "quotes"'
    $printf '%b\n' 'one\ntwo\c' 'never'; echo; $printf 'x%s' 1 2 3; echo; $printf '%5s|%-5s|\n' ab cd ef; $printf '%d\n' 9223372036854775807
done
env printf '%d\n' abc 2>&1; echo "status $?"; env printf 2>&1; echo "status $?"
