# xargs: words, quotes, limits, zero bytes, statuses
seq 1 10 | xargs; seq 1 10 | xargs -n 3; seq 1 10 | xargs -n 4 echo items; printf 'a b\nc d\n' | xargs -n 1
printf '"two words" single\n' | xargs -n 1 echo; printf 'x\0y z\0' | xargs -0 -n 1 echo; printf '' | xargs echo empty; printf '' | xargs -r echo never; seq 3 | xargs -t echo 2>&1
seq 1 3 | xargs -n 1 sh -c 'echo $(($0 * $0))'; seq 1 5 | xargs -s 20 echo; echo a | xargs false; echo "status $?"; echo a | xargs none_such; echo "status $?"; echo a | xargs sh -c 'exit 255'; echo "status $?"
mkdir d; for i in 1 2 3 4 5; do echo "file $i" >d/f$i; done; ls d | sed 's,^,d/,' | xargs cat; find d -type f | sort | xargs wc -l; find d -type f -print0 | sort -z | xargs -0 grep -l 3
seq 1 2000 | xargs | wc; seq 1 2000 | xargs -n 100 | wc -l; seq 1 50 | xargs -n 1 | cksum; seq 1 8 | xargs -n 2 sh -c 'echo "$1:$0"'; printf 'a\nb\nEND\nc\n' | xargs -E END
