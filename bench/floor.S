/* SPDX-License-Identifier: MIT */
/*
 * The least kernel: it ends QEMU as soon as it runs. The time that takes is QEMU's own, and is
 * beside the boot times of the guests. Started by PVH, in protected mode, 32 bits.
 */
    .section .note.pvh, "a", @note
    .long 4, 4, 18 /* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .text
    .globl start
start:
    movb $1, %al
    outb %al, $0xf4 /* isa-debug-exit */
    hlt
