/* SPDX-License-Identifier: MIT */
/*
 * Prototypes of the system calls' handlers, sys_NAME(), from the one table. They run on the
 * caller's kernel stack, no lock held.
 */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include <motor/abi.h>

#define SYSCALL0(n, name, text)                         int64_t sys_##name(void);
#define SYSCALL1(n, name, t1, a1, text)                 int64_t sys_##name(t1 a1);
#define SYSCALL2(n, name, t1, a1, t2, a2, text)         int64_t sys_##name(t1 a1, t2 a2);
#define SYSCALL3(n, name, t1, a1, t2, a2, t3, a3, text) int64_t sys_##name(t1 a1, t2 a2, t3 a3);
#define SYSCALL4(n, name, t1, a1, t2, a2, t3, a3, t4, a4, text) \
    int64_t sys_##name(t1 a1, t2 a2, t3 a3, t4 a4);
#define SYSCALL5(n, name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, text) \
    int64_t sys_##name(t1 a1, t2 a2, t3 a3, t4 a4, t5 a5);
#define SYSCALL6(n, name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, text) \
    int64_t sys_##name(t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6);
#include <motor/syscalls.def>
#include <motor/syscalls_undef.h>

#endif
