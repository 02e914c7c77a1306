# redirections: descriptors moved, closed, duplicated; order; on compound commands
{ echo 1; echo 2 >&2; } 2>&1 >f | sed 's/^/pipe /'; cat f; { echo a; echo b >&2; } >f 2>&1; cat f; (echo x >&3) 3>g; cat g; echo y 4>h >&4; cat h; exec 3>k; echo three >&3; (echo sub >&3); exec 3>&-; cat k; (echo z >&3) 2>/dev/null; echo "closed $?"; exec 5<k; cat <&5; exec 5<&-; (cat <&5) 2>/dev/null; echo "closed $?"
if true; then echo in if; fi >i; cat i; while read -r l; do echo "w $l"; done <i; for x in 1 2; do echo $x; done >j; cat j; case a in a) echo case;; esac >m; cat m; { echo one; echo two; } >n; (echo three; echo four) >>n; cat n; f() { echo func; } >o; f; cat o; >q echo prefix; cat q; echo mid >r dle; cat r; <r cat; cat <r >s; cat s
: >t; echo append >>t; echo append >>t; wc -l <t; cat 3<<E <&3
fd three
E
exec 6>&1; exec >u; echo into file; exec >&6 6>&-; echo back; cat u; exec 7>&2 2>v; ls none_such; exec 2>&7 7>&-; wc -l <v; set -C; echo x >w; (echo y >w) 2>/dev/null; echo "noclobber $?"; echo z >|w; echo zz >>w; cat w; set +C; (cat <missing); echo "status $?"; (echo x >missing/dir); echo "status $?"; (cat </); echo "status $?"
(echo out; echo err >&2) 3>&1 1>&2 2>&3 | tr a-z A-Z; i=3; while [ $i -lt 10 ]; do eval "exec $i>fd$i; echo $i >&$i; exec $i>&-"; i=$((i + 1)); done; cat fd?; exec 9>&1; x=$(echo captured; echo direct >&9); exec 9>&-; echo $x
exec 8<<E
line 1
line 2
E
read -r a <&8; read -r b <&8; echo "$b $a"; exec 8<&-; seq 1 20000 >big; (exec <big; head -n 1 >/dev/null; exec </dev/null; cat); wc -c <<E
$(cat big)
E
cat f - g <k; cat <k 2>&1 1>&2 2>/dev/null | wc -l; for i in 1 2 3; do echo $i >>log; done; cat log; while read -r x; do echo $x; [ $x = 2 ] && break; done <log; { read -r a; read -r b; } <log; echo $a$b
