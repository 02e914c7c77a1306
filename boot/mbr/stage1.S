/* SPDX-License-Identifier: MIT */
/*
 * The boot sector: the BIOS loads it to 0x7c00 and leaves the disk's number in dl. Reads the second
 * stage to STAGE2 and goes there, dl as it was. What goes wrong is said on the first serial port;
 * then the BIOS may try the next disk. motor-image puts the partition table and the place of the
 * second stage into it (config.h).
 */
#include "config.h"

#define STAGE2 0x8000
#define COM1   0x3f8

    .code16
    .globl stage1
stage1:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    ljmp $0, $1f
1:  sti
    cld
    pushw %dx
    movw $no_extensions, %si
    movb $0x41, %ah /* are there the calls that count sectors in 64 bits? */
    movw $0x55aa, %bx
    int $0x13
    jc fail
    cmpw $0xaa55, %bx
    jne fail
    popw %dx
    pushw %dx

    movw fields + 8, %ax
    movw %ax, packet + 2
    movl fields, %eax
    movl %eax, packet + 8
    movl fields + 4, %eax
    movl %eax, packet + 12
    movw $cannot_read, %si
    movw $packet, %di
    xchgw %si, %di
    movb $0x42, %ah /* read */
    int $0x13
    movw $cannot_read, %si
    jc fail
    popw %dx
    movw $no_stage2, %si
    cmpl $0x4f544f4d, STAGE2 /* the start of MBR_MAGIC */
    jne fail
    ljmp $0, $STAGE2 + MBR_STAGE2_CODE

/* Says what is at si, and gives the next disk its turn. */
fail:
    lodsb
    testb %al, %al
    jz 2f
    movb %al, %bl
    movw $COM1 + 5, %dx
    xorw %cx, %cx
1:  inb %dx, %al
    testb $0x20, %al
    loopz 1b /* until it takes a byte; not for ever, where there is no such port */
    movw $COM1, %dx
    movb %bl, %al
    outb %al, %dx
    jmp fail
2:  int $0x18
3:  hlt
    jmp 3b

    .balign 4
packet: /* of the read call */
    .byte 16, 0
    .word 0      /* sectors */
    .word STAGE2 /* to this offset */
    .word 0      /* in this segment */
    .quad 0      /* from this sector */

no_extensions:
    .asciz "motor: boot: this BIOS cannot read the disk by sector numbers\r\n"
cannot_read:
    .asciz "motor: boot: the disk cannot be read\r\n"
no_stage2:
    .asciz "motor: boot: the second stage is not where it was put\r\n"

    .org stage1 + MBR_STAGE1_FIELDS
fields: /* struct mbr_stage1_fields */
    .quad 0
    .word 0
    .org stage1 + MBR_STAGE1_SIZE
