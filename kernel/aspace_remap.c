/* SPDX-License-Identifier: MIT */
/*
 * Mappings grow, shrink and move. Entries move; pages are not touched.
 */
#include "aspace_impl.h"
#include "sched.h"

/*
 * One entry on its way from from + *at to to + *at, or (make) only the tables that it needs there.
 * Without memory for them: false. [as->lock]
 */
static bool move_entry(struct gather *g, uint64_t from, uint64_t to, uint64_t length, uint64_t *at,
                       bool make)
{
    struct aspace *as = g->as;
    unsigned level;
    uint64_t skip, va = from + *at, *entry = pagetable_find(as, va, &level, &skip);
    if (!entry || !*entry) {
        *at = (entry ? next_page(entry, va, from + length) : skip) - from;
        return true;
    }
    uint64_t size = level ? LARGE_SIZE : PAGE_SIZE, value = *entry;
    bool fits = !level || ((va | (to + *at)) % size == 0 && length - *at >= size);
    uint64_t *slot = fits ? pagetable_make(as, to + *at, level) : NULL;
    if (fits && !slot) {
        return false;
    }
    if (!fits || (level && *slot)) { /* a table is in the way of the large page */
        return pagetable_split(as, entry);
    }
    if (!make) {
        gather_range(g, va, va + size);
        pagetable_set(slot, value); /* first: both may be in a table that would become empty */
        pagetable_clear(as, va, entry, level, gather_table, g);
    }
    *at += size;
    return true;
}

/* [as->lock, dropped in between] */
static bool move_entries(struct aspace *as, uint64_t from, uint64_t to, uint64_t length, bool make)
{
    struct gather g;
    unsigned looked = 0;
    bool ok = true;
    gather_begin(&g, as);
    for (uint64_t at = 0; ok && at < length;) {
        ok = move_entry(&g, from, to, length, &at, make);
        if (gather_full(&g)) {
            gather_finish(&g);
        }
        if (++looked % 512 == 0) {
            gather_finish(&g);
            spin_unlock(&as->lock);
            sched_preempt_point();
            spin_lock(&as->lock);
        }
    }
    gather_finish(&g);
    return ok;
}

/* [as->lock] The one region that holds [old, old + length); NULL otherwise. */
static struct region *remap_source(struct aspace *as, uint64_t old, uint64_t length)
{
    struct region *r = region_find(as, old);
    return r && !r->dying && r->end - old >= length ? r : NULL;
}

static bool grow_in_place(struct aspace *as, struct region *r, uint64_t old, uint64_t old_length,
                          uint64_t length)
{
    struct region *before;
    if (r->end != old + old_length ||
        !region_range_free(as, r->end, length - old_length, &before)) {
        return false;
    }
    r->end += length - old_length;
    as->virtual_bytes += length - old_length;
    return true;
}

/*
 * The target is a region from the start, both are dying during the move, so that a fault neither
 * fills what is taken away nor what is about to come. First everything that needs memory, then the
 * entries. [as->lock, dropped in between; as->changing]
 */
static int64_t move_mapping(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                            uint64_t length, bool fixed)
{
    uint64_t moved = old_length < length ? old_length : length;
    struct region *source = region_find(as, old);
    struct region *target =
        region_alloc(as, source->vmo, source->offset, 0, source->flags, source->max_prot);
    if (!target) {
        return -MOTOR_ENOMEM;
    }
    target->dying = true;
    int64_t at = insert_mapping(as, target, fixed ? to : 0, length, fixed ? MOTOR_MAP_FIXED : 0);
    if (at < 0) {
        region_free(target);
        return at;
    }
    source->dying = true;
    if (!move_entries(as, old, (uint64_t)at, moved, true)) {
        source->dying = false;
        unmap_range(as, (uint64_t)at, (uint64_t)at + length);
        return -MOTOR_ENOMEM;
    }
    move_entries(as, old, (uint64_t)at, moved, false);
    target->dying = false;
    unmap_range(as, old, old + old_length);
    region_merge_range(as, (uint64_t)at, (uint64_t)at + length);
    return at;
}

/* The range as a region of its own, its tables owned, moves. [as->lock, dropped in between] */
static int64_t move_range(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                          uint64_t length, bool fixed)
{
    uint64_t end = old + old_length;
    int64_t status =
        region_split_range(as, old, end) ? own_range(as, old, end, true) : -MOTOR_ENOMEM;
    if (status == 0) {
        status = move_mapping(as, old, old_length, to, length, fixed);
    }
    if (status < 0) {
        region_merge_range(as, old, end);
    }
    return status;
}

/* [as->lock, dropped in between; as->changing] */
static int64_t remap_range(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                           uint64_t length, uint32_t flags)
{
    struct region *r = remap_source(as, old, old_length);
    bool fixed = flags & MOTOR_REMAP_FIXED;
    if (!r) {
        return -MOTOR_EFAULT;
    }
    if (!fixed && length <= old_length) {
        int64_t status = length < old_length ? unmap_range(as, old + length, old + old_length) : 0;
        return status < 0 ? status : (int64_t)old;
    }
    if (!fixed && grow_in_place(as, r, old, old_length, length)) {
        return (int64_t)old;
    }
    return flags & MOTOR_REMAP_MAYMOVE ? move_range(as, old, old_length, to, length, fixed)
                                       : -MOTOR_ENOMEM;
}

int64_t aspace_remap(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                     uint64_t length, uint32_t flags)
{
    old_length = page_round_up(old_length);
    length = page_round_up(length);
    if (!range_ok(old, old_length) || !length || length > ASPACE_END ||
        (flags & ~(MOTOR_REMAP_MAYMOVE | MOTOR_REMAP_FIXED)) ||
        ((flags & MOTOR_REMAP_FIXED) && (!(flags & MOTOR_REMAP_MAYMOVE) || !range_ok(to, length) ||
                                         (to < old + old_length && old < to + length)))) {
        return -MOTOR_EINVAL;
    }
    layout_begin(as);
    int64_t status = remap_range(as, old, old_length, to, length, flags);
    layout_end(as);
    return status;
}
