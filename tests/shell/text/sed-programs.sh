# sed as a language: hold space, branches, joining lines, files read and written
printf 'one\ntwo\nthree\nfour\n' >list
echo 'reversed'; sed -n '1!G;h;$p' list
echo 'joined'; sed -e ':a' -e '$!N' -e 's/\n/,/' -e 'ta' list
echo 'pairs'; sed 'N;s/\n/ - /' list
echo 'last but one'; sed '$!{h;d};x' list
echo 'numbered'; sed = list | sed 'N;s/\n/\t/'
echo 'centred'; sed -e ':a' -e 's/^.\{1,11\}$/ & /;ta' list | tr ' ' .
echo 'first words'; printf 'ab cd\nef gh\n' | sed 's/ .*//'
echo 'commas'; for n in 1 12 123 1234 1234567; do echo $n; done | sed -e ':a' -e 's/\(.*[0-9]\)\([0-9]\{3\}\)/\1,\2/;ta'
echo 'blank lines squeezed'; printf 'a\n\n\n\nb\n\nc\n' | sed '/^$/N;/\n$/D'
echo 'read'; printf 'inserted\n' >piece; sed '/two/r piece' list
echo 'written'; sed -n '/o/w with_o' list; cat with_o
cat >script.sed <<'END'
# letters of a word counted
s/[^a-z]//g
/^$/d
s/./&\
/g
END
echo banana | sed -f script.sed | sort | uniq -c | sed 's/^ *//'
echo 'next and quit'; sed -n 'n;p;3q' list
echo 'transliterated'; sed 'y/onetwhr/ONETWHR/' list
echo 'deep'; i=0; while [ $i -lt 50 ]; do echo "line $i"; i=$((i + 1)); done | sed -n '/[05]$/{s/line/every fifth/;p}'
