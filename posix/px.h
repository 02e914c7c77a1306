/* SPDX-License-Identifier: MIT */
/*
 * The POSIX runtime from inside: what its files share. One image in every process; it never calls
 * libc and has no TLS; %fs is the program's, %gs points to the thread's struct px_thread.
 *
 * How a call runs. The program calls px_entry (C convention) or executes `syscall` (raw). entry.S
 * saves the caller's registers in the thread's block, sets tcb.busy, changes to the thread's
 * runtime stack (24 KiB: no big locals) and calls the handler long px_sys_NAME(...) that calls.def
 * names. The handler returns a result or -errno or one of the restart codes below. On the way out
 * signals are delivered, from the saved registers: a handler that waits never nests, it gives up
 * with a restart code and is called again from the start. So
 *   - a handler holds no lock and owns nothing when it returns;
 *   - it decides nothing before a wait that a second run from the start would do twice.
 *
 * User memory. Pointers from the program are touched only by px_copy_*(), px_load32() ... (a fault
 * gives -EFAULT), or by the kernel as `in`/`out` of a px_call() (-EFAULT as well).
 *
 * Processes. All state of a process hangs on px_proc(), never on globals: a vfork child shares the
 * memory, and has a struct px_process of its own (vfork.c).
 *
 * Locks: never held while program code runs, nor across px_wait() and px_call_intr(). Order: files
 * before memory before threads before signals (struct px_process). The allocator's lock is
 * innermost.
 */
#ifndef PX_H
#define PX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <motor/abi.h>
#include <motor/io.h>
#include <motor/start.h>
#include <motor/syscall.h>

#include "linux.h"

/*
 * Restart codes: results that only the way out sees. What the program gets depends on the signal's
 * action, as in Linux.
 */
#define PX_ERESTARTSYS           512 /* restart if the handler has SA_RESTART, else EINTR: most calls */
#define PX_ERESTARTNOINTR        513 /* always restart */
#define PX_ERESTARTNOHAND        514 /* EINTR if a handler runs: poll, select, pause, sigsuspend */
#define PX_ERESTART_RESTARTBLOCK 516 /* the same here: relative sleeps */

struct px_thread;
struct px_process;
struct px_files; /* descriptors, working directory: fd.c */
struct px_net;   /* sessions: session.c */

#ifndef PX_HOST_TEST
static inline struct px_thread *px_self(void)
{
    struct px_thread *t;
    __asm__("movq %%gs:0, %0" : "=r"(t));
    return t;
}
#else
struct px_thread *px_self(void);
#endif

/* ---- locks and waits (lock.c) ---- */

struct px_mutex {
    uint32_t word; /* 0 free, 1 held, 2 held and waited for. Zero-initialised */
};
void px_lock(struct px_mutex *m);
bool px_trylock(struct px_mutex *m);
void px_unlock(struct px_mutex *m);

#define PX_WAIT_SHARED (1u << 0) /* the word is shared memory: MOTOR_FUTEX_SHARED */
#define PX_WAIT_NOINTR (1u << 1) /* signals do not end it */
/*
 * Sleep while *word == expected. 0: woken (or spuriously); -EAGAIN: *word differs; -ETIMEDOUT;
 * -PX_ERESTARTSYS: a signal can be delivered (checked before sleeping too); -EFAULT. deadline:
 * px_now() time or MOTOR_NEVER. gate: notified after the thread is queued, before it sleeps (0:
 * none).
 */
long px_wait(uint32_t *word, uint32_t expected, uint32_t flags, uint64_t deadline);
long px_wait_notify(uint32_t *word, uint32_t expected, uint32_t flags, uint64_t deadline,
                    motor_handle gate);
long px_wake(uint32_t *word, uint32_t count, uint32_t flags); /* PX_WAIT_SHARED or 0; how many */
/* a signal could be delivered to this thread now: give up waiting with a restart code */
bool px_interrupted(void);

