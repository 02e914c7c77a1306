/* SPDX-License-Identifier: MIT */
/*
 * The memory calls: handles, rights and user buffers are decoded here; the objects see none of
 * them.
 */
#include "aspace.h"
#include "handle.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"
#include "vmo_impl.h"

#define PHYSICAL_BATCH 64u
#define COPY_BUFFER    1024u

/* ---- memory objects ---- */

static int64_t publish(struct vmo *v, uint32_t rights)
{
    struct process *self = this_cpu()->current->process;
    if (!v) {
        return -MOTOR_ENOMEM;
    }
    int64_t h = self->account ? vmo_charge_to(v, self->account) : 0;
    if (h == 0) {
        h = handle_insert(self, &v->object, rights);
    }
    object_put(&v->object);
    return h;
}

int64_t sys_vmo_create(uint64_t size, uint32_t flags)
{
    if (flags & ~(MOTOR_VMO_CONTIGUOUS | MOTOR_VMO_PAGED)) {
        return -MOTOR_EINVAL;
    }
    return publish(vmo_create(size, flags), MOTOR_RIGHTS_ALL);
}

int64_t sys_vmo_create_physical(motor_handle hardware, uint64_t paddr, uint64_t size,
                                uint32_t flags)
{
    struct object *hw;
    if (paddr % PAGE_SIZE || !size || size > 1ull << 40 || paddr >= 1ull << 52 ||
        (flags & ~MOTOR_VMO_UNCACHED)) {
        return -MOTOR_EINVAL;
    }
    int64_t status = handle_lookup(hardware, OBJECT_HARDWARE, MOTOR_RIGHT_MANAGE, &hw, NULL);
    if (status < 0) {
        return status;
    }
    object_put(hw);
    return publish(vmo_create_fixed(paddr, size, true, flags), MOTOR_RIGHTS_ALL);
}

int64_t sys_vmo_clone(motor_handle vmo, uint64_t offset, uint64_t size)
{
    struct object *parent;
    struct vmo *child = NULL;
    uint32_t rights;
    int64_t status = handle_lookup(vmo, OBJECT_VMO, MOTOR_RIGHT_READ, &parent, &rights);
    if (status < 0) {
        return status;
    }
    status = vmo_clone((struct vmo *)parent, offset, size, &child);
    object_put(parent);
    if (status < 0) {
        return status;
    }
    uint32_t allowed = MOTOR_RIGHTS_ALL & ~(rights & MOTOR_RIGHT_EXEC ? 0u : MOTOR_RIGHT_EXEC);
    return publish(child, allowed);
}

static int64_t control_bytes(struct vmo *v, bool write, uint64_t offset, uint64_t length,
                             char *user)
{
    char bytes[COPY_BUFFER];
    uint64_t done = 0, most = write ? PAGE_SIZE : sizeof(bytes);
    while (done < length && !thread_killed()) {
        uint64_t n = length - done < most ? length - done : most;
        int64_t got;
        if (write) {
            got = vmo_write_user(v, offset + done, user + done, n);
        } else {
            got = vmo_read(v, offset + done, bytes, n);
            if (got > 0 && copy_to_user(user + done, bytes, (size_t)got) < 0) {
                return done ? (int64_t)done : -MOTOR_EFAULT;
            }
        }
        if (got < 0) {
            return done ? (int64_t)done : got;
        }
        done += (uint64_t)got;
        if ((uint64_t)got < n) {
            break;
        }
        sched_preempt_point();
    }
    return (int64_t)done;
}

static int64_t control_physical(struct vmo *v, uint64_t offset, uint64_t length, uint64_t *user)
{
    uint64_t pages[PHYSICAL_BATCH];
    if (!process_is_driver(this_cpu()->current->process)) {
        return -MOTOR_ERIGHTS;
    }
    if (offset % PAGE_SIZE || length % PAGE_SIZE) {
        return -MOTOR_EINVAL;
    }
    for (uint64_t done = 0; done < length; done += PHYSICAL_BATCH * PAGE_SIZE) {
        uint64_t n =
            length - done < PHYSICAL_BATCH * PAGE_SIZE ? length - done : PHYSICAL_BATCH * PAGE_SIZE;
        int64_t got = vmo_physical(v, offset + done, n, pages, PHYSICAL_BATCH);
        if (got < 0) {
            return got;
        }
        if (copy_to_user(user + done / PAGE_SIZE, pages, (size_t)got * sizeof(pages[0])) < 0) {
            return -MOTOR_EFAULT;
        }
        sched_preempt_point();
    }
    return 0;
}

