/* SPDX-License-Identifier: MIT */
/*
 * fork: a second address space with what one has. The regions are copied one by one, in pieces; the
 * page tables are shared at the root, so that nothing is done for pages. Either side makes its own
 * copies of tables where it first changes something, and copies of private pages where it first
 * writes (pagetable_own(), aspace_fault.c); what is not touched again costs nothing, and a side
 * that is alone again goes on with the tables it has. A few pages that both are known to write at
 * once are copied at once (hot.h).
 *
 * The order matters for objects that remove pages meanwhile. A removal visits all mappings in the
 * object's list. The child's are put there after the tables are shared, and the child's tables do
 * not come to differ from the parent's before all are there: a removal that came too early for the
 * child's mappings has found or will find the entries through the parent.
 */
#include "aspace_impl.h"
#include "frame.h"
#include "hot.h"
#include "log.h"
#include "sched.h"
#include "vmo_impl.h"

#define BATCH 32u /* regions copied or linked with the lock held */

/* ---- what is left out from the beginning ---- */

#define SLOT_SIZE (1ull << 39)

static bool in_slots(const struct root_slots *s, const struct region *r)
{
    for (uint64_t i = region_start(r) / SLOT_SIZE; i <= (r->end - 1) / SLOT_SIZE; i++) {
        if (s->bits[i / 64] >> i % 64 & 1) {
            return true;
        }
    }
    return false;
}

static bool stays_behind(const struct region *r)
{
    return (r->flags & MOTOR_MAP_NOFORK) && r->vmo && !(r->flags & MOTOR_MAP_PRIVATE);
}

/*
 * The slots of the root that hold anything for the child. Where a process puts what a child shall
 * not share into a slot of its own, nothing needs to be undone there.
 */
static void find_slots(struct aspace *parent, struct root_slots *s)
{
    *s = (struct root_slots){0};
    uint64_t kinfo = MOTOR_KINFO_ADDRESS / SLOT_SIZE;
    s->bits[kinfo / 64] |= 1ull << kinfo % 64;
    uint64_t known = 0; /* most are in the slot of the one before */
    for (struct region *r = region_first_in(parent, 0, USER_END); r; r = region_next(r)) {
        if (r->end <= known || stays_behind(r)) {
            continue;
        }
        for (uint64_t i = region_start(r) / SLOT_SIZE; i <= (r->end - 1) / SLOT_SIZE; i++) {
            s->bits[i / 64] |= 1ull << i % 64;
            known = (i + 1) * SLOT_SIZE;
        }
    }
}

/* ---- copying ---- */

/* Memory for regions, which is got by so many at once. */
struct stock {
    unsigned n;
    void *of[BATCH];
};

/* `most`: as many as may still be wanted. NULL: no memory. */
static struct region *from_stock(struct stock *s, uint64_t most)
{
    if (!s->n) {
        sched_preempt_point();
        s->n = kmalloc_many(sizeof(struct region), most < BATCH ? (unsigned)most : BATCH, s->of);
    }
    return s->n ? s->of[--s->n] : NULL;
}

#define UNWANTED (MOTOR_MAP_NOFORK | MOTOR_MAP_WIPEFORK)

/*
 * The parent's regions stand still: its lock is not needed. Their copies are in the child's tree
 * when all are there, and not yet in their objects' lists of mappings. *unwanted: some are not to
 * stay in the child as they are.
 */
static int64_t copy_regions(struct aspace *parent, struct aspace *child,
                            const struct root_slots *slots, bool *unwanted)
{
    struct stock stock = {.n = 0};
    struct tree copies = {0};
    struct tree_node *last = NULL;
    uint64_t left = parent->regions.count;
    int64_t status = 0;
    *unwanted = false;
    for (struct region *r = region_first_in(parent, 0, USER_END); r; r = region_next(r), left--) {
        if (stays_behind(r) && !in_slots(slots, r)) {
            child->virtual_bytes -= r->end - region_start(r);
            continue;
        }
        struct region *copy = from_stock(&stock, left);
        if (!copy) {
            status = -MOTOR_ENOMEM;
            break;
        }
        *unwanted = *unwanted || (r->flags & UNWANTED);
        region_copy(copy, child, r);
        tree_append_copy(&copies, last, &copy->node, &r->node);
        last = &copy->node;
    }
    kfree_many(stock.of, stock.n);
    spin_lock(&child->lock);
    child->regions = copies;
    child->region_count = copies.count;
    spin_unlock(&child->lock);
    return status;
}

static void share_tables(struct aspace *parent, struct aspace *child,
                         const struct root_slots *slots)
{
    spin_lock(&parent->lock);
    hot_begin(parent);
    parent->forked = child->forked = true;
    uint64_t left_out = pagetable_share(parent->root, child->root, slots);
    child->private_bytes = parent->private_bytes - left_out;
    child->virtual_bytes += parent->virtual_bytes;
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

/* The next region from an address on that the child does not get as it is; NULL: none. */
static struct region *find_unwanted(struct aspace *child, uint64_t at)
{
    unsigned n = 0;
    struct region *r = region_first_in(child, at, USER_END);
    while (r && !(r->flags & UNWANTED)) {
        if (++n % BATCH == 0) {
            sched_preempt_point();
        }
        r = region_next(r);
    }
    return r;
}

static int64_t drop_unwanted(struct aspace *child)
{
    int64_t status = 0;
    uint64_t at = 0;
    struct region *r;
    while (status == 0 && (r = find_unwanted(child, at))) {
        uint64_t start = region_start(r), length = r->end - start;
        at = r->end;
        if (r->flags & MOTOR_MAP_NOFORK) {
            status = aspace_unmap(child, start, length);
        } else {
            status = aspace_advise(child, start, length, MOTOR_ADVISE_DONTNEED);
        }
        sched_preempt_point();
    }
    return status;
}

int64_t aspace_fork(struct aspace *parent, struct aspace *child)
{
    struct root_slots slots;
    bool unwanted;
    KASSERT(!child->region_count && !child->cpus);
    layout_begin(parent);
    spin_unlock(&parent->lock);
    find_slots(parent, &slots);
    int64_t status = copy_regions(parent, child, &slots, &unwanted);
    if (status == 0) {
        share_tables(parent, child, &slots);
        link_regions(child);
    }
    spin_lock(&parent->lock);
    layout_end(parent);
    if (status == 0 && unwanted) {
        status = drop_unwanted(child);
    }
    if (status == 0) {
        hot_fork(parent, child);
    }
    return status;
}
