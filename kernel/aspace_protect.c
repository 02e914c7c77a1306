/* SPDX-License-Identifier: MIT */
/*
 * Rights of mappings change.
 */
#include "aspace_impl.h"
#include "sched.h"

/*
 * An entry under new rights. Write comes back by a fault, which knows whether the page is shared.
 */
static uint64_t entry_protect(uint64_t entry, uint32_t prot)
{
    uint64_t kept = entry & (PTE_ADDRESS | PTE_OWNED | PTE_UNCACHED | PTE_LARGE);
    return kept | page_flags(prot) | (prot & MOTOR_PROT_WRITE ? entry & PTE_WRITE : 0);
}

/* Entries of a range that is owned; in pieces. [as->lock, dropped in between] */
static void protect_entries(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot)
{
    struct gather g;
    unsigned looked = 0;
    gather_begin(&g, as);
    for (uint64_t at = start; at < end;) {
        unsigned level;
        uint64_t skip, *entry = pagetable_find(as, at, &level, &skip);
        if (!entry) {
            at = skip;
            continue;
        }
        uint64_t size = level ? LARGE_SIZE : PAGE_SIZE,
                 changed = *entry ? entry_protect(*entry, prot) : 0;
        if (changed != *entry) {
            gather_range(&g, at, at + size);
            __atomic_store_n(entry, changed, __ATOMIC_RELAXED);
        }
        at = level ? at + size : next_page(entry, at, end);
        if (++looked % 2048 == 0) {
            gather_finish(&g);
            spin_unlock(&as->lock);
            sched_preempt_point();
            spin_lock(&as->lock);
        }
    }
    gather_finish(&g);
}

/* Whole range mapped, and the new rights allowed everywhere? [as->lock] */
int64_t protect_check(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot)
{
    uint64_t at = start;
    while (at < end) {
        struct region *r = region_find(as, at);
        if (!r || r->dying) {
            return -MOTOR_ENOENT;
        }
        if (prot & ~r->max_prot) {
            return -MOTOR_EACCESS;
        }
        at = r->end;
    }
    return 0;
}

/* [as->lock, dropped in between; as->changing] */
int64_t protect_range(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot)
{
    int64_t status = protect_check(as, start, end, prot);
    if (status < 0) {
        return status;
    }
    status = region_split_range(as, start, end) ? own_range(as, start, end, true) : -MOTOR_ENOMEM;
    struct region *r = status == 0 ? region_first_in(as, start, end) : NULL;
    for (; r && region_start(r) < end; r = region_next(r)) {
        if ((r->flags & MOTOR_PROT_MASK) != prot) {
            r->flags = (r->flags & ~MOTOR_PROT_MASK) | prot; /* faults go by the new rights */
            protect_entries(as, region_start(r), r->end, prot);
        }
    }
    region_merge_range(as, start, end);
    return status;
}

int64_t aspace_protect(struct aspace *as, uint64_t address, uint64_t length, uint32_t prot)
{
    length = page_round_up(length);
    if (!range_ok(address, length) || (prot & ~MOTOR_PROT_MASK)) {
        return -MOTOR_EINVAL;
    }
    if ((prot & MOTOR_PROT_WRITE) && (prot & MOTOR_PROT_EXEC)) {
        return -MOTOR_EACCESS;
    }
    layout_begin(as);
    int64_t status = protect_range(as, address, address + length, prot);
    layout_end(as);
    return status;
}
