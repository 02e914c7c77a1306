/* SPDX-License-Identifier: MIT */
/*
 * Stop and continue. A stop marks every thread; each stops at its next return to user mode if it
 * runs program code there. One that is in the runtime (its control block says busy) may hold locks,
 * some of them shared with other processes: it is only told (MOTOR_UPCALL_STOP), and stops inside
 * MOTOR_THREAD_ACK. A runtime that does not ask is stopped anyway, after it has run for a while.
 * When all threads have stopped the parent is told.
 */
#include "family.h"
#include "log.h"
#include "pid.h"
#include "sched.h"
#include "signal.h"
#include "syscall.h"

#define STOP_BATCH 64u
#define GRACE_NS   50000000ull /* of running, for a thread that is busy */

static uint32_t stopping; /* [atomic] processes that are stopped, or are about to be */

bool stop_any(void)
{
    return __atomic_load_n(&stopping, __ATOMIC_RELAXED) != 0;
}

/* [sched_lock] */
static void mark(struct thread *t)
{
    t->stop_ran = 0;
    __atomic_fetch_or(&t->return_work, WORK_STOP, __ATOMIC_RELAXED);
    /* always: it may be about to begin a wait, whatever its last one was */
    __atomic_fetch_or(&t->sticky, MOTOR_UPCALL_STOP, __ATOMIC_RELAXED);
    if (t->interruptible) {
        wait_abort(t, -MOTOR_EINTR);
    }
    sched_poke(t);
}

void process_stop(struct process *p, uint32_t signal)
{
    sched_lock_acquire();
    bool begin = p->state == PROCESS_RUNNING && !p->dying && !p->stop_signal;
    if (begin) {
        p->stop_signal = signal;
        p->stop_told = false;
        __atomic_fetch_add(&stopping, 1, __ATOMIC_RELAXED);
    }
    /* as process_kill_threads() goes round */
    for (uint32_t steps = begin ? p->thread_count : 0, i = 0;
         i < steps && !list_empty(&p->threads) && p->stop_signal; i++) {
        struct thread *t = container_of(p->threads.next, struct thread, process_link);
        list_remove(&t->process_link);
        list_append(&p->threads, &t->process_link);
        mark(t);
        if (i % STOP_BATCH == STOP_BATCH - 1) {
            sched_lock_release();
            sched_preempt_point();
            sched_lock_acquire();
        }
    }
    sched_lock_release();
}

/* [sched_lock] no longer stopped: true if its parent had been told that it was */
static bool end_stop(struct process *p)
{
    bool told = p->stop_told;
    if (p->stop_signal) {
        p->stop_signal = 0;
        p->stop_told = false;
        __atomic_fetch_sub(&stopping, 1, __ATOMIC_RELAXED);
    }
    return told;
}

void process_continue(struct process *p)
{
    sched_lock_acquire();
    bool told = end_stop(p);
    while (!list_empty(&p->stopped)) {
        wait_end(container_of(p->stopped.next, struct thread, wait_link), 0);
    }
    sched_lock_release();
    if (told) {
        family_continued(p);
    }
}

/* It will not be stopped any more, since it dies. [sched_lock] */
void stop_forget(struct process *p)
{
    end_stop(p);
}

bool process_now_stopped(struct process *p)
{
    bool now =
        p->stop_signal && !p->stop_told && p->thread_count && p->stopped_count == p->thread_count;
    p->stop_told |= now;
    return now;
}

bool thread_stop_here(void)
{
    struct thread *t = this_cpu()->current;
    struct process *p = t->process;
    bool stopped = false;
    sched_lock_acquire();
    while (p->stop_signal && !(t->return_work & WORK_KILL)) {
        stopped = true;
        p->stopped_count++;
        bool all = process_now_stopped(p);
        wait_begin(WAIT_STOP, false, &p->stopped);
        if (all) {
            sched_lock_release();
            family_stopped(p);
            sched_lock_acquire();
        }
        wait_block(MOTOR_NEVER, NULL);
        p->stopped_count--;
    }
    __atomic_fetch_and(&t->return_work, ~WORK_STOP, __ATOMIC_RELAXED);
    __atomic_fetch_and(&t->sticky, ~MOTOR_UPCALL_STOP, __ATOMIC_RELAXED);
    sched_lock_release();
    return stopped;
}

/* A thread that is busy in its runtime need not stop yet: it has not run for long since told. */
static bool has_grace(struct thread *t)
{
    sched_lock_acquire();
    uint64_t ran = sched_run_ns(t);
    if (!t->stop_ran) {
        t->stop_ran = ran | 1;
    }
    bool grace = t->process->stop_signal && (ran <= t->stop_ran || ran - t->stop_ran <= GRACE_NS);
    sched_lock_release();
    return grace;
}

bool thread_stop_work(struct thread *t, bool busy)
{
    if (busy && has_grace(t)) {
        __atomic_fetch_or(&t->sticky, MOTOR_UPCALL_STOP, __ATOMIC_RELAXED);
        __atomic_fetch_and(&t->return_work, ~WORK_STOP, __ATOMIC_RELAXED);
        return false;
    }
    thread_stop_here();
    return true;
}

int64_t sys_process_stop(uint32_t signal)
{
    struct process *p = this_cpu()->current->process;
    if (signal < SIGSTOP || signal > SIGTTOU) {
        return -MOTOR_EINVAL;
    }
    if (p->first || p->init) {
        return -MOTOR_EPERM;
    }
    spin_lock(&processes_lock);
    bool orphaned = signal != SIGSTOP && family_group_is_orphaned(p->pgid);
    spin_unlock(&processes_lock);
    if (orphaned) {
        return -MOTOR_EPERM;
    }
    process_stop(p, signal);
    return 0;
}
