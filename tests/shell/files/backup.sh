# a nightly backup, as people write it: full and changed files, checksums, rotation, restore
mkdir -p home/docs home/pics; for i in 1 2 3 4 5; do seq $i 100 >home/docs/d$i; head -c $((i * 500)) /dev/zero >home/pics/p$i; done; touch -d @1000 home/docs/* home/pics/*
backup() { # NAME SINCE
    find home -type f -newer "$2" | sort >list; tar cf "$1.tar" -T list; (cd . && xargs sha256sum <list) >"$1.sums"; gzip -f "$1.tar"; echo "$1: $(wc -l <list) files"
}
touch -d @0 epoch; backup full epoch; touch -d @2000 mark; echo new >home/docs/d6; echo changed >>home/docs/d1; backup changes mark; zcat changes.tar.gz | tar tf - | sort
rotate() { i=3; while [ $i -gt 1 ]; do [ -e "b.$((i - 1))" ] && mv "b.$((i - 1))" "b.$i"; i=$((i - 1)); done; [ -e b ] && mv b b.1; return 0; }
for run in 1 2 3 4 5; do rotate; echo "run $run" >b; done; for f in b b.1 b.2 b.3; do [ -e $f ] && echo "$f $(cat $f)"; done
mkdir restore; zcat full.tar.gz | tar xf - -C restore; (cd restore && sha256sum -c ../full.sums) | sort; zcat changes.tar.gz | tar xf - -C restore; diff -r home restore/home && echo restored; rm -r home; cp -r restore/home .; find home -type f | sort | xargs sha256sum | sha256sum; cat full.sums changes.sums | sort -k2 | cut -c67- | uniq -d
