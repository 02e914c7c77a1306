/* SPDX-License-Identifier: MIT */
/*
 * Entries go from page tables: unmapping, discarding, and pages that an object gives up.
 *
 * Memory that this needs (a copy of a shared table, a table in place of a large page at an end) is
 * taken first (own_range()), so that what has begun is brought to its end. Long unmappings run in
 * pieces: the regions are cut out and marked dying, which keeps their addresses taken; then entries
 * go in batches with the lock dropped in between; then the regions.
 */
#include "aspace_impl.h"
#include "frame.h"
#include "log.h"
#include "sched.h"
#include "vmo_impl.h"

/* ---- owning ---- */

/*
 * Own the entries at an address and after it, as far as the address space's next table; one step of
 * own_range(). *at moves past that table, or past a hole.
 */
static bool own_step(struct aspace *as, uint64_t *at, uint64_t end, bool all)
{
    unsigned level;
    uint64_t skip, va = *at, *entry = pagetable_find(as, va, &level, &skip);
    if (!entry) {
        *at = skip;
        return true;
    }
    *at = (va & ~(LARGE_SIZE - 1)) + LARGE_SIZE;
    bool whole = va % LARGE_SIZE == 0 && *at <= end;
    if (as->forked && !pagetable_own(as, va, whole && !all ? 1 : 0)) {
        return false;
    }
    if (as->forked) {
        entry = pagetable_find(as, va, &level, &skip);
    }
    return level == 0 || whole || pagetable_split(as, entry);
}

int64_t own_range(struct aspace *as, uint64_t start, uint64_t end, bool all)
{
    uint64_t at = start, last = end & ~(LARGE_SIZE - 1);
    bool ok = own_step(as, &at, end, all);
    for (unsigned n = 1; ok && as->forked && at < end; n++) {
        if (n % 32 == 0) {
            spin_unlock(&as->lock);
            sched_preempt_point();
            spin_lock(&as->lock);
        }
        ok = own_step(as, &at, end, all);
    }
    if (ok && !as->forked && at <= last && last < end) { /* only the ends can matter */
        ok = own_step(as, &last, end, all);
    }
    return ok ? 0 : -MOTOR_ENOMEM;
}

/* ---- entries ---- */

uint64_t next_page(const uint64_t *entry, uint64_t at, uint64_t end)
{
    at = pagetable_next(entry, at);
    return at < end ? at : end;
}

/*
 * The whole page table at an address goes from this address space, which shares it with others. Its
 * pages are not looked at but for what they were charged.
 */
static void unmap_shared(struct gather *g, uint64_t va, uint64_t *directory_entry)
{
    struct aspace *as = g->as;
    uint64_t pages = pte_page(*directory_entry);
    gather_range(g, va, va + LARGE_SIZE);
    as->private_bytes -= (pagetable_owned_pages(pages) + 1) * PAGE_SIZE;
    gather_table(g, pages | GATHER_TABLE);
    pagetable_clear(as, va, directory_entry, 1, gather_table, g);
}

/* At the first entry of a table that may be shared: true if that table is gone, *at after it. */
static bool unmap_if_shared(struct gather *g, uint64_t *at, uint64_t end)
{
    if (*at % LARGE_SIZE || end - *at < LARGE_SIZE) {
        return false;
    }
    uint64_t *entry = pagetable_shared(g->as, *at);
    if (entry) {
        unmap_shared(g, *at, entry);
        *at += LARGE_SIZE;
    }
    return entry;
}

bool unmap_entries(struct gather *g, uint64_t *at, uint64_t end)
{
    struct aspace *as = g->as;
    unsigned looked = 0;
    while (*at < end) {
        unsigned level;
        uint64_t skip, *entry = pagetable_find(as, *at, &level, &skip);
        if (!entry) {
            *at = skip;
            continue;
        }
        if (gather_full(g) || ++looked > 2048) {
            return false;
        }
        if (as->forked && unmap_if_shared(g, at, end)) {
            looked += 512;
            continue;
        }
        if (level == 1 && (*at % LARGE_SIZE || end - *at < LARGE_SIZE)) {
            if (!pagetable_split(as, entry)) {
                return false; /* a large page that came after own_range() */
            }
            gather_range(g, *at & ~(LARGE_SIZE - 1), *at + PAGE_SIZE);
            continue;
        }
        uint64_t old = *entry, size = level ? LARGE_SIZE : PAGE_SIZE;
        if (old) {
            gather_range(g, *at, *at + size);
            if (old & PTE_OWNED) {
                as->private_bytes -= size;
                gather_frame(g, pte_page(old) | (level ? GATHER_BLOCK : 0));
            }
            pagetable_clear(as, *at, entry, level, gather_table, g);
            *at += size; /* the table may be gone */
        } else {
            uint64_t va = *at;
            unsigned n = g->n;
            *at = next_page(entry, va, end);
            pagetable_prune(as, va, entry, level, gather_table, g);
            if (g->n > n) {
                gather_range(g, va, va + PAGE_SIZE);
            }
        }
    }
    return true;
}

