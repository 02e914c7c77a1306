# case: patterns, alternatives, quoting, classes, fall to default
k() {
    case $1 in
        [0-9]) echo digit ;; [0-9]*[!0-9]*) echo mixed ;; [0-9]*) echo number ;; [a-z]*) echo lower ;; [A-Z]*) echo upper ;; -*) echo option ;; '') echo empty ;;
        '*' | \?) echo "wild $1" ;; *' '*) echo blank ;; ./* | ../*) echo relative ;; /*) echo absolute ;; *) echo "other $1" ;;
    esac
}
for w in 5 42 4x2 abc ABC -v '' '*' '?' ' x y' ./a ../b /etc '#' '{x}' '[ab]' '_a'; do k "$w"; done
v='a*c'; case abc in $v) echo var;; esac; case abc in "$v") echo quoted;; *) echo literal;; esac; case 'a*c' in "$v") echo exact;; esac; case x in (x) echo paren;; esac; case $(echo sub) in sub) echo command;; esac
case 5 in $((2 + 3))) echo arith;; esac; case a in b) ;; esac; echo $?; case a in a) false;; esac; echo $?; case a in a) ;; esac; echo $?
case 'a]b' in a[]]b) echo bracket;; esac; case 'a-b' in a[x-]b) echo dash;; esac; case 'a\b' in a\\b) echo backslash;; esac; case a in [[:alpha:]]) echo class;; esac; case ' ' in [[:space:]]) echo space;; esac; case 'x.y.z' in *.*.*) echo dots;; esac; case abcd in ?b??) echo marks;; esac; case aXb in a[!a-z]b) echo not;; esac
yn() { case $1 in [yY] | [yY][eE][sS]) return 0 ;; [nN]*) return 1 ;; *) return 2 ;; esac; }
for a in y YES yes Yess no N maybe; do yn $a; echo "$a $?"; done
semver() { case $1 in *.*.*.*) echo bad ;; *[!0-9.]*) echo letters ;; *.*.*) echo ok ;; *) echo short ;; esac; }
semver 1.2.3; semver 1.2; semver 1.2.3.4; semver 1.x.3
i=0; while [ $i -lt 31 ]; do case $((i % 5)):$((i % 3)) in 0:0) echo FizzBuzz;; 0:*) echo Buzz;; *:0) echo Fizz;; *) echo $i;; esac; i=$((i + 1)); done