/*
 * motor_call() with errno results: msg->status is returned when the call was answered. px_call() is
 * not ended by signals (engines answer at once); px_call_intr() is, with -PX_ERESTARTSYS, and then
 * nothing has happened: a server that has received the call is told (CANCEL) and answers it, with
 * what it has done or with -EINTR.
 */
long px_call(motor_handle gate, struct motor_msg *msg);
long px_call_intr(motor_handle gate, struct motor_msg *msg);
long px_errno(int64_t status); /* negated MOTOR_E* to -errno; >= 0 as is */

/* ---- guarded access to the program's memory (guard.S) ---- */

long px_copy_in(void *to, const void *user, size_t size); /* 0 or -EFAULT */
/* 0 or -EFAULT; may have written a part */
long px_copy_out(void *user, const void *from, size_t size);
long px_zero_out(void *user, size_t size);
/* its length; -EFAULT; -ENAMETOOLONG: no NUL within size */
long px_copy_string(char *to, const char *user, size_t size);
long px_store_pair(void *user, uint64_t a, uint64_t b); /* two words, such as a timespec */
long px_load32(const uint32_t *user, uint32_t *value);  /* 0 or -EFAULT */
long px_store32(uint32_t *user, uint32_t value);
/* 1 done, 0: *expected is what was there; -EFAULT */
long px_cas32(uint32_t *user, uint32_t *expected, uint32_t desired);

/* ---- memory of the runtime itself (alloc.c) ---- */

/* zeroed, 16-byte aligned; NULL: no memory. Never the program's heap */
void *px_alloc(size_t size);
void *px_alloc_raw(size_t size); /* not zeroed */
void px_free(void *p);           /* NULL is fine */
void *px_map(size_t size);       /* zeroed pages; no mapping of the program comes next to them */
void *px_map_below(size_t size); /* those at the start, near to what the kernel has placed */
/* shared, readable and writable memory that a forked child does not get: address or status */
int64_t px_map_unforked(motor_handle vmo, size_t size);
void px_unmap(void *p, size_t size);

/* ---- time (clock.c): nanoseconds, without a kernel entry ---- */

uint64_t px_now(void);      /* CLOCK_MONOTONIC: what deadlines are made of */
uint64_t px_realtime(void); /* CLOCK_REALTIME */
struct px_timespec {
    int64_t sec, nsec;
};
/*
 * Absolute deadline of a relative user timeout (NULL: MOTOR_NEVER): 0, -EFAULT, -EINVAL. Saturates.
 */
long px_deadline_in(const void *user_timespec, uint64_t *deadline);
uint64_t px_deadline_after(const struct px_timespec *t); /* of a checked one */
uint64_t px_deadline_ms(int ms);                         /* < 0: MOTOR_NEVER */
/* when CLOCK_REALTIME shows this */
uint64_t px_deadline_realtime(uint64_t realtime_ns);

/* ---- signals (signal.c) ---- */

/* to this thread (SIGPIPE); delivered on the way out. code: SI_USER, SI_KERNEL */
void px_signal_self(int sig, int code);
void px_signal_process(int sig, int code); /* to the process */
/*
 * ppoll, pselect6, epoll_pwait: wait with another mask. Takes effect at once; the way out puts the
 * old one back, after delivering a signal if the result is a restart code or -EINTR. user_set NULL:
 * nothing happens. -EFAULT, -EINVAL.
 */
long px_sigmask_temporary(const void *user_set, size_t size);

/* ---- process state (process.c) ---- */

struct px_limits {
    uint64_t soft, hard;
};

struct px_attributes { /* prctl() */
    uint8_t not_dumpable, keep_caps, subreaper, no_new_privs, death_signal;
    uint8_t barriers; /* [atomic] MEMBARRIER_CMD_REGISTER_*: of which kinds it makes use */
    uint64_t timer_slack;
};

