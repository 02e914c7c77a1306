# two versions of a tree, a manifest of each, what was added, removed, changed and moved; a patch of all of it
mkdir -p v1/src v1/doc v2; for f in a b c d e; do seq 1 20 | sed "s/^/$f /" >v1/src/$f.txt; done; echo readme >v1/doc/readme; ln -s readme v1/doc/link; cp -a v1/. v2/
sed -i '10s/.*/changed/' v2/src/a.txt; rm v2/src/b.txt; mv v2/src/c.txt v2/src/moved.txt; echo new >v2/src/new.txt; chmod 755 v2/src/d.txt; rm v2/doc/link; ln -s other v2/doc/link; mkdir v2/empty; echo more >>v2/doc/readme
manifest() { (cd $1 && find . ! -name . | sort | while read -r f; do if [ -L "$f" ]; then echo "$f l $(readlink "$f")"; elif [ -d "$f" ]; then echo "$f d $(stat -c %a "$f")"; else echo "$f f $(stat -c '%a %s' "$f") $(md5sum <"$f" | cut -c1-32)"; fi; done); }
manifest v1 >m1; manifest v2 >m2; wc -l m1 m2; diff -u -L v1 -L v2 m1 m2
cut -d' ' -f1 m1 >n1; cut -d' ' -f1 m2 >n2; echo "removed: $(comm -23 n1 n2 | paste -s -d ' ')"; echo "added: $(comm -13 n1 n2 | paste -s -d ' ')"; comm -12 n1 n2 | while read -r f; do a=$(grep "^$f " m1) b=$(grep "^$f " m2); [ "$a" = "$b" ] || echo "changed: $f"; done
comm -23 n1 n2 | while read -r f; do s=$(sed -n "s,^$f f .* ,,p" m1); [ -n "$s" ] && grep " $s$" m2 | cut -d' ' -f1 | while read -r t; do grep -q "^$t " m1 || echo "moved: $f -> $t"; done; done
diff -ruN v1/src v2/src | sed 's/\t.*//' >p; grep -c '^[-+]' p; cp -r v1 w; (cd w && patch -p1 <../p >/dev/null) 2>/dev/null; diff -r w/src v2/src && echo same; (cd v2 && tar cf - .) | (mkdir x && cd x && tar xf -); manifest x | diff - m2 && echo copied
