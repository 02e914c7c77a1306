/* SPDX-License-Identifier: MIT */
/*
 * The second stage's low half: its head (struct mbr_config), the way from the boot sector into
 * 32-bit C, the way back into real mode for each call of the BIOS, and the way into the kernel.
 * Everything lies below 64 KiB, so one set of addresses serves both modes.
 */
#include "config.h"

#define CODE32 8
#define DATA32 16
#define CODE16 24
#define DATA16 32
#define STACK  0x7c00

    .section .head, "a"
    .globl mbr_config
mbr_config:
    .ascii MBR_MAGIC
    .org mbr_config + MBR_STAGE2_CODE

    .section .start, "ax"
    .code16
    .globl start /* real mode, dl: the disk */
start:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl gdt_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmp $CODE32, $1f
    .code32
1:  movw $DATA32, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %ax, %fs
    movw %ax, %gs
    movl $STACK, %esp
    movzbl %dl, %edx
    movl $bss_start, %edi
    movl $bss_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb
    pushl %edx
    call mbr_main
    movl $0x18, %eax /* it failed: the next disk's turn */
    pushl $registers
    pushl %eax
    call bios_call
2:  hlt
    jmp 2b

/* void bios_call(uint32_t number, struct bios_registers *r): an interrupt of the BIOS, segments 0. */
    .globl bios_call
bios_call:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl 20(%esp), %eax
    movb %al, number
    movl 24(%esp), %esi
    movl $registers, %edi
    movl $7, %ecx
    rep movsl
    movl %esp, stack
    ljmp $CODE16, $1f
    .code16
1:  movw $DATA16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr0, %eax
    andb $0xfe, %al
    movl %eax, %cr0
    ljmp $0, $2f
2:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %ax, %fs
    movw %ax, %gs
    lidtl real_idt
    movl registers, %eax
    movl registers + 4, %ebx
    movl registers + 8, %ecx
    movl registers + 12, %edx
    movl registers + 16, %esi
    movl registers + 20, %edi
    sti
    .byte 0xcd /* int */
number:
    .byte 0
    cli
    movl %eax, %cs:registers
    movl %ebx, %cs:registers + 4
    movl %ecx, %cs:registers + 8
    movl %edx, %cs:registers + 12
    movl %esi, %cs:registers + 16
    movl %edi, %cs:registers + 20
    pushfl
    popl %cs:registers + 24
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl gdt_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmp $CODE32, $3f
    .code32
3:  movw $DATA32, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %ax, %fs
    movw %ax, %gs
    movl stack, %esp
    movl 24(%esp), %edi
    movl $registers, %esi
    movl $7, %ecx
    rep movsl
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

/* void enter_kernel(uint32_t entry, const struct start_info *info) */
    .globl enter_kernel
enter_kernel:
    movl 4(%esp), %eax
    movl 8(%esp), %ebx
    jmp *%eax

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* 32-bit code and data: all 4 GiB */
    .quad 0x00cf93000000ffff
    .quad 0x00009b000000ffff /* 16-bit code and data: the way to real mode */
    .quad 0x000093000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt
real_idt:
    .word 0x3ff
    .long 0
    .balign 4
registers:
    .skip 28
stack:
    .long 0
    .section .note.GNU-stack, "", @progbits
