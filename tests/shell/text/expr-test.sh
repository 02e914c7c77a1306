# expr and test, as commands of toybox
expr 1 + 2; expr 7 - 9; expr 6 \* 7; expr 20 / 6; expr 20 % 6; expr \( 1 + 2 \) \* 3; expr 1 \< 2; expr 2 \<= 1; expr a = a; expr a != a; expr 10 \> 9
expr abcdef : 'abc'; expr abcdef : 'a\(.*\)f'; expr /usr/lib/x : '.*/\(.*\)'; expr xyz : 'a'; echo "status $?"; expr 0 + 0; echo "status $?"
expr 5 \| 0; expr 0 \| 7; expr 5 \& 0; expr 5 \& 3; expr 1 / 0; echo "status $?"; expr 1 +; echo "status $?"; expr a + 1; echo "status $?"
: >e; echo x >f; mkdir d; ln -s f l; ln -s nowhere broken
t() { env test "$@"; r=$?; test "$@"; [ $r = $? ] && echo "$*: $r" || echo "$*: differ"; }
t -e f; t -f f; t -d d; t -f d; t -s e; t -s f; t -L l; t -h f; t -e broken; t -L broken; t -r f; t -w f; t -x f; t -n ''; t -z ''; t abc; t ''
t a = a; t a = b; t a != b; t 3 -eq 3; t 3 -ne 3; t 3 -lt 4; t 4 -le 4; t 5 -gt 4; t 5 -ge 6; t -5 -lt 3; t ! -e f; t ! x; t f -ef l; t -p f; t -S f; t -c /dev/null; t -b f
env [ a = a ] && echo bracket; env [ a = b ] || echo 'not bracket'; [ -e f ] && [ -d d ] && echo both
i=0; while expr $i \< 15 >/dev/null; do i=$(expr $i + 1); done; echo $i
