#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Services of init: services.exp says what. Then the ends of the machine: the power button of each machine type, with init and with a
# program that is alone; reboot resets, which QEMU's trace tells from a power-off.
. "$(dirname "$0")/lib.sh"

add() { # NAME: a service, described by standard input
    cat >"$scratch/$1.service"
    services="${services:-} -f $scratch/$1.service:/etc/services.d/$1:644"
}

cat >"$scratch/worker" <<'END'
#!/bin/sh
# worker NAME: says that it starts, and when it is told to end
trap 'echo "$1 was told to end"; exit 0' TERM
echo "$1 has started"
while :; do
    sleep 1000 &
    wait $!
done
END

# In the order of their names they would start the other way round.
add a-last <<'END'
command /bin/worker a-last
after b-middle
END
add b-middle <<'END'
command /bin/worker b-middle
after c-task d-none
END
add c-task <<'END'
kind task
command /bin/sh -c 'echo "task as $(id -un), $USER, $HOME in $PWD: $GREETING"; cat'
user nobody
directory /tmp
environment GREETING="hello  there"
END
add limited <<'END'
command /bin/sh -c 'ulimit -S -n; ulimit -H -n; ulimit -S -v; ulimit -S -f; cut -d " " -f 19 /proc/self/stat; exec sleep 1000'
user nobody
log /tmp/limited
limit nofile 100 4K
limit as 512M
nice 7
END
add flaky <<'END'
command /bin/sh -c 'echo flaky is $$; echo to stderr >&2; exec sleep 1000'
log /var/log/flaky
delay 0.25 0.6
END
add once <<'END'
command /bin/sh -c 'exit 3'
restart never
END
add never <<'END'
command /bin/worker never
after broken-task
END
add broken-task <<'END'
kind task
command /bin/false
END
add missing <<'END'
command /bin/no-such-program
delay 30
END
add mistake <<'END'
command /bin/true

colour red
END
add circle-a <<'END'
command /bin/worker circle-a
after circle-b
END
add circle-b <<'END'
command /bin/worker circle-b
after circle-a
END
add stubborn <<'END'
command /bin/sh -c 'trap "" TERM; echo stubborn has started; while :; do sleep 1; done'
stop TERM 0.5
END

# shellcheck disable=SC2086
"$build/host/mkbundle" -1 -i "$build/bundle-base.img" -f "$scratch/worker:/bin/worker:755" $services "$scratch/bundle" -- /sbin/init init || exit 1
for cpus in 1 2; do
    timeout 200 expect "$MOTOR_TOP/tests/system/services.exp" "$scratch/bundle" $cpus || fail "with $cpus CPUs"
done

# The shell on the console comes when a service that starts, too, is busy no longer. It is left out of account that the
# host may stop a machine at any moment: one start of three is enough.
services=
add busy <<'END'
command /bin/sh -c 'i=0; while [ $i -lt 15000 ]; do i=$((i + 1)); done; echo busy no longer; sleep 1; poweroff'
END
# shellcheck disable=SC2086
"$build/host/mkbundle" -1 -i "$build/bundle-base.img" $services "$scratch/bundle" -- /sbin/init init || exit 1
order=
for _ in 1 2 3; do
    timeout 60 "$MOTOR_TOP/tools/qemu.sh" -b "$scratch/bundle" -n none -m 64M </dev/null 2>&1 | tr -d '\r' >"$scratch/serial"
    order=$(grep -o -e 'busy no longer' -e '^motor:' "$scratch/serial" | head -n 2 | tr '\n' ' ')
    [ "$order" != 'busy no longer motor: ' ] || break
done
is "who comes first" "$order" 'busy no longer motor: '

"$build/host/mkbundle" -1 -i "$build/bundle-base.img" "$scratch/bundle" -- /sbin/init init || exit 1
"$build/host/mkbundle" -i "$build/bundle-base.img" -f "$scratch/worker:/bin/worker:755" "$scratch/alone" -- /bin/sh sh /bin/worker alone || exit 1
for machine in microvm q35 pc; do
    for how in button reboot alone; do
        bundle=$scratch/bundle
        [ $how != alone ] || bundle=$scratch/alone
        timeout 200 expect "$MOTOR_TOP/tests/system/power.exp" "$bundle" $how -M $machine -- \
            -trace qemu_system_shutdown_request,file="$scratch/trace" -D "$scratch/trace" || fail "$how on $machine"
        off=no
        ! grep -q qemu_system_shutdown_request "$scratch/trace" || off=yes
        [ $how = reboot ] && wanted=no || wanted=yes
        is "a power-off at the end of $machine by $how" $off $wanted
    done
done
finish
