/* SPDX-License-Identifier: MIT */
/* Inside of memory objects, for vmo.c and the address-space code. */
#ifndef KERNEL_VMO_IMPL_H
#define KERNEL_VMO_IMPL_H

#include "account.h"
#include "list.h"
#include "spinlock.h"
#include "vmo.h"

struct gate;
struct region;

enum vmo_kind {
    VMO_ANONYMOUS, /* absent pages are zero */
    VMO_CLONE,     /* absent pages are the parent's */
    VMO_FIXED,     /* a physical range of RAM that is never written: the bundle */
    VMO_DEVICE,    /* a physical range that is not RAM to us */
    VMO_PAGED,     /* absent pages are its pager's to bring: see vmo_paged.c */
};

enum vmo_seal {
    SEAL_NONE,
    SEAL_NEW, /* nobody else may write: no new shared mapping with write, no write by calls */
    SEAL_ALL, /* nobody may */
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
    uint8_t seal;           /* [lock] enum vmo_seal; only ever stronger */
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
    uint64_t epoch;    /* [lock] of removals, see region.visited */
    uint32_t mapped;   /* [lock] how many mappings there are */
    uint32_t writable; /* [lock] of these: shared, and writable or could be made so */
    struct gate
        *watcher;       /* [sched_lock] notified when the last mapping goes; referenced, or NULL */
    struct gate *pager; /* of VMO_PAGED: who is asked, with a handle count; immutable once bound */
    uint64_t used_by;   /* [lock] of VMO_PAGED: mappings, but for the pager's own */
};

/* ---- vmo_tree.c [vmo.lock] ---- */

#define VMO_TREE_BITS     6u
#define VMO_ENTRY_PAGE    (~(uint64_t)(PAGE_SIZE - 1)) /* the page that an entry names */
/* in entries of VMO_PAGED: */
#define VMO_ENTRY_WRITE   1ull /* others may write the page */
#define VMO_ENTRY_FILLING 2ull /* a device does, or has not yet: to everybody it is absent */

uint64_t vmo_tree_get(const struct vmo *v, uint64_t page); /* the entry, 0: absent */
uint64_t *vmo_tree_find(struct vmo *v, uint64_t page);     /* where it is; NULL: absent */
/* the place of a page's entry; NULL: no memory for nodes */
uint64_t *vmo_tree_slot(struct vmo *v, uint64_t page);
/* take the first page of [page, end) out of the tree: its entry and number, or 0 */
uint64_t vmo_tree_take_next(struct vmo *v, uint64_t *page, uint64_t end);
void vmo_tree_free_nodes(struct vmo *v);

/* ---- vmo_paged.c ---- */

/* [vmo.lock] As vmo_page(). EABSENT: the pager must bring it, or allow writing it, first. */
uint64_t vmo_paged_page(struct vmo *v, uint64_t offset, bool write, int64_t *status);
/* A mapping of v comes, or goes. [vmo.lock] */
void vmo_paged_use(struct vmo *v, const struct region *r, bool comes);
/* [no lock held] a mapping has gone: the pager hears of it when it was the last */
void vmo_paged_unused(struct vmo *v);

/* ---- vmo.c ---- */

/* A page for an absent one, in its place; 0: no memory, or over the limit. [lock] */
uint64_t vmo_commit_page(struct vmo *v, uint64_t offset, uint64_t shown, int64_t *status);
/* Pages [first, last) leave every mapping. No lock held. */
void vmo_unmap_everywhere(struct vmo *v, uint64_t first, uint64_t last);

/* A mapping comes and goes. [its address space's lock] */
void vmo_mapping_add(struct vmo *v, struct region *r);
void vmo_mapping_remove(struct vmo *v, struct region *r);
/* a gate that is notified when the last mapping goes */
int64_t vmo_watch(struct vmo *v, struct gate *g);
void vmo_unmapped(struct vmo *v); /* it was the last one: tells the watcher. No lock held */

/* A removal has come by a mapping. [its address space's lock] */
void vmo_mapping_visited(struct vmo *v, struct region *r, uint64_t epoch);
/*
 * As vmo_page(), with a frame reference taken for RAM that the object owns: the page stays while it
 * is copied.
 */
uint64_t vmo_page_ref(struct vmo *v, uint64_t offset, bool write, int64_t *status);
void vmo_page_unref(struct vmo *v, uint64_t paddr);
/* the page if one is committed (or fixed), else 0 */
uint64_t vmo_present(struct vmo *v, uint64_t offset);
/* the same for n pages, one after the other */
void vmo_present_run(struct vmo *v, uint64_t offset, uint64_t *pages, unsigned n);

#endif
