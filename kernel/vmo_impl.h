/* SPDX-License-Identifier: MIT */
/* Inside of memory objects, for vmo.c and the address-space code. */
#ifndef KERNEL_VMO_IMPL_H
#define KERNEL_VMO_IMPL_H

#include "account.h"
#include "list.h"
#include "spinlock.h"
#include "vmo.h"

enum vmo_kind {
    VMO_ANONYMOUS, /* absent pages are zero */
    VMO_CLONE,     /* absent pages are the parent's */
    VMO_FIXED,     /* a physical range of RAM that is never written: the bundle */
    VMO_DEVICE,    /* a physical range that is not RAM to us */
};

struct vmo {
    struct object object;
    struct spinlock lock;
    uint8_t kind;           /* enum vmo_kind, immutable */
    uint8_t depth;          /* of parents above, immutable */
    bool contiguous;        /* immutable: one block, committed */
    bool uncached;          /* immutable */
    bool removing;          /* [lock] somebody goes through the mappings */
    bool pinned;            /* [lock] a driver knows addresses of pages */
    uint64_t size;          /* [lock] bytes */
    struct vmo *parent;     /* immutable, referenced */
    uint64_t parent_offset; /* immutable */
    uint64_t fixed;         /* immutable: first physical address */
    void *tree;             /* [lock] radix tree of pages, see vmo.c */
    unsigned height;        /* [lock] */
    uint64_t committed;     /* [lock] pages */
    struct account
        *account; /* pays for them; immutable once others know the object; NULL: nobody */
    /* [lock] struct region.vmo_link; those that the last removal has visited at the end */
    struct list mappings;
    uint64_t epoch; /* [lock] of removals, see region.visited */
};

/* A removal has come by a mapping. [its address space's lock] */
struct region;
void vmo_mapping_visited(struct vmo *v, struct region *r, uint64_t epoch);
/*
 * As vmo_page(), with a frame reference taken for RAM that the object owns: the page stays while it
 * is copied.
 */
uint64_t vmo_page_ref(struct vmo *v, uint64_t offset, bool write, int64_t *status);
void vmo_page_unref(struct vmo *v, uint64_t paddr);
/* the page if one is committed (or fixed), else 0 */
uint64_t vmo_present(struct vmo *v, uint64_t offset);

#endif
