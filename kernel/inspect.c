/* SPDX-License-Identifier: MIT */
/*
 * What a server that shows processes to people reads of one: threads, mappings, bytes of memory
 * (which a debugger also writes), and which of the server's objects a handle names. Lists are read
 * in pieces, from where the caller says, so that no lock is held for longer than a piece takes.
 */
#include "endpoint.h"
#include "groups.h"
#include "handle.h"
#include "process.h"
#include "region.h"
#include "sched.h"
#include "syscall.h"
#include "thread.h"

#define PIECE      16u
#define IDS_PIECE  512u
#define MEMORY_MAX 65536u

/* ---- threads ---- */

static void fill_thread(const struct thread *t, struct motor_thread_info *info)
{
    *info = (struct motor_thread_info){.id = t->id,
                                       .cpu = t->cpu,
                                       .blocked = t->state == THREAD_BLOCKED,
                                       .priority = t->priority,
                                       .run_ns = t->run_ns,
                                       .tcb = t->tcb};
    if (t->state == THREAD_RUNNING) {
        info->run_ns += arch_now() - t->switched_in;
    }
}

/* Up to max threads with ids from *id on; *id is where to go on, 0: all ids have been seen. */
static uint32_t threads_piece(struct process *p, uint32_t *id, struct motor_thread_info *to,
                              uint32_t max)
{
    uint32_t n = 0, end = *id + IDS_PIECE;
    sched_lock_acquire();
    for (; *id < end && n < max; ++*id) {
        struct thread *t = thread_by_id(*id);
        if (t && t->process == p && t->state != THREAD_DEAD && t->state != THREAD_NEW) {
            fill_thread(t, &to[n++]);
        }
    }
    if (*id >= thread_ids_end()) {
        *id = 0;
    }
    sched_lock_release();
    return n;
}

static int64_t threads_info(struct process *p, struct motor_thread_info *user, size_t size)
{
    struct motor_thread_info piece[PIECE];
    uint32_t id = 0;
    uint64_t room = size / sizeof(*user), total = 0;
    if (!room || size % sizeof(*user)) {
        return -MOTOR_EINVAL;
    }
    if (copy_from_user(&id, &user->id, sizeof(id)) < 0) {
        return -MOTOR_EFAULT;
    }
    id = id ? id : 1;
    while (id && id < thread_ids_end() && total < room) {
        uint64_t left = room - total;
        uint32_t n = threads_piece(p, &id, piece, left < PIECE ? (uint32_t)left : PIECE);
        if (n && copy_to_user(user + total, piece, n * sizeof(*piece)) < 0) {
            return -MOTOR_EFAULT;
        }
        total += n;
        sched_preempt_point();
        if (thread_killed()) {
            return -MOTOR_EINTR;
        }
    }
    return (int64_t)total;
}

/* ---- regions ---- */

static uint32_t regions_piece(struct aspace *as, uint64_t from, struct motor_region_info *to,
                              uint32_t max)
{
    uint32_t n = 0;
    spin_lock(&as->lock);
    struct region *r =
        from < MOTOR_KINFO_ADDRESS ? region_first_in(as, from, MOTOR_KINFO_ADDRESS) : NULL;
    for (; r && n < max; r = region_next(r)) {
        to[n++] =
            (struct motor_region_info){.start = region_start(r),
                                       .end = r->end,
                                       .offset = r->vmo ? r->offset : 0,
                                       .flags = r->flags & (MOTOR_PROT_READ | MOTOR_PROT_WRITE |
                                                            MOTOR_PROT_EXEC | MOTOR_MAP_PRIVATE),
                                       .object = r->vmo != NULL};
    }
    spin_unlock(&as->lock);
    return n;
}

static int64_t regions_info(struct aspace *as, struct motor_region_info *user, size_t size)
{
    struct motor_region_info piece[PIECE];
    uint64_t from, room = size / sizeof(*user), total = 0;
    if (!room || size % sizeof(*user)) {
        return -MOTOR_EINVAL;
    }
    if (copy_from_user(&from, &user->start, sizeof(from)) < 0) {
        return -MOTOR_EFAULT;
    }
    for (uint32_t n = PIECE; n == PIECE && total < room;) {
        uint64_t left = room - total;
        n = regions_piece(as, from, piece, left < PIECE ? (uint32_t)left : PIECE);
        if (n && copy_to_user(user + total, piece, n * sizeof(*piece)) < 0) {
            return -MOTOR_EFAULT;
        }
        total += n;
        from = n ? piece[n - 1].end : from;
        sched_preempt_point();
    }
    return (int64_t)total;
}

/* ---- memory, handles ---- */

