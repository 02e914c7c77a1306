/* SPDX-License-Identifier: MIT */
/*
 * System call stubs, one inline function motor_NAME() for each row of syscalls.def. Callable by any
 * code in user mode: they use no stack, no memory and no TLS.
 */
#ifndef MOTOR_SYSCALL_H
#define MOTOR_SYSCALL_H

#include <motor/abi.h>

enum motor_syscall {
#define SYSCALL0(n, name, text) MOTOR_SYS_##name = MOTOR_SYSCALL_BASE + n,
#define SYSCALL1(n, name, ...)  MOTOR_SYS_##name = MOTOR_SYSCALL_BASE + n,
#define SYSCALL2(n, name, ...)  MOTOR_SYS_##name = MOTOR_SYSCALL_BASE + n,
#define SYSCALL3(n, name, ...)  MOTOR_SYS_##name = MOTOR_SYSCALL_BASE + n,
#define SYSCALL4(n, name, ...)  MOTOR_SYS_##name = MOTOR_SYSCALL_BASE + n,
#define SYSCALL5(n, name, ...)  MOTOR_SYS_##name = MOTOR_SYSCALL_BASE + n,
#define SYSCALL6(n, name, ...)  MOTOR_SYS_##name = MOTOR_SYSCALL_BASE + n,
#include <motor/syscalls.def>
#include <motor/syscalls_undef.h>
};

/*
 * MOTOR_SYSCALL_EXTERN: a kernel of one's own, for tests on the host
 * (tests/host/lib/fake_kernel.c).
 */
#ifdef MOTOR_SYSCALL_EXTERN
int64_t motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f);
#else
static inline int64_t motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                        uint64_t e, uint64_t f)
{
    int64_t ret;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}
#endif

#define SYSCALL0(n, name, text) \
    static inline int64_t motor_##name(void) \
    { \
        return motor_raw_syscall(MOTOR_SYS_##name, 0, 0, 0, 0, 0, 0); \
    }
#define SYSCALL1(n, name, t1, a1, text) \
    static inline int64_t motor_##name(t1 a1) \
    { \
        return motor_raw_syscall(MOTOR_SYS_##name, (uint64_t)a1, 0, 0, 0, 0, 0); \
    }
#define SYSCALL2(n, name, t1, a1, t2, a2, text) \
    static inline int64_t motor_##name(t1 a1, t2 a2) \
    { \
        return motor_raw_syscall(MOTOR_SYS_##name, (uint64_t)a1, (uint64_t)a2, 0, 0, 0, 0); \
    }
#define SYSCALL3(n, name, t1, a1, t2, a2, t3, a3, text) \
    static inline int64_t motor_##name(t1 a1, t2 a2, t3 a3) \
    { \
        return motor_raw_syscall(MOTOR_SYS_##name, (uint64_t)a1, (uint64_t)a2, (uint64_t)a3, 0, 0, \
                                 0); \
    }
#define SYSCALL4(n, name, t1, a1, t2, a2, t3, a3, t4, a4, text) \
    static inline int64_t motor_##name(t1 a1, t2 a2, t3 a3, t4 a4) \
    { \
        return motor_raw_syscall(MOTOR_SYS_##name, (uint64_t)a1, (uint64_t)a2, (uint64_t)a3, \
                                 (uint64_t)a4, 0, 0); \
    }
#define SYSCALL5(n, name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, text) \
    static inline int64_t motor_##name(t1 a1, t2 a2, t3 a3, t4 a4, t5 a5) \
    { \
        return motor_raw_syscall(MOTOR_SYS_##name, (uint64_t)a1, (uint64_t)a2, (uint64_t)a3, \
                                 (uint64_t)a4, (uint64_t)a5, 0); \
    }
#define SYSCALL6(n, name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6, text) \
    static inline int64_t motor_##name(t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6) \
    { \
        return motor_raw_syscall(MOTOR_SYS_##name, (uint64_t)a1, (uint64_t)a2, (uint64_t)a3, \
                                 (uint64_t)a4, (uint64_t)a5, (uint64_t)a6); \
    }
#include <motor/syscalls.def>
#include <motor/syscalls_undef.h>

#endif
