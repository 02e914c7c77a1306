/* SPDX-License-Identifier: MIT */
/*
 * Memory objects whose pages a server brings, its pager: the page cache of files. An absent page is
 * asked for by a call through the pager's gate (pager.c), made by the thread that faulted; the
 * pager supplies it whole, so nobody sees a page that is not filled. It takes pages back by a
 * decommit, when nobody need write to them.
 *
 * A pager that is a driver may have the page itself filled by its device: it prepares it, which
 * gives an absent page a frame and tells the address, and later says that it is filled. In between
 * the page is absent to everybody; a decommit takes it back, and only the pager knows that no
 * device writes to it any more.
 *
 * Writing through a mapping is allowed page by page. The first write to a page asks the pager, who
 * notes that it changes; a clean takes the permission back from every mapping, so that what the
 * pager then reads from it is complete, and the next write asks again. The pager's own mapping
 * (MOTOR_MAP_PAGER) may write any page that is there.
 */
#include "arch/x86_64/arch.h"
#include "endpoint.h"
#include "frame.h"
#include "pager.h"
#include "region.h"
#include "sched.h"
#include "vmo_impl.h"

#define BATCH_BYTES (64u * PAGE_SIZE)
#define RUN_ORDER   4u /* of adjacent frames, which a device reaches by one address */

uint64_t vmo_paged_page(struct vmo *v, uint64_t offset, bool write, int64_t *status)
{
    uint64_t entry = vmo_tree_get(v, offset / PAGE_SIZE);
    if (!entry || (entry & VMO_ENTRY_FILLING) || (write && !(entry & VMO_ENTRY_WRITE))) {
        *status = v->pager ? -MOTOR_EABSENT : -MOTOR_EGONE;
        return 0;
    }
    return entry & VMO_ENTRY_PAGE;
}

/* ---- who uses it ---- */

int64_t vmo_bind(struct vmo *v, struct gate *g)
{
    struct gate *none = NULL;
    if (v->kind != VMO_PAGED) {
        return vmo_watch(v, g);
    }
    object_handle_get(&g->object);
    if (__atomic_compare_exchange_n(&v->pager, &none, g, false, __ATOMIC_RELEASE,
                                    __ATOMIC_RELAXED)) {
        return 0;
    }
    object_handle_put(&g->object);
    return -MOTOR_EEXIST;
}

void vmo_paged_use(struct vmo *v, const struct region *r, bool comes)
{
    if (!(r->flags & MOTOR_MAP_PAGER)) {
        v->used_by += comes ? 1 : -1ull;
    }
}

void vmo_paged_unused(struct vmo *v)
{
    spin_lock(&v->lock);
    bool tell = v->pager && !v->used_by;
    spin_unlock(&v->lock);
    if (tell) {
        gate_notify(v->pager);
    }
}

/* A mapping comes before the handle that it was made by goes, so a user is not overlooked. */
int64_t vmo_users(struct vmo *v)
{
    uint64_t handles = __atomic_load_n(&v->object.handles, __ATOMIC_ACQUIRE);
    spin_lock(&v->lock);
    uint64_t users = v->used_by;
    spin_unlock(&v->lock);
    return (int64_t)(users + handles - 1);
}

/* ---- pages ---- */

/* [no lock held] The entry's page takes the place of an absent one; else it is freed. */
static int64_t insert(struct vmo *v, uint64_t offset, uint64_t entry)
{
    int64_t status = 0;
    spin_lock(&v->lock);
    uint64_t *slot = offset < v->size ? vmo_tree_slot(v, offset / PAGE_SIZE) : NULL;
    if (!slot) {
        status = offset < v->size ? -MOTOR_ENOMEM : -MOTOR_EGONE;
    } else if (*slot) {
        slot = NULL;
        status = -MOTOR_EEXIST;
    } else if (v->account && !account_take(v->account, PAGE_SIZE)) {
        slot = NULL;
        status = -MOTOR_ENOMEM;
    } else {
        *slot = entry;
        v->committed++;
    }
    spin_unlock(&v->lock);
    if (!slot) {
        frame_unref(entry & VMO_ENTRY_PAGE);
    }
    return status;
}

