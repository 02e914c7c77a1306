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
    uint64_t end;          /* [as->lock] */
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

/* the last that starts at or below; NULL */
struct region *region_floor(struct aspace *as, uint64_t address);
struct region *region_find(struct aspace *as, uint64_t address); /* the one that holds it; NULL */
struct region *region_next(struct region *r);
/* the first that overlaps */
struct region *region_first_in(struct aspace *as, uint64_t start, uint64_t end);

/* Frames to free once no CPU can reach them any more. */
#define GATHER_MAX 64u
struct gather {
    struct aspace *as;
    uint64_t start, end; /* virtual range whose translations changed */
    unsigned n;
    uint64_t frame[GATHER_MAX];
};
void gather_begin(struct gather *g, struct aspace *as);
void gather_range(struct gather *g, uint64_t start, uint64_t end);
void gather_finish(struct gather *g); /* flush, then free; as->lock held */

/*
 * Unmap entries of [*at, end) until done or the gather is full (then false); only private pages are
 * freed.
 */
bool unmap_entries(struct gather *g, uint64_t *at, uint64_t end);

bool aspace_try_get(struct aspace *as); /* false: it is being torn down */
/* byte range of v: take object pages out */
void aspace_forget_pages(struct aspace *as, struct vmo *v, uint64_t start, uint64_t end);
int64_t fault_locked(struct aspace *as, uint64_t address, uint32_t access); /* as->lock held */

#endif
