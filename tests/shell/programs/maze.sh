# a maze of characters: the shortest way by breadth-first search with files as the queue
cat >maze <<'E'
###############
#S..#.....#...#
###.#.###.#.#.#
#...#.#.....#.#
#.###.#######.#
#.....#.......#
#.#####.#####.#
#.......#...#E#
###############
E
h=$(wc -l <maze) w=15; r=1; while read -r line; do c=1; while [ $c -le $w ]; do ch=${line%"${line#?}"}; line=${line#?}; eval "m_${r}_$c='$ch'"; case $ch in S) sr=$r sc=$c;; E) er=$r ec=$c;; esac; c=$((c + 1)); done; r=$((r + 1)); done <maze
echo "$sr $sc to $er $ec"; echo "$sr $sc 0" >q; eval "d_${sr}_$sc=0"; seen=1; exec 3<q
while read -r r c d <&3; do [ "$r $c" = "$er $ec" ] && break; for s in '1 0' '-1 0' '0 1' '0 -1'; do nr=$((r + ${s% *})) nc=$((c + ${s#* })); eval "ch=\$m_${nr}_$nc old=\${d_${nr}_$nc-}"; if [ "$ch" != '#' ] && [ -z "$old" ]; then eval "d_${nr}_$nc=$((d + 1)) p_${nr}_$nc='$r $c'"; echo "$nr $nc $((d + 1))" >>q; seen=$((seen + 1)); fi; done; done
exec 3<&-; echo "distance $d, $seen seen"; at="$er $ec"; while [ "$at" != "$sr $sc" ]; do eval "m_${at% *}_${at#* }=o at=\$p_${at% *}_${at#* }"; done; r=1; while [ $r -le $h ]; do l=; c=1; while [ $c -le $w ]; do eval "l=\$l\$m_${r}_$c"; c=$((c + 1)); done; echo "$l"; r=$((r + 1)); done | tee solved; tr -cd o <solved | wc -c; wc -l <q
