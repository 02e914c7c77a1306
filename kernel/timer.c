/* SPDX-License-Identifier: MIT */
#include "timer.h"
#include "log.h"
#include "sched.h"

#define TIMER_BATCH 32u

/* Make sure that this CPU's hardware timer fires no later than the deadline. */
static void arm_hardware(struct run_queue *rq, uint64_t deadline)
{
    if (deadline < rq->armed) {
        rq->armed = deadline;
        arch_timer_arm(deadline);
    }
}

void timer_arm(struct timer *t, uint64_t deadline)
{
    struct cpu *cpu = this_cpu();
    struct run_queue *rq = cpu->run_queue;
    timer_cancel(t);
    if (deadline == MOTOR_NEVER) {
        return;
    }
    t->cpu = cpu->id;
    tree_insert(&rq->timers, &t->node, deadline);
    arm_hardware(rq, deadline);
}

void timer_cancel(struct timer *t)
{
    if (t->node.linked) {
        tree_remove(&sched_queue(t->cpu)->timers, &t->node);
    }
}

void timer_run(uint64_t now)
{
    struct run_queue *rq = this_cpu()->run_queue;
    KASSERT(spin_held(&sched_lock));
    for (uint32_t i = 0; i < TIMER_BATCH; i++) {
        struct tree_node *n = rq->timers.first;
        if (!n || n->key > now) {
            break;
        }
        struct timer *t = container_of(n, struct timer, node);
        tree_remove(&rq->timers, n);
        t->fire(t);
    }
    if (rq->timers.first) {
        arm_hardware(rq, rq->timers.first->key);
    }
}
