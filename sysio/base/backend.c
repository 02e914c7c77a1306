/* SPDX-License-Identifier: MIT */
/*
 * The system calls of sysio's own musl: just enough for its allocator, threads and stdio. There are
 * no files and no signals here; what is missing answers -ENOSYS.
 */
#include "engine.h"

#include <elf.h>
#include <errno.h>

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_REQUEUE = 3,
    FUTEX_PRIVATE = 128,
    FUTEX_CLOCK_REALTIME = 256
};

_Static_assert(MOTOR_SYS_thread_exit == 0x4d000000 + 10, "start.S");
_Static_assert(sizeof(struct motor_thread_start) == 112, "start.S");
_Static_assert(offsetof(struct motor_thread_start, regs) == 40, "start.S");
_Static_assert(offsetof(struct motor_thread_start, fs_base) == 88, "start.S");

long backend_entry(long n, ...);
long backend_call(long n, long a, long b, long c, long d, long e, long f);
long backend_clone(const struct motor_thread_start *start, unsigned long flags, int *parent_tid,
                   int *child_tid);
_Noreturn void enter_libc(uintptr_t *stack);
_Noreturn void start_c(const Elf64_Ehdr *image, const Elf64_Dyn *dynamic, uintptr_t *stack_top);

/* musl gives every thread the same word */
uint32_t *backend_clear_tid __attribute__((visibility("hidden")));

/* ---- start ---- */

static void relocate(uintptr_t base, const Elf64_Dyn *dynamic)
{
    const Elf64_Rela *rela = NULL;
    size_t size = 0;
    for (; dynamic->d_tag; dynamic++) {
        if (dynamic->d_tag == DT_RELA)
            rela = (const Elf64_Rela *)(base + dynamic->d_un.d_ptr);
        else if (dynamic->d_tag == DT_RELASZ)
            size = dynamic->d_un.d_val;
    }
    for (; size >= sizeof *rela; size -= sizeof *rela, rela++)
        if (ELF64_R_TYPE(rela->r_info) == R_X86_64_RELATIVE)
            *(uintptr_t *)(base + rela->r_offset) = base + (uintptr_t)rela->r_addend;
}

/* Builds argc, argv, envp and auxv on the stack that the kernel gave: lazy, guarded, 1 MiB. */
void start_c(const Elf64_Ehdr *image, const Elf64_Dyn *dynamic, uintptr_t *stack_top)
{
    relocate((uintptr_t)image, dynamic);
    static uint64_t random[2];
    motor_random(random, sizeof random, 0);
    static char name[] = "sysio";
    const uintptr_t stack[] = {
        1,          (uintptr_t)name,
        0, /* argc, argv */
        0, /* envp */
        AT_SYSINFO, (uintptr_t)backend_entry,
        AT_PAGESZ,  MOTOR_PAGE_SIZE,
        AT_RANDOM,  (uintptr_t)random,
        AT_PHDR,    (uintptr_t)image + image->e_phoff,
        AT_PHENT,   image->e_phentsize,
        AT_PHNUM,   image->e_phnum,
        AT_ENTRY,   (uintptr_t)image + image->e_entry,
        AT_CLKTCK,  100,
        AT_NULL,    0,
    };
    const size_t words = sizeof stack / sizeof *stack;
    uintptr_t *to = stack_top - words - (words & 1);
    /* downwards: `to` overlaps the upper end of this frame, and so of stack[] */
    for (size_t i = words; i-- > 0;)
        ((volatile uintptr_t *)to)[i] = stack[i];
    enter_libc(to);
}

/* ---- memory ---- */

static uint32_t map_flags(long prot)
{
    return (prot & PROT_READ ? MOTOR_PROT_READ : 0) | (prot & PROT_WRITE ? MOTOR_PROT_WRITE : 0) |
           (prot & PROT_EXEC ? MOTOR_PROT_EXEC : 0);
}

static long sys_mmap(uint64_t address, uint64_t length, long prot, long flags)
{
    if (!(flags & MAP_ANONYMOUS))
        return -ENODEV;
    uint32_t f = map_flags(prot) | MOTOR_MAP_PRIVATE | (flags & MAP_FIXED ? MOTOR_MAP_FIXED : 0);
    return to_errno(motor_map(0, 0, 0, address, (length + 4095) & ~4095ull, f));
}

static long sys_madvise(uint64_t address, uint64_t length, long advice)
{
    if (advice == MADV_DONTNEED || advice == MADV_FREE)
        return to_errno(motor_advise(address, length, MOTOR_ADVISE_DONTNEED));
    return 0;
}

/* ---- threads ---- */

