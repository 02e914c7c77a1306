# ls: order, columns, kinds, recursion, hidden files; du of nothing; file kinds
mkdir -p d/sub/deep; for f in b a C .hid 'with blank' 10 9; do echo "$f" >"d/$f"; done; ln -s a d/l; chmod 755 d/b; mkdir d/.hd; touch -d @0 d/*
ls d; ls -1 d; ls -a d; ls -A d; ls -r d; ls -F d; ls -p d; ls -d d d/a; ls -R d; ls -m d; ls -C d; ls -x d; ls -b d; ls -s /dev/null | wc -l; ls -S d/a d/10; ls -t d | head -n 1; ls d/a missing; echo "status $?"; ls -dF d/*; ls -aF d
ls -ln d/a | cut -d' ' -f1,2; ls -L -F d/l; ls -q d | wc -l; cd d; ls *; ls -d .*; ls -l | sed '1d;s/ .*//' ; for f in a b l sub; do file $f; done; : >e; file e; printf '\177ELF' >x; echo '#!/bin/sh' >s; file s; file /dev/null; printf 'a\0b' >bin; file bin
mkdir many; cd many; seq 1 300 | while read -r n; do : >file$n; done; ls | wc -l; ls | head -n 3; ls -f | wc -l; echo * | wc -w; rm file?; ls | wc -l; rm file??; ls | wc -l; rm *; ls | wc -l
