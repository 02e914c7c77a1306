/* SPDX-License-Identifier: MIT */
/*
 * fork: a second address space with what one has. The regions are copied one by one, in pieces; the
 * page tables are shared at the root, so that nothing is done for pages. Either side makes its own
 * copies of tables where it first changes something, and copies of private pages where it first
 * writes (pagetable_own(), aspace_fault.c); what is not touched again costs nothing, and a side
 * that is alone again goes on with the tables it has.
 *
 * The order matters for objects that remove pages meanwhile. A removal visits all mappings in the
 * object's list. The child's are put there after the tables are shared, and the child's tables do
 * not come to differ from the parent's before all are there: a removal that came too early for the
 * child's mappings has found or will find the entries through the parent.
 */
#include "aspace_impl.h"
#include "log.h"
#include "sched.h"
#include "vmo_impl.h"

#define BATCH 32u /* regions copied or linked with the lock held */

/* Into the child's tree, not yet in the object's list of mappings. */
static bool copy_region(struct aspace *child, const struct region *r)
{
    struct region *copy = region_alloc(child, r->vmo, r->offset, r->end, r->flags, r->max_prot);
    if (copy) {
        spin_lock(&child->lock);
        tree_insert(&child->regions, &copy->node, region_start(r));
        child->region_count++;
        spin_unlock(&child->lock);
    }
    return copy;
}

/* The parent's regions stand still: its lock is not needed. */
static int64_t copy_regions(struct aspace *parent, struct aspace *child)
{
    unsigned n = 0;
    for (struct region *r = region_first_in(parent, 0, USER_END); r; r = region_next(r)) {
        if (!copy_region(child, r)) {
            return -MOTOR_ENOMEM;
        }
        if (++n % BATCH == 0) {
            sched_preempt_point();
        }
    }
    return 0;
}

static void share_tables(struct aspace *parent, struct aspace *child)
{
    spin_lock(&parent->lock);
    parent->forked = child->forked = true;
    pagetable_share(parent->root, child->root);
    child->private_bytes = parent->private_bytes;
    child->virtual_bytes = parent->virtual_bytes;
    child->limit = parent->limit;
    child->top = parent->top;
    child->cursor = parent->cursor;
    arch_tlb_shootdown(parent, 0, USER_END);
    await_writers(parent); /* they write into pages that are the child's, too */
    spin_unlock(&parent->lock);
}

/* From here on objects reach the child. */
static void link_regions(struct aspace *child)
{
    unsigned n = 0;
    for (struct region *r = region_first_in(child, 0, USER_END); r; r = region_next(r)) {
        region_link(r);
        if (++n % BATCH == 0) {
            sched_preempt_point();
        }
    }
}

/* What the child does not get. */
static int64_t drop_unwanted(struct aspace *child)
{
    int64_t status = 0;
    uint64_t at = 0;
    struct region *r;
    while (status == 0 && (r = region_first_in(child, at, USER_END))) {
        uint64_t start = region_start(r), length = r->end - start;
        at = r->end;
        if (r->flags & MOTOR_MAP_NOFORK) {
            status = aspace_unmap(child, start, length);
        } else if (r->flags & MOTOR_MAP_WIPEFORK) {
            status = aspace_advise(child, start, length, MOTOR_ADVISE_DONTNEED);
        }
        sched_preempt_point();
    }
    return status;
}

int64_t aspace_fork(struct aspace *parent, struct aspace *child)
{
    KASSERT(!child->region_count && !child->cpus);
    layout_begin(parent);
    spin_unlock(&parent->lock);
    pagetable_empty(child->root);
    int64_t status = copy_regions(parent, child);
    if (status == 0) {
        share_tables(parent, child);
        link_regions(child);
    }
    spin_lock(&parent->lock);
    layout_end(parent);
    return status < 0 ? status : drop_unwanted(child);
}