static int64_t memory_bytes(struct aspace *as, void *user, size_t size)
{
    uint64_t address;
    if (size < sizeof(address) || size > MEMORY_MAX) {
        return -MOTOR_EINVAL;
    }
    if (copy_from_user(&address, user, sizeof(address)) < 0) {
        return -MOTOR_EFAULT;
    }
    if (!arch_user_address_ok(address) || !arch_user_address_ok(address + size)) {
        return -MOTOR_EFAULT;
    }
    return aspace_copy(this_cpu()->current->aspace, (uint64_t)user, as, address, size);
}

int64_t process_write_memory(struct process *p, const struct motor_memory_write *user)
{
    struct motor_memory_write w;
    if (copy_from_user(&w, user, sizeof(w)) < 0) {
        return -MOTOR_EFAULT;
    }
    if (w.size > MEMORY_MAX) {
        return -MOTOR_EINVAL;
    }
    uint64_t from = (uint64_t)w.from;
    if (!arch_user_address_ok(w.address) || !arch_user_address_ok(w.address + w.size) ||
        !arch_user_address_ok(from) || !arch_user_address_ok(from + w.size)) {
        return -MOTOR_EFAULT;
    }
    struct aspace *as = process_aspace_get(p);
    int64_t status = -MOTOR_EGONE;
    if (as) {
        status = aspace_copy(as, w.address, this_cpu()->current->aspace, from, w.size);
        aspace_put(as);
    }
    return status;
}

static int64_t gate_info(struct process *p, struct motor_gate_info *user, size_t size)
{
    struct motor_gate_info info;
    struct object *endpoint;
    if (size != sizeof(info)) {
        return -MOTOR_EINVAL;
    }
    if (copy_from_user(&info, user, sizeof(info)) < 0) {
        return -MOTOR_EFAULT;
    }
    int64_t status =
        handle_lookup(info.endpoint, OBJECT_ENDPOINT, MOTOR_RIGHT_READ, &endpoint, NULL);
    if (status < 0) {
        return status;
    }
    struct gate *g = (struct gate *)handle_peek(p, info.handle, OBJECT_GATE);
    bool same = g && &g->endpoint->object == endpoint;
    info.badge = same ? g->badge : 0;
    if (g) {
        object_put(&g->object);
    }
    object_put(endpoint);
    return same ? copy_to_user(user, &info, sizeof(info)) : -MOTOR_ETYPE;
}

static int64_t thread_handle(struct process *p, const uint32_t *user, size_t size)
{
    uint32_t id;
    if (size != sizeof(id)) {
        return -MOTOR_EINVAL;
    }
    if (copy_from_user(&id, user, sizeof(id)) < 0) {
        return -MOTOR_EFAULT;
    }
    sched_lock_acquire();
    struct thread *t = id && id < thread_ids_end() ? thread_by_id(id) : NULL;
    bool is_its = t && t->process == p && t->state != THREAD_DEAD && t->state != THREAD_NEW;
    if (is_its) {
        object_get(&t->object);
    }
    sched_lock_release();
    if (!is_its) {
        return -MOTOR_ENOENT;
    }
    int64_t h = handle_insert(this_cpu()->current->process, &t->object, MOTOR_RIGHTS_ALL);
    object_put(&t->object);
    return h;
}

int64_t process_inspect(motor_handle process, uint32_t what, void *buffer, size_t size)
{
    struct process *p;
    bool deep =
        what == MOTOR_PINFO_MEMORY || what == MOTOR_PINFO_GATE || what == MOTOR_PINFO_THREAD;
    int64_t status = process_lookup(process, deep ? MOTOR_RIGHT_MANAGE : MOTOR_RIGHT_READ, &p);
    if (status < 0) {
        return status;
    }
    struct aspace *as = process_aspace_get(p);
    status = -MOTOR_EGONE;
    switch (what) {
    case MOTOR_PINFO_THREADS:
        status = threads_info(p, buffer, size);
        break;
    case MOTOR_PINFO_REGIONS:
        status = as ? regions_info(as, buffer, size) : status;
        break;
    case MOTOR_PINFO_MEMORY:
        status = as ? memory_bytes(as, buffer, size) : status;
        break;
    case MOTOR_PINFO_GATE:
        status = gate_info(p, buffer, size);
        break;
    case MOTOR_PINFO_GROUPS:
        status = groups_info(p, buffer, size);
        break;
    case MOTOR_PINFO_THREAD:
        status = thread_handle(p, buffer, size);
        break;
    default:
        status = -MOTOR_EINVAL;
    }
    if (as) {
        aspace_put(as);
    }
    object_put(&p->object);
    return status;
}
