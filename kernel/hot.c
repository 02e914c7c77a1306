/* SPDX-License-Identifier: MIT */
/*
 * See hot.h. The child's part is done under the child's lock, the parent's under the parent's:
 * in between the parent's other threads may run, and write, so each part judges by what it finds.
 */
#include "hot.h"
#include "aspace_impl.h"
#include "frame.h"
#include "log.h"

#define HOT_MAX   12u
#define PAGES_MAX 24u /* that are hot, or may become so */
#define FAULTS    12u /* after a fork, that are noted */

struct page {
    uint64_t address;
    uint32_t fork; /* after which it was written first, the last time */
    bool hot;
};

struct hot {
    uint32_t refs;        /* [atomic] address spaces */
    struct spinlock lock; /* innermost but for frames; the rest is under it */
    uint32_t forks;
    uint32_t count, hot_count;
    uint32_t next; /* whose place the next one takes when all are taken */
    struct page page[PAGES_MAX];
};

void hot_put(struct hot *h)
{
    if (h && __atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        kfree(h);
    }
}

void hot_begin(struct aspace *parent)
{
    struct hot *borrowed = parent->hot_borrowed ? parent->hot : NULL;
    if (parent->hot && !borrowed) {
        return;
    }
    parent->hot = kzalloc(sizeof(*parent->hot));
    if (parent->hot) {
        parent->hot->refs = 1;
    }
    parent->hot_borrowed = false;
    parent->hot_faults = 0;
    hot_put(borrowed);
}

/* The next one in turn that is hot, or is not; there is one. [lock] */
static struct page *turn(struct hot *h, bool hot)
{
    struct page *p;
    do {
        p = &h->page[h->next++ % PAGES_MAX];
    } while (p->hot != hot);
    return p;
}

/* [lock] */
static struct page *find(struct hot *h, uint64_t address)
{
    for (uint32_t i = 0; i < h->count; i++) {
        if (h->page[i].address == address) {
            return &h->page[i];
        }
    }
    return NULL;
}

/* [lock] */
static void note(struct hot *h, uint64_t address, uint32_t fork)
{
    struct page *p = find(h, address);
    if (!p) {
        p = h->count < PAGES_MAX ? &h->page[h->count++] : turn(h, false);
        *p = (struct page){.address = address};
    } else if (!p->hot && p->fork + 1 == fork) {
        if (h->hot_count == HOT_MAX) {
            turn(h, true)->hot = false;
            h->hot_count--;
        }
        p->hot = true;
        h->hot_count++;
    }
    p->fork = fork;
}

void hot_fault(struct aspace *as, uint64_t address)
{
    struct hot *h = as->hot;
    if (!h || !as->hot_faults) {
        return;
    }
    as->hot_faults--;
    spin_lock(&h->lock);
    note(h, address, as->hot_fork);
    spin_unlock(&h->lock);
}

/* ---- forking ---- */

/* The hot pages, and which fork this is. */
static uint32_t list_pages(struct hot *h, uint64_t *pages, uint32_t *fork)
{
    uint32_t n = 0;
    spin_lock(&h->lock);
    *fork = ++h->forks;
    for (uint32_t i = 0; i < h->count; i++) {
        if (h->page[i].hot) {
            pages[n++] = h->page[i].address;
        }
    }
    spin_unlock(&h->lock);
    return n;
}

static bool is_private(uint64_t entry)
{
    return (entry & (PTE_PRESENT | PTE_OWNED)) == (PTE_PRESENT | PTE_OWNED);
}

static bool is_writable(struct aspace *as, uint64_t va)
{
    const struct region *r = region_find(as, va);
    return r && !r->dying && (r->flags & MOTOR_PROT_WRITE);
}

/* The page in the child's hands is copied, unless it has it alone already. [child->lock] */
static void copy_one(struct aspace *child, uint64_t va)
{
    unsigned level;
    uint64_t skip;
    if (!is_writable(child, va) || !pagetable_own(child, va, 0)) {
        return;
    }
    uint64_t *entry = pagetable_find(child, va, &level, &skip);
    if (!entry || level || !is_private(*entry)) {
        return;
    }
    uint64_t shared = pte_page(*entry), page = shared;
    if (__atomic_load_n(&frame_at(shared)->refs, __ATOMIC_ACQUIRE) != 1) {
        if (!frame_plenty() || !(page = frame_alloc())) {
            return;
        }
        page_copy(phys_to_virt(page), phys_to_virt(shared));
    }
    __atomic_store_n(entry, (*entry & ~PTE_ADDRESS) | page | PTE_WRITE, __ATOMIC_RELAXED);
    if (page != shared) {
        frame_unref(shared);
    }
}

/* The parent goes on with a page that the child has no more share in. [parent->lock] */
static void restore_one(struct aspace *parent, uint64_t va)
{
    if (!is_writable(parent, va)) {
        return;
    }
    uint64_t *entry = pagetable_reclaim(parent, va);
    if (entry && is_private(*entry) &&
        __atomic_load_n(&frame_at(pte_page(*entry))->refs, __ATOMIC_ACQUIRE) == 1) {
        __atomic_fetch_or(entry, PTE_WRITE, __ATOMIC_RELAXED);
    }
}

static void for_each(struct aspace *as, const uint64_t *pages, uint32_t n, uint32_t fork,
                     void (*act)(struct aspace *as, uint64_t va))
{
    spin_lock(&as->lock);
    for (uint32_t i = 0; i < n; i++) {
        act(as, pages[i]);
    }
    as->hot_faults = FAULTS;
    as->hot_fork = fork;
    spin_unlock(&as->lock);
}

void hot_fork(struct aspace *parent, struct aspace *child)
{
    uint64_t pages[HOT_MAX];
    struct hot *h = parent->hot;
    if (h) {
        __atomic_fetch_add(&h->refs, 1, __ATOMIC_RELAXED);
        child->hot = h;
        uint32_t fork, n = list_pages(h, pages, &fork);
        for_each(child, pages, n, fork, copy_one);
        if (parent->cpus) { /* else nobody runs there, as in the template, who would write */
            for_each(parent, pages, n, fork, restore_one);
        }
    }
}
