/* SPDX-License-Identifier: MIT */
/*
 * Inside of address spaces: regions, page-table entries, and the gathering of what an unmapping
 * frees.
 */
#ifndef KERNEL_ASPACE_IMPL_H
#define KERNEL_ASPACE_IMPL_H

#include "arch/x86_64/pagetable.h"
#include "aspace.h"
#include "list.h"

struct region {
    struct tree_node node; /* [as->lock] key: start */
    uint64_t end;          /* [as->lock, as->changing to write] */
    struct aspace *as;     /* immutable */
    struct vmo *vmo;       /* immutable; NULL: anonymous. Referenced */
    uint64_t offset;       /* [as->lock] in vmo, of start */
    uint32_t flags;        /* [as->lock] MOTOR_PROT_*, MOTOR_MAP_PRIVATE, _STACK, _NOFORK */
    uint32_t max_prot;     /* immutable */
    struct list vmo_link;  /* [vmo->lock] */
    uint64_t visited;      /* [vmo->lock] epoch of the last removal that came by */
    uint64_t fault_next;   /* [as->lock] where a sequential toucher faults next */
    uint8_t batch;         /* [as->lock] pages to populate then */
    /* [as->lock] being unmapped in pieces: faults retry, nothing is mapped here */
    bool dying;
};

static inline uint64_t region_start(const struct region *r)
{
    return r->node.key;
}

/* in no tree yet; takes a reference to v. NULL: no memory */
struct region *region_alloc(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t end,
                            uint32_t flags, uint32_t max_prot);
/* into its object's list, at the front: removals of pages that are under way come by */
void region_link(struct region *r);
/* the last that starts at or below; NULL */
struct region *region_floor(struct aspace *as, uint64_t address);
struct region *region_find(struct aspace *as, uint64_t address); /* the one that holds it; NULL */
struct region *region_next(struct region *r);
/* the first that overlaps */
struct region *region_first_in(struct aspace *as, uint64_t start, uint64_t end);

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

/*
 * Make the page tables of a range this address space's own, and split large pages at its ends, so
 * that entries can be changed without further memory. Unless all: tables that lie in the range as a
 * whole may stay shared. as->lock is held, and dropped in between. ENOMEM: nothing has changed.
 */
int64_t own_range(struct aspace *as, uint64_t start, uint64_t end, bool all);

/*
 * Unmap entries of [*at, end), of which own_range() was done, until done or the gather is full
 * (then false); only private pages are freed.
 */
bool unmap_entries(struct gather *g, uint64_t *at, uint64_t end);

bool aspace_try_get(struct aspace *as); /* false: it is being torn down */
/* byte range of v: take object pages out of all mappings, which are then visited in this epoch */
void aspace_forget_pages(struct aspace *as, struct vmo *v, uint64_t start, uint64_t end,
                         uint64_t epoch);
int64_t fault_locked(struct aspace *as, uint64_t address, uint32_t access); /* as->lock held */

#endif
