#!/bin/sh
# SPDX-License-Identifier: MIT
#
# vmlinux.sh VMLINUZ OUT: the kernel inside a compressed x86 image, as an ELF file that can be started by PVH, so that the guest does
# not spend its boot on decompression. The image's header says where the payload is (Documentation/arch/x86/boot.rst).
set -eu

image=$1 out=$2
field() # OFFSET BYTES
{
    od -A n -t "u$2" -j "$1" -N "$2" "$image" | tr -d ' '
}
# setup_sects (at 0x1f1), payload_offset, payload_length; the payload's last four bytes are its size when unpacked
start=$((($(field 497 1) + 1) * 512 + $(field 584 4)))
length=$(($(field 588 4) - 4))
payload() { tail -c +$((start + 1)) "$image" | head -c $length; }

case $(od -A n -t x1 -j $start -N 4 "$image" | tr -d ' ') in
02214c18) payload | lz4 -dc ;;
fd377a58) payload | xz -dc ;;
28b52ffd) payload | zstd -dc ;;
1f8b*) payload | gzip -dc ;;
*) echo "vmlinux.sh: $image is compressed in a way that is not known here" >&2; exit 1 ;;
esac >"$out.new"
readelf -n "$out.new" 2>/dev/null | grep -q Xen || { echo "vmlinux.sh: $image cannot be started by PVH" >&2; exit 1; }
mv "$out.new" "$out"
