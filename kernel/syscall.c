/* SPDX-License-Identifier: MIT */
/*
 * From registers to handlers. The table is made from syscalls.def; numbers that are not Motor's
 * continue at the process's Linux entry, if it has set one.
 */
#include "syscall.h"
#include "process.h"
#include "thread.h"

#define LINUX_ENOSYS 38

#define SYSCALL0(n, name, text) \
    static int64_t do_##name(const struct trap_frame *f) \
    { \
        (void)f; \
        return sys_##name(); \
    }
#define SYSCALL1(n, name, t1, a1, text) \
    static int64_t do_##name(const struct trap_frame *f) \
    { \
        return sys_##name((t1)f->rdi); \
    }
#define SYSCALL2(n, name, t1, a1, t2, a2, text) \
    static int64_t do_##name(const struct trap_frame *f) \
    { \
        return sys_##name((t1)f->rdi, (t2)f->rsi); \
    }
#define SYSCALL3(n, name, t1, a1, t2, a2, t3, a3, text) \
    static int64_t do_##name(const struct trap_frame *f) \
    { \
        return sys_##name((t1)f->rdi, (t2)f->rsi, (t3)f->rdx); \
    }
#define SYSCALL4(n, name, t1, a1, t2, a2, t3, a3, t4, a4, text) \
    static int64_t do_##name(const struct trap_frame *f) \
    { \
        return sys_##name((t1)f->rdi, (t2)f->rsi, (t3)f->rdx, (t4)f->r10); \
    }
#define SYSCALL5(n, name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, text) \
    static int64_t do_##name(const struct trap_frame *f) \
    { \
        return sys_##name((t1)f->rdi, (t2)f->rsi, (t3)f->rdx, (t4)f->r10, (t5)f->r8); \
    }
#define SYSCALL6(n, name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, text) \
    static int64_t do_##name(const struct trap_frame *f) \
    { \
        return sys_##name((t1)f->rdi, (t2)f->rsi, (t3)f->rdx, (t4)f->r10, (t5)f->r8, (t6)f->r9); \
    }
#include <motor/syscalls.def>
#include <motor/syscalls_undef.h>

static int64_t (*const handler[])(const struct trap_frame *) = {
#define SYSCALL0(n, name, ...) [n] = do_##name,
#define SYSCALL1(n, name, ...) [n] = do_##name,
#define SYSCALL2(n, name, ...) [n] = do_##name,
#define SYSCALL3(n, name, ...) [n] = do_##name,
#define SYSCALL4(n, name, ...) [n] = do_##name,
#define SYSCALL5(n, name, ...) [n] = do_##name,
#define SYSCALL6(n, name, ...) [n] = do_##name,
#include <motor/syscalls.def>
#include <motor/syscalls_undef.h>
};

#define HANDLERS (sizeof(handler) / sizeof(handler[0]))

/* As the instruction itself would have done on Linux: rcx and r11 tell where to return. */
static void foreign(struct trap_frame *f)
{
    uint64_t entry = __atomic_load_n(&this_cpu()->current->process->linux_entry, __ATOMIC_RELAXED);
    if (!entry) {
        f->rax = (uint64_t)-LINUX_ENOSYS;
        return;
    }
    f->rcx = f->rip;
    f->r11 = f->rflags;
    f->rip = entry;
}

void syscall_dispatch(struct trap_frame *f)
{
    uint64_t n = f->rax - MOTOR_SYSCALL_BASE;
    CPU_COUNT(syscalls);
    if (n < HANDLERS && handler[n]) {
        f->rax = (uint64_t)handler[n](f);
    } else {
        foreign(f);
    }
}
