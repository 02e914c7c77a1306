#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs that use what there is without end (tests/programs/nuisance.c), as root and as nobody, beside nginx and a shell:
# nuisance.exp says what must hold. NUISANCE_MODES: which.
. "$(dirname "$0")/lib.sh"

"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -g -pthread -o "$scratch/nuisance" "$MOTOR_TOP/tests/programs/nuisance.c" || exit 1
"$build/host/mkbundle" -i "$build/bundle-nginx.img" -f "$scratch/nuisance:/usr/bin/nuisance:755" "$scratch/bundle" || exit 1
for mode in ${NUISANCE_MODES:-circles parcels ptys locks execs storm}; do
    for cpus in 1 2; do
        [ $cpus = 1 ] && user=root || user=nobody
        timeout 300 expect "$MOTOR_TOP/tests/system/nuisance.exp" "$scratch/bundle" "$(free_port)" $cpus "$mode" $user ||
            fail "$mode as $user with $cpus CPUs"
    done
done
finish
