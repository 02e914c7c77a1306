# tasks with dependencies in topological order; cycles found; a plan with costs and the critical path
order() { set -f; todo=$(cut -d: -f1 $1); done_=' '; out=; while [ -n "$todo" ]; do rest= moved=0; for t in $todo; do ok=1; for d in $(sed -n "s/^$t:[0-9]*://p" $1); do case "$done_" in *" $d "*) ;; *) ok=0;; esac; done; if [ $ok = 1 ]; then out="$out $t"; done_="$done_$t "; moved=1; else rest="$rest $t"; fi; done; todo=${rest# }; [ $moved = 0 ] && { echo "cycle among:$rest"; return 1; }; done; echo $out; }
cat >plan <<'E'
paint:3:walls
walls:5:floor frame
frame:4:base
floor:2:base
base:6:
roof:4:frame
move_in:1:paint roof
E
order plan; printf 'a:1:b\nb:1:c\nc:1:a\nd:1:\n' >bad; order bad; echo $?
for t in $(order plan); do cost=$(sed -n "s/^$t:\([0-9]*\):.*/\1/p" plan); start=0 via=; for d in $(sed -n "s/^$t:[0-9]*://p" plan); do eval "e=\$end_$d"; [ $e -gt $start ] && start=$e via=$d; done; eval "end_$t=$((start + cost)) via_$t=$via"; echo "$t $start-$((start + cost)) after ${via:-nothing}"; done; t=move_in; path=; while [ -n "$t" ]; do path="$t $path"; eval "t=\$via_$t"; done; echo $path; sort -t: -k2,2nr plan | head -n 2; sed 's/.*:.*://' plan | tr ' ' '\n' | sort | uniq -c | sort -k1,1nr -k2 | sed 's/^ *//'; tsort 2>/dev/null; grep -c : plan
