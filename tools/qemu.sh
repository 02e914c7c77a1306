#!/bin/sh
# SPDX-License-Identifier: MIT
#
# qemu.sh [OPTION]... [-- QEMU-ARGUMENT...]: boots a kernel in QEMU. The one place that knows how Motor's machines
# are put together; make run, make debug, the tests and the benchmarks all come through here.
#
#   -k KERNEL   kernel (build/kernel/motor.elf)    -b BUNDLE  boot bundle, QEMU's -initrd (of the Linux guest
#                                                             that benchmarks compare with: vmlinux, initramfs)
#   -M MACHINE  microvm (default), q35, pc         -c CPUS    processors (1)
#   -m MEM      memory (128M)                      -a ACCEL   auto (default), tcg, kvm; $MOTOR_ACCEL goes before auto
#   -C CPU      CPU model (max; host with kvm)     -A WORDS   kernel command line
#   -p H:G      TCP port H of 127.0.0.1 reaches port G of the guest; repeatable
#   -n NETDEV   network backend: user (default), none, or a whole -netdev argument with id=net0
#   -d DISK     disk image as virtio-blk, raw or *.qcow2; repeatable
#   -F WAY      boot the first disk, a bootable one: bios, uefi (then -M is q35 unless given), or pvh, which takes
#               kernel and bundle from its EFI partition
#   -I          count instructions: one of the guest's takes 1 ns of its time, on all clocks; tcg, one processor
#   -S          the serial port is no one's: leave it to the QEMU arguments after --
#   -g          wait for gdb on port 1234
#   -P          only print the accelerator that -a auto would take
#
# With a terminal the serial port is on it, and Ctrl-A X quits; otherwise output goes to stdout and stdin is
# left alone. Ends with QEMU's exit status: 0 is a clean power-off, 2v+1 is v written to isa-debug-exit.
set -eu

kernel=build/kernel/motor.elf bundle='' machine='' cpus=1 mem=128M accel=auto cpu='' append=''
forwards='' netdev=user disks='' firmware='' serial=yes gdb='' icount='' probe_only=''

while getopts k:b:M:c:m:a:C:A:p:n:d:F:ISgP option; do
    case $option in
    k) kernel=$OPTARG ;;
    b) bundle=$OPTARG ;;
    M) machine=$OPTARG ;;
    c) cpus=$OPTARG ;;
    m) mem=$OPTARG ;;
    a) accel=$OPTARG ;;
    C) cpu=$OPTARG ;;
    A) append=$OPTARG ;;
    p) forwards="$forwards,hostfwd=tcp:127.0.0.1:${OPTARG%:*}-:${OPTARG#*:}" ;;
    n) netdev=$OPTARG ;;
    d) disks="$disks $OPTARG" ;;
    F) firmware=$OPTARG ;;
    I) icount='-icount shift=0,sleep=off' ;;
    S) serial='' ;;
    g) gdb=yes ;;
    P) probe_only=yes ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))

qemu=${QEMU:-qemu-system-x86_64}

# Whether KVM can run a guest, found out by running one: a /dev/kvm that exists may still fail or hang, and one that is itself emulated
# may lack instructions. The guest is a firmware image of 64 KiB that enters protected mode, loads the FPU's state and ends QEMU with status 3. The answer is kept until the host
# boots again.
probe_kvm()
{
    [ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
    answers=${MOTOR_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/motor}
    answer=$answers/kvm2-$(id -u)-$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown)
    if [ ! -f "$answer" ]; then
        mkdir -p "$answers" 2>/dev/null && rm -f "$answers"/kvm*-"$(id -u)"-* || answer=/dev/null
        image=$(mktemp)
        {
            head -c 65280 /dev/zero
            # 0xff00: smsw ax; or al,1; lmsw ax. Then, if CPUID has XSAVE: CR4 |= OSXSAVE|OSFXSR; XCR0 = 3;
            # xrstor [0x1000]; and for all: mov al,1; out 0xf4,al; hlt
            printf '\017\001\340\014\001\017\001\360'
            printf '\146\270\001\000\000\000\017\242\146\017\272\341\032\163\041\017\040\340\146\015\000\002\004\000'
            printf '\017\042\340\146\061\311\146\061\322\146\270\003\000\000\000\017\001\321\273\000\020\017\256\057'
            printf '\260\001\346\364\364'
            head -c 179 /dev/zero
            # 0xfff0, where a processor starts: jmp 0xff00
            printf '\351\015\377'
            head -c 13 /dev/zero
        } >"$image"
        status=0
        timeout -k 1 3 "$qemu" -M pc -accel kvm -cpu host -m 2M -nodefaults -no-user-config -display none \
            -no-reboot -bios "$image" -device isa-debug-exit,iobase=0xf4,iosize=4 \
            </dev/null >/dev/null 2>&1 || status=$?
        rm -f "$image"
        echo "$status" >"$answer"
    else
        read -r status <"$answer"
    fi
    [ "$status" = 3 ]
}

if [ "$accel" = auto ]; then
    accel=${MOTOR_ACCEL:-auto}
fi
if [ "$accel" = auto ]; then
    accel=tcg
    ! probe_kvm || accel=kvm
fi
if [ "$probe_only" ]; then
    echo "$accel"
    exit
fi

case $accel in
kvm) : "${cpu:=host}" ;;
tcg) : "${cpu:=max}" ;;
*) echo "qemu.sh: no accelerator is called $accel: auto, tcg, kvm" >&2; exit 2 ;;
esac

