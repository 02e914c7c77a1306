# od, xxd, hexdump, strings, ascii: bytes shown
printf 'Hello\n\000\001\377world, this is more than sixteen bytes' >b
od b; od -c b; od -x b; od -An -tx1 b; od -An -tu1 -w8 b; od -tx2 b; od -td4 -N 8 b; od -to1 -j 3 -N 5 b; od -A d -tx1z b; od -A x -c b
head -c 100 /dev/zero | od; head -c 100 /dev/zero | od -v | wc -l; printf '' | od
xxd b; xxd -p b; xxd -l 8 b; xxd -s 4 b | head -n 1; xxd -g 1 b; xxd -p b | xxd -r -p | cmp - b && echo same; xxd -i <b 
hexdump b; hexdump -C b; strings b; strings -n 8 b; printf 'ab\0cdef\0ghijkl\0' | strings -n 4; printf '\1\2\3' | od -An -tx1 | tr -d ' \n'; echo
echo ABC | od -An -td1; printf '\0\0\200\77' | od -An -tf4; printf '\0\0\0\0\0\0\360\77' | od -An -tf8; cat -v b; echo; cat -e b; echo
seq 1 500 | od -An -tx1 | cksum; seq 1 500 | xxd | cksum; seq 1 500 | hexdump -C | cksum
