/* SPDX-License-Identifier: MIT */
/*
 * Threads. A thread runs, is ready in a run queue, is blocked in exactly one wait, or is dead.
 * Transitions happen under sched_lock, which is held across the context switch, so a thread seen
 * blocked is off its CPU.
 *
 * A wait is begun (the thread is put on a queue, still running), and then either ended by its waker
 * or blocked on. Whoever ends it (waker, deadline, interruption, kill) takes it off its queue:
 * first one wins.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include "arch/x86_64/arch.h"
#include "aspace.h"
#include "list.h"
#include "object.h"
#include "timer.h"

struct process;
struct call;
struct cancel;

enum thread_state {
    THREAD_NEW,   /* not started */
    THREAD_READY, /* in a run queue, or about to be put there by the CPU that woke it */
    THREAD_RUNNING,
    THREAD_BLOCKED,
    THREAD_DEAD,
};

enum wait_kind {
    WAIT_NONE,
    WAIT_FUTEX,
    WAIT_SERVE,
    WAIT_CALL,  /* queued at an endpoint, or delivered: see struct call */
    WAIT_CHILD, /* process_wait */
    WAIT_STOP,  /* its process is stopped */
    WAIT_ALONE, /* exec waits for the other threads to be gone; cannot be aborted */
};

/* return_work bits */
#define WORK_KILL   (1u << 0)
#define WORK_UPCALL (1u << 1)
#define WORK_STOP   (1u << 2) /* its process stops */

#define THREAD_PRIORITY_NORMAL 20u
#define THREAD_PRIORITIES      40u

struct thread {
    struct object object;
    struct process *process; /* NULL for idle threads; referenced until the object goes */
    /*
     * the process's, kept by it while it has threads (changes at exec; NULL in the last steps of
     * exit)
     */
    struct aspace *aspace;
    void *kernel_stack;        /* KERNEL_STACK_SIZE bytes, lowest address; first word is a canary */
    uint64_t kernel_rsp;       /* [arch] saved by the context switch */
    uint64_t fs_base, gs_base; /* [arch] of user mode, saved when switched out */
    void *fpu;                 /* [arch] XSAVE/FXSAVE area */
    bool io_ports;        /* [arch] may use the ports in the I/O bitmap (holders of hardware) */
    uint32_t return_work; /* [atomic] non-zero: thread_return_work() before user mode */
    uint32_t cpu;         /* [sched_lock] where it runs or last ran */

    /* scheduling [sched_lock] */
    uint8_t state; /* enum thread_state */
    uint8_t priority;
    uint64_t affinity; /* CPU bit mask */
    uint64_t vruntime; /* weighted ns; comparable within one run queue */
    struct tree_node run_node;
    uint64_t switched_in; /* ns, when running */
    uint64_t run_ns;      /* up to switched_in */

    /* waiting [sched_lock] */
    bool waiting; /* a wait is begun and not ended */
    bool interruptible;
    uint8_t wait_kind;
    /* on a futex bucket, an endpoint's waiters or callers, a server's calls */
    struct list wait_link;
    int64_t wait_status;
    struct timer deadline;
    const void *futex_object; /* key of WAIT_FUTEX */
    uint64_t futex_offset;
    struct call *call; /* of WAIT_CALL: on the thread's own kernel stack */
    /* own: record for a CANCEL event, so that it needs no memory when it happens */
    struct cancel *cancel;

    /* own to set, [sched_lock] for others: see thread_acts_for(). Referenced; NULL: nobody */
    struct process *acting;

    uint32_t fsuid, fsgid; /* own: see fs_ids.h */
    uint8_t fs_set;        /* own: which of them count */

    uint64_t stop_ran; /* [sched_lock] run_ns when it was told to stop while busy; 0: not yet */

    /* upcalls */
    uint32_t sticky; /* [sched_lock to set, atomic to read] MOTOR_UPCALL_* not yet taken */
    uint64_t tcb;    /* own: user address of its struct motor_tcb, 0: none */

    /* index in the thread table; part of call tokens. 0 before it has one */
    uint32_t id;
    struct list process_link; /* [sched_lock] process.threads */
};

/* NEW, one reference, no user state; NULL: no memory */
struct thread *thread_alloc(struct process *p);
/* for arch: the thread that this CPU's boot stack is */
struct thread *thread_create_idle(uint32_t cpu, void *stack);
int64_t thread_start(struct thread *t);   /* join the process and run; EGONE if it is dying */
struct thread *thread_by_id(uint32_t id); /* [sched_lock held] NULL: none */
uint32_t thread_ids_end(void);            /* no id there has ever been is as large */
noreturn void thread_exit_current(void);  /* and the process, if it is the last */
/* after its last switch: frees stack and id; no locks */
void thread_reap(struct thread *t);
void thread_kill(struct thread *t);                     /* [sched_lock held] */
void thread_interrupt(struct thread *t, uint32_t bits); /* [sched_lock held] */
bool thread_killed(void); /* the current one: long operations give up */
/* Whose labels its calls and signals carry: its process's, or those of MOTOR_PROCESS_ACT_FOR. */
struct process *thread_acts_for(const struct thread *t);
/* The current thread acts for p from now on; no lock held. NULL: for itself. */
void thread_act_for(struct process *p);
/* EINVAL for addresses that are not user's */
int64_t thread_check_start(const struct motor_thread_start *s);

/* waits: all [sched_lock held] */
/* the current thread, still running */
void wait_begin(enum wait_kind kind, bool interruptible, struct list *queue);
/* until ended; its status. handoff: a woken thread to run now, or NULL */
int64_t wait_block(uint64_t deadline, struct thread *handoff);
/* false: was already. A blocked thread is made ready and queued */
bool wait_end(struct thread *t, int64_t status);
/* as wait_end, but a blocked thread is left for the caller to hand the CPU to: true then */
bool wait_end_handoff(struct thread *t, int64_t status);
void wait_abort(struct thread *t, int64_t status); /* by deadline, interruption or kill */

#endif
