# a pool of workers: jobs are given out by a counter, at most four at a time, results gathered in order
work() { n=$1; s=0; i=0; while [ $i -lt $((n * 20)) ]; do s=$(((s + i * n) % 9973)); i=$((i + 1)); done; echo "$n $s" >result.$n; exit $((n % 7)); }
running=; failed=0; done=0
reap() { first=${running%% *}; running=${running#* }; wait $first; [ $? -ne 0 ] && failed=$((failed + 1)); done=$((done + 1)); count=$((count - 1)); }
count=0; for n in $(seq 1 28); do [ $count -ge 4 ] && reap; (work $n) & running="$running$! "; count=$((count + 1)); done; while [ $count -gt 0 ]; do reap; done
echo "$done done, $failed with a status"; cat result.* | sort -n
# the same through xargs and a pipeline, compared
seq 1 28 | xargs -n 1 sh -c 'n=$0; s=0; i=0; while [ $i -lt $((n * 20)) ]; do s=$(((s + i * n) % 9973)); i=$((i + 1)); done; echo "$n $s"' | sort -n >by_xargs; cat result.* | sort -n | cmp - by_xargs && echo equal
# workers that take lines from one pipe, each line exactly once
mkdir got; seq 1 60 | { for w in 1 2 3; do (while read -r l; do echo "$l" >>got/$w; done) & done; wait; }; cat got/* 2>/dev/null | sort -n | uniq -c | sed 's/^ *//' | cut -d' ' -f1 | sort | uniq -c | sed 's/^ *//'
# a lock by mkdir
lock() { until mkdir lock 2>/dev/null; do sleep 0.01; done; }; unlock() { rmdir lock; }; echo 0 >counter; for w in 1 2 3 4; do (for i in 1 2 3 4 5; do lock; n=$(cat counter); echo $((n + 1)) >counter; unlock; done) & done; wait; cat counter
