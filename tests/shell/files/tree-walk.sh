# a recursive function over a tree that it made, totals compared with find, du and tar
grow() { # DEPTH PATH
    mkdir -p "$2"; i=0
    for leaf in 1 2 3; do printf '%s' "$2/$leaf" >"$2/leaf$leaf"; done
    if [ "$1" -gt 0 ]; then for b in x y z; do grow $(($1 - 1)) "$2/$b"; done; fi
}
grow 3 tree
walk() { for e in "$1"/*; do if [ -d "$e" ]; then dirs=$((dirs + 1)); walk "$e"; else files=$((files + 1)); bytes=$((bytes + $(wc -c <"$e"))); fi; done; }
dirs=1 files=0 bytes=0; walk tree; echo "$dirs directories, $files files, $bytes bytes"
find tree -type d | wc -l; find tree -type f | wc -l; find tree -type f -exec cat {} + | wc -c; find tree -name 'leaf2' | sort | head -n 5; find tree -depth | head -n 100 | wc -l; ls -R tree | wc -l; ls -R tree | head -n 20
tar cf - tree | tar tf - | sort | cksum; cp -r tree copy; diff -r tree copy && echo equal; echo changed >copy/x/y/leaf1; rm copy/z/leaf3; diff -rq tree copy | sort; find copy -type d -name y -prune -exec rm -r {} \;; find copy -type d | sort; find tree -type f | sed 's,[^/]*$,,' | sort | uniq -c | sort -rn | head -n 3 | sed 's/^ *//'; rm -r tree/x tree/y; find tree | sort | head -n 8; rm -rf tree copy; ls
