# the shell's patterns on file names
mkdir -p g/sub1 g/sub2 g/.hs; cd g; for f in a b ab abc 1 2 12 A.c b.c c.h .hid '[x]' 'a b' 'q*q' '-d' sub1/x sub1/y sub2/x; do : >"$f"; done
e() { printf '<%s>' "$@"; echo; }
e *; e ?; e ??; e [a-b]; e [!a-b]; e *.c; e [[:upper:]]*; e [[:digit:]]; e .*; e */x; e */*; e sub[12]/?; e *\**; e \[x\]; e "*"; e '*'.c; e nothing*; e */; e ./*.c; e "a "*; e [a-b]*[c-d]; e *[!a-z]; e sub*/[xy]; e */../a; p='*.c'; e $p; e "$p"; set -f; e *; set +f; e [-a]*; e []x]*; e [x[]*; e *'b'; e \a*
for f in *.c; do echo "$f is ${f%.c}"; done; set -- *; echo $#; case 'a b' in a?b) echo matched;; esac; case x in [!x]) echo no;; [[:alpha:]]) echo alpha;; esac; case '*' in \*) echo star;; esac; case abc in a*c) echo 1;; esac; case .hid in *) echo dot;; esac; case a/b in *) echo slash;; esac
cd ..; e g/*.c; e g/s*/x; e */sub1/x; e /dev/nul[l]; e g/*/*; mkdir z; cd z; e *; e .*; IFS=x; v='a*x*'; e $v; unset IFS; : >'new
line'; e *; : >'?'; e \?; rm '?'; e "*$(echo '*')"; rm -f -- *; e *
