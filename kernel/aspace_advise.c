/* SPDX-License-Identifier: MIT */
/*
 * What programs say about their memory: it is not needed, it will be, a fork is to leave it out.
 */
#include "aspace_impl.h"
#include "pager.h"
#include "sched.h"
#include "vmo_impl.h"

/* What a fork does with a range from now on. [as->lock; as->changing] */
static int64_t set_fork(struct aspace *as, uint64_t start, uint64_t end, uint32_t clear,
                        uint32_t set)
{
    for (struct region *r = region_first_in(as, start, end); r && region_start(r) < end;
         r = region_next(r)) {
        if ((set & MOTOR_MAP_WIPEFORK) && r->vmo) {
            return -MOTOR_EINVAL; /* it would show the object's bytes, not zeros */
        }
    }
    bool split = region_split_range(as, start, end);
    struct region *r = split ? region_first_in(as, start, end) : NULL;
    for (; r && region_start(r) < end; r = region_next(r)) {
        r->flags = (r->flags & ~clear) | set;
    }
    region_merge_range(as, start, end);
    return split ? 0 : -MOTOR_ENOMEM;
}

/* One page, as its region allows it, with the help of whoever has to bring it. */
static int64_t populate_one(struct aspace *as, uint64_t at)
{
    spin_lock(&as->lock);
    struct region *r = region_find(as, at);
    uint32_t access = r && (r->flags & MOTOR_PROT_WRITE) ? MOTOR_PROT_WRITE : MOTOR_PROT_READ;
    spin_unlock(&as->lock);
    int64_t status;
    do {
        status = aspace_fault(as, at, access);
    } while (status > 0);
    return status;
}

int64_t aspace_populate(struct aspace *as, uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end;) {
        spin_lock(&as->lock);
        uint64_t next = fault_run(as, at, end);
        spin_unlock(&as->lock);
        if (next == at) {
            int64_t status = populate_one(as, at);
            if (status < 0) {
                return status;
            }
            next += PAGE_SIZE;
        }
        at = next;
        if (at < end) {
            sched_preempt_point();
        }
    }
    return 0;
}

/* [as->lock, dropped in between; as->changing] */
static int64_t advise_range(struct aspace *as, uint64_t start, uint64_t end, uint32_t advice)
{
    int64_t status = protect_check(as, start, end, 0);
    if (status < 0) {
        return status;
    }
    switch (advice) {
    case MOTOR_ADVISE_DONTNEED:
    case MOTOR_ADVISE_FREE:
        return discard(as, start, end);
    case MOTOR_ADVISE_NOFORK:
        return set_fork(as, start, end, 0, MOTOR_MAP_NOFORK);
    case MOTOR_ADVISE_FORK:
        return set_fork(as, start, end, MOTOR_MAP_NOFORK, 0);
    case MOTOR_ADVISE_WIPEFORK:
        return set_fork(as, start, end, 0, MOTOR_MAP_WIPEFORK);
    case MOTOR_ADVISE_KEEPFORK:
        return set_fork(as, start, end, MOTOR_MAP_WIPEFORK, 0);
    case MOTOR_ADVISE_POPULATE:
    case MOTOR_ADVISE_SYNC:
        return 0;
    default:
        return -MOTOR_EINVAL;
    }
}

/* Each object once for each mapping of it in the range. */
static int64_t sync(struct aspace *as, uint64_t start, uint64_t end)
{
    int64_t status = 0;
    while (start < end && status == 0) {
        struct vmo *v = NULL;
        spin_lock(&as->lock);
        struct region *r = region_first_in(as, start, end);
        start = r ? r->end : end;
        if (r && r->vmo && r->vmo->kind == VMO_PAGED && !(r->flags & MOTOR_MAP_PRIVATE)) {
            v = r->vmo;
            object_get(&v->object);
        }
        spin_unlock(&as->lock);
        if (v) {
            status = pager_sync(v);
            object_put(&v->object);
        }
        sched_preempt_point();
    }
    return status;
}

int64_t aspace_advise(struct aspace *as, uint64_t address, uint64_t length, uint32_t advice)
{
    length = page_round_up(length);
    if (!range_ok(address, length)) {
        return -MOTOR_EINVAL;
    }
    layout_begin(as);
    int64_t status = advise_range(as, address, address + length, advice);
    layout_end(as);
    if (status == 0 && advice == MOTOR_ADVISE_POPULATE) {
        return aspace_populate(as, address, address + length);
    }
    return status == 0 && advice == MOTOR_ADVISE_SYNC ? sync(as, address, address + length)
                                                      : status;
}
