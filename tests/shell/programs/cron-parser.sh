# matching times against patterns of five fields, over a week of fixed times
match() { # VALUE FIELD
    local v=$1 part lo hi step IFS=,
    for part in $2; do step=1; case $part in */*) step=${part#*/}; part=${part%/*} ;; esac
        case $part in '*') lo=0 hi=99 ;; *-*) lo=${part%-*} hi=${part#*-} ;; *) lo=$part hi=$part; [ $step -gt 1 ] && hi=99 ;; esac
        [ $v -ge $lo ] && [ $v -le $hi ] && [ $(((v - lo) % step)) -eq 0 ] && return 0; done; return 1
}
due() { set -f; set -- $1 $2; for f in "$6:$1" "$7:$2" "$8:$3" "$9:$4" "${10}:$5"; do match ${f%%:*} "${f#*:}" || return 1; done; }
n=0; t=1704067200; while [ $n -lt 84 ]; do date -u -d @$t '+%M %H %d %m %w' | sed 's/\b0\([0-9]\)/\1/g;s/^0\([0-9]\)/\1/;s/ 0\([0-9]\)/ \1/g'; t=$((t + 7200 + 900)); n=$((n + 1)); done >times; md5sum times; set -f
for p in '* * * * *' '0 * * * *' '*/15 * * * *' '0 0 * * *' '30 9-17 * * 1-5' '0,30 */6 * * *' '* 12 1,3,5 1 *' '* * * 2 *' '15 4-20/4 * * *' '45 * * * 0,6'; do k=0; first=; while read -r at; do due "$p" "$at" && { k=$((k + 1)); [ -z "$first" ] && first=$at; }; done <times; echo "$p: $k ${first:-never}"; done
