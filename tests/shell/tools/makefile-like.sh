# a small make in shell: targets, dependencies, newer files, only what changed is done again
cat >rules <<'E'
app: main.o util.o
main.o: main.c common.h
util.o: util.c common.h
doc: app readme
E
for f in main.c util.c common.h readme; do echo "$f v1" >$f; touch -d @1000 $f; done
now=2000
build() { # TARGET
    local t=$1 deps d new=0
    deps=$(sed -n "s/^$t: *//p" rules)
    if [ -z "$deps" ]; then [ -e "$t" ] || { echo "no rule for $t"; exit 2; }; return; fi
    for d in $deps; do build $d || return; done
    [ -e "$t" ] || new=1
    for d in $deps; do [ "$t" -ot "$d" ] && new=1; done
    if [ $new = 1 ]; then echo "making $t from $deps"; cat $deps >"$t"; now=$((now + 10)); touch -d @$now "$t"; made=$((made + 1)); fi
    return 0
}
mk() { made=0; (made=0; build "$1"; echo "$made made"); echo "status $?"; now=$(($(stat -c %Y $(ls -t | head -n 1)) + 10)); }
mk doc; mk doc; echo "util.c v2" >util.c; touch -d @$now util.c; mk doc; grep -c v2 doc; touch -d @$((now + 1)) common.h; now=$((now + 2)); mk app; mk app; mk doc; rm main.o; mk doc; rm readme; mk doc; mk none; md5sum app; ls
