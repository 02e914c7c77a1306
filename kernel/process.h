/* SPDX-License-Identifier: MIT */
/*
 * Processes: an address space, a handle table, threads, labels. Embryo (no thread yet) -> running
 * -> dead (threads and resources gone, status readable as long as there are handles, or until the
 * parent has waited for it).
 */
#ifndef KERNEL_PROCESS_H
#define KERNEL_PROCESS_H

#include "account.h"
#include "aspace.h"
#include "handle.h"
#include "list.h"
#include "object.h"
#include "spinlock.h"
#include "timer.h"

struct gate;
struct groups;
struct thread;

enum process_state {
    PROCESS_EMBRYO,
    PROCESS_RUNNING,
    PROCESS_DEAD,
};

#define PROCESS_BINDINGS_MAX 16u
#define PROCESS_NAME_MAX     32u

struct process {
    struct object object;
    /* [lock] NULL when dead. Own threads read it freely; others use process_aspace_get() */
    struct aspace *aspace;
    struct account *account; /* immutable: of the memory objects it makes; NULL: not counted */

    struct spinlock lock;
    struct handle_table handles; /* [lock] */
    uint32_t hardware;           /* [lock] handles of kind hardware: non-zero makes it a driver */
    bool closed;                 /* [lock] no more handles may be inserted */
    char name[PROCESS_NAME_MAX]; /* [lock] */

    uint32_t pid;                       /* immutable */
    uint32_t ppid, pgid, sid;           /* [atomic to read; processes_lock] labels */
    uint32_t uid, gid;                  /* [atomic] effective: what servers see */
    uint32_t ruid, suid;                /* [atomic] */
    uint32_t rgid, sgid;                /* [atomic] */
    struct groups *groups;              /* [lock] supplementary; NULL: none */
    uint64_t group_list;                /* [lock to set; atomic to read] its number, 0: none */
    uint32_t process_limit;             /* [atomic] of its real user, when it forks */
    uint32_t signal_limit;              /* [atomic] signals queued for it */
    uint32_t child_flags;               /* [atomic] MOTOR_CHILD_* */
    uint32_t death_signal;              /* [atomic] */
    bool subreaper, execed, init;       /* [atomic] */
    bool from_template;                 /* see template.h; changes at exec */
    uint32_t root;                      /* [atomic] MOTOR_PSET_ROOT */
    bool no_new_privs;                  /* [atomic] MOTOR_PSET_NO_NEW_PRIVS */
    bool secret;                        /* [atomic] MOTOR_PROCESS_SECRET */
    bool guarded;                       /* [sched_lock to set] see process_is_closed(); for good */
    uint64_t upcall_entry, linux_entry; /* [atomic] user addresses, 0: none */
    uint64_t about;                     /* [atomic] the same; MOTOR_PSET_ABOUT */
    uint64_t robust_words;              /* [atomic] the same; MOTOR_PSET_ROBUST_WORDS */
    uint64_t start_ns;

    uint32_t state;        /* [sched_lock] enum process_state */
    bool dying;            /* [sched_lock] no new threads */
    bool first;            /* immutable: the first process, whose death ends the system */
    uint32_t status;       /* [sched_lock] wait status */
    struct list threads;   /* [sched_lock] */
    uint32_t thread_count; /* [sched_lock] */
    uint64_t cpu_ns;       /* [sched_lock] time its threads have run, up to their last charge */
    struct thread *alone;  /* [sched_lock] exec: waits until it is the only thread */
    /* [sched_lock] callers whose calls this process has received and not answered */
    struct list serving;
    struct timer timer;                         /* [sched_lock] timer_set */
    struct gate *binding[PROCESS_BINDINGS_MAX]; /* [sched_lock] notified at death, referenced */

    /* stop.c [sched_lock] */
    uint32_t stop_signal;   /* not 0: stops, or is stopped */
    uint32_t stopped_count; /* threads that are */
    bool stop_told;         /* all are, and the parent knows or will at once */
    struct list stopped;    /* those threads */

    /* signal.c [sched_lock] */
    struct list signals; /* struct signal_entry, oldest first */
    uint32_t signal_count;
    uint64_t signal_set;  /* standard signals among them */
    uint64_t signal_bare; /* pending without an entry */

    /* family.c [processes_lock] */
    bool struck_out; /* pid, group and user are others' again: dead and waited for, or destroyed */
    struct process *parent; /* NULL: none */
    struct list children, zombies;
    struct list sibling;   /* on one of them, referenced */
    uint32_t event;        /* MOTOR_WAIT_STOPPED or _CONTINUED, not waited for yet; 0 */
    uint32_t child_events; /* children that have one */
    uint64_t children_ns;  /* CPU time of those waited for, and of theirs */
    uint64_t memory_max, children_memory_max;
    struct list child_waiters; /* [sched_lock] threads in process_wait */
};

/*
 * Embryo, one reference. flags: MOTOR_PROCESS_*. creator NULL: the first process. as becomes the
 * process's, or is put; NULL: there was no memory for it. ENOMEM: no memory or pids; ELIMIT: the
 * user's limit.
 */
int64_t process_create(struct process *creator, uint32_t flags, struct aspace *as,
                       struct process **out);
/* referenced; NULL: it is dead, or closed to the current process */
struct aspace *process_aspace_get(struct process *p);
/*
 * A program has been given more than its process had (exec_answer.c): handles to the process are no
 * longer good for anything, but for root and itself. Looked at again with the lock held of whatever
 * is going to change, because a handle may have been looked up before.
 */
bool process_is_closed(const struct process *p);
/* every thread dies, soon; no lock held. An embryo just becomes dead */
void process_kill(struct process *p, uint32_t status);
/* in pieces; new ones must be impossible already */
void process_kill_threads(struct process *p, struct thread *except);
/* called by the last thread on its way out: releases all, announces */
void process_last_thread(struct process *p);
int64_t process_bind(struct process *p, struct gate *g); /* takes its own reference */
/* no thread is left or ever will be: close handles, drop memory, announce the death */
void process_release(struct process *p);
bool process_add_thread(struct process *p, struct thread *t); /* [sched_lock held] false: dying */
/* [sched_lock held] how many are left */
uint32_t process_remove_thread(struct process *p, struct thread *t);
static inline bool process_is_driver(struct process *p)
{
    return __atomic_load_n(&p->hardware, __ATOMIC_RELAXED) != 0;
}
/* [sched_lock held] a thread that can take them learns of these bits */
void process_interrupt(struct process *p, uint32_t bits);
/* inspect.c: sys_process_info() of everything but the labels */
int64_t process_inspect(motor_handle process, uint32_t what, void *buffer, size_t size);
int64_t process_write_memory(struct process *p, const struct motor_memory_write *user);
void process_totals(uint64_t *handles, uint64_t *regions); /* over all processes */

extern struct process *first_process;

#endif
