# one list of strings against many regular expressions, by grep, sed, expr and case, which must agree
cat >words <<'E'
abc
ABC
a1b2
123
foo.bar
foobar
a-b_c
hello world
x
xx
xyzzy
3.14
-7
+8e10
user@example.org
/usr/bin/env
192.168.1.1
999.1.1.1
2024-02-29
aaa
ab
aab
E
echo '' >>words; i=0; while IFS= read -r re; do i=$((i + 1)); printf '%s: ' "$re"; grep -E -- "$re" words | paste -s -d ' '; g=$(grep -c -E -- "$re" words); s=$(sed -E -n "\\@$re@p" words | wc -l); [ $g = $s ] || echo "sed differs: $g $s"; done <<'E'
^[a-z]+$
^[A-Z]+$
[0-9]
^[0-9]+$
^-?[0-9]+$
^[-+]?[0-9]+(\.[0-9]+)?(e[0-9]+)?$
\.
^.$
^(..)+$
^a*b*$
a{2}
a{2,3}b?
^x+y?z*y$
(foo|hello)
^[^a-z]*$
[[:punct:]]
^[[:alnum:]]+$
[[:space:]]
^([0-9]{1,3}\.){3}[0-9]{1,3}$
^[0-9]{4}-[0-9]{2}-[0-9]{2}$
^/([a-z]+/?)+$
^$
o+
(a|b)(b|c)
^(a|aa)b?$
b$
E
while IFS= read -r re; do printf '%s: ' "$re"; grep -- "$re" words | paste -s -d ' '; while IFS= read -r w; do expr "x$w" : "x.*$re" >/dev/null && echo "$w"; done <words | wc -l; done <<'E'
o*b
[a-c][0-9]
\(a\)\1
x\{2\}
a.b
f.*r
E
for w in abc a1 '' x. 12; do case $w in *[0-9]*) a=1;; *) a=0;; esac; echo "$w" | grep -q '[0-9]' && b=1 || b=0; [ $a = $b ] && echo "$w agree"; done; grep -E '(' words 2>/dev/null; echo $?; grep -E 'a{1' words >/dev/null 2>&1; echo $?; grep '[' words 2>/dev/null; echo $?; grep '\(' words 2>/dev/null; echo $?; sed -E 's/([a-z])([0-9])/\2\1/g' words | head -n 3 ; sed 's/[aeiou]/<&>/2' words | head -n 6; sed -E 's/^(.*)@(.*)\.(.*)$/\3.\2 \1/' words | grep org; grep -o -E '[0-9]+' words | paste -s -d ' '; grep -i -c abc words; grep -v -c '[a-z]' words; grep -w -c x words
