/* SPDX-License-Identifier: MIT */
/* What the core of the runtime (entry, threads, signals, timers, memory) shares beyond px.h. */
#ifndef PX_INTERNAL_H
#define PX_INTERNAL_H

#include "px.h"

/* entry.S */
extern const int32_t px_table[], px_trace_table[];
extern const int32_t *px_dispatch; /* one of these */
extern const char px_window[], px_window_end[], px_guard_begin[], px_guard_end[];
long px_entry(long n, ...);
void px_linux_entry(void);
void px_upcall_entry(void);
void px_signal_return(void);
_Noreturn void px_resume(void);
_Noreturn void px_leave_to_context(void);
_Noreturn void px_thread_leave(uint32_t *clear, void *unmap, size_t length);
_Noreturn void px_enter_stack(void *top, void (*function)(void *), void *argument);

extern const char px_vdso[]; /* vdso.S */

/* guard.S */
long px_fp_save(void *area, uint64_t mask);
long px_fp_load(const void *area, uint64_t mask);

/* process.c */
long px_missing(void); /* counts the call; -ENOSYS or as calls.def says */
long px_unmap_and_exit(void *address, size_t length); /* thread.c */
uint32_t px_call_number(const struct px_thread *t);   /* of the call it is in */
const char *px_call_name(uint32_t number);            /* NULL: none */
const char *px_errno_name(long error);                /* of a positive errno; NULL */
void px_report(const char *text, size_t length);      /* to fd 2 */
extern bool px_report_raw; /* the runtime itself is broken: no locks any more */
void px_report_missing(void);
/* the linker: this image */
extern const char __ehdr_start[] __attribute__((visibility("hidden"))),
    _end[] __attribute__((visibility("hidden")));

/*
 * Beginning. px_*_prepare() makes what is the same in every process; the first process does it and
 * leaves the result to the kernel, from which all that exec makes begin (start.c). px_*_start()
 * then does what depends on the start block.
 */

/* thread.c */
/* The child goes on where the parent returns to, with its registers, another stack and 0. */
void px_child_registers(struct px_thread *t, const struct px_thread *parent, uint64_t stack);
struct px_threads {
    struct px_thread *first; /* [signals lock] */
    uint32_t count;          /* [signals lock] */
    struct px_mutex cache_lock;
    struct px_thread *cache; /* [cache_lock] blocks for reuse, linked by next */
    uint32_t cached;
    uint32_t last_index;      /* [signals lock] */
    struct px_thread **table; /* [signals lock] by index */
};
struct px_thread *px_thread_find(struct px_process *p, uint32_t tid); /* [signals lock] */
void px_threads_prepare(struct px_process *p);
void px_threads_start(struct px_process *p);
void px_thread_show(struct px_thread *t);

/* signal.c */
#define PX_BIT(sig)    (1ull << ((sig)-1))
#define PX_UNBLOCKABLE (PX_BIT(SIGKILL) | PX_BIT(SIGSTOP))

struct px_siginfo { /* Linux siginfo_t, as far as it is used */
    int32_t signo, error, code;
    /*
     * in queues: from our timer `timer`, not a sigqueue() that says so. 0 where the program sees it
     */
    int32_t of_timer;
    union {
        struct {
            int32_t pid;
            uint32_t uid;
            uint64_t value;
        };
        struct {
            int32_t timer, overrun;
            uint64_t timer_value;
        };
        uint64_t address;
        uint8_t raw[32];
    };
};
_Static_assert(sizeof(struct px_siginfo) == 48, "the part of siginfo_t in use");

struct px_action { /* the kernel's struct sigaction */
    uint64_t handler, flags, restorer, mask;
};
#define SA_NOCLDSTOP 1u
#define SA_NOCLDWAIT 2u
#define SA_SIGINFO   4u
#define SA_ONSTACK   0x08000000u
#define SA_RESTART   0x10000000u
#define SA_NODEFER   0x40000000u
#define SA_RESETHAND 0x80000000u
#define SA_RESTORER  0x04000000u

#define PX_TIMERS_MAX 4096u

struct px_signals {
    uint32_t child_flags; /* [lock] MOTOR_CHILD_*, as the kernel has them */
    struct px_mutex lock; /* of everything about signals and the list of threads in this process */
    uint32_t queued;
    struct px_queued *unused; /* entries for reuse */
    struct px_pending pending;
    uint64_t timer_queued[PX_TIMERS_MAX / 64]; /* by timer: its signal is in some queue */
    struct px_action *action;                  /* by signal, NSIG + 1 of them */
};
void px_signals_prepare(struct px_process *p);
void px_signals_start(struct px_process *p);
void px_pending_init(struct px_pending *p);
/* [signals lock] */
void px_pending_drop(struct px_process *p, struct px_pending *pending, uint64_t set);
/* takes its signal out of the queues */
void px_signal_forget_timer(struct px_process *p, uint32_t timer);
/*
 * To a thread, or t NULL: the process. 0; -EAGAIN (queue full; only for codes of sigqueue and
 * timers); 1: a timer's, and its last one is still queued.
 */
long px_signal_send(struct px_process *p, struct px_thread *t, const struct px_siginfo *info);
struct px_siginfo px_info_self(int sig, int code); /* from this process, for SI_USER and SI_TKILL */
bool px_signal_ignored(const struct px_process *p, int sig); /* [signals lock] */
bool px_signal_deaf(int sig); /* this thread blocks it, or the process ignores it */
/*
 * The next deliverable signal (0: none) with its action; for a handler the mask and SA_RESETHAND
 * have taken effect.
 */
