/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks. The kernel runs with interrupts off, so taking one needs no interrupt juggling; hold
 * times are bounded. Whoever runs takes it: on virtual CPUs a queue (tickets) would make all wait
 * for one that the host does not run just now. Lock order: docs/locking.md.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* pause, and answer a TLB shootdown that waits for this CPU: spinning never blocks one */
void arch_relax(void);

struct spinlock {
    uint32_t held;
};

static inline void spin_lock(struct spinlock *l)
{
    while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE)) {
        do {
            arch_relax();
        } while (__atomic_load_n(&l->held, __ATOMIC_RELAXED));
    }
}

static inline void spin_unlock(struct spinlock *l)
{
    __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

static inline bool spin_held(const struct spinlock *l)
{
    return __atomic_load_n(&l->held, __ATOMIC_RELAXED);
}

#endif
