/* SPDX-License-Identifier: MIT */
/*
 * Waits: begin, block, end. A wait is begun with the thread still running and on a queue, so that
 * what it waits for can be checked without a lock (a futex word) and no wake-up is lost. Whoever
 * ends it first wins. Everything here runs with sched_lock held.
 */
#include "endpoint.h"
#include "log.h"
#include "sched.h"
#include "thread.h"

void wait_begin(enum wait_kind kind, bool interruptible, struct list *queue)
{
    struct thread *t = this_cpu()->current;
    KASSERT(!t->waiting);
    t->waiting = true;
    t->interruptible = interruptible;
    t->wait_kind = (uint8_t)kind;
    t->wait_status = 0;
    if (queue) {
        list_append(queue, &t->wait_link);
    }
}

static bool end(struct thread *t, int64_t status)
{
    if (!t->waiting) {
        return false;
    }
    t->waiting = false;
    t->wait_kind = WAIT_NONE;
    t->wait_status = status;
    list_remove(&t->wait_link);
    timer_cancel(&t->deadline);
    return true;
}

bool wait_end(struct thread *t, int64_t status)
{
    if (!end(t, status)) {
        return false;
    }
    if (t->state == THREAD_BLOCKED) {
        sched_ready(t);
    }
    return true;
}

bool wait_end_handoff(struct thread *t, int64_t status)
{
    if (!end(t, status) || t->state != THREAD_BLOCKED) {
        return false;
    }
    t->state = THREAD_READY;
    return true;
}

void wait_abort(struct thread *t, int64_t status)
{
    if (!t->waiting || t->wait_kind == WAIT_ALONE) {
        return;
    }
    if (t->wait_kind == WAIT_CALL) {
        if (t->call->pinned) {
            t->call->abort_status = status;
            return;
        }
        call_aborted(t);
        if (t->call->confirm && t->call->cancelled && status == -MOTOR_EINTR &&
            !(t->return_work & WORK_KILL)) {
            return;
        }
    }
    wait_end(t, status);
}

/* Reasons not to sleep at all. */
static void abort_early(struct thread *t, uint64_t deadline)
{
    if (t->return_work & WORK_KILL) {
        wait_abort(t, -MOTOR_EINTR);
    } else if (t->interruptible && t->sticky) {
        wait_abort(t, -MOTOR_EINTR);
    } else if (deadline != MOTOR_NEVER && deadline <= arch_now()) {
        wait_abort(t, -MOTOR_ETIMEOUT);
    }
}

int64_t wait_block(uint64_t deadline, struct thread *handoff)
{
    struct thread *t = this_cpu()->current;
    if (t->waiting) {
        abort_early(t, deadline);
    }
    if (!t->waiting) {
        if (handoff) {
            sched_ready(handoff);
        }
        return t->wait_status;
    }
    if (deadline != MOTOR_NEVER) {
        timer_arm(&t->deadline, deadline);
    }
    t->state = THREAD_BLOCKED;
    sched_block(handoff);
    KASSERT(!t->waiting);
    return t->wait_status;
}

void thread_kill(struct thread *t)
{
    __atomic_fetch_or(&t->return_work, WORK_KILL, __ATOMIC_RELAXED);
    wait_abort(t, -MOTOR_EINTR);
    sched_poke(t);
}

void thread_interrupt(struct thread *t, uint32_t bits)
{
    __atomic_fetch_or(&t->sticky, bits, __ATOMIC_RELAXED);
    __atomic_fetch_or(&t->return_work, WORK_UPCALL, __ATOMIC_RELAXED);
    if (t->interruptible) {
        wait_abort(t, -MOTOR_EINTR);
    }
    sched_poke(t);
}
