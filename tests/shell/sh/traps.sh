trap 'echo usr1' USR1; kill -USR1 $$; echo after
(trap 'echo exit trap' EXIT; exit 4); echo "status $?"
trap 'echo int' INT; kill -INT $$; trap - INT
trap - TERM
