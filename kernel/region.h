/* SPDX-License-Identifier: MIT */
/*
 * Regions: what is mapped where in an address space, each a range with one object (or none:
 * anonymous memory) and one set of rights. Everything with as->lock; what changes the tree also
 * between layout_begin() and layout_end().
 */
#ifndef KERNEL_REGION_H
#define KERNEL_REGION_H

#include "aspace.h"
#include "list.h"

struct region {
    struct tree_node node; /* [as->lock] key: start */
    uint64_t end;          /* [as->lock, as->changing to write] */
    struct aspace *as;     /* immutable */
    struct vmo *vmo;       /* immutable; NULL: anonymous. Referenced */
    uint64_t offset;       /* immutable: in vmo, of start */
    uint32_t flags;        /* [as->lock] MOTOR_PROT_*, MOTOR_MAP_PRIVATE, _NOFORK, _WIPEFORK */
    uint32_t max_prot;     /* immutable once it is in its object's list */
    struct list vmo_link;  /* [vmo->lock] */
    bool last;             /* it was its object's last mapping, when it was removed */
    uint64_t visited;      /* [vmo->lock] epoch of the last removal that came by */
    uint64_t fault_next;   /* [as->lock] where a sequential toucher faults next */
    uint8_t batch;         /* [as->lock] pages to populate then */
    /* [as->lock] being unmapped or moved in pieces: faults retry, nothing comes here */
    bool dying;
};

static inline uint64_t region_start(const struct region *r)
{
    return r->node.key;
}

struct region *region_of(struct tree_node *n); /* NULL stays NULL */
/* the last that starts at or below; NULL */
struct region *region_floor(struct aspace *as, uint64_t address);
struct region *region_find(struct aspace *as, uint64_t address); /* the one that holds it; NULL */
struct region *region_next(struct region *r);
/* the first that overlaps */
struct region *region_first_in(struct aspace *as, uint64_t start, uint64_t end);
/* may be mapped; *before is the region that such a mapping comes behind then, NULL: none */
bool region_range_free(struct aspace *as, uint64_t start, uint64_t length, struct region **before);

/* in no tree yet; takes a reference to v. NULL: no memory */
struct region *region_alloc(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t end,
                            uint32_t flags, uint32_t max_prot);
/* the same in memory that is there, of one that another address space has */
void region_copy(struct region *r, struct aspace *as, const struct region *of);
void region_free(struct region *r); /* in no tree; puts the object, so no lock may be held */
void region_end(struct region *r);  /* the same, but its memory stays */
void region_insert(struct aspace *as, struct region *r, uint64_t start);
/* the same for a free range behind `before`, joined with neighbours alike: r may be gone */
void region_insert_after(struct aspace *as, struct region *before, struct region *r,
                         uint64_t start);
/* out of the tree and the object's list */
void region_remove(struct aspace *as, struct region *r);
/* into its object's list, at the front: removals of pages that are under way come by */
void region_link(struct region *r);
void region_unlink(struct region *r);

/* cut at both ends of a range; false: no memory, and one cut may have been made */
bool region_split_range(struct aspace *as, uint64_t start, uint64_t end);
/* join neighbours that are alike, around and in a range */
void region_merge_range(struct aspace *as, uint64_t start, uint64_t end);

#endif
