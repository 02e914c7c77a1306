/* SPDX-License-Identifier: MIT */
/*
 * Ways into the kernel and out: `syscall`, exceptions and interrupts, and the switch between kernel stacks.
 *
 * Every entry from user mode builds a whole struct trap_frame at the top of the thread's kernel stack. Leaving looks at
 * thread.return_work and cpu.resched with interrupts off, so nothing posted before is missed. `sysret` is used only for
 * frames that `syscall` made, whose rip is a user address: with a non-canonical rip it would fault in kernel mode on
 * the user's stack (Intel SDM, SYSRET). The kernel's state is the same after each way in, SS included: the emulator
 * translates code once for each state that it has met it in. Offsets are asserted in cpu.c.
 */
#define CPU_KERNEL_RSP 8
#define CPU_USER_RSP 16
#define CPU_CURRENT 24
#define CPU_RESCHED 57
#define THREAD_RETURN_WORK 76
#define FRAME_RCX 96
#define FRAME_R11 32
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RFLAGS 152
#define FRAME_RSP 160
#define VECTOR_SYSCALL 0x100
#define USER_CODE 0x2b
#define USER_DATA 0x23
#define KERNEL_DATA 0x10

.macro PUSH_REGISTERS
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro POP_REGISTERS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
.endm

    .text
    .globl syscall_entry
syscall_entry:
    swapgs
    movq %rsp, %gs:CPU_USER_RSP
    movq %gs:CPU_KERNEL_RSP, %rsp
    pushq $USER_DATA
    pushq %gs:CPU_USER_RSP
    pushq %r11
    pushq $USER_CODE
    pushq %rcx
    pushq $0
    pushq $VECTOR_SYSCALL
    PUSH_REGISTERS
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call syscall_dispatch

return_to_user: /* rsp = trap frame */
    movq %gs:CPU_CURRENT, %rax
    movl THREAD_RETURN_WORK(%rax), %ecx
    orb %gs:CPU_RESCHED, %cl
    jnz 2f
    cmpl $VECTOR_SYSCALL, 120(%rsp)
    jne 1f
    movq FRAME_RIP(%rsp), %rcx
    movq %rcx, %rdx
    shrq $47, %rdx
    jnz 1f
    cmpq %rcx, FRAME_RCX(%rsp) /* changed by an upcall or the other entry? */
    jne 1f
    movq FRAME_RFLAGS(%rsp), %r11
    cmpq %r11, FRAME_R11(%rsp)
    jne 1f
    POP_REGISTERS
    movq FRAME_RSP - 120(%rsp), %rsp
    swapgs
    sysretq
1:  POP_REGISTERS
    addq $16, %rsp
    swapgs
    iretq
2:  movq %rsp, %rdi
    call thread_return_work
    jmp return_to_user

    .globl arch_return_to_user
arch_return_to_user:
    movq %gs:CPU_KERNEL_RSP, %rsp
    subq $176, %rsp
    xorl %ebp, %ebp
    jmp return_to_user

/* ---- exceptions and interrupts ---- */

trap_common: /* vector and error code are on the stack */
    PUSH_REGISTERS
    cld
    testb $3, FRAME_CS(%rsp)
    jz 1f
    swapgs
    movl $KERNEL_DATA, %eax /* as after `syscall`: an interrupt has made it null */
    movl %eax, %ss
    cmpb $0, cpu_has_smap(%rip)
    je 2f
    clac
2:  movq %rsp, %rdi
    xorl %ebp, %ebp
    call trap_dispatch
    jmp return_to_user
1:  cmpb $0, cpu_has_smap(%rip)
    je 3f
    clac
3:  movq %rsp, %rdi
    call trap_dispatch
    POP_REGISTERS
    addq $16, %rsp
    iretq

.altmacro
.macro TRAP vector
trap_\vector:
    .if (\vector == 8) || ((\vector >= 10) && (\vector <= 14)) || (\vector == 17) || (\vector == 21) || (\vector == 29) || (\vector == 30)
    .else
    pushq $0
    .endif
    pushq $\vector
    jmp trap_common
.endm

.set n, 0
.rept 256
    TRAP %n
    .set n, n + 1
.endr

.macro ENTRY vector
    .quad trap_\vector
.endm
    .section .rodata
    .balign 8
    .globl trap_entries
trap_entries:
.set n, 0
.rept 256
    ENTRY %n
    .set n, n + 1
.endr

/* Non-maskable: it may come before a swapgs, so it trusts nothing. During a panic it stops this CPU, else it is nobody's. */
    .text
    .globl nmi_entry
nmi_entry:
    cmpb $0, panicking(%rip)
    jne 1f
    iretq
1:  cli
    hlt
    jmp 1b

/* ---- void context_swap(uint64_t *save_rsp, uint64_t rsp) ---- */
    .globl context_swap
context_swap:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

    .section .note.GNU-stack, "", @progbits
