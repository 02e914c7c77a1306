# grep: basic and extended expressions, fixed strings, counts, context, files
cat >text <<'END'
The quick brown fox
jumps over the lazy dog
THE END
number 42 and 1234
a.b.c
tab	here

foo(bar) [baz] {qux}
end of text
END
for pattern in the '^the' 'dog$' '[0-9]' 'a.b' '^$' 'o\{2\}' '\.' '[[:upper:]]\{3\}' '[^a-z ]'; do
    echo "-- $pattern"; grep "$pattern" text; echo "status $?"
done
for pattern in 'fox|dog' '^(The|THE)' '[0-9]{4}' 'x?y+' '(o|u)v?er' '\(bar\)' 'b+' ; do
    echo "-- E $pattern"; grep -E "$pattern" text; echo "status $?"
done
grep -F 'a.b' text; grep -F '[baz]' text; grep -c e text; grep -n THE text; grep -i the text
grep -v e text; grep -l fox text /dev/null; grep -L fox text /dev/null; grep -o '[0-9][0-9]*' text
grep -q fox text; echo "quiet $?"; grep -q cat text; echo "quiet $?"; grep -s x missing; echo "missing $?"
grep -A1 fox text; grep -B1 THE text; grep -C1 lazy text; grep -m 2 e text; grep -w end text; grep -x 'THE END' text
grep -e fox -e dog text; printf 'fox\nEND\n' >patterns; grep -f patterns text
mkdir -p d/e; cp text d/one; cp text d/e/two; grep -r lazy d | sort; grep -rl lazy d | sort; grep -h lazy d/one d/e/two
grep -H -n lazy text; echo abcabc | grep -o abc; echo abc | grep -b c; printf 'a\0b\n' | grep -z b | tr '\0' '\n'
