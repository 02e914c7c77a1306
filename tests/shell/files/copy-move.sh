# cp, mv, rm, ln, mkdir, rmdir, install: trees, links, refusals
mkdir -p src/a/b src/c; echo one >src/one; echo two >src/a/two; echo three >src/a/b/three; ln -s one src/link; ln src/one src/hard; : >src/c/.hidden
show() { (cd "$1" && find . | sort | while read -r f; do if [ -L "$f" ]; then echo "$f -> $(readlink "$f")"; elif [ -d "$f" ]; then echo "$f/"; else echo "$f: $(cat "$f")"; fi; done); }
show src; cp src/one copy; cat copy; cp -r src all; show all; cp -a src exact; show exact; cp -rL src followed; show followed; cp src/one src/a/two d 2>/dev/null; echo "status $?"
mkdir d; cp src/one src/a/two d; show d; cp src/a d; echo "status $?"; cp missing d; echo "status $?"; cp -n copy d/one; cp -i copy d/one </dev/null; echo "status $?"; echo changed >copy; cp copy d/one; cat d/one
cp -s one d/sym; readlink d/sym; cp -l copy d/hard; echo again >copy; cat d/hard; [ copy -ef d/hard ] && echo same file; cp -p copy kept; [ ! copy -nt kept ] && [ ! kept -nt copy ] && echo same time
mv copy moved; [ -e copy ] || echo gone; mv moved d; ls d; mv d e; ls -d d e; mv e/one e/two x; echo "status $?"; mkdir x; mv e/one e/two x; show x; mv x src/a; show src; mv src src/a/inside; echo "status $?"; mv -n kept e/hard; cat e/hard
rm kept; rm kept; echo "status $?"; rm -f kept; echo "status $?"; rm e; echo "status $?"; rm -r e; [ -e e ] || echo removed; rmdir src/c; echo "status $?"; rm src/c/.hidden; rmdir src/c; echo "status $?"; mkdir src/one; echo "status $?"; mkdir q/r; echo "status $?"; mkdir -p q/r/s; mkdir -p q/r; echo "status $?"; mkdir -m 700 priv; stat -c %a priv
rmdir -p q/r/s; [ -e q ] || echo parents too; ln -s target newlink; ln -s target newlink; echo "status $?"; ln -sf other newlink; readlink newlink; ln src x1; echo "status $?"; rm -rf all exact followed src; ls
install -m 640 /dev/null made; stat -c '%a %s' made; install -d deep/er; ls -d deep/er; unlink made; ls made; echo "status $?"; link newlink nl2; [ -L nl2 ] && echo linked
