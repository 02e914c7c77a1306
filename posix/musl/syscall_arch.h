/* SPDX-License-Identifier: MIT */
/*
 * How musl makes a system call on Motor: an ordinary C call through __sysinfo, with Linux's x86-64
 * numbers, argument meanings and -errno results. Laid over arch/x86_64/syscall_arch.h; README.md
 * states the contract.
 *
 * The clock is read by a function that AT_SYSINFO_EHDR leads to, as on Linux.
 */
#define VDSO_USEFUL
#define VDSO_CGT_SYM "__vdso_clock_gettime"
#define VDSO_CGT_VER "LINUX_2.6"

#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

#define IPC_64 0

extern __SIZE_TYPE__ __sysinfo __attribute__((__visibility__("hidden")));

static inline long __syscall0(long n)
{
    return ((long (*)(long))__sysinfo)(n);
}

static inline long __syscall1(long n, long a1)
{
    return ((long (*)(long, long))__sysinfo)(n, a1);
}

static inline long __syscall2(long n, long a1, long a2)
{
    return ((long (*)(long, long, long))__sysinfo)(n, a1, a2);
}

static inline long __syscall3(long n, long a1, long a2, long a3)
{
    return ((long (*)(long, long, long, long))__sysinfo)(n, a1, a2, a3);
}

static inline long __syscall4(long n, long a1, long a2, long a3, long a4)
{
    return ((long (*)(long, long, long, long, long))__sysinfo)(n, a1, a2, a3, a4);
}

static inline long __syscall5(long n, long a1, long a2, long a3, long a4, long a5)
{
    return ((long (*)(long, long, long, long, long, long))__sysinfo)(n, a1, a2, a3, a4, a5);
}

static inline long __syscall6(long n, long a1, long a2, long a3, long a4, long a5, long a6)
{
    return ((long (*)(long, long, long, long, long, long, long))__sysinfo)(n, a1, a2, a3, a4, a5,
                                                                           a6);
}
