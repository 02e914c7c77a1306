echo one >f; echo two >>f; exec 3<f; read a <&3; read b <&3; echo "$a $b"; exec 3<&-
{ echo out; echo err >&2; } >both 2>&1; while read l; do echo "both: $l"; done <both
set -C; (echo x >f) 2>/dev/null; echo "noclobber $?"; echo x >|f; set +C; read a <f; echo $a
(exec 4>&1 >/dev/null; echo hidden; echo shown >&4)
read a b <<END
1 2 3
END
echo "$a|$b"; : >empty; [ -s empty ]; echo "empty $?"; [ -f f ] && [ ! -e none ] && echo files
cat_ <none 2>/dev/null; echo "none $?"
