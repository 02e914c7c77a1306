# statuses of pipelines in conditions, loops and lists; negation; side effects that stay in subshells
x=1; echo 2 | read x; echo $x; echo 3 | { read x; echo $x; }; echo $x; x=$(echo 4 | { read y; echo $y; }); echo $x; true | false | true; echo $?; false | false; echo $?; ! true | true; echo $?; ! false | false; echo $?; if echo a | grep -q a; then echo yes; fi; if echo a | grep -q b; then echo yes; else echo no; fi; while echo x | grep -q y; do echo never; done; echo a | grep a && echo b | grep b || echo c; echo a | grep b || echo d | grep d && echo e; (echo sub; exit 3) | cat; echo $?; cat /dev/null | (exit 4); echo $?; exit 5 | true; echo "still here $?"; { echo g; exit 6; } | cat; echo "and here $?"; cd / | true; [ "$PWD" != / ] && echo stayed; f() { return 7; }; f | true; echo $?; true | f; echo $?; f | f; echo $?; v=out; v=in | true; echo $v; set -e; false | true; echo 'not the last'; (true | false; echo never) || echo "caught $?"; set +e
echo 'a b c' | while read -r w r; do echo $w; echo $r | while read -r w2 r2; do echo $w2; echo $r2; done; done; n=0; seq 5 | while read -r i; do n=$((n + i)); done; echo $n; n=0; while read -r i; do n=$((n + i)); done <<E
$(seq 5)
E
echo $n; seq 3 | sort -r | { read a; read b; echo $a$b; }; echo x | tee f | cat - f; echo multi | cat | cat | cat | cat | cat | cat; (echo err >&2) 2>&1 | tr a-z A-Z; { echo out; echo err >&2; } 2>/dev/null | cat; { echo out; echo err >&2; } 2>&1 >/dev/null | cat; ls none 2>&1 | wc -l; echo a |
cat |

cat; echo b \
| cat; ! echo neg | grep -q pos && echo negated; time_() { :; }; time_ | cat; echo $(echo a | tr a b) $(echo c | tr c d; exit 1) $?; x=$(false | true); echo $?; x=$(true | false); echo $?; case $(echo k | tr k l) in l) echo case;; esac; for w in $(seq 3 | tac); do echo $w; done | paste -s -d -; echo end | { cat; echo "of $(cat | wc -c)"; }; yes | { head -n 1; head -n 1; } | wc -l; : | : | :; echo $?; trap 'echo exit' EXIT | cat; (trap 'echo in sub' EXIT) | cat
