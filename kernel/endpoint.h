/* SPDX-License-Identifier: MIT */
/*
 * Endpoints and gates; calls in progress.
 *
 * An endpoint has three queues: cancellations, pending gates (notified, or unreachable), and
 * callers. Servers that wait are on `waiters`. Nothing queued needs memory when it happens: gates
 * and callers link themselves, a cancellation uses a record that the caller allocated before its
 * call.
 *
 * A call lives on its caller's kernel stack: queued -> delivered (linked at the server process) ->
 * done. A server that copies to or from it pins it; an abort meanwhile is put off until it is
 * unpinned.
 */
#ifndef KERNEL_ENDPOINT_H
#define KERNEL_ENDPOINT_H

#include "list.h"
#include "object.h"
#include "thread.h"

#define GATE_NOTIFIED    1u
#define GATE_UNREACHABLE 2u

struct endpoint {
    struct object object;
    bool closed;         /* [sched_lock] no handle is left: nobody can receive */
    struct list waiters; /* [sched_lock] threads in serve */
    struct list callers; /* [sched_lock] threads with calls not yet delivered */
    struct list gates;   /* [sched_lock] pending, each referenced */
    struct list cancels; /* [sched_lock] struct cancel */
    /* [sched_lock] counts what is queued: the server gets gates and callers in that order */
    uint64_t sequence;
};

struct gate {
    struct object object;
    struct endpoint *endpoint; /* referenced, immutable */
    uint64_t badge;
    uint32_t pending; /* [sched_lock; atomic to read] GATE_* */
    bool dead;        /* [sched_lock] CLOSED is queued or delivered: no more notifications */
    struct list link; /* [sched_lock] on endpoint.gates while pending */
    uint64_t queued;  /* [sched_lock] its place in the sequence */
};

struct cancel {
    struct list link;
    uint64_t badge, token;
};

enum call_stage {
    CALL_QUEUED,
    CALL_DELIVERED,
    CALL_DONE,
};

struct call_handle {
    struct object *object; /* with a handle count */
    uint32_t rights;
};

struct call {
    struct motor_msg msg; /* in: as the caller gave it; out: status and words of the reply */
    struct gate *gate;
    uint64_t token;
    uint64_t queued;        /* [sched_lock] its place in the endpoint's sequence */
    struct process *server; /* [sched_lock] when delivered */
    uint8_t stage;          /* [sched_lock] enum call_stage */
    bool interruptible;     /* not MOTOR_CALL_NOINTR */
    bool confirm;           /* MOTOR_CALL_CONFIRM */
    bool may_exec;          /* MOTOR_CALL_EXEC */
    bool cancelled;         /* [sched_lock] the server has been told */
    bool pinned;            /* [sched_lock] a server is copying: aborts wait */
    int64_t abort_status;   /* [sched_lock] the abort that waits, 0: none */
    uint32_t nhandles;      /* sent before delivery, received after the reply */
    struct call_handle handle[MOTOR_MSG_HANDLES];
    /* bytes of data: of `in` before delivery, for `out` after the reply */
    uint32_t inline_size;
    uint8_t data[MOTOR_MSG_INLINE];
    struct process *program; /* of a reply with MOTOR_REPLY_EXEC, referenced; NULL: none */
};

void endpoint_close(struct endpoint *e); /* its last handle is gone */
void gate_unreachable(struct gate *g);   /* its last handle is gone */
void gate_notify(struct gate *g);        /* post; no lock held */
/* [sched_lock held] false: already pending or dead */
bool gate_post(struct gate *g);
/* [sched_lock held] as gate_post; a server to hand this CPU to, or NULL */
struct thread *gate_post_handoff(struct gate *g);
void endpoint_wake(struct endpoint *e); /* [sched_lock held] something is queued */
/* as endpoint_wake, leaving the server to the caller to run */
struct thread *endpoint_wake_handoff(struct endpoint *e);

/* [sched_lock held] */
void call_aborted(struct thread *t); /* its wait was aborted: tell the server */
/* delivered to the current process and not done, or NULL */
struct thread *call_find(uint64_t token);
void call_unpin(struct thread *t);

/* No lock held. */
/*
 * The current thread's call, with msg and gate set; 0: answered. The handles in it are the caller's
 * to drop in any case.
 */
int64_t call_perform(struct call *c);
/* EGONE: no such call; EBUSY: another thread copies */
int64_t call_pin(uint64_t token, struct thread **out);
void call_drop_handles(struct call *c);
void process_abort_serving(struct process *p); /* a dead server's callers end with EGONE */

#endif
