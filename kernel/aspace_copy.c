/* SPDX-License-Identifier: MIT */
/*
 * Copies that reach into an address space that need not be the current one: through the physmap,
 * page by page. A page is held by a frame reference while it is copied, without a lock.
 */
#include "aspace_impl.h"
#include "frame.h"
#include "sched.h"
#include "vmo_impl.h"

struct hold {
    uint64_t frame;        /* or a large page's block; 0: nothing to give back */
    bool block;            /* it is a block */
    struct aspace *writes; /* is counted among its writers */
};

/* [as->lock] A reference to the page that an entry of this level maps. False: not RAM we count. */
static bool take_frame(struct hold *h, uint64_t page, unsigned level)
{
    uint64_t frame = level ? page & ~(LARGE_SIZE - 1) : page;
    if (!frame_of(frame)) {
        return false;
    }
    h->frame = frame;
    h->block = level;
    if (level) {
        frame_block_ref(frame);
    } else {
        frame_ref(frame);
    }
    return true;
}

/*
 * The page at an address, faulted in if need be, with a reference; *status if there is none. Device
 * memory is refused. With write, address space and page stay together until the release, which has
 * to come without another lock of an address space taken before.
 */
static uint64_t page_hold(struct aspace *as, uint64_t address, bool write, struct hold *h,
                          int64_t *status)
{
    uint64_t page = 0;
    unsigned level = 0;
    *h = (struct hold){0};
    if (address >= USER_END) {
        *status = -MOTOR_EFAULT;
        return 0;
    }
    spin_lock(&as->lock);
    for (int tries = 0;; tries++) {
        if (write && as->forked && !pagetable_own(as, address, 0)) {
            *status = -MOTOR_ENOMEM;
            break;
        }
        uint64_t skip, *entry = pagetable_find(as, address, &level, &skip), e = entry ? *entry : 0;
        if ((e & PTE_PRESENT) && (!write || (e & PTE_WRITE))) {
            page = pte_page(e) + (level ? address & (LARGE_SIZE - 1) & ~(PAGE_SIZE - 1) : 0);
            break;
        }
        *status = tries < 2 ? fault_locked(as, address, write ? MOTOR_PROT_WRITE : MOTOR_PROT_READ)
                            : -MOTOR_EFAULT;
        if (*status < 0) {
            if (*status != -MOTOR_ENOMEM && *status != -MOTOR_EABSENT) {
                *status = -MOTOR_EFAULT;
            }
            break;
        }
    }
    if (page && !take_frame(h, page, level)) { /* the bundle, or a device */
        struct region *r = region_find(as, address);
        if (!r || (r->vmo && r->vmo->kind == VMO_DEVICE)) {
            page = 0;
            *status = -MOTOR_EFAULT;
        }
    }
    if (page && write) {
        __atomic_fetch_add(&as->writers, 1, __ATOMIC_RELAXED);
        h->writes = as;
    }
    spin_unlock(&as->lock);
    return page;
}

static void page_release(const struct hold *h)
{
    if (h->writes) {
        __atomic_fetch_sub(&h->writes->writers, 1, __ATOMIC_RELEASE);
    }
    if (h->block) {
        frame_block_unref(h->frame);
    } else if (h->frame) {
        frame_unref(h->frame);
    }
}

static uint64_t in_page(uint64_t address, uint64_t left)
{
    uint64_t n = PAGE_SIZE - address % PAGE_SIZE;
    return n < left ? n : left;
}

static char *at(uint64_t page, uint64_t address)
{
    return (char *)phys_to_virt(page) + address % PAGE_SIZE;
}

int64_t aspace_read(struct aspace *as, uint64_t address, void *to, uint64_t n)
{
    for (uint64_t done = 0; done < n;) {
        int64_t status = 0;
        struct hold held;
        uint64_t k = in_page(address + done, n - done),
                 page = page_hold(as, address + done, false, &held, &status);
        if (!page) {
            return done ? (int64_t)done : status;
        }
        __builtin_memcpy((char *)to + done, at(page, address + done), k);
        page_release(&held);
        done += k;
    }
    return (int64_t)n;
}

