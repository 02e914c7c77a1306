(set -e; false; echo never); echo "e $?"
(set -e; if false; then :; fi; false || true; ! true; echo reached); echo "e $?"
(set -u; echo $nope) 2>/dev/null; echo "u $?"
(set -e; f() { false; echo never; }; f; echo never); echo "f $?"
none_such_command 2>/dev/null; echo "127 $?"
: >notexec; ./notexec 2>/dev/null; echo "126 $?"; /dev 2>/dev/null; echo "dir $?"
(exit 300); echo "300 $?"; eval 'if' 2>/dev/null || echo syntax