int64_t vmo_supply(struct vmo *v, uint64_t offset, uint64_t length, const void *user)
{
    if (v->kind != VMO_PAGED || offset % PAGE_SIZE || length % PAGE_SIZE) {
        return -MOTOR_EINVAL;
    }
    for (uint64_t done = 0; done < length; done += PAGE_SIZE) {
        uint64_t page = frame_plenty() ? frame_alloc() : 0;
        if (!page) {
            return -MOTOR_ENOMEM;
        }
        if (copy_from_user(phys_to_virt(page), (const char *)user + done, PAGE_SIZE) < 0) {
            frame_unref(page);
            return -MOTOR_EFAULT;
        }
        int64_t status = insert(v, offset + done, page);
        if (status < 0 && status != -MOTOR_EEXIST) {
            return status;
        }
        if ((done + PAGE_SIZE) % BATCH_BYTES == 0) {
            sched_preempt_point();
        }
    }
    return 0;
}

/* Single frames that lie side by side. */
struct run {
    uint64_t next;
    unsigned left;
};

/* One run of some of `wanted` frames; none left: no memory. */
static struct run run_take(unsigned wanted)
{
    struct run r = {0, 0};
    if (!frame_plenty()) {
        return r;
    }
    r.next = wanted >> RUN_ORDER ? frame_alloc_order(RUN_ORDER) : 0;
    if (r.next) {
        frame_split(r.next);
        r.left = 1u << RUN_ORDER;
        return r;
    }
    r.next = frame_alloc();
    r.left = r.next != 0;
    return r;
}

int64_t vmo_prepare(struct vmo *v, uint64_t offset, uint64_t *pages, unsigned n)
{
    struct run r = {0, 0};
    int64_t status = 0;
    unsigned done = 0;
    if (v->kind != VMO_PAGED || offset % PAGE_SIZE) {
        return -MOTOR_EINVAL;
    }
    for (; done < n; done++, r.next += PAGE_SIZE, r.left--) {
        r = r.left ? r : run_take(n - done);
        status = r.left ? insert(v, offset + done * PAGE_SIZE, r.next | VMO_ENTRY_FILLING)
                        : -MOTOR_ENOMEM;
        if (status < 0) {
            break;
        }
        pages[done] = r.next;
    }
    if (status < 0 && r.left) { /* insert() has freed the first */
        r.next += PAGE_SIZE;
        r.left--;
    }
    for (; r.left; r.left--, r.next += PAGE_SIZE) {
        frame_unref(r.next);
    }
    return done ? done : status;
}

int64_t vmo_filled(struct vmo *v, uint64_t offset, uint64_t length)
{
    if (v->kind != VMO_PAGED || offset % PAGE_SIZE || length > BATCH_BYTES) {
        return -MOTOR_EINVAL;
    }
    spin_lock(&v->lock);
    for (uint64_t page = offset / PAGE_SIZE, end = page + length / PAGE_SIZE; page < end; page++) {
        uint64_t *slot = vmo_tree_find(v, page);
        if (slot) {
            *slot &= ~VMO_ENTRY_FILLING;
        }
    }
    spin_unlock(&v->lock);
    return 0;
}

int64_t vmo_allow(struct vmo *v, uint64_t offset)
{
    if (v->kind != VMO_PAGED) {
        return -MOTOR_EINVAL;
    }
    spin_lock(&v->lock);
    uint64_t *slot = vmo_tree_find(v, offset / PAGE_SIZE);
    slot = slot && *slot & VMO_ENTRY_FILLING ? NULL : slot;
    if (slot) {
        *slot |= VMO_ENTRY_WRITE;
    }
    spin_unlock(&v->lock);
    return slot ? 0 : -MOTOR_ENOENT;
}

int64_t vmo_clean(struct vmo *v, uint64_t offset, uint64_t length)
{
    if (v->kind != VMO_PAGED || length > BATCH_BYTES) {
        return -MOTOR_EINVAL;
    }
    uint64_t first = offset / PAGE_SIZE, end = (offset + length + PAGE_SIZE - 1) / PAGE_SIZE;
    bool any = false;
    spin_lock(&v->lock);
    for (uint64_t page = first; page < end; page++) {
        uint64_t *slot = vmo_tree_find(v, page);
        if (slot && *slot & VMO_ENTRY_WRITE) {
            *slot &= ~VMO_ENTRY_WRITE;
            any = true;
        }
    }
    spin_unlock(&v->lock);
    if (any) {
        vmo_unmap_everywhere(v, first, end);
    }
    return 0;
}
