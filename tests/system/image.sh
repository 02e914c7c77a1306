#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Bootable disks: one image boots by UEFI, by a BIOS and by PVH on every machine, serves from its ext4 root, and keeps what was written over
# all of them; the host reads it, and e2fsck finds nothing. motor-image makes the same image of the same contents, whoever runs it. What is
# missing or damaged is said on the serial port.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
tool=$sdk/bin/motor-image
page=04897330e996739d8c3a81a8394a55ce303bb1b790a3e542d8125b20a4e5ed13

# ---- making ----

tester=$scratch/tester
mkdir -p "$tester/files/sbin"
"$sdk/bin/motor-cc" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -o "$tester/files/sbin/tester" "$MOTOR_TOP/tests/programs/image.c" || exit 1
cat >"$tester/manifest" <<'END'
name tester
port 7/tcp
port 53/udp
memory 96M
directory "/data" 750 33:34
directory "/srv/with blank" 2755 root
link "/srv/a link" /data/log
END
image=$scratch/disk.img
content=$("$tool" -o "$image" --package "$build/packages/nginx" --package "$tester" --init /sbin/tester) || exit 1
case $content in
*' 64 MiB, of which '[0-5].*' MiB are content') ;;
*) fail "the image is $content" ;;
esac
sfdisk -V "$image" >"$scratch/out" 2>&1 || fail "sfdisk: $(cat "$scratch/out")"
start=$(sfdisk -d "$image" | sed -n 's/.*img3 : start= *\([0-9]*\),.*/\1/p')
root="$image?offset=$((start * 512))"

check_root() { # WHEN
    e2fsck -fn "$root" >"$scratch/e2fsck" 2>&1 || { fail "$1: e2fsck complains"; cat "$scratch/e2fsck"; }
}
check_root 'a new image'
on_host() { debugfs -R "$1" "$root" 2>/dev/null; }
is 'owner and mode of a directory' "$(on_host 'stat /data' | sed -n 's/.*Mode: *\([0-7]*\).*/\1/p; s/^User: *\([0-9]*\) *Group: *\([0-9]*\).*/\1:\2/p' | tr '\n' ' ')" '0750 33:34 '
is 'mode of another' "$(on_host 'stat "/srv/with blank"' | sed -n 's/.*Mode: *\([0-7]*\).*/\1/p')" 02755
is 'a link' "$(on_host 'stat "/srv/a link"' | sed -n 's/^Fast link dest: //p')" '"/data/log"'
is 'time and owner of a file' "$(on_host 'stat /sbin/tester' | sed -n 's/^User: *\([0-9]*\).*/\1/p; s/^ *mtime: \(0x[0-9a-f]*\).*/\1/p' | tr '\n' ' ')" '0 0x386d4380 '

# The same of an archive, by another user, elsewhere and later.
tar -czf "$scratch/tester.mpk" -C "$tester" manifest files
chmod 755 "$scratch"
mkdir -m 777 "$scratch/other"
as='' from=$build
[ "$(id -u)" != 0 ] || as='setpriv --reuid=65534 --regid=65534 --clear-groups'
if ! $as test -r "$build/sdk/bin/motor-image"; then # built in somebody's home
    from=$scratch/build
    mkdir "$from" && cp -r "$build/sdk" "$build/packages" "$from"
fi
(umask 077 && cd "$scratch/other" && $as "$from/sdk/bin/motor-image" -o disk.img --package "$from/packages/nginx" --package "$scratch/tester.mpk" --init /sbin/tester >/dev/null) ||
    fail 'motor-image as nobody'
cmp "$image" "$scratch/other/disk.img" || fail 'two images of the same contents differ'
rm -f "$scratch/other/disk.img"

