# an ini file edited by functions of sed and grep: get, set, add, remove, sections, comments kept
cat >conf.ini <<'E'
; a comment
[server]
host = localhost
port=8080

[client]
timeout = 30
# another
retries=3
E
get() { sed -n "/^\[$1\]/,/^\[/s/^$2 *= *//p" conf.ini; }
put() {
    if [ -n "$(get "$1" "$2")" ]; then sed -i "/^\[$1\]/,/^\[/s/^$2 *=.*/$2 = $3/" conf.ini
    elif grep -q "^\[$1\]" conf.ini; then sed -i "/^\[$1\]/a\\
$2 = $3" conf.ini
    else printf '\n[%s]\n%s = %s\n' "$1" "$2" "$3" >>conf.ini; fi
}
del() { sed -i "/^\[$1\]/,/^\[/{/^$2 *=/d}" conf.ini; }
get server host; get server port; get client timeout; get client none; put server port 9090; get server port; put client name test; get client name; put new key value; get new key; del client retries; get client retries; cat conf.ini; put server host example.org; put server host other; grep -c host conf.ini; grep -v '^[;#]' conf.ini | grep -c =
sections() { sed -n 's/^\[\(.*\)\]$/\1/p' conf.ini; }; for s in $(sections); do echo "-- $s"; sed -n "/^\[$s\]/,/^\[/p" conf.ini | grep = | sed 's/ *= */=/' | sort | while IFS='=' read -r k v; do echo "$s.$k -> $v"; done; done; i=0; while [ $i -lt 15 ]; do put loop k$i $i; i=$((i + 1)); done; get loop k7; sections | wc -l; cp conf.ini copy; put server port 1; diff -u -L a -L b copy conf.ini
