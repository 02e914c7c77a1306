/* SPDX-License-Identifier: MIT */
/*
 * PVH entry (Xen's x86/HVM direct boot ABI): 32-bit protected mode, paging off, flat segments, ebx = start info.
 * Builds the boot page tables (the low 4 GiB at their own addresses, again at the physmap, and the first GiB at
 * the kernel's addresses), enters long mode and continues in the higher half. boot_pml4 stays: the other CPUs start on it.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PHYS(symbol) (symbol - KERNEL_BASE)
#define PHYSMAP_SLOT 273 /* of PHYSMAP_BASE in the PML4 */

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18 /* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long PHYS(pvh_entry)

    .section .boot.text, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    cld
    cli
    movl $PHYS(boot_stack_top), %esp
    movl %ebx, PHYS(pvh_start_info)

    /* page directories: 2048 pages of 2 MiB, writable, present */
    movl $PHYS(boot_pd), %edi
    movl $0x83, %eax
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b

    movl $PHYS(boot_pd) + 3, %eax
    movl $PHYS(boot_pdpt_low), %edi
    movl $4, %ecx
2:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 2b
    movl $PHYS(boot_pd) + 3, PHYS(boot_pdpt_high) + 510 * 8
    movl $PHYS(boot_pdpt_low) + 3, PHYS(boot_pml4)
    movl $PHYS(boot_pdpt_low) + 3, PHYS(boot_pml4) + PHYSMAP_SLOT * 8
    movl $PHYS(boot_pdpt_high) + 3, PHYS(boot_pml4) + 511 * 8

    movl %cr4, %eax
    orl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER: LME */
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010001, %eax /* PG WP PE */
    movl %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $8, $PHYS(3f)

    .code64
3:  movq $4f, %rax
    jmp *%rax
    .text
4:  xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    pushq %rbp
    jmp pvh_main

    .section .boot.data, "aw"
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 64-bit code */
    .quad 0x00cf93000000ffff /* data */
    .globl boot_gdt_pointer
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .quad PHYS(boot_gdt)
    .balign 8
    .globl pvh_start_info
pvh_start_info:
    .quad 0

    .bss
    .balign 4096
    .globl boot_pml4
boot_pml4:
    .skip 4096
boot_pdpt_low:
    .skip 4096
boot_pdpt_high:
    .skip 4096
boot_pd:
    .skip 4 * 4096
    .globl boot_stack, boot_stack_top
boot_stack:
    .skip 8192
boot_stack_top:
    .section .note.GNU-stack, "", @progbits
