/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks. The kernel runs with interrupts off, so taking one needs no interrupt juggling; hold times are
 * bounded. Fair (ticket) so that no CPU starves. Lock order: docs/locking.md.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <stdbool.h>
#include <stdint.h>

void arch_relax(void); /* pause, and answer a TLB shootdown that waits for this CPU: spinning never blocks one */

struct spinlock {
    uint32_t next;  /* ticket to hand out */
    uint32_t owner; /* ticket being served */
};

static inline void spin_lock(struct spinlock *l)
{
    uint32_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket) {
        arch_relax();
    }
}

static inline void spin_unlock(struct spinlock *l)
{
    __atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}

static inline bool spin_held(const struct spinlock *l)
{
    return __atomic_load_n(&l->next, __ATOMIC_RELAXED) != __atomic_load_n(&l->owner, __ATOMIC_RELAXED);
}

#endif
