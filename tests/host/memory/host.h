/* SPDX-License-Identifier: MIT */
/*
 * A machine around the kernel's memory code on the host: RAM at PHYSMAP_BASE, one CPU with a model
 * of its translation caches, a heap whose objects the sanitizers know, and allocations that can be
 * made to fail.
 */
#ifndef TESTS_HOST_MEMORY_HOST_H
#define TESTS_HOST_MEMORY_HOST_H

#include "aspace_impl.h"
#include "frame.h"
#include "vmo_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(x) \
    do { \
        if (!(x)) { \
            host_fail(__FILE__, __LINE__, #x); \
        } \
    } while (0)

noreturn void host_fail(const char *file, int line, const char *what);
extern const char *host_doing; /* shown when something fails */
extern uint64_t host_round;

void host_init(uint64_t bytes); /* RAM, the frame allocator, the CPU */
uint64_t draw(void);            /* pseudo-random; draw_seed() first */
void draw_seed(uint64_t seed);
static inline uint64_t below(uint64_t n)
{
    return draw() % n;
}

/* The n-th allocation from now on fails (1: the next one), once; 0: none. */
void inject(uint64_t n);
bool injected(void);   /* it did; and none is going to */
bool host_fails(void); /* this allocation is to fail */

/* What runs at the kernel's preemption points, in place of other threads; may be NULL. */
extern void (*host_preempt)(void);

/*
 * The CPU reads or writes a word of user memory, with faults as they come. 0, or what the kernel
 * said about a fault.
 */
int64_t mmu_load(struct aspace *as, uint64_t va, uint64_t *value);
int64_t mmu_store(struct aspace *as, uint64_t va, uint64_t value);
void mmu_check(struct aspace *as); /* nothing is cached that the tables do not say */
void mmu_forget(struct aspace *as);

/*
 * Everything that can be counted twice: references, used entries, charges, regions, frames. All
 * address spaces and objects there are.
 */
void check_all(struct aspace *const *spaces, unsigned n, struct vmo *const *vmos, unsigned m);

#endif