long backend_clone(const struct motor_thread_start *start, unsigned long flags, int *parent_tid,
                   int *child_tid)
{
    static int next_tid = 2;
    (void)flags; /* musl's pthread_create gives one set of flags */
    int tid = __atomic_fetch_add(&next_tid, 1, __ATOMIC_RELAXED);
    *parent_tid = tid;
    backend_clear_tid = (uint32_t *)child_tid;
    int64_t h = motor_thread_create(0, start);
    if (h < 0)
        return -EAGAIN;
    motor_handle_close((motor_handle)h);
    return tid;
}

static long sys_futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout,
                      uint32_t *target)
{
    switch (op & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME)) {
    case FUTEX_WAIT: {
        uint64_t deadline = MOTOR_NEVER;
        if (timeout)
            deadline = clock_monotonic_ns() + (uint64_t)timeout->tv_sec * 1000000000u +
                       (uint64_t)timeout->tv_nsec;
        return to_errno(motor_futex_wait(word, value, 0, deadline, 0));
    }
    case FUTEX_WAKE:
        return to_errno(motor_futex_wake(word, value, 0));
    case FUTEX_REQUEUE:
        return to_errno(motor_futex_requeue(word, value, target, (uint32_t)(uintptr_t)timeout, 0));
    default:
        return -ENOSYS;
    }
}

static long sys_nanosleep(const struct timespec *t)
{
    static uint32_t never;
    uint64_t until =
        clock_monotonic_ns() + (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
    while (motor_futex_wait(&never, 0, 0, until, 0) != -MOTOR_ETIMEOUT)
        ;
    return 0;
}

/* ---- the rest ---- */

static long sys_writev(long fd, const struct iovec *v, long count)
{
    long total = 0;
    if (fd != 1 && fd != 2)
        return -EBADF;
    for (long i = 0; i < count; i++) {
        motor_debug_write(v[i].iov_base, v[i].iov_len);
        total += (long)v[i].iov_len;
    }
    return total;
}

static long sys_clock_gettime(long clock, struct timespec *t)
{
    uint64_t ns = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? clock_realtime_ns()
                                                                            : clock_monotonic_ns();
    t->tv_sec = (time_t)(ns / 1000000000u);
    t->tv_nsec = (long)(ns % 1000000000u);
    return 0;
}

/* sysio must not end: the machine ends with it. */
static _Noreturn void die(long status)
{
    log_error("sysio", "ended with status %ld", status);
    motor_power(MOTOR_BOOT_HARDWARE, MOTOR_POWER_EXIT, status ? (uint32_t)status : 1);
    for (;;)
        motor_process_exit(0, 1 << 8);
}

long backend_call(long n, long a, long b, long c, long d, long e, long f)
{
    (void)f;
    switch (n) {
    case SYS_mmap:
        return sys_mmap((uint64_t)a, (uint64_t)b, c, d);
    case SYS_munmap:
        return to_errno(motor_unmap(0, (uint64_t)a, ((uint64_t)b + 4095) & ~4095ull));
    case SYS_mprotect:
        return to_errno(
            motor_protect(0, (uint64_t)a, ((uint64_t)b + 4095) & ~4095ull, map_flags(c)));
    case SYS_madvise:
        return sys_madvise((uint64_t)a, (uint64_t)b, c);
    case SYS_brk:
        return 0; /* the allocator then uses mmap */
    case SYS_futex:
        return sys_futex((uint32_t *)a, (int)b, (uint32_t)c, (const struct timespec *)d,
                         (uint32_t *)e);
    case SYS_set_tid_address:
        backend_clear_tid = (uint32_t *)a;
        return 1;
    case SYS_gettid:
    case SYS_getpid:
        return 1;
    case SYS_arch_prctl:
        return a == 0x1002 ? to_errno(motor_thread_control(0, MOTOR_THREAD_SET_FS, (uint64_t)b))
                           : -EINVAL;
    case SYS_exit:
        motor_thread_exit(backend_clear_tid, NULL, 0);
        return -EINVAL;
    case SYS_exit_group:
        die(a);
    case SYS_tkill:
    case SYS_kill:
        die(128 + b);
    case SYS_clock_gettime:
        return sys_clock_gettime(a, (struct timespec *)b);
    case SYS_nanosleep:
        return sys_nanosleep((const struct timespec *)a);
    case SYS_clock_nanosleep:
        return b ? -EINVAL : sys_nanosleep((const struct timespec *)c);
    case SYS_write:
        return sys_writev(a, &(struct iovec){(void *)b, (size_t)c}, 1);
    case SYS_writev:
        return sys_writev(a, (const struct iovec *)b, c);
    case SYS_getrandom:
        return motor_random((void *)a, (size_t)b, 0) < 0 ? -EIO : b;
    case SYS_sched_yield:
        motor_thread_yield();
        return 0;
    case SYS_rt_sigprocmask:
    case SYS_rt_sigaction:
        return 0;
    default:
        return -ENOSYS;
    }
}
