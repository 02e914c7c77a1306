# find: names, types, sizes, times, depth, logic, actions
mkdir -p t/a/b/c t/d t/e.d; for f in t/1.c t/2.h t/a/3.c t/a/b/4.c t/a/b/c/5.txt t/d/UPPER.C t/e.d/.hid; do echo "$f" >$f; done; : >t/empty; head -c 5000 /dev/zero >t/big; ln -s 1.c t/link; ln -s none t/broken
f() { echo "-- $*"; find "$@" | sort; }
f t; f t -name '*.c'; f t -iname '*.c'; f t -type d; f t -type l; f t -type f -name '[0-9]*'; f t -maxdepth 1; f t -mindepth 3; f t -empty; f t -type f -size +1k; f t -type f -size -2c; f t -size 5000c; f t -path 't/a/*c'
f t -name '*.c' -o -name '*.h'; f t -type f ! -name '*.c'; f t \( -name a -o -name d \) -prune -o -type f -print; f t -newer t/1.c -name zzz; f t -name b -prune -o -print; f t/1.c t/d
find t -name '*.c' -exec echo found {} \; | sort; find t -name '*.c' -exec cat {} + | sort; find t -type f -print0 | tr '\0' '\n' | wc -l; find t -name '*.h' -delete; ls t/2.h; find t -depth -name '*' | tail -n 1
find t -type f -exec grep -q b {} \; -print | sort; find t -perm 644 -type f | wc -l; chmod 755 t/1.c; find t -perm -100 -type f; find t -links 1 -type f | wc -l; touch -d @100000 t/empty; find t -type f -mtime +100; find t ! -newer t/empty; find t -type f -printf '%f %s\n' 2>/dev/null | sort
find missing; echo "status $?"; find t -bogus; echo "status $?"; find t -type f -quit; find t -L 2>/dev/null; echo "status $?"; cd t; find . -name '?' | sort; find -type d | sort; find . -false; find . -maxdepth 0
