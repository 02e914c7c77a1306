name=/usr/lib/file.tar.gz empty= list='a b  c'
echo "${name##*/} ${name%.*} ${name%%.*} ${name#/usr} ${#name}"
echo "${unset-default} ${empty:-was empty} ${empty-set} ${unset:=now} $unset ${list:+yes}"
for word in $list; do printf '<%s>' "$word"; done; echo
set -- one 'two words' three; echo "$# $1 $2"; for a in "$@"; do printf '[%s]' "$a"; done; printf '(%s)' "$*"; echo
IFS=:; p=a:b:c; set -- $p; echo "$# $3"; echo "$*"
(echo ${nothing?is not set}) 2>/dev/null; echo "status $?"
