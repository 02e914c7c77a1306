v=value
cat_() { while IFS= read -r line; do printf '%s\n' "$line"; done; }
cat_ <<END
plain $v $((1 + 1)) $(echo inner) \$v
END
cat_ <<'END'
quoted $v $(echo inner)
END
cat_ <<-END
	tabs are gone
	END
i=0; big=$(while [ $i -lt 3000 ]; do echo "line $i of a here-document larger than a pipe"; i=$((i + 1)); done)
cat_ <<END | { n=0; while read -r l; do n=$((n + 1)); done; echo "$n lines"; }
$big
END
