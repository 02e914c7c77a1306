/* SPDX-License-Identifier: MIT */
/*
 * One-shot timers, each in the tree of the CPU that armed it. The hardware timer is armed lazily:
 * only when a deadline comes earlier than what it is set to; a timer cancelled in time costs at
 * most one empty interrupt. All under sched_lock.
 */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include "tree.h"

struct timer {
    struct tree_node node;        /* key: deadline, ns */
    uint32_t cpu;                 /* whose tree it is in */
    void (*fire)(struct timer *); /* called with sched_lock held */
};

void timer_arm(struct timer *t, uint64_t deadline); /* replaces; MOTOR_NEVER: none */
void timer_cancel(struct timer *t);
void timer_run(uint64_t now); /* fire what is due on this CPU, at most TIMER_BATCH */

#endif
