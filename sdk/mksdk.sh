#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mksdk.sh OUT MUSL TRIPLE BINUTILS GCC-BINUTILS: lays out the part of the SDK that programs are compiled with. What
# other steps put into OUT stays.
set -eu

out=$1 musl=$2 triple=$3 binutils=$4 gcc_binutils=$5

# Two makes may run in one tree.
mkdir -p "$out"
exec 8>"$out.lock"
flock 8

mkdir -p "$out/bin" "$out/include" "$out/lib" "$out/share/uapi"
cp -R "$musl/include/." "$out/include"
cp -R "$musl/lib/." "$out/lib"
cp -R sdk/libc/. sdk/include/. "$out/include"
cp -R sdk/lib/. "$out/lib"
cp -R sdk/share/. "$out/share"
cp -R sdk/bin/. "$out/bin"

link() # TARGET NAME
{
    ln -sfn "$1" "$out/bin/$2"
}
for name in cc gcc; do
    link motor-cc "$triple-$name"
done
link motor-ld "$triple-ld"
link motor-pkg-config "$triple-pkg-config"
for name in $binutils; do
    link motor-binutils "motor-$name"
    link motor-binutils "$triple-$name"
done
for name in $gcc_binutils; do
    link motor-binutils "$triple-$name"
done

# The Linux kernel's user headers, which many programs include: the C library's own come first.
for name in linux asm-generic mtd; do
    cp -RL "/usr/include/$name" "$out/share/uapi"
done
for dir in /usr/include/x86_64-linux-gnu/asm /usr/include/asm; do
    [ ! -d "$dir" ] || { cp -RL "$dir" "$out/share/uapi"; break; }
done
