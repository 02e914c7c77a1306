# a stack machine: an assembler with labels and an interpreter; programs that loop, call and fail
asm() { # lines of words to numbered instructions, labels resolved
    n=0; while read -r op arg; do case $op in *:) eval "label_${op%:}=$n" ;; '' | '#'*) ;; *) n=$((n + 1)) ;; esac; done <$1
    n=0; while read -r op arg; do case $op in *: | '' | '#'*) ;; j* | call) eval "arg=\$label_$arg"; eval "op_$n=$op arg_$n=$arg"; n=$((n + 1)) ;; *) eval "op_$n=$op arg_$n=$arg"; n=$((n + 1)) ;; esac; done <$1; size=$n
}
pop() { v=${stack%% *}; stack=${stack#* }; }; push() { stack="$1 $stack"; }
run() { pc=0 stack=' ' calls= steps=0; while [ $pc -lt $size ]; do steps=$((steps + 1)); [ $steps -gt 4000 ] && { echo 'too long'; return 1; }; eval "op=\$op_$pc arg=\$arg_$pc"; pc=$((pc + 1))
    case $op in push) push $arg ;; pop) pop ;; dup) pop; push $v; push $v ;; swap) pop; a=$v; pop; b=$v; push $a; push $b ;; add | sub | mul | mod) pop; a=$v; pop; b=$v; case $op in add) push $((b + a)) ;; sub) push $((b - a)) ;; mul) push $((b * a)) ;; mod) [ $a = 0 ] && { echo trap; return 2; }; push $((b % a)) ;; esac ;; print) pop; echo $v ;; jz) pop; [ $v = 0 ] && pc=$arg ;; jmp) pc=$arg ;; call) calls="$pc $calls"; pc=$arg ;; ret) pc=${calls%% *}; calls=${calls#* } ;; store) pop; eval "mem_$arg=$v" ;; load) eval "push \${mem_$arg:-0}" ;; halt) break ;; *) echo "bad $op"; return 3 ;; esac; done; echo "$steps steps"; }
cat >fact <<'E'
push 10
store n
push 1
store f
loop: 
load n
jz end
load f
load n
mul
store f
load n
push 1
sub
store n
jmp loop
end:
load f
print
E
cat >gcd <<'E'
push 1071
push 462
call gcd
print
halt
gcd:
dup
jz done
store b
store a
load b
load a
load b
mod
jmp gcd
done:
pop
ret
E
printf 'push 5\npush 0\nmod\n' >bad; printf 'again:\njmp again\n' >loop; echo 'frob 1' >unknown; for p in fact gcd bad loop unknown; do asm $p; echo "$p: $size instructions"; run; echo "status $?"; done