static int64_t control_prepare(struct vmo *v, uint64_t offset, uint64_t length, uint64_t *user)
{
    uint64_t pages[PHYSICAL_BATCH];
    if (!process_is_driver(this_cpu()->current->process)) {
        return -MOTOR_ERIGHTS;
    }
    if (length % PAGE_SIZE || length > PHYSICAL_BATCH * PAGE_SIZE) {
        return -MOTOR_EINVAL;
    }
    int64_t got = vmo_prepare(v, offset, pages, (unsigned)(length / PAGE_SIZE));
    if (got > 0 && copy_to_user(user, pages, (size_t)got * sizeof(pages[0])) < 0) {
        vmo_decommit(v, offset, (uint64_t)got * PAGE_SIZE); /* nobody was told of them */
        return -MOTOR_EFAULT;
    }
    return got;
}

static int64_t control_charge(struct vmo *v, motor_handle who)
{
    struct process *p;
    int64_t status = process_lookup(who, MOTOR_RIGHT_INSTALL, &p);
    if (status < 0) {
        return status;
    }
    if (v->account) {
        status = -MOTOR_EEXIST;
    } else if (p->account) {
        status = vmo_charge_to(v, p->account);
    }
    object_put(&p->object);
    return status;
}

static uint32_t right_for(uint32_t op)
{
    switch (op) {
    case MOTOR_VMO_RESIZE:
    case MOTOR_VMO_DECOMMIT:
    case MOTOR_VMO_SUPPLY:
    case MOTOR_VMO_PREPARE:
    case MOTOR_VMO_FILLED:
    case MOTOR_VMO_ALLOW:
    case MOTOR_VMO_CLEAN:
    case MOTOR_VMO_USERS:
    case MOTOR_VMO_SEAL:
    case MOTOR_VMO_CHARGE:
        return MOTOR_RIGHT_MANAGE;
    case MOTOR_VMO_COMMIT:
    case MOTOR_VMO_WRITE:
    case MOTOR_VMO_PHYSICAL:
        return MOTOR_RIGHT_WRITE;
    case MOTOR_VMO_READ:
        return MOTOR_RIGHT_READ;
    default:
        return 0;
    }
}

static int64_t control(struct vmo *v, uint32_t op, uint64_t offset, uint64_t length, void *buffer)
{
    bool removes = op == MOTOR_VMO_RESIZE || op == MOTOR_VMO_DECOMMIT;
    if (removes && v->pinned && !process_is_driver(this_cpu()->current->process)) {
        return -MOTOR_EBUSY; /* a device may be writing there: only the driver knows */
    }
    if (offset + length < offset) {
        return -MOTOR_EINVAL;
    }
    switch (op) {
    case MOTOR_VMO_GET_SIZE:
        return (int64_t)vmo_size(v);
    case MOTOR_VMO_RESIZE:
        return vmo_resize(v, length);
    case MOTOR_VMO_DECOMMIT:
        return vmo_decommit(v, offset, length);
    case MOTOR_VMO_COMMIT:
        return vmo_commit(v, offset, length);
    case MOTOR_VMO_READ:
    case MOTOR_VMO_WRITE:
        return control_bytes(v, op == MOTOR_VMO_WRITE, offset, length, buffer);
    case MOTOR_VMO_PHYSICAL:
        return control_physical(v, offset, length, buffer);
    case MOTOR_VMO_COMMITTED:
        return (int64_t)vmo_committed(v);
    case MOTOR_VMO_SUPPLY:
        return vmo_supply(v, offset, length, buffer);
    case MOTOR_VMO_PREPARE:
        return control_prepare(v, offset, length, buffer);
    case MOTOR_VMO_FILLED:
        return vmo_filled(v, offset, length);
    case MOTOR_VMO_ALLOW:
        return vmo_allow(v, offset);
    case MOTOR_VMO_CLEAN:
        return vmo_clean(v, offset, length);
    case MOTOR_VMO_USERS:
        return vmo_users(v);
    case MOTOR_VMO_MAPPINGS:
        return (int64_t)vmo_mappings(v);
    case MOTOR_VMO_SEAL:
        return vmo_seal(v, length);
    case MOTOR_VMO_CHARGE:
        return control_charge(v, (motor_handle)offset);
    default:
        return -MOTOR_EINVAL;
    }
}