struct px_process {
    motor_handle root, net, tty, exec, trace; /* root: fs "/" */
    motor_handle presence;                    /* [atomic] 0: see px_presence() */
    const struct motor_start *start;
    /* a child between vfork and exec: it runs on its parent's thread, in its parent's memory */
    struct px_vfork *vfork;
    uint32_t pid;
    uint64_t parent; /* [atomic] see px_sys_getppid() */
    uint32_t uid, euid, suid, gid, egid, sgid;
    /*
     * Which supplementary groups it has: the number of the kernel's list, plus 1; 0: those that it
     * began with
     */
    uint64_t groups;
    uint32_t umask;             /* [atomic] */
    char name[16];              /* PR_SET_NAME of the main thread */
    struct px_limits limit[16]; /* [limits] read with px_limit() */
    struct px_mutex limits;
    struct px_attributes attributes;
    uint64_t load_bias; /* of the program: address in memory minus address in the file */
    struct motor_about about;

    struct px_files *files;
    struct px_names *names;           /* [atomic] */
    struct px_names *names_inherited; /* [atomic] the parent's, not yet made this process's own */
    struct px_net *netstate;
    struct px_signals *signals;
    struct px_threads *threads;
    struct px_memory *memory;
    struct px_timers *timers;
};

/*
 * What a process writes as soon as it begins, or has been forked, lies together: one page, which is
 * then copied with few others (kernel/hot.h). What is large and seldom written stays outside. The
 * first file of the runtime that has any begins the page.
 */
#define PX_HOT __attribute__((section(".hot")))

extern struct px_process px_first_process;
static inline struct px_process *px_proc(void); /* thread.h */
/* The process that the kernel knows: px_proc(), or the parent of a child between vfork and exec. */
struct px_process *px_home(void); /* vfork.c */
/* For motor_process_set(): 0, or the embryo that such a child will become. */
motor_handle px_proc_handle(void);
uint64_t px_limit(unsigned resource); /* soft limit now */

#ifndef PX_HOST_TEST
static inline const volatile struct motor_kinfo *px_kinfo(void)
{
    return (const volatile struct motor_kinfo *)MOTOR_KINFO_ADDRESS;
}
#else
const volatile struct motor_kinfo *px_kinfo(void);
#endif

/*
 * A broken invariant of the runtime itself: a line on fd 2 and the kernel's log, then the process
 * ends with SIGABRT.
 */
_Noreturn void px_fatal(const char *what);
/* End the process. status: wait status encoding. */
_Noreturn void px_process_end(uint32_t status);

/* prctl() about capabilities (capability.c); -EINVAL: it is about something else */
long px_capability_control(int option, unsigned long a, unsigned long b, unsigned long c,
                           unsigned long d);

/* ---- what the I/O half provides ---- */

void px_files_about(struct px_process *p); /* tells /proc where the descriptors are */
/* once, before the program runs: take the start block's descriptors */
void px_files_prepare(struct px_process *p);
void px_files_start(struct px_process *p);
/*
 * For mmap: the memory object of an open file. prot and flags are mmap's. Result: a handle (the
 * caller closes it), *base: offset of the file's byte 0 in the object, *size: bytes of the file; or
 * -EBADF, -EACCES, -ENODEV ...
 */
long px_file_object(int fd, int prot, int flags, uint64_t *base, uint64_t *size);

/* ---- the call table ----
 *
 * calls.def names every Linux call once: CALL(number, name, argument count, argument, KIND, ...). A
 * KIND gives the C type (PXT_KIND below) and how --trace prints it. A handler is defined with
 * exactly these types: long px_sys_read(int fd, void *buffer, size_t count) All pointers are void *
 * or const void * (strings: const char *), so that files choose their own structures. A name in
 * calls.def without a definition counts as missing: ENOSYS.
 */