"$tool" -o "$scratch/other/disk.qcow2" --package "$build/packages/nginx" --package "$tester" --init /sbin/tester >/dev/null
qemu-img compare -q "$image" "$scratch/other/disk.qcow2" || fail 'qcow2 has other contents'
python3 - "$scratch/other/disk.xml" "$scratch/other/disk.qcow2" <<'END' || fail 'the description for libvirt'
import sys, xml.etree.ElementTree as tree
d = tree.parse(sys.argv[1]).getroot()
assert d.find("name").text == "disk" and int(d.find("memory").text) == (64 + 96) * 1024
assert d.find("devices/disk/source").get("file") == sys.argv[2] and d.find("devices/disk/driver").get("type") == "qcow2"
END
rm -rf "$scratch/other"

refuses() { # TEXT LINE...: a manifest with these lines is refused with this text
    local text=$1
    shift
    mkdir -p "$scratch/bad"
    printf '%s\n' "$@" >"$scratch/bad/manifest"
    ! "$tool" -o "$scratch/bad.img" --package "$scratch/bad" >"$scratch/out" 2>&1 || fail "accepted: $*"
    grep -q "$text" "$scratch/out" || fail "$* is refused with: $(cat "$scratch/out")"
    [ ! -e "$scratch/bad.img" ] || fail "$* left an image"
}
refuses 'manifest: it has no name' 'version 1'
refuses 'manifest:2: unknown word' 'name x' 'nmae y'
refuses 'manifest:2: a port is' 'name x' 'port 70000'
refuses 'manifest:1: a name has' 'name ../x'
refuses 'manifest:3: .* no such path' 'name x' '# a comment' 'mode /none 644'
refuses 'manifest:2: .* not an absolute path' 'name x' 'directory /a/../b'
refuses 'manifest:2: no such user' 'name x' 'owner /etc/passwd nobody-has-this-name'
refuses 'manifest:2: a quote' 'name x' 'link "/a b'
refuses 'manifest:2: it has no service' 'name x' 'limit nofile 5'
printf 'command /bin/x\n' >"$scratch/bad/service"
refuses 'manifest:3: no such limit' 'name x' '' 'limit files 5'
refuses 'manifest:2: the limit is above' 'name x' 'limit nofile 5 4'
printf 'command /bin/x\ncolour red\n' >"$scratch/bad/service"
refuses 'service:2: unknown word' 'name x'
rm "$scratch/bad/service"
! "$tool" -o "$scratch/bad.img" --init '/sbin/none -x' >"$scratch/out" 2>&1 && grep -q 'no such program for process 1' "$scratch/out" || fail "a process 1 that is not there: $(cat "$scratch/out")"
! "$tool" -o "$scratch/bad.img" -s 8M >"$scratch/out" 2>&1 && grep -q 'need a disk of [0-9]* MiB' "$scratch/out" || fail "a disk too small: $(cat "$scratch/out")"

# ---- booting ----

http=$(free_port)
line=$(free_port)
expected=''

