/* SPDX-License-Identifier: MIT */
/*
 * Where another CPU starts: real mode at TRAMPOLINE (copied there by smp.c), straight to long mode on the boot page
 * tables, then to the kernel's own; it takes the next id, and with it the stack made for that.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PHYS(symbol) (symbol - KERNEL_BASE)
#define TRAMPOLINE 0x8000
#define HERE(symbol) (symbol - smp_trampoline + TRAMPOLINE)

    .section .rodata
    .globl smp_trampoline, smp_trampoline_end
    .code16
smp_trampoline:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl HERE(gdt_pointer)
    movl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax /* LME NXE */
    wrmsr
    movl $0x80010011, %eax /* PG WP ET PE */
    movl %eax, %cr0
    ljmpl $8, $HERE(1f)
    .code64
1:  movq $smp_entry, %rax
    jmp *%rax
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word 23
    .long HERE(gdt)
smp_trampoline_end:

    .text
smp_entry:
    movq arch_kernel_root(%rip), %rax
    movq %rax, %cr3
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $1, %edi
    lock xaddl %edi, smp_next(%rip)
    cmpl smp_prepared(%rip), %edi
    jae 2f
    movq smp_stack(,%rdi,8), %rsp
    xorl %ebp, %ebp
    pushq %rbp
    jmp smp_main
2:  hlt /* one more than was prepared for */
    jmp 2b

    .section .note.GNU-stack, "", @progbits
