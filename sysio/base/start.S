/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of user mode, and the two calls of the backend that C cannot express: clone, whose child returns
 * a second time from the caller's call, and unmap-and-exit, which must not use the stack it unmaps.
 */
#define MOTOR_SYS_thread_exit_number (0x4d000000 + 10) /* checked in backend.c */

    .section .text.start, "ax"
    .global _start
    .type _start, @function
_start:
    xor %ebp, %ebp
    lea __ehdr_start(%rip), %rdi
    lea _DYNAMIC(%rip), %rsi
    mov %rsp, %rdx
    call start_c
    hlt
    .size _start, . - _start

/* start_c -> here: rdi = initial stack, enter musl on it. */
    .global enter_libc
    .hidden enter_libc
    .type enter_libc, @function
enter_libc:
    mov %rdi, %rsp
    mov (%rsp), %rsi            /* argc */
    lea 8(%rsp), %rdx           /* argv */
    lea main(%rip), %rdi
    xor %ecx, %ecx
    xor %r8d, %r8d
    xor %r9d, %r9d
    and $-16, %rsp
    call __libc_start_main
    hlt
    .size enter_libc, . - enter_libc

/* long backend_entry(long n, a1..a6): see posix/musl/README.md for the contract */
    .text
    .global backend_entry
    .hidden backend_entry
    .type backend_entry, @function
backend_entry:
    cmp $56, %rdi
    je 1f
    cmp $0x4d0001, %rdi
    je 2f
    jmp backend_call

    /*
     * clone(flags, stack, ptid, ctid, tls): build struct motor_thread_start (120 bytes) and let C do the rest:
     * backend_clone(start, flags, ptid, ctid)
     */
1:  mov (%rsp), %rax
    push %rbp
    mov %rsp, %rbp
    sub $128, %rsp
    mov %rax, 16(%rsp)          /* arg[0]: where the child goes on */
    lea clone_child(%rip), %rax
    mov %rax, 0(%rsp)           /* rip */
    mov %rdx, 8(%rsp)           /* rsp */
    movq $0, 24(%rsp)
    movq $0, 32(%rsp)
    mov %rbx, 40(%rsp)          /* regs[] */
    mov (%rbp), %rax
    mov %rax, 48(%rsp)
    mov %r12, 56(%rsp)
    mov %r13, 64(%rsp)
    mov %r14, 72(%rsp)
    mov %r15, 80(%rsp)
    mov %r9, 88(%rsp)           /* fs_base */
    movq $0, 96(%rsp)           /* gs_base */
    movq $0, 104(%rsp)          /* flags */
    mov %rsp, %rdi
    mov %rcx, %rdx
    mov %r8, %rcx
    call backend_clone
    leave
    ret

clone_child:
    xor %eax, %eax
    jmp *%rdi

2:  /* unmap (rsi, rdx) and exit: thread_exit(clear, unmap, length) does both */
    mov backend_clear_tid(%rip), %rdi
    mov $(MOTOR_SYS_thread_exit_number), %eax
    syscall
    hlt
    .size backend_entry, . - backend_entry

    .section .note.GNU-stack, "", @progbits
