# sed: substitution, addresses, ranges, deletion, insertion, in streams and in files
seq 1 20 >numbers
sed 's/1/one/' numbers
sed -n '5,8p' numbers
sed '3,18d' numbers
sed -n '/9$/p' numbers
sed '/5/,/7/s/^/> /' numbers
sed '1i\
before
$a\
after' numbers | head -n 3
sed -e '2c\
changed' -e '4q' numbers
sed -n '$=' numbers
sed '2~3d' numbers
sed 's/[0-9]/<&>/g;s/></,/g' numbers | tail -n 4
echo 'hello world' | sed 's/\(hello\) \(world\)/\2 \1/;y/abcdeh/ABCDEH/'
echo aaaa | sed 's/a/b/3'
echo aaaa | sed 's/a/b/2g'
echo path/to/file | sed 's,/,:,g'
printf 'one\ntwo\nthree\n' | sed -n 'l;p' 
printf 'a\tb\\c\n' | sed -n l
sed -i 's/1/X/' numbers; head -n 3 numbers
sed -n '/X/!p' numbers
sed '/X/{s/X/1/;s/$/ was X/}' numbers
echo "status $?"
sed 's/(/' numbers; echo "status $?"
sed -E 's/(.)(.)/\2\1/' numbers | tail -n 2
