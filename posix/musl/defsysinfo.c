/* SPDX-License-Identifier: MIT */
/*
 * __sysinfo: where every system call of musl goes. Start-up code replaces it with auxv's
 * AT_SYSINFO when there is one, and on Motor there is: the entry of the POSIX runtime. Until
 * then, and for good on Linux, it is the stub below, which executes `syscall`. So a program
 * built for Motor also runs on Linux: configure scripts can run what they compile, and ports can
 * be debugged on the host.
 *
 * The stub keeps the same contract as the runtime (see README.md). Four numbers need care: clone
 * and vfork, whose return address must not wait on a stack that the child does not have or will
 * overwrite; rt_sigreturn, which finds its frame by rsp; and the private unmap-and-exit, which
 * must touch no stack at all.
 */
#include "libc.h"

hidden long __linux_syscall(long, ...);

size_t __sysinfo = (size_t)__linux_syscall;

__asm__(".text\n"
        ".hidden __linux_syscall\n"
        ".global __linux_syscall\n"
        ".type __linux_syscall,@function\n"
        "__linux_syscall:\n"
        "	mov %rdi,%rax\n"
        "	mov %rsi,%rdi\n"
        "	mov %rdx,%rsi\n"
        "	mov %rcx,%rdx\n"
        "	mov %r8,%r10\n"
        "	mov %r9,%r8\n"
        "	cmp $56,%rax\n" /* SYS_clone */
        "	je 1f\n"
        "	cmp $58,%rax\n" /* SYS_vfork */
        "	je 1f\n"
        "	cmp $15,%rax\n" /* SYS_rt_sigreturn */
        "	je 2f\n"
        "	cmp $0x4d0001,%rax\n"
        "	je 3f\n"
        "	mov 8(%rsp),%r9\n"
        "	syscall\n"
        "	ret\n"

        /* The return address waits in r9, which is nobody's argument here; vfork wants rsi back. */
        "1:	pop %r9\n"
        "	syscall\n"
        "	mov %rdi,%rsi\n"
        "	jmp *%r9\n"

        "2:	add $8,%rsp\n"
        "	syscall\n"
        "	hlt\n"

        "3:	mov $11,%eax\n" /* SYS_munmap */
        "	syscall\n"
        "	xor %edi,%edi\n"
        "	mov $60,%eax\n" /* SYS_exit */
        "	syscall\n"
        "	hlt\n"
        ".size __linux_syscall,.-__linux_syscall\n");
