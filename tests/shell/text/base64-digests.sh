# base64, base32, md5sum, the sha family, cksum, crc32, uuencode: known answers and round trips
printf abc >abc; : >empty; seq 1 5000 >big
for sum in md5sum sha1sum sha224sum sha256sum sha384sum sha512sum cksum crc32; do echo "-- $sum"; $sum abc empty big; done
sha3sum abc; sha3sum -a 512 abc; md5sum -b abc; md5sum abc big >sums; md5sum -c sums; echo "status $?"; echo more >>abc; md5sum -c sums; echo "status $?"; printf abc >abc
cat big | sha256sum; head -c 1000000 /dev/zero | md5sum; head -c 3000000 /dev/zero | sha1sum
base64 abc; base64 empty; printf 'a' | base64; printf 'ab' | base64; base64 -w 20 abc; seq 1 100 | base64 | head -n 3; seq 1 100 | base64 -d 2>/dev/null | wc -c
base64 big | base64 -d | cmp - big && echo same; base32 abc; base32 big | base32 -d | cmp - big && echo same; base64 -w 0 abc; echo
uuencode abc name; uuencode -m abc name; uuencode big big.out | uudecode -o decoded; cmp decoded big && echo same; uuencode big fromname | uudecode; cmp fromname big && echo same
sha256sum missing; echo "status $?"