int64_t aspace_write(struct aspace *as, uint64_t address, const void *from, uint64_t n)
{
    for (uint64_t done = 0; done < n;) {
        int64_t status = 0;
        struct hold held;
        uint64_t k = in_page(address + done, n - done),
                 page = page_hold(as, address + done, true, &held, &status);
        if (!page) {
            return done ? (int64_t)done : status;
        }
        __builtin_memcpy(at(page, address + done), (const char *)from + done, k);
        page_release(&held);
        done += k;
    }
    return (int64_t)n;
}

int64_t aspace_fill(struct aspace *as, uint64_t address, const void *user, uint64_t n)
{
    int64_t status = 0;
    for (uint64_t done = 0; done < n && status == 0; done += PAGE_SIZE) {
        uint64_t page = frame_alloc(), k = in_page(address + done, n - done);
        if (!page) {
            return -MOTOR_ENOMEM;
        }
        char *bytes = phys_to_virt(page);
        status = copy_from_user(bytes, (const char *)user + done, k);
        __builtin_memset(bytes + k, 0, PAGE_SIZE - k);
        if (status == 0) {
            spin_lock(&as->lock);
            status = fault_place(as, address + done, page);
            spin_unlock(&as->lock);
        }
        if (status < 0) {
            frame_unref(page);
        }
        sched_preempt_point();
    }
    return status;
}

int64_t aspace_copy(struct aspace *to, uint64_t to_address, struct aspace *from,
                    uint64_t from_address, uint64_t n)
{
    for (uint64_t done = 0; done < n;) {
        int64_t status = 0;
        uint64_t k = in_page(to_address + done, in_page(from_address + done, n - done));
        struct hold source_held, target_held;
        uint64_t source = page_hold(from, from_address + done, false, &source_held, &status);
        uint64_t target =
            source ? page_hold(to, to_address + done, true, &target_held, &status) : 0;
        if (target) {
            __builtin_memcpy(at(target, to_address + done), at(source, from_address + done), k);
            page_release(&target_held);
        }
        if (source) {
            page_release(&source_held);
        }
        if (!target) {
            return done ? (int64_t)done : status;
        }
        done += k;
    }
    return (int64_t)n;
}

int64_t aspace_copy_vmo(struct aspace *as, uint64_t address, struct vmo *v, uint64_t offset,
                        uint64_t n, bool to_vmo)
{
    uint64_t size = vmo_size(v);
    n = offset >= size ? 0 : n < size - offset ? n : size - offset;
    for (uint64_t done = 0; done < n;) {
        int64_t status = 0;
        uint64_t k = in_page(address + done, in_page(offset + done, n - done));
        struct hold held;
        uint64_t page = page_hold(as, address + done, !to_vmo, &held, &status);
        if (page) {
            status = to_vmo ? vmo_write(v, offset + done, at(page, address + done), k)
                            : vmo_read(v, offset + done, at(page, address + done), k);
            page_release(&held);
        }
        if (status < 0 || !page) {
            return done ? (int64_t)done : status;
        }
        done += k;
    }
    return (int64_t)n;
}

int64_t aspace_futex_key(struct aspace *as, uint64_t address, struct futex_key *key)
{
    int64_t status = 0;
    spin_lock(&as->lock);
    struct region *r = region_find(as, address);
    if (!r || r->dying) {
        status = -MOTOR_EFAULT;
    } else if (r->vmo && !(r->flags & MOTOR_MAP_PRIVATE)) {
        *key = (struct futex_key){r->vmo, r->offset + (address - region_start(r))};
    } else {
        *key = (struct futex_key){as, address};
    }
    spin_unlock(&as->lock);
    return status;
}

int64_t aspace_load32(struct aspace *as, uint64_t address, uint32_t *value)
{
    int64_t n = aspace_read(as, address, value, sizeof(*value));
    return n == (int64_t)sizeof(*value) ? 0 : -MOTOR_EFAULT;
}
