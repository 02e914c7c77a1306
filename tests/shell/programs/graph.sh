# a graph in a file: degrees, components, shortest paths by relaxation, a spanning tree by the cheapest edges
cat >g <<'E'
a b 4
a c 2
b c 1
b d 5
c d 8
c e 10
d e 2
d f 6
e f 3
x y 1
y z 2
E
cut -d' ' -f1,2 g | tr ' ' '\n' | sort | uniq -c | sort -k1,1nr -k2 | sed 's/^ *//'; nodes=$(cut -d' ' -f1,2 g | tr ' ' '\n' | sort -u); for n in $nodes; do eval "d_$n=999 p_$n="; done; d_a=0; r=0; ch=1; while [ $ch = 1 ]; do ch=0; r=$((r + 1)); while read -r u v w; do for e in "$u $v" "$v $u"; do s=${e% *} t=${e#* }; eval "ds=\$d_$s dt=\$d_$t"; [ $((ds + w)) -lt $dt ] && { eval "d_$t=$((ds + w)) p_$t=$s"; ch=1; }; done; done <g; done; echo "$r rounds"; for n in $nodes; do eval "d=\$d_$n"; path=$n; at=$n; while :; do eval "at=\$p_$at"; [ -z "$at" ] && break; path="$at $path"; done; [ $d = 999 ] && echo "$n unreachable" || echo "$n $d: $path"; done
for n in $nodes; do eval "set_$n=$n"; done; find_() { f=$1; while :; do eval "n=\$set_$f"; [ $n = $f ] && break; f=$n; done; }; total=0; sort -k3,3n -k1,1 g | while read -r u v w; do find_ $u; a=$f; find_ $v; b=$f; [ $a = $b ] || { eval "set_$a=$b"; total=$((total + w)); echo "take $u-$v $w, $total"; }; done; comp=0; left=$nodes; while [ -n "$left" ]; do set -- $left; q=$1; seen=" $1 "; while [ -n "$q" ]; do set -- $q; u=$1; shift; q=$*; for v in $(sed -n "s/^$u \([a-z]\) .*/\1/p;s/^\([a-z]\) $u .*/\1/p" g); do case $seen in *" $v "*) ;; *) seen="$seen$v "; q="$q $v";; esac; done; done; comp=$((comp + 1)); echo "component $comp:$(echo $seen | tr ' ' '\n' | sort | paste -s -d ' ')"; l=; for n in $left; do case $seen in *" $n "*) ;; *) l="$l $n";; esac; done; left=$l; done
