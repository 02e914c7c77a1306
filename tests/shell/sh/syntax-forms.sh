# compound commands in every layout the grammar allows, comments, continuation, keywords as words
if true
then echo 1
elif false; then echo no
else echo no; fi
if
    true
    true
then
    echo 2
fi
for i in a b
do echo $i; done
for i
do echo never; done
set -- x y
for i
do
    echo $i
done
for i in; do echo no; done; for i in a; do { echo $i; } done
while false; do :; done; until true; do :; done
case a in a) echo c1 ;; esac; case a in (a) echo c2 ;; (b) ;; esac
case a in
    # comment
    b | c) echo no ;;
    a | \
        d)
        echo c3
        ;;
esac
case x in x) echo last; esac; case y in esac; echo "empty $?"
{ echo g1; }; { echo g2
}; (echo s1); ( (echo s2) ); (
    echo s3
)
f() { echo f1; }; f
g()
{
    echo f2
}
g; h() (echo f3); h; k() if true; then echo f4; fi; k; l() for i in 1 2; do echo f5$i; done; l; m() case $1 in a) echo f6;; esac; m a; n() { echo redirected; } >out; n; cat out
echo a && echo b || echo no; echo a &&
    echo b ||
    echo no
! false; echo $?; true & wait; echo and; true; false; echo $?;
echo if then else fi for do done case esac while until { } ! in; echo 'a'"b"c\ d; echo a#b #c
# a comment with 'quotes and "more
echo \#; echo after; : 'no output' "at all" $(true) `true` ${x-} $((1)); x=1 y=2; echo $x$y; x= ; echo "<$x>"; a=b=c; echo $a; 1=x 2>/dev/null; echo $?; _x9=ok; echo $_x9; echo ${_x9}; echo $_x9.; >made; ls made; <made; echo $?; >m1 >m2 echo two; cat m1 m2; 2>/dev/null ls none; echo $?; echo x>y; cat y; echo 1>z; wc -c <z; echo 1 >z; cat z; eval ''; eval ' '; eval '
'; sh -c '
# only a comment
'; echo $?; sh -c 'if' 2>/dev/null; echo $?; sh -c 'fi' 2>/dev/null; echo $?; sh -c 'echo "unterminated' 2>/dev/null; echo $?; sh -c 'case x in' 2>/dev/null; echo $?; sh -c '(' 2>/dev/null; echo $?; sh -c ')' 2>/dev/null; echo $?; sh -c 'a b c (' 2>/dev/null; echo $?; sh -c 'for 1 in a; do :; done' 2>/dev/null; echo $?; sh -c ';' 2>/dev/null; echo $?; sh -c '&' 2>/dev/null; echo $?; sh -c 'echo a;; echo b' 2>/dev/null; echo $?; sh -c 'f( { :; }' 2>/dev/null; echo $?; sh -c '{ echo a' 2>/dev/null; echo $?; sh -c 'echo ${' 2>/dev/null; echo $?; sh -c 'echo $((1+)' 2>/dev/null; echo $?
