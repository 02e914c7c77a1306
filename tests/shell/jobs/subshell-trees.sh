# trees of processes: parents, orphans, depth, breadth, exit statuses that travel up
tree() { # DEPTH: exit status is the number of leaves
    if [ $1 -eq 0 ]; then exit 1; fi
    (tree $(($1 - 1))) & l=$!; (tree $(($1 - 1))) & r=$!; wait $l; a=$?; wait $r; exit $((a + $?))
}
(tree 5); echo "leaves $?"; nest() { [ $1 -eq 0 ] && { echo bottom; exit 7; }; (nest $(($1 - 1))); exit $?; }; (nest 40); echo $?
sh -c 'sh -c "sh -c \"sh -c \\\"exit 13\\\"\""'; echo $?; sh -c 'sh -c "echo \$PPID" | { read p; [ "$p" = $$ ] && echo same || echo other; }'; sh -c 'echo $$; exec sh -c "echo \$\$"' | uniq | wc -l; p=$$; (echo "$([ $$ = $p ] && echo still)"); sh -c '[ $PPID = '$$' ] && echo parent'
(sh -c 'sleep 0.05; echo "orphan writes" >o' & ) ; while [ ! -s o ]; do sleep 0.01; done; cat o; (sh -c ': >r; sleep 100' & echo $! >pid); while [ ! -e r ]; do sleep 0.01; done; kill $(cat pid); i=0; while kill -0 $(cat pid) 2>/dev/null && [ $i -lt 500 ]; do sleep 0.01; i=$((i + 1)); done; kill -0 $(cat pid) 2>/dev/null; echo "orphan gone $?"
i=0; while [ $i -lt 25 ]; do (exec sh -c 'exit $1' x $i); [ $? = $i ] || echo wrong; i=$((i + 1)); done; echo $i; i=0; while [ $i -lt 10 ]; do sh -c "exec sh -c 'exec sh -c \"exit $i\"'"; [ $? = $i ] || echo wrong; i=$((i + 1)); done; echo $i; exec 3>out; (echo a >&3; (echo b >&3; (echo c >&3) ) ); exec 3>&-; cat out; (exec >out2; echo x; sh -c 'echo y'); cat out2; v=1; (v=2; (v=3; echo $v); echo $v); echo $v; export v; v=5 sh -c 'echo $v; v=6; sh -c "echo \$v"'; echo $v; for d in a b c; do mkdir $d; (cd $d && : >here && (cd .. && ls -d $d/here)); done; pwd | sed 's,.*/,,'
