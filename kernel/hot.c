/* SPDX-License-Identifier: MIT */
/*
 * See hot.h. The child's part is done under the child's lock, the parent's under the parent's:
 * in between the parent's other threads may run, and write, so each part judges by what it finds.
 */
#include "hot.h"
#include "aspace_impl.h"
#include "frame.h"
#include "log.h"

#define PAGES_MAX 12u

struct hot {
    uint32_t refs;            /* [atomic] address spaces */
    struct spinlock lock;     /* innermost but for frames */
    uint32_t count, next;     /* [lock] next: whose place the next one takes when all are */
    uint64_t page[PAGES_MAX]; /* [lock] addresses */
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

void hot_fault(struct aspace *as, uint64_t address)
{
    struct hot *h = as->hot;
    if (!h || !as->hot_faults) {
        return;
    }
    as->hot_faults--;
    spin_lock(&h->lock);
    uint32_t i = 0;
    while (i < h->count && h->page[i] != address) {
        i++;
    }
    if (i == h->count && i < PAGES_MAX) {
        h->page[h->count++] = address;
    } else if (i == h->count) {
        h->page[h->next++ % PAGES_MAX] = address;
    }
    spin_unlock(&h->lock);
}

/* ---- forking ---- */

static uint32_t list_pages(struct hot *h, uint64_t *pages)
{
    spin_lock(&h->lock);
    uint32_t n = h->count;
    __builtin_memcpy(pages, h->page, n * sizeof(*pages));
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

static void for_each(struct aspace *as, const uint64_t *pages, uint32_t n,
                     void (*act)(struct aspace *as, uint64_t va))
{
    spin_lock(&as->lock);
    for (uint32_t i = 0; i < n; i++) {
        act(as, pages[i]);
    }
    as->hot_faults = PAGES_MAX;
    spin_unlock(&as->lock);
}

void hot_fork(struct aspace *parent, struct aspace *child)
{
    uint64_t pages[PAGES_MAX];
    struct hot *h = parent->hot;
    if (h) {
        __atomic_fetch_add(&h->refs, 1, __ATOMIC_RELAXED);
        child->hot = h;
        uint32_t n = list_pages(h, pages);
        for_each(child, pages, n, copy_one);
        if (parent->cpus) { /* else nobody runs there, as in the template, who would write */
            for_each(parent, pages, n, restore_one);
        }
    }
}
