/* SPDX-License-Identifier: MIT */
/*
 * From the firmware's 64-bit mode to the kernel's 32-bit entry: rdi = entry, rsi = start info. The
 * code is copied to a page below 4 GiB, which the firmware maps at its own address, and refers to
 * nothing else: it goes through compatibility mode, turns paging off, and with it long mode.
 */
#define CODE32 8
#define DATA32 16
#define EFER   0xc0000080
#define EFER_LME 0x100
#define CR0_PG 0x80000000

    .text
    .code64
    .globl enter_start, enter_end
    .balign 16
enter_start:
    cli
    cld
    movl %esi, %ebx
    leaq gdt(%rip), %rax
    movq %rax, gdt_pointer + 2(%rip)
    lgdt gdt_pointer(%rip)
    leaq 1f(%rip), %rax
    pushq $CODE32
    pushq %rax
    lretq
    .code32
1:  movl $DATA32, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl %cr0, %eax
    andl $~CR0_PG, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    rdmsr
    andl $~EFER_LME, %eax
    wrmsr
    xorl %eax, %eax
    movl %eax, %cr4
    jmp *%edi

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* 32-bit code and data: all 4 GiB */
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .quad 0
enter_end:
    .section .note.GNU-stack, "", @progbits
