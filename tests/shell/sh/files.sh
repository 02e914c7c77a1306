pwd_=$PWD; cd / && pwd; cd "$pwd_" && [ "$PWD" = "$pwd_" ] && echo back
umask 027; umask; : >made; [ -r made ] && [ -w made ] && [ ! -x made ] && echo modes
: >b1; : >a2; : >c3; echo [abc][123]; echo none*; set -f; echo [abc]*; set +f
printf '%d %05d %x %o %c %s|%-5s|%5s|\n' 42 42 255 8 xyz str l r; printf '%b' 'a\tb\n'
test 3 -gt 2 -a abc != abd && echo test; [ -d / ] && [ ! -L / ] && echo slash
echo "$(command -v cd) $(type read)"; times >/dev/null && echo times