/* ---- ranges ---- */

/* Space that was freed, up to the region that follows, is used again if the next placement looks
 * there. */
static void cursor_recede(struct aspace *as, uint64_t start, const struct region *next)
{
    if (as->cursor == start) {
        as->cursor = next && region_start(next) < as->top ? region_start(next) : as->top;
    }
}

/*
 * Entries of the range, all of whose regions are dying, in pieces; then the regions. [as->lock,
 * dropped in between; as->changing]
 */
static void finish_dying(struct aspace *as, uint64_t start, uint64_t end)
{
    struct gather g;
    uint64_t at = start;
    gather_begin(&g, as);
    while (!unmap_entries(&g, &at, end)) {
        gather_finish(&g);
        spin_unlock(&as->lock);
        sched_preempt_point();
        spin_lock(&as->lock);
    }
    gather_finish(&g);
    struct region *r = region_first_in(as, start, end);
    while (r) {
        struct region *next = region_next(r);
        as->virtual_bytes -= r->end - region_start(r);
        region_remove(as, r);
        cursor_recede(as, region_start(r), next);
        spin_unlock(&as->lock);
        region_free(r);
        spin_lock(&as->lock);
        r = next && region_start(next) < end ? next : NULL;
    }
}

/* [as->lock, dropped in between; as->changing] */
int64_t unmap_range(struct aspace *as, uint64_t start, uint64_t end)
{
    struct region *r = region_first_in(as, start, end);
    if (!r) {
        return 0;
    }
    int64_t status =
        region_split_range(as, start, end) ? own_range(as, start, end, false) : -MOTOR_ENOMEM;
    if (status < 0) {
        region_merge_range(as, start, end);
        return status;
    }
    for (r = region_start(r) < start ? region_next(r) : r; r && region_start(r) < end;
         r = region_next(r)) {
        r->dying = true;
    }
    finish_dying(as, start, end);
    return 0;
}

int64_t aspace_unmap(struct aspace *as, uint64_t address, uint64_t length)
{
    length = page_round_up(length);
    if (!range_ok(address, length)) {
        return -MOTOR_EINVAL;
    }
    layout_begin(as);
    int64_t status = unmap_range(as, address, address + length);
    layout_end(as);
    return status;
}

/* [as->lock, dropped in between; as->changing] */
int64_t discard(struct aspace *as, uint64_t start, uint64_t end)
{
    struct gather g;
    gather_begin(&g, as);
    int64_t status = own_range(as, start, end, false);
    for (uint64_t at = start, before = start; status == 0; before = at) {
        bool done = unmap_entries(&g, &at, end), stuck = !done && at == before && !gather_full(&g);
        gather_finish(&g);
        if (done || stuck) { /* at a large page that came just now, without memory to split it */
            return done ? 0 : -MOTOR_ENOMEM;
        }
        spin_unlock(&as->lock);
        sched_preempt_point();
        spin_lock(&as->lock);
    }
    return status;
}

/* ---- for memory objects ---- */

void aspace_forget_pages(struct aspace *as, struct vmo *v, uint64_t start, uint64_t end,
                         uint64_t epoch)
{
    struct gather g;
    gather_begin(&g, as);
    spin_lock(&as->lock);
    for (struct region *r = region_of(as->regions.first); r; r = region_next(r)) {
        if (r->vmo != v) {
            continue;
        }
        vmo_mapping_visited(v, r, epoch);
        uint64_t size = r->end - region_start(r), from = start > r->offset ? start - r->offset : 0;
        uint64_t to = end > r->offset ? end - r->offset : 0;
        to = to < size ? to : size;
        for (uint64_t at = from; at < to;) {
            unsigned level;
            uint64_t skip, va = region_start(r) + at,
                           *entry = pagetable_find(as, va, &level, &skip);
            if (!entry) {
                at = skip - region_start(r);
                continue;
            }
            /* an entry may have gone for another space that shares the table, but not for our CPUs
             */
            if (pagetable_forget(entry) || as->forked) {
                gather_range(&g, va, va + PAGE_SIZE);
            }
            at += PAGE_SIZE;
        }
    }
    gather_finish(&g);
    spin_unlock(&as->lock);
}
