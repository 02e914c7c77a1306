/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's interface. One lock, sched_lock, covers run queues, thread states, waits,
 * endpoints, futexes and timers. It is held across context switches.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "spinlock.h"
#include "thread.h"
#include "tree.h"

#define SCHED_SLICE_NS 4000000ull

struct run_queue {         /* of one CPU [sched_lock] */
    struct tree ready;     /* by vruntime; the running thread is not in it */
    uint64_t min_vruntime; /* never falls */
    uint64_t slice_end;    /* ns; meaningful when someone waits */
    struct tree timers;
    uint64_t armed;        /* what the hardware timer is set to */
    uint64_t switched_at;  /* when the running thread was switched to */
    uint64_t undisturbed;  /* until when a woken thread does not preempt it */
    bool outside;          /* what is woken now is not woken by the running thread */
    uint32_t waiting;      /* of those in `ready`, for whom this CPU has no time now */
    struct thread *zombie; /* the thread just switched from has died: to be reaped */
};

extern struct spinlock sched_lock;

/* this CPU's run queue; called on each CPU before it schedules */
void sched_init_cpu(void);
static inline struct run_queue *sched_queue(uint32_t cpu)
{
    return cpus[cpu]->run_queue;
}
static inline void sched_lock_acquire(void)
{
    spin_lock(&sched_lock);
}
static inline void sched_lock_release(void)
{
    spin_unlock(&sched_lock);
}

/* [sched_lock held] */
/* choose a CPU, queue there, and tell that CPU if it should look */
void sched_ready(struct thread *t);
/*
 * The same for a new one: it has slept for nothing, so it comes after who made it. A program may
 * rely on it that fork returns before the child has done much, and making threads wins no time.
 */
void sched_new(struct thread *t);
/* the current thread is no longer RUNNING: switch; returns when it runs again, lock held */
void sched_block(struct thread *handoff);
/* an interrupt begins or ends to wake threads */
void sched_outside(bool outside);
void sched_set_priority(struct thread *t, uint32_t priority);
void sched_set_affinity(struct thread *t, uint64_t mask);
uint64_t sched_run_ns(struct thread *t);
/* a running thread must look at its return_work soon */
void sched_poke(struct thread *t);

/* no lock held */
/* what every thread does first after being switched to: releases sched_lock, reaps */
void sched_finish_switch(void);
void sched_resched(void); /* let a better thread run, if there is one */
void sched_yield(void);
/* long kernel operations call this without locks: interrupts, and a switch if due */
void sched_preempt_point(void);
noreturn void sched_idle_loop(void);

#endif