ask() { timeout 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$line && echo '$*' >&3 && cat <&3"; }

serves() { # WHEN: nginx serves from the disk, and all that was written is there
    wait_http "http://127.0.0.1:$http/" 90 || { fail "$1 does not serve: $(tail -n 20 "$scratch/serial")"; return; }
    is "$1: 1 MiB" "$(curl -s -m 60 "http://127.0.0.1:$http/1m.bin" | sha256sum)" "$page  -"
    is "$1: what was written" "$(ask show)" "$expected"
}

boots() { # WAY MACHINE [reboot]: by a power-off at the end
    local when="$1 on $2" vm
    timeout 200 "$MOTOR_TOP/tools/qemu.sh" -a tcg -m 128M -F "$1" -M "$2" -d "$image" -p "$http:80" -p "$line:7" </dev/null >"$scratch/serial" 2>&1 &
    vm=$!
    pids="$pids $vm"
    serves "$when"
    is "$when: append" "$(ask append "$when")" ok
    expected=$expected${expected:+$'\n'}$when
    if [ $# -gt 2 ]; then
        ask reboot
        serves "$when, again"
    fi
    ask poweroff
    wait "$vm"
    is "$when: QEMU's status" $? 0
    check_root "$when"
    is "$when: the host reads" "$(on_host 'cat /data/log')" "$expected"
}

boots bios pc reboot
boots uefi q35
boots pvh microvm reboot
boots bios q35
boots pvh q35
boots uefi pc
boots pvh pc
is 'lines that were written' "$(wc -l <<<"$expected")" 7

# On a larger disk the root grows.
blocks() { on_host 'stats -h' | sed -n 's/^Block count: *//p'; }
before=$(blocks)
truncate -s 160M "$image"
boots pvh microvm
grep -q 'vda3: the file system has grown' "$scratch/serial" || fail "the root does not grow: $(cat "$scratch/serial")"
is 'blocks that the root has gained' $((($(blocks) - before) / 256)) 96
sfdisk -V "$image" 2>&1 | grep -q 'No errors detected' || fail "the table of a grown disk: $(sfdisk -V "$image" 2>&1)"

# With init as process 1, which starts the service of the package.
"$tool" -o "$scratch/whole.img" --package "$build/packages/nginx" >/dev/null || fail 'an image with init'
timeout 200 "$MOTOR_TOP/tools/qemu.sh" -a tcg -m 128M -F bios -M q35 -d "$scratch/whole.img" -p "$http:80" </dev/null >"$scratch/serial" 2>&1 &
vm=$!
pids="$pids $vm"
wait_http "http://127.0.0.1:$http/" 90 || fail "init does not start nginx: $(tail -n 20 "$scratch/serial")"
kill "$vm"
wait "$vm" 2>/dev/null

# ---- failing ----

says() { # TEXT QEMU.SH-OPTION...
    local text=$1 vm end=$((SECONDS + 60))
    shift
    : >"$scratch/serial"
    timeout 90 "$MOTOR_TOP/tools/qemu.sh" -a tcg -m 128M -n none "$@" </dev/null >"$scratch/serial" 2>&1 &
    vm=$!
    until grep -q "$text" "$scratch/serial"; do
        [ $SECONDS -lt $end ] && kill -0 $vm 2>/dev/null || { sleep 0.5; break; }
        sleep 0.1
    done
    grep -q "$text" "$scratch/serial" || fail "$*: not '$text', but: $(tail -n 5 "$scratch/serial")"
    kill $vm 2>/dev/null
    wait $vm 2>/dev/null
}
esp=$image@@1M
mcopy -i "$esp" ::/motor/kernel ::/motor/bundle "$scratch" || exit 1
timeout 60 "$MOTOR_TOP/tools/qemu.sh" -a tcg -n none -k "$scratch/kernel" -b "$scratch/bundle" -A root=vda9 -d "$image" </dev/null >"$scratch/serial" 2>&1
is 'the status without a root' $? 3
grep -q 'root=vda9: no such device' "$scratch/serial" && grep -q '  vda3 [0-9a-f-]*' "$scratch/serial" || fail "without a root: $(cat "$scratch/serial")"

cp --sparse=always "$image" "$scratch/broken.img"
mdel -i "$scratch/broken.img@@1M" ::/motor/bundle
says 'motor: boot: \\motor\\bundle: there is no such file' -F uefi -d "$scratch/broken.img"
python3 - "$scratch/broken.img" "$scratch/kernel" <<'END' # one bit of the kernel
import sys
kernel = open(sys.argv[2], "rb").read()
with open(sys.argv[1], "r+b") as disk:
    at = disk.read().index(kernel) + len(kernel) // 2
    disk.seek(at)
    disk.write(bytes([kernel[len(kernel) // 2] ^ 4]))
END
says 'motor: boot: \\motor\\kernel: it is damaged' -F uefi -d "$scratch/broken.img"
says 'motor: boot: the kernel: it is damaged' -F bios -d "$scratch/broken.img"
dd if=/dev/zero of="$scratch/broken.img" bs=512 seek=64 count=64 conv=notrunc status=none
says 'motor: boot: the second stage is not where it was put' -F bios -d "$scratch/broken.img"
finish
