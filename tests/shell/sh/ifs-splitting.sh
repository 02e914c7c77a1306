# field splitting: blanks, other characters, empty fields, $* and $@ with every kind of IFS
n() { printf '%d:' $#; for a; do printf '<%s>' "$a"; done; echo; }
v=' a  b	c
d '; n $v; n "$v"; IFS=; n $v; IFS=' '; n $v; IFS='
'; n $v; unset IFS; n $v; v=':a::b:'; n $v; IFS=:; n $v; n ''$v''; n $v$v; IFS=': '; v=' : a : : b : '; n $v; IFS=:; v=a; n $v:b; n "$v:b"; v=a:b; n x$v"y"; n $v$v; n "$v"$v; IFS=ab; v=xaybz; n $v; v=aabb; n $v
unset IFS; set -- 'p q' r '' s; n $*; n "$*"; n $@; n "$@"; n "x$@y"; n x$*y; n ${1+"$@"}; n "${@}"z; IFS=:; n $*; n "$*"; n $@; n "$@"; echo "$*"; x=$*; n "$x"; x="$*"; n "$x"; x=$@; n "$x"; IFS=; n "$*"; n $*; IFS=-+; n "$*"; unset IFS; set --; n "$@"; n "$*"; n $@ a; n "a$@b"; n ''"$@"
IFS=,; for i in a,b c,d; do n $i; done; l=a,b,c; for i in $l; do printf '%s;' $i; done; echo; n $(echo 1,2,3); n $((1000 + 1)); v=1001; IFS=0; n $v; n $((v)); n $(echo $v); unset IFS; read a b c <<E
  one   two   three   four  
E
n "$a" "$b" "$c"; IFS=: read a b c <<E
:x::y
E
n "$a" "$b" "$c"; path=/bin:/usr/bin::/x; IFS=:; set -- $path; n "$@"; set -f; v='*:?'; n $v; set +f; unset IFS; e=; n $e; n "$e"; n $e"$e"; n ''; n '' $e; n a$e; n "a"$e'b'; v='"a b"'; n $v; v='a\ b'; n $v; v='$(echo no)'; n $v; n $(printf 'a b\nc'); n "$(printf 'a b\nc')"; n $(printf '\n\n'); IFS=' :'; v='a : b:c  d'; n $v; IFS='	'; v='a	b c'; n $v