typedef int PXT_INT;
typedef unsigned PXT_UINT;
typedef long PXT_LONG;
typedef unsigned long PXT_ULONG;
typedef size_t PXT_SIZE;
typedef long PXT_OFF;
typedef void *PXT_PTR; /* an address */
typedef int PXT_FD;
typedef int PXT_DIRFD; /* AT_FDCWD by name */
typedef const char *PXT_PATH;
typedef const char *PXT_STR;
typedef const void *PXT_IBUF; /* bytes read from the program; length: the next argument */
typedef void *PXT_OBUF;       /* bytes given to the program; length: the result */
typedef unsigned PXT_MODE;    /* octal */
typedef int PXT_OFLAGS;
typedef int PXT_ATFLAGS;
typedef int PXT_WHENCE;
typedef int PXT_ACCMODE;
typedef int PXT_PROT;
typedef int PXT_MAPFLAGS;
typedef int PXT_MADVICE;
typedef int PXT_SIG;
typedef int PXT_SIGHOW;
typedef int PXT_CLOCK;
typedef int PXT_FUTEX;
typedef unsigned long PXT_CLONE;
typedef unsigned PXT_RLIMIT;
typedef int PXT_FCNTL;
typedef unsigned PXT_IOCTL;
typedef int PXT_FAMILY;
typedef int PXT_SOCKTYPE;
typedef int PXT_SOLEVEL;
typedef int PXT_SHUT;
typedef int PXT_MSGFLAGS;
typedef int PXT_EPOLLOP;
typedef void *PXT_OSTAT;   /* struct stat, after the call */
typedef void *PXT_OSTRUCT; /* some structure out: its address */
typedef const void *PXT_ISTRUCT;
typedef void *PXT_IOSTRUCT;
typedef const void *PXT_ITIMESPEC;
typedef void *PXT_OTIMESPEC;
typedef const void *PXT_ITIMEVAL;
typedef void *PXT_OTIMEVAL;
typedef const void *PXT_ISIGSET;
typedef void *PXT_OSIGSET;
typedef const void *PXT_ISIGACTION;
typedef void *PXT_OSIGACTION;
typedef const void *PXT_ISOCKADDR; /* length: the next argument */
typedef void *PXT_OSOCKADDR;       /* length: *(next argument) */
typedef void *PXT_OSOCKLEN;        /* in and out int */
typedef const void *PXT_IIOVEC;    /* count: the next argument */
typedef void *PXT_IOPOLLFDS;       /* count: the next argument */
typedef const void *PXT_IEPOLL;    /* struct epoll_event in */
typedef void *PXT_OEPOLL;          /* struct epoll_event[result] */
typedef void *PXT_OFDS;            /* int[2] */
typedef void *PXT_OINT;            /* int */

#define PXP_0()                        void
#define PXP_1(a, A)                    PXT_##A a
#define PXP_2(a, A, ...)               PXT_##A a, PXP_1(__VA_ARGS__)
#define PXP_3(a, A, ...)               PXT_##A a, PXP_2(__VA_ARGS__)
#define PXP_4(a, A, ...)               PXT_##A a, PXP_3(__VA_ARGS__)
#define PXP_5(a, A, ...)               PXT_##A a, PXP_4(__VA_ARGS__)
#define PXP_6(a, A, ...)               PXT_##A a, PXP_5(__VA_ARGS__)
#define CALL(number, name, count, ...) long px_sys_##name(PXP_##count(__VA_ARGS__));
#define NONE(number, name, error)
#define GAP(from, to)
#include "calls.def"
#undef CALL
#undef NONE
#undef GAP

/* ---- small things (string.c) ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
/* %s %.*s %d %u %x %c %p %o with l, width, 0; result: bytes stored, without the NUL */
size_t px_format(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Each argument is evaluated once: many are calls. */
#define PX_MIN(a, b) \
    ({ \
        __auto_type px_a_ = (a); \
        __auto_type px_b_ = (b); \
        px_a_ < px_b_ ? px_a_ : px_b_; \
    })
#define PX_MAX(a, b) \
    ({ \
        __auto_type px_a_ = (a); \
        __auto_type px_b_ = (b); \
        px_a_ > px_b_ ? px_a_ : px_b_; \
    })

#include "thread.h"

#endif
