/* SPDX-License-Identifier: MIT */
/*
 * The thread block: at %gs:0, in one mapping with the thread's runtime stack below it and its fault
 * stack above:
 *
 *     guard page | runtime stack | struct px_thread | fault stack
 *
 * Marks: [own] only its thread; [lock] px_process.threads lock; [entry] entry.S knows the offset.
 */
#ifndef PX_THREAD_H
#define PX_THREAD_H

#ifndef PX_H
#error "include px.h"
#endif

#define PX_WORK_SIGNAL  (1u << 0) /* look at the pending sets */
#define PX_WORK_RESTORE (1u << 1) /* saved_mask is to be put back */

/* regs: at the return from px_entry, arguments in the C convention, a6 at rsp */
#define PX_ENTRY_CALL 0u
#define PX_ENTRY_RAW  1u /* regs: after a `syscall` instruction, arguments in Linux's registers */
#define PX_ENTRY_NONE 2u /* regs: where an upcall interrupted, or a context to go to: no call */

struct px_queued; /* signal.c */
struct px_pending {
    uint64_t set;
    struct px_queued *first, **last;
};

struct px_altstack {
    uint64_t sp;
    int32_t flags;
    uint32_t pad;
    uint64_t size;
};

struct px_thread {
    struct motor_tcb tcb;      /* [entry] */
    uint32_t work;             /* [own, entry] PX_WORK_*: the way out has something to do */
    uint32_t kind;             /* [own, entry] PX_ENTRY_* */
    struct motor_context regs; /* [own, entry] the program's registers */
    uint64_t stack;            /* [entry] top of the runtime stack */
    uint32_t tid;
    struct px_process *process;
    motor_handle handle; /* [lock] of the thread, 0 once it is gone */
    uint32_t index;      /* [lock] in the thread table */

    /* signals */
    uint64_t mask;               /* [own writes; lock] blocked */
    uint64_t saved_mask;         /* [own] valid with PX_WORK_RESTORE */
    uint64_t waits_for;          /* [lock] sigtimedwait: wake for these though blocked */
    struct px_pending pending;   /* [lock] */
    struct px_altstack altstack; /* [own] */

    /* threads */
    struct px_thread *next, **link; /* [lock] all threads */
    uint32_t *clear_tid;            /* [own] a program's address */
    uint64_t robust_list;           /* [own] a program's address */
    uint64_t fs_base;
    char name[16];
    /* [own] a relative sleep that signals interrupted without a handler */
    uint64_t restart_deadline;
    bool has_fs_ids;  /* [own] it has chosen others than the effective ones for files */
    bool was_stopped; /* [own] by the kernel, since this was cleared */
    bool stop_ends; /* [own] a stop ends the wait with EINTR, as in Linux's epoll_wait, sigtimedwait
                     */
    /* [lock] signals to this thread while it runs a vfork child: `pending` is the child's */
    struct px_pending away_pending;
};

#define PX_OFFSET_WORK  232
#define PX_OFFSET_KIND  236
#define PX_OFFSET_REGS  240
#define PX_OFFSET_STACK 384
_Static_assert(offsetof(struct px_thread, work) == PX_OFFSET_WORK, "entry.S");
_Static_assert(offsetof(struct px_thread, kind) == PX_OFFSET_KIND, "entry.S");
_Static_assert(offsetof(struct px_thread, regs) == PX_OFFSET_REGS, "entry.S");
_Static_assert(offsetof(struct px_thread, stack) == PX_OFFSET_STACK, "entry.S");

#define PX_RUNTIME_STACK (24u * 1024u)
#define PX_FAULT_STACK   (8u * 1024u)
#define PX_BLOCK_SIZE \
    (PX_RUNTIME_STACK + 4096u + \
     PX_FAULT_STACK) /* the block's page holds the stack's first bytes too */

static inline struct px_process *px_proc(void)
{
    return px_self()->process;
}

#endif
