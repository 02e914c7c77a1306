# tr: ranges, classes, deletion, squeezing, complements
echo 'Hello, World 123' >t
tr a-z A-Z <t; tr A-Z a-z <t; tr -d 0-9 <t; tr -cd '0-9\n' <t; tr -s l <t; tr -cs A-Za-z '\n' <t
tr '[:lower:]' '[:upper:]' <t; tr -d '[:punct:][:space:]' <t; echo; tr -d '[:digit:]' <t
echo 'aabbcc' | tr -s a-z; echo 'a  b   c' | tr -s ' '; echo '(x)' | tr '()' '[]'
printf 'a\tb\nc\n' | tr '\t\n' ' ,'; echo; printf 'a\0b' | tr '\0' 0; echo; echo abc | tr abc '\101\102\103'
echo 'rot thirteen' | tr a-zA-Z n-za-mN-ZA-M | tee r; tr a-zA-Z n-za-mN-ZA-M <r
i=0; while [ $i -lt 256 ]; do printf "\\$(printf %03o $i)"; i=$((i + 1)); done >bytes
wc -c <bytes; tr -d '\000-\037' <bytes | wc -c; tr -cd '[:alnum:]' <bytes; echo; tr '\200-\377' '\000-\177' <bytes | cksum
tr -d 'a-z' <t; seq 1 2000 | tr -d '\n' | wc -c; seq 1 2000 | tr 0-9 1-90 | cksum; tr; echo "status $?"
