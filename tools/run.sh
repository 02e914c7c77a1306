#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh PORT ACCEL QEMU.SH-OPTION...: what make run does when everything is built: says what boots, where it answers
# and how to quit, and becomes QEMU.
set -eu

port=$1 accel=$2
shift 2
here=$(dirname "$0")

accel=$("$here/qemu.sh" -P -a "$accel")
if [ -t 0 ]; then
    shell='Here is a shell: poweroff ends the machine, and so does Ctrl-A X at once.'
else
    shell="Its console goes here; quit with: kill $$"
fi
cat <<END

  Motor boots nginx (accelerator: $accel) on http://localhost:$port/
  A file of 1 MiB is http://localhost:$port/1m.bin
  $shell

END
exec "$here/qemu.sh" -a "$accel" "$@"
