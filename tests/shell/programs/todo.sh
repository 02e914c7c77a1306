# a to-do list as a command with subcommands, driven by a script of calls
cat >todo <<'E'
f=list.txt; touch $f
cmd=$1; [ $# -gt 0 ] && shift
case $cmd in
    add) n=$(tail -n 1 $f | cut -d'|' -f1); n=$((${n:-0} + 1)); p=5; [ "$1" = -p ] && { p=$2; shift 2; }; [ $# -gt 0 ] || { echo 'add what?' >&2; exit 2; }; echo "$n|$p|open|$*" >>$f; echo "added $n" ;;
    done) for i; do grep -q "^$i|.*|open|" $f && { sed -i "s/^\($i|[0-9]*|\)open/\1done/" $f; echo "done $i"; } || { echo "no open $i" >&2; s=1; }; done; exit ${s:-0} ;;
    list) s=open; [ "$1" = -a ] && s='.*'; grep "^[0-9]*|[0-9]*|$s|" $f | sort -t'|' -k2,2n -k1,1n | while IFS='|' read -r n p st t; do [ $st = done ] && m=x || m=' '; printf '[%s] %2d (%d) %s\n' "$m" $n $p "$t"; done ;;
    purge) grep -v '|done|' $f >$f.new; a=$(wc -l <$f) b=$(wc -l <$f.new); mv $f.new $f; echo "purged $((a - b))" ;;
    find) grep -i -- "$1" $f | cut -d'|' -f1,4 || exit 1 ;;
    '') echo 'usage: todo add|done|list|purge|find'; exit 2 ;;
    *) echo "unknown: $cmd" >&2; exit 2 ;;
esac
E
td() { sh todo "$@" 2>&1; s=$?; [ $s = 0 ] || echo "status $s"; }
td; td list; td add buy milk; td add -p 1 'pay  rent'; td add -p 9 "it's *later*"; td add; td list; td done 1; td done 1; td done 2 7 3; td list; td list -a; td frob; td find RENT; td find none; td add again; td purge; td list -a; td add more; cat list.txt; i=0; while [ $i -lt 12 ]; do td add -p $((i % 4)) task $i; i=$((i + 1)); done | tail -n 1; td list | head -n 5; td list | wc -l
