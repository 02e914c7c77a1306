/* SPDX-License-Identifier: MIT */
/*
 * Inside of address spaces: who may change them, the gathering of what an unmapping frees, and the
 * changes of ranges that the calls are made of.
 */
#ifndef KERNEL_ASPACE_IMPL_H
#define KERNEL_ASPACE_IMPL_H

#include "arch/x86_64/pagetable.h"
#include "aspace.h"
#include "region.h"

#define ASPACE_LOWEST 0x10000ull /* null pointers with offsets stay faults */
/* the last GiB has the page of the kernel's, by tables that all address spaces share */
#define ASPACE_END    (MOTOR_KINFO_ADDRESS & ~((1ull << 30) - 1))

static inline bool range_ok(uint64_t address, uint64_t length)
{
    return address % PAGE_SIZE == 0 && length && address >= ASPACE_LOWEST && length <= ASPACE_END &&
           address <= ASPACE_END - length;
}

static inline uint64_t page_round_up(uint64_t length)
{
    return (length + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

/*
 * The regions stand still between these two, but for the caller's own changes: layout_begin()
 * waits for others, and returns with as->lock held; layout_end() takes it that way and drops it.
 */
void layout_begin(struct aspace *as);
void layout_end(struct aspace *as);

/* [as->lock] No copy into a page of this space is under way any more. */
void await_writers(struct aspace *as);

/* Frames to free once no CPU can reach them any more. */
#define GATHER_MAX   64u
/* what a gathered address is, in its low bits; 0: a frame */
#define GATHER_BLOCK 1u /* of a large page */
#define GATHER_TABLE 2u /* of pages, maybe shared */
struct gather {
    struct aspace *as;
    uint64_t start, end; /* virtual range whose translations changed */
    bool tables;         /* some of the frames are page tables */
    unsigned n;
    uint64_t frame[GATHER_MAX];
};
void gather_begin(struct gather *g, struct aspace *as);
void gather_range(struct gather *g, uint64_t start, uint64_t end);
void gather_finish(struct gather *g); /* flush, then free; as->lock held */
static inline bool gather_full(const struct gather *g)
{
    return g->n + 4 > GATHER_MAX; /* an entry's page, and up to two tables that it empties */
}

void gather_frame(struct gather *g, uint64_t page);
void gather_table(void *gather, uint64_t page); /* also the release() of page tables */

/*
 * Make the page tables of a range this address space's own, and split large pages at its ends, so
 * that entries can be changed without further memory. Unless all: tables that lie in the range as a
 * whole may stay shared. as->lock is held, and dropped in between. ENOMEM: nothing has changed.
 */
int64_t own_range(struct aspace *as, uint64_t start, uint64_t end, bool all);

/*
 * The page after that of a leaf entry, or a later one if the entries between are empty; the same
 * table, so at most 512.
 */
uint64_t next_page(const uint64_t *entry, uint64_t at, uint64_t end);

/*
 * Changes of a range of pages, between layout_begin() and layout_end(), with as->lock held, which
 * is dropped in between. A status; after an error nothing is different.
 */
int64_t unmap_range(struct aspace *as, uint64_t start, uint64_t end);
int64_t protect_range(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot);
/* the whole range mapped, and rights allowed everywhere? */
int64_t protect_check(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot);
/* private pages go, the mappings stay. ENOMEM: some may have gone */
int64_t discard(struct aspace *as, uint64_t start, uint64_t end);
/* The address, or a status: then r is still the caller's. MOTOR_MAP_* flags say where. */
int64_t insert_mapping(struct aspace *as, struct region *r, uint64_t address, uint64_t length,
                       uint32_t flags);

/* physical address of the directory behind ASPACE_END, which has a reference of its own */
extern uint64_t aspace_kinfo_tables;

bool aspace_try_get(struct aspace *as); /* false: it is being torn down */
/* byte range of v: take object pages out of all mappings, which are then visited in this epoch */
void aspace_forget_pages(struct aspace *as, struct vmo *v, uint64_t start, uint64_t end,
                         uint64_t epoch);
int64_t fault_locked(struct aspace *as, uint64_t address, uint32_t access); /* as->lock held */
/*
 * [as->lock] What can be brought from an address on without asking anybody, as its region allows
 * it: some pages at once. Where it ends; `at` if the page there wants a fault of its own.
 */
uint64_t fault_run(struct aspace *as, uint64_t at, uint64_t end);
/* [as->lock] A new page, filled already, becomes that of anonymous memory; else it is the caller's.
 */
int64_t fault_place(struct aspace *as, uint64_t at, uint64_t page);
/* All pages of a range that is mapped. A status; the lock is taken in between. */
int64_t aspace_populate(struct aspace *as, uint64_t start, uint64_t end);

#endif
