# diff in its formats, and patch that applies and reverts them
seq 1 30 >old; sed -e 5d -e '10s/$/ changed/' -e '20a\
added' old >new
diff old old; echo "same $?"; diff -q old new; echo "status $?"; diff -u -L old -L new old new; echo "status $?"; diff -u -L old -L new new old
diff -u -L a -L b old new >p; cp old work; patch work <p; cmp work new && echo patched; patch -R work <p; cmp work old && echo reverted
printf 'a\nb\n' >x; printf 'a\nb' >y; diff -u -L x -L y x y; printf 'A\nb\n' >z; diff -i x z; echo "case $?"; printf 'a  \nb\n' >s; diff -b x s; echo "blanks $?"
mkdir -p one/sub two/sub; cp old one/f; cp new two/f; cp old one/sub/same; cp old two/sub/same; : >one/only; diff -rq one two | sort; echo "status $?"
diff missing old; echo "status $?"; : >none; diff -u -L none -L x none x
mkdir tree; cp old tree/f; cd tree; patch -p1 <<'END'; cmp f ../new || cat f | head -n 3
--- a/f
+++ b/f
@@ -1,4 +1,4 @@
-1
+first
 2
 3
 4
END
patch -p1 <<'END'; echo "status $?"; ls
--- /dev/null
+++ b/created
@@ -0,0 +1,2 @@
+new file
+by patch
END
cat created; cd ..; cmp old new; echo "cmp $?"; cmp -s old new; echo "silent $?"; cmp -l x z; cmp x none; echo "eof $?"
