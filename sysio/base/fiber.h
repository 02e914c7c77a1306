/* SPDX-License-Identifier: MIT */
/*
 * Fibers: threads of control inside one engine, switched only where they sleep.
 *
 * A file system's code that may have to wait for a device runs in a fiber and reads as if it
 * waited; the engine's loop goes on with other things. Fibers are not preempted: between two sleeps
 * a fiber has the engine for itself. What must hold across a sleep is guarded by a fiber_lock.
 *
 * All functions are for one thread, the engine's. docs/decisions/0010-fibers.md has the reasons.
 */
#ifndef SYSIO_FIBER_H
#define SYSIO_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#define FIBER_STACK (64u << 10)

struct fiber;

/* Runs function(arg) in a fiber until its first sleep. False: no memory. From the loop only. */
bool fiber_start(void (*function)(void *), void *arg);
/* the fiber that runs; NULL: the loop does */
struct fiber *fiber_current(void);
/* Sleeps until fiber_ready(). For fibers. */
void fiber_suspend(void);
/* A sleeping fiber may go on, at the next fiber_run(). */
void fiber_ready(struct fiber *f);
/* Runs all that are ready, until each sleeps or ends. From the loop. True: one has run. */
bool fiber_run(void);
/* that have been started and have not ended */
unsigned fiber_count(void);

/* Mutual exclusion over sleeps; who waits longest is next. */
struct fiber_lock {
    struct fiber *holder;
    struct fiber *first, **last; /* who wait */
};
void fiber_lock(struct fiber_lock *l);
void fiber_unlock(struct fiber_lock *l);

/* Fibers that wait for one thing to happen. Zeroed: nobody. */
struct fiber_queue {
    struct fiber *first;
};
/* Sleeps until fiber_wake_all(), after which the queue may be gone. For fibers. */
void fiber_wait(struct fiber_queue *q);
void fiber_wake_all(struct fiber_queue *q);

#endif