int64_t sys_vmo_control(motor_handle vmo, uint32_t op, uint64_t offset, uint64_t length,
                        void *buffer)
{
    struct object *v;
    int64_t status = handle_lookup(vmo, OBJECT_VMO, right_for(op), &v, NULL);
    if (status < 0) {
        return status;
    }
    status = control((struct vmo *)v, op, offset, length, buffer);
    object_put(v);
    return status;
}

/* ---- address spaces ---- */

/* The process whose memory is meant, with its address space held. */
static int64_t target(motor_handle h, struct process **p, struct aspace **as)
{
    int64_t status = process_lookup(h, MOTOR_RIGHT_MANAGE, p);
    if (status < 0) {
        return status;
    }
    *as = process_aspace_get(*p);
    if (!*as) {
        object_put(&(*p)->object);
        return -MOTOR_EGONE;
    }
    return 0;
}

static void target_put(struct process *p, struct aspace *as)
{
    aspace_put(as);
    object_put(&p->object);
}

/* What a handle's rights allow a mapping to be, now and by protect later. */
static uint32_t prot_of(uint32_t rights)
{
    return (rights & MOTOR_RIGHT_READ ? MOTOR_PROT_READ : 0) |
           (rights & MOTOR_RIGHT_WRITE ? MOTOR_PROT_WRITE : 0) |
           (rights & MOTOR_RIGHT_EXEC ? MOTOR_PROT_EXEC : 0);
}

/* New memory with the caller's bytes, or no mapping. */
static int64_t map_copy(struct aspace *as, motor_handle vmo, const void *from, uint64_t address,
                        uint64_t length, uint32_t flags)
{
    if (vmo) {
        return -MOTOR_EINVAL;
    }
    int64_t at = aspace_map(as, NULL, 0, address, length, flags & ~MOTOR_MAP_COPY, 0);
    int64_t status = at < 0 ? at : aspace_fill(as, (uint64_t)at, from, length);
    if (at >= 0 && status < 0) {
        aspace_unmap(as, (uint64_t)at, length);
    }
    return status < 0 ? status : at;
}

int64_t sys_map(motor_handle process, motor_handle vmo, uint64_t offset, uint64_t address,
                uint64_t length, uint32_t flags)
{
    struct object *v = NULL;
    struct process *p;
    struct aspace *as;
    uint32_t rights = 0;
    int64_t status = target(process, &p, &as);
    if (status < 0) {
        return status;
    }
    if (flags & MOTOR_MAP_COPY) {
        status = map_copy(as, vmo, (const void *)offset, address, length, flags);
        target_put(p, as);
        return status;
    }
    if (vmo) {
        uint32_t manage = flags & MOTOR_MAP_PAGER ? MOTOR_RIGHT_MANAGE : 0;
        status = handle_lookup(vmo, OBJECT_VMO, MOTOR_RIGHT_READ | manage, &v, &rights);
    }
    if (status >= 0) {
        status = aspace_map(as, (struct vmo *)v, offset, address, length, flags, prot_of(rights));
    }
    if (v) {
        object_put(v);
    }
    target_put(p, as);
    return status;
}

int64_t sys_unmap(motor_handle process, uint64_t address, uint64_t length)
{
    struct process *p;
    struct aspace *as;
    int64_t status = target(process, &p, &as);
    if (status < 0) {
        return status;
    }
    status = aspace_unmap(as, address, length);
    target_put(p, as);
    return status;
}

int64_t sys_protect(motor_handle process, uint64_t address, uint64_t length, uint32_t flags)
{
    struct process *p;
    struct aspace *as;
    int64_t status = target(process, &p, &as);
    if (status < 0) {
        return status;
    }
    status = aspace_protect(as, address, length, flags);
    target_put(p, as);
    return status;
}

int64_t sys_remap(uint64_t old_address, uint64_t old_length, uint64_t new_address,
                  uint64_t new_length, uint32_t flags)
{
    return aspace_remap(this_cpu()->current->aspace, old_address, old_length, new_address,
                        new_length, flags);
}

int64_t sys_advise(uint64_t address, uint64_t length, uint32_t advice)
{
    return aspace_advise(this_cpu()->current->aspace, address, length, advice);
}
