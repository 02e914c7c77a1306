# which descriptors children get: redirected, closed, shared positions, many of them
seq 1 10 >f; exec 3<f 4>out 5>>app; sh -c 'read x <&3; echo "child $x"; echo c4 >&4; echo c5 >&5'; read y <&3; echo "parent $y"; (read z <&3; echo "sub $z"); sh -c 'cat <&3' | wc -l; echo p4 >&4; echo p5 >&5; exec 3<&- 4>&- 5>&-; cat out app; sh -c 'echo x >&3' 2>/dev/null; echo "closed $?"; (exec 6>six; sh -c 'echo six >&6'; sh -c 'exec 6>&-; (echo no >&6) 2>/dev/null; echo "in child $?"'; echo again >&6); cat six; { sh -c 'read a; echo "a=$a"'; sh -c 'read b; echo "b=$b"'; } <<E
one
two
E
{ head -n 1; head -n 1; } <f | wc -l; (read a; sh -c 'read b; echo $b'; read c; echo $a$c) <f; sh -c 'cat' <f | tail -n 1; sh -c 'echo out; echo err >&2' 2>e | cat; cat e; sh -c 'cat <&-' 2>/dev/null; echo $?; sh -c 'echo x >&-' 2>/dev/null; echo $?; sh -c 'echo x' >&- 2>/dev/null; echo $?; cat <&- 2>/dev/null; echo $?; i=3; while [ $i -le 9 ]; do eval "exec $i>d$i"; i=$((i + 1)); done; sh -c 'for i in 3 4 5 6 7 8 9; do eval "echo to $i >&$i"; done'; i=3; while [ $i -le 9 ]; do eval "exec $i>&-"; i=$((i + 1)); done; cat d?; exec 7>&1; x=$(sh -c 'echo captured; echo escaped >&7'); echo "[$x]"; exec 7>&-; (exec 8<f; for n in 1 2 3; do sh -c 'read l <&8; echo "turn $l"'; done); (exec >s; sh -c 'echo a'; echo b; sh -c 'echo c'); cat s; (exec >>s; sh -c 'echo d' & wait; echo e); cat s; sh -c 'echo 1; exec >t; echo 2; exec sh -c "echo 3"'; cat t; seq 3 | while read -r n; do sh -c 'cat >/dev/null' </dev/null; echo $n; done; seq 3 | while read -r n; do cat >/dev/null; echo "only $n"; done; echo data | sh -c 'sh -c "cat"'; sh <<E
echo from here
cat
this is data
E
