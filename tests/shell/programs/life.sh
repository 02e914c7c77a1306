# Conway's life on a small board, with strings as rows
rows=8 cols=12
cells='2,3 3,4 4,2 4,3 4,4 6,8 6,9 6,10'
for c in $cells; do eval "a_${c%,*}_${c#*,}=1"; done
show() { r=1; while [ $r -le $rows ]; do l=; c=1; while [ $c -le $cols ]; do eval "v=\${a_${r}_$c:-0}"; [ $v = 1 ] && l=$l# || l=$l.; c=$((c + 1)); done; echo $l; r=$((r + 1)); done; }
step() {
    r=1; while [ $r -le $rows ]; do c=1; while [ $c -le $cols ]; do
        n=0; for dr in -1 0 1; do for dc in -1 0 1; do [ $dr$dc = 00 ] || { eval "v=\${a_$((r + dr))_$((c + dc)):-0}" 2>/dev/null; n=$((n + v)); }; done; done
        eval "v=\${a_${r}_$c:-0}"; if [ $n = 3 ] || [ $n$v = 21 ]; then eval "b_${r}_$c=1"; else eval "b_${r}_$c=0"; fi
        c=$((c + 1)); done; r=$((r + 1)); done
    r=1; while [ $r -le $rows ]; do c=1; while [ $c -le $cols ]; do eval "a_${r}_$c=\$b_${r}_$c"; c=$((c + 1)); done; r=$((r + 1)); done
}
for d in 0 $((rows + 1)); do c=0; while [ $c -le $((cols + 1)) ]; do eval "a_${d}_$c=0"; c=$((c + 1)); done; done
show; for g in 1 2 3 4 5; do step; echo "generation $g"; show; done