# QEMU (9 and later) ends itself with "Bad icount read" when the count of a local APIC in x2APIC mode is read.
[ -z "$icount" ] || cpu=$cpu,x2apic=off

case $firmware in
'' | pvh) : "${machine:=microvm}" ;;
bios | uefi) : "${machine:=q35}" ;;
*) echo "qemu.sh: no way to boot is called $firmware: bios, uefi, pvh" >&2; exit 2 ;;
esac

# transport: the last part of virtio device names. Network cards on PCI bring no option ROM along.
case $machine in
microvm)
    machine=microvm,acpi=on,rtc=on,auto-kernel-cmdline=off
    transport=device
    quirks='-global virtio-mmio.force-legacy=false'
    net_options=
    ;;
q35 | pc)
    transport=pci,disable-legacy=on
    quirks=
    net_options=,romfile=
    ;;
*) echo "qemu.sh: no machine is called $machine: microvm, q35, pc" >&2; exit 2 ;;
esac

# Files that are taken from the disk have no name any more when QEMU reads them.
if [ "$firmware" ]; then
    first=${disks# }
    first=${first%% *}
    [ "$first" ] || { echo 'qemu.sh: -F boots a disk: -d names it' >&2; exit 2; }
fi
case $firmware in
bios) boot=no ;;
uefi)
    boot=no
    ovmf=${OVMF:-}
    for code in /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd; do
        [ "$ovmf" ] || [ ! -f $code ] || ovmf=$code
    done
    [ "$ovmf" ] || { echo 'qemu.sh: the UEFI firmware is missing: package ovmf, or its file in $OVMF' >&2; exit 2; }
    ;;
pvh)
    PATH=$PATH:/usr/sbin:/sbin
    esp=$(sfdisk -d "$first" | sed -n 's/.*start= *\([0-9]*\),.*type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B.*/\1/p')
    [ "$esp" ] || { echo "qemu.sh: $first has no EFI partition, or is not raw" >&2; exit 2; }
    esp=$((esp * 512))
    taken=$(mktemp -d)
    trap 'rm -rf "$taken"' EXIT
    mcopy -n -i "$first@@$esp" ::/motor/kernel ::/motor/bundle ::/motor/cmdline "$taken/" || exit 2
    exec 3<"$taken/kernel" 4<"$taken/bundle"
    kernel=/proc/self/fd/3 bundle=/proc/self/fd/4
    append="$(cat "$taken/cmdline") $append"
    rm -rf "$taken"
    trap - EXIT
    boot=yes
    ;;
*) boot=yes ;;
esac

# QEMU puts the bundle at the end of memory, over the kernel if there is no other place.
case $mem in
*[Gg]) mebibytes=$((${mem%?} * 1024)) ;;
*[Mm]) mebibytes=${mem%?} ;;
*) mebibytes=$mem ;;
esac
bytes=$(stat -Lc %s "${bundle:-/dev/null}" 2>/dev/null || echo 0)
least=$(((bytes >> 20) + 3))
if [ "$mebibytes" -lt "$least" ]; then
    echo "qemu.sh: too little memory: kernel and bundle alone take $least MiB" >&2
    exit 2
fi

# Whether this process is in the foreground of a terminal: in the background, reading from it would stop QEMU.
on_terminal()
{
    [ -t 0 ] || return 1
    # Fields after the name, which may hold anything: state, parent, group, session, terminal, its foreground group.
    read -r stat </proc/self/stat
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$3" = "$6" ]
}

set -- -no-user-config -nodefaults -display none \
    -M "$machine" -accel "$accel" -cpu "$cpu" -smp "$cpus" -m "$mem" $icount $quirks \
    -device isa-debug-exit,iobase=0xf4,iosize=4 \
    -object rng-builtin,id=rng0 -device "virtio-rng-$transport,rng=rng0" \
    "$@"
if [ $boot = yes ]; then
    set -- -kernel "$kernel" ${bundle:+-initrd "$bundle"} ${append:+-append "$append"} "$@"
elif [ $firmware = uefi ]; then
    # Variables as the firmware has them at first, each time: without a place for them it keeps them in a file on the disk's EFI
    # partition, and then looks for the disk where another machine had it.
    variables=$(echo "$ovmf" | sed 's/\(.*\)CODE/\1VARS/')
    [ "$variables" = "$ovmf" ] || [ ! -f "$variables" ] ||
        set -- -drive "if=pflash,format=raw,unit=1,snapshot=on,file=$variables" "$@"
    set -- -drive "if=pflash,format=raw,unit=0,readonly=on,file=$ovmf" "$@"
fi
[ "$firmware" ] || set -- -no-reboot "$@"

case $netdev in
none) ;;
user) set -- "$@" -netdev "user,id=net0$forwards" -device "virtio-net-$transport,netdev=net0$net_options" ;;
*) set -- "$@" -netdev "$netdev" -device "virtio-net-$transport,netdev=net0$net_options" ;;
esac
n=0
for disk in $disks; do
    case $disk in
    *.qcow2) format=qcow2 ;;
    *) format=raw ;;
    esac
    set -- "$@" -drive "if=none,id=disk$n,format=$format,file=$disk" -device "virtio-blk-$transport,drive=disk$n"
    n=$((n + 1))
done
[ ! "$gdb" ] || set -- "$@" -s -S

if [ ! "$serial" ]; then
    exec "$qemu" "$@"
elif on_terminal; then
    exec "$qemu" "$@" -serial mon:stdio
else
    exec "$qemu" "$@" -serial stdio </dev/null
fi
