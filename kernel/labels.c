/* SPDX-License-Identifier: MIT */
/*
 * What can be read and set of a process: labels, entries, limits, name. Labels mean nothing to the
 * kernel but are delivered with every call, so only root changes user and group, or raises a memory
 * limit.
 */
#include "frame.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"

/* ---- process_info ---- */

static void fill_sched(struct process *p, struct motor_process_info *info)
{
    struct thread *self = this_cpu()->current;
    sched_lock_acquire();
    info->state = p->state;
    info->status = p->status;
    info->threads = p->thread_count;
    info->user_ns = p->cpu_ns;
    if (self->process == p) {
        info->user_ns += arch_now() - self->switched_in;
    }
    sched_lock_release();
}

static void fill_locked(struct process *p, struct motor_process_info *info)
{
    spin_lock(&p->lock);
    info->handles = p->handles.used;
    __builtin_memcpy(info->name, p->name, sizeof(info->name));
    if (p->aspace) {
        info->memory_private = p->aspace->private_bytes;
        info->memory_virtual = p->aspace->virtual_bytes;
    }
    spin_unlock(&p->lock);
}

int64_t sys_process_info(motor_handle process, uint32_t what, void *buffer, size_t size)
{
    struct process *p;
    if (what != MOTOR_PINFO_BASIC || size != sizeof(struct motor_process_info)) {
        return -MOTOR_EINVAL;
    }
    int64_t status = process_lookup(process, MOTOR_RIGHT_READ, &p);
    if (status < 0) {
        return status;
    }
    struct motor_process_info info = {.pid = p->pid,
                                      .ppid = p->ppid,
                                      .pgid = p->pgid,
                                      .sid = p->sid,
                                      .uid = p->uid,
                                      .gid = p->gid,
                                      .start_ns = p->start_ns};
    fill_sched(p, &info);
    fill_locked(p, &info);
    object_put(&p->object);
    return copy_to_user(buffer, &info, sizeof(info));
}

/* ---- process_set ---- */

static bool is_root(void)
{
    return this_cpu()->current->process->uid == 0;
}

static int64_t set_entry(struct process *p, uint64_t *entry, uint64_t value)
{
    if (value && !arch_user_address_ok(value)) {
        return -MOTOR_EINVAL;
    }
    if (p != this_cpu()->current->process &&
        __atomic_load_n(&p->state, __ATOMIC_RELAXED) != PROCESS_EMBRYO) {
        return -MOTOR_EBUSY;
    }
    __atomic_store_n(entry, value, __ATOMIC_RELAXED);
    return 0;
}

static int64_t set_label(uint32_t *label, uint64_t value, bool privileged)
{
    if (value > UINT32_MAX) {
        return -MOTOR_EINVAL;
    }
    if (privileged && !is_root() && value != *label) {
        return -MOTOR_EACCESS;
    }
    __atomic_store_n(label, (uint32_t)value, __ATOMIC_RELAXED);
    return 0;
}

static int64_t set_limit(struct process *p, uint64_t value)
{
    int64_t status = 0;
    spin_lock(&p->lock);
    if (!p->aspace) {
        status = -MOTOR_EGONE;
    } else if (value > p->aspace->limit && !is_root()) {
        status = -MOTOR_EACCESS;
    } else {
        __atomic_store_n(&p->aspace->limit, value, __ATOMIC_RELAXED);
    }
    spin_unlock(&p->lock);
    return status;
}

static int64_t set_name(struct process *p, const char *user)
{
    char name[PROCESS_NAME_MAX] = {0};
    for (uint32_t i = 0; i + 1 < PROCESS_NAME_MAX; i++) {
        if (copy_from_user(&name[i], user + i, 1) < 0) {
            return -MOTOR_EFAULT;
        }
        if (!name[i]) {
            break;
        }
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f) {
            name[i] = '?'; /* names reach the log */
        }
    }
    spin_lock(&p->lock);
    __builtin_memcpy(p->name, name, sizeof(name));
    spin_unlock(&p->lock);
    return 0;
}

static int64_t set(struct process *p, uint32_t what, uint64_t value)
{
    switch (what) {
    case MOTOR_PSET_UPCALL_ENTRY:
        return set_entry(p, &p->upcall_entry, value);
    case MOTOR_PSET_LINUX_ENTRY:
        return set_entry(p, &p->linux_entry, value);
    case MOTOR_PSET_UID:
        return set_label(&p->uid, value, true);
    case MOTOR_PSET_GID:
        return set_label(&p->gid, value, true);
    case MOTOR_PSET_PGID:
        return set_label(&p->pgid, value, false);
    case MOTOR_PSET_SID:
        return set_label(&p->sid, value, false);
    case MOTOR_PSET_MEMORY_LIMIT:
        return set_limit(p, value);
    case MOTOR_PSET_NAME:
        return set_name(p, (const char *)value);
    default:
        return -MOTOR_ENOSYS;
    }
}

int64_t sys_process_set(motor_handle process, uint32_t what, uint64_t value)
{
    struct process *p;
    int64_t status = process_lookup(process, MOTOR_RIGHT_MANAGE, &p);
    if (status < 0) {
        return status;
    }
    status = set(p, what, value);
    object_put(&p->object);
    return status;
}
