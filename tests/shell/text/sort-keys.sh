# sort: numbers, keys, fields, stable, unique, merge, check, reverse
cat >data <<'END'
banana:3:yellow
apple:10:red
cherry:2:red
date:25:brown
elderberry:3:black
fig:1:purple
apple:9:green
END
sort data; echo; sort -r data; echo; sort -t: -k2 data; echo; sort -t: -k2n data; echo; sort -t: -k2,2nr -k1,1 data
echo; sort -t: -k3,3 -k2,2n data; echo; sort -t: -k1,1 -s data; echo; sort -t: -k1,1 -u data
echo; printf '10\n9\n8\n-5\n3.5\n\n0\n1e3\n' | sort -n; echo; printf '10\n9\n8\n1e3\n2e2\n' | sort -g
printf 'b\nA\na\nB\n' | sort; printf 'b\nA\na\nB\n' | sort -f; printf '  b\n a\nc\n' | sort -b
printf 'v1.10\nv1.9\nv1.2\n' | sort -V
sort data >sorted; sort -c sorted; echo "checked $?"; sort -c data; echo "checked $?"
sort -m sorted sorted | uniq -c | sed 's/^ *//'; sort -o data data; head -n 2 data
printf 'c\0b\0a\0' | sort -z | tr '\0' '\n'
printf 'jan\nmar\nfeb\ndec\n' | sort -M
i=0; while [ $i -lt 500 ]; do echo $((i * 7919 % 1000)); i=$((i + 1)); done >many
sort -n many | head -n 5; sort -n many | tail -n 5; sort -n many | cksum; sort many | cksum; sort -rn many | sed -n 250p; sort -u many | wc -l