int px_signal_next(struct px_thread *t, struct px_siginfo *info, struct px_action *a,
                   uint64_t *old_mask);
/* the same for a fault; false: no handler can run */
bool px_fault_action(struct px_thread *t, int sig, struct px_action *a, uint64_t *old_mask);
/* signo 0: only looks */
long px_signal_send_tid(struct px_process *p, uint32_t tid, const struct px_siginfo *info);
void px_set_mask(struct px_thread *t, uint64_t mask); /* own thread */
void px_take_interruption(void); /* acknowledge, run timers, look for signals */
/* [signals lock] */
void px_retarget(struct px_process *p, struct px_thread *leaving, uint64_t set);
_Noreturn void px_die(int sig, const struct px_siginfo *info, bool report);

void px_signal_info(struct px_siginfo *to, const struct motor_signal *from); /* kill.c */
/* Takes the signals that other processes have sent to this one. */
void px_signals_fetch(void);
/* What is pending goes to the kernel's queue, where the program that follows by exec finds it. */
void px_signals_hand_over(struct px_thread *t);
bool px_signal_take_pending(struct px_thread *t, struct px_siginfo *info); /* any: signal.c */

/* signalfd.c: a signal was queued (any locks held); and without locks: tell those who watch */
void px_signalfd_came(struct px_process *p);
void px_signalfd_poke(struct px_process *p);
/* The next pending signal of `set` for this thread: taken; 0: none. And what is pending. */
int px_signal_take(struct px_thread *t, uint64_t set, struct px_siginfo *info);
uint64_t px_signal_pending(const struct px_thread *t);

/* vfork.c */
struct px_vfork;
long px_vfork(uint64_t stack); /* does not return on success */
/* The child has become a process of its own, or ended: its parent goes on. */
_Noreturn void px_vfork_return(void);
_Noreturn void px_vfork_end(uint32_t status);
motor_handle px_vfork_embryo(struct px_vfork *v);
/* a child changes its affinity, which is its thread's: `mask` comes back with the parent */
void px_vfork_keep_affinity(struct px_vfork *v, uint64_t mask);
/* files and signals of a vfork child: copies, and their end */
struct px_files *px_files_copy(struct px_process *p); /* fd.c; NULL: no memory */
void px_files_drop(struct px_files *t);
struct px_signals *px_signals_copy(struct px_process *p); /* signal.c */
void px_signals_free(struct px_signals *s);

/*
 * fork.c. Before a fork the forking thread holds the locks of the process, so that what it shares
 * with the other threads is whole; after it the parent releases them, and in the child
 * px_*_forked() makes of each part what it is in a process with this thread only: locks free,
 * others' traces gone.
 */
struct px_fork_options {
    uint64_t stack; /* 0: the same */
    uint32_t *child_tid,
        *parent_tid; /* where to store the child's pid, in the child and here; NULL */
    uint32_t *clear_tid;
    bool set_tls;
    uint64_t tls;
};
long px_fork(const struct px_fork_options *options);
void px_process_forked(struct px_process *p);
void px_threads_forked(struct px_process *p, struct px_thread *t);
void px_signals_forked(struct px_process *p, struct px_thread *t);
void px_timers_forked(struct px_process *p);
struct px_mutex *px_timers_lock(struct px_process *p);
void px_heap_lock(void);
void px_heap_unlock(void);
uint64_t px_current_fs(const struct px_thread *self); /* thread.c */

/* timers.c */
uint64_t px_alarm_left(struct px_process *p, uint64_t *interval); /* ITIMER_REAL, ns */
void px_timers_prepare(struct px_process *p);
bool px_timers_new(struct px_process *p); /* of a vfork child; false: no memory */
void px_timers_start(struct px_process *p);
void px_timers_run(void);
void px_timer_dequeued(struct px_siginfo *info);
/* before returning -PX_ERESTART_RESTARTBLOCK from a relative wait */
void px_restart_at(uint64_t deadline);
bool px_restarted(uint64_t *deadline); /* true: this is that call again */

/* schedule.c: prlimit of another process; new NULL: only looks */
long px_limit_other(int pid, unsigned resource, const struct px_limits *new, struct px_limits *old);

/* clock.c */
uint64_t px_cpu_time(bool user_only);
uint64_t px_thread_cpu_time(struct px_thread *t);
long px_timespec_in(const void *user, struct px_timespec *t); /* -EFAULT, -EINVAL if not normal */
long px_timespec_out(void *user, uint64_t ns);
uint64_t px_timespec_ns(const struct px_timespec *t); /* saturates below MOTOR_NEVER */

/* memory.c */
struct px_memory {
    struct px_mutex lock;
    uint64_t brk_start, brk, brk_mapped; /* [lock] */
    struct px_shm *attached;             /* [lock, atomic to look whether there are any] sysv.c */
};
void px_memory_prepare(struct px_process *p);
void px_memory_start(struct px_process *p, uint64_t brk);

/* fatal.c */
const char *px_signal_name(int sig); /* without SIG */
void px_fatal_report(int sig, const struct px_siginfo *info, const struct motor_context *c);

/* trace.c */
void px_trace_signal(int sig, const struct px_siginfo *info);
void px_trace_end(uint32_t status);
void px_trace_start(struct px_process *p);
void px_trace_attach(motor_handle handle); /* a new reader of lines; see <motor/io.h> */
long px_trace_call(long a, long b, long c, long d, long e, long f);

#endif
