# a helper that answers over two files used as mailboxes, a server of requests in the background, clients in turn
cat >server <<'E'
trap 'echo "served $n" >bye; exit 0' TERM
n=0; : >up
while :; do
    for r in req.*; do
        [ -e "$r" ] || continue
        id=${r#req.}; read -r op a b <$r; rm $r; n=$((n + 1))
        case $op in add) v=$((a + b)) ;; mul) v=$((a * b)) ;; rep) v=$(i=0; s=; while [ $i -lt $b ]; do s=$s$a; i=$((i + 1)); done; echo $s) ;; *) v="error $op" ;; esac
        echo "$v" >ans.$id.new; mv ans.$id.new ans.$id
    done
    sleep 0.01
done
E
ask() { id=$1; shift; echo "$*" >.req.$id; mv .req.$id req.$id; t=0; while [ ! -e ans.$id ]; do sleep 0.01; done; cat ans.$id; rm ans.$id; }
sh server & s=$!; while [ ! -e up ]; do sleep 0.01; done; ask 1 add 2 3; ask 2 mul 6 7; ask 3 rep ab 5; ask 4 frob x; for c in a b c d; do (i=0; t=0; while [ $i -lt 5 ]; do t=$((t + $(ask $c$i add $i 10))); i=$((i + 1)); done; echo "$c $t" >sum.$c) & cs="$cs $!"; done; for c in $cs; do wait $c; done; cat sum.?; kill $s; wait $s; echo $?; cat bye; ls
