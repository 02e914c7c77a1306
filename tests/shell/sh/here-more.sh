# here-documents: quoting, tabs, nesting, expansion, size, in functions and loops
name=World; cat <<END; cat <<'END'; cat <<\END; cat <<-END; cat <<E"N"D
Hello $name $(echo cmd) `echo back` $((1 + 2)) \$name \`x\` \\ "q" 'q' ${name#W} ${none:-default}
END
Hello $name $(no) \$
END
raw $name
END
	tab $name
		two tabs
	END
mixed $name
END
f() { cat <<END
in function $1
END
}; f arg; f other; for i in 1 2 3; do cat <<END; done; while read -r a b; do echo "$b/$a"; done <<END; x=$(cat <<END
loop $i
END
k v
w x y
END
inside $name
END
); echo "$x"; sort <<END | head -n 2
c
a
b
END
cat <<END
line with trailing backslash \
joined
"quotes stay" 'these too' $name's ${name}s $ alone
$(printf 'multi\nline')
END
cat <<''; echo after
until blank

sh <<'END'; sh -s a b <<'END'
echo "script from stdin $#"
END
echo "with args $1 $2"
END
big=$(seq 1 15000); wc <<END; if cat <<END; then echo yes; fi; cat <<END && echo and; { cat; } <<END; (cat; echo sub) <<END
$big
END
cond
END
list
END
group
END
subshell
END
n=0; while [ $n -lt 150 ]; do read -r v <<END; n=$v; done; echo $n
$((n + 1))
END
