/* SPDX-License-Identifier: MIT */
/*
 * What can be read and set of a process: labels, entries, limits, name. User and group are
 * delivered with every call, and judge signals, so only root changes them freely, or raises a
 * memory limit.
 */
#include "frame.h"
#include "fs_ids.h"
#include "groups.h"
#include "handle.h"
#include "pager.h"
#include "pid.h"
#include "process.h"
#include "sched.h"
#include "signal.h"
#include "syscall.h"
#include "template.h"

/* ---- process_info ---- */

static void fill_sched(struct process *p, struct motor_process_info *info)
{
    struct thread *self = this_cpu()->current;
    sched_lock_acquire();
    info->state = p->state;
    info->status = p->status;
    info->threads = p->thread_count;
    info->stopped = p->stop_told ? p->stop_signal : 0;
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
    info->memory_max = info->memory_private > p->memory_max ? info->memory_private : p->memory_max;
    spin_unlock(&p->lock);
}

static uint32_t flags_of(const struct process *p)
{
    return (__atomic_load_n(&p->secret, __ATOMIC_RELAXED) ? MOTOR_PROCESS_SECRET : 0) |
           (__atomic_load_n(&p->no_new_privs, __ATOMIC_RELAXED) ? MOTOR_PROCESS_NO_NEW_PRIVS : 0);
}

int64_t sys_process_info(motor_handle process, uint32_t what, void *buffer, size_t size)
{
    struct process *p;
    if (what != MOTOR_PINFO_BASIC) {
        return process_inspect(process, what, buffer, size);
    }
    if (size != sizeof(struct motor_process_info)) {
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
                                      .ruid = p->ruid,
                                      .suid = p->suid,
                                      .rgid = p->rgid,
                                      .sgid = p->sgid,
                                      .children_user_ns = p->children_ns,
                                      .children_memory_max = p->children_memory_max,
                                      .start_ns = p->start_ns,
                                      .root = __atomic_load_n(&p->root, __ATOMIC_RELAXED),
                                      .flags = flags_of(p),
                                      .about = __atomic_load_n(&p->about, __ATOMIC_RELAXED)};
    fill_sched(p, &info);
    fill_locked(p, &info);
    object_put(&p->object);
    return copy_to_user(buffer, &info, sizeof(info));
}

/* ---- process_set ---- */

/* A child between vfork and exec asks for what its own user may. */
static bool is_root(void)
{
    return thread_acts_for(this_cpu()->current)->uid == 0;
}

static int64_t set_entry(struct process *p, uint64_t *entry, uint64_t value)
{
    if (value && !arch_user_address_ok(value)) {
        return -MOTOR_EINVAL;
    }
    spin_lock(&p->lock); /* who takes a process over does that under it */
    bool may =
        p == this_cpu()->current->process ||
        (__atomic_load_n(&p->state, __ATOMIC_RELAXED) == PROCESS_EMBRYO && !process_is_closed(p));
    if (may) {
        __atomic_store_n(entry, value, __ATOMIC_RELAXED);
    }
    spin_unlock(&p->lock);
    return may ? 0 : -MOTOR_EBUSY;
}

/* The processes of a user are counted by the real one. */
static int64_t set_ids(struct process *p, bool group, const uint32_t ids[3])
{
    uint32_t *real = group ? &p->rgid : &p->ruid, *effective = group ? &p->gid : &p->uid,
             *saved = group ? &p->sgid : &p->suid;
    int64_t status = 0;
    bool root = is_root();
    spin_lock(&processes_lock);
    if (process_is_closed(p)) {
        status = -MOTOR_EACCESS;
    }
    for (int i = 0; i < 3 && !root; i++) {
        if (ids[i] != *real && ids[i] != *effective && ids[i] != *saved) {
            status = -MOTOR_EPERM;
        }
    }
    if (status == 0 && !group && ids[0] != *real && p->pid) {
        if (user_add(ids[0])) {
            user_remove(*real);
        } else {
            status = -MOTOR_ENOMEM;
        }
    }
    if (status == 0) {
        if (ids[1] != *effective) { /* what it has read as the old one is not the new one's */
            __atomic_store_n(&p->secret, true, __ATOMIC_RELAXED);
        }
        __atomic_store_n(real, ids[0], __ATOMIC_RELAXED);
        __atomic_store_n(effective, ids[1], __ATOMIC_RELAXED);
        __atomic_store_n(saved, ids[2], __ATOMIC_RELAXED);
        fs_ids_follow(p, group);
    }
    spin_unlock(&processes_lock);
    return status;
}

static int64_t set_ids_from(struct process *p, bool group, const uint32_t *user)
{
    uint32_t ids[3];
    return copy_from_user(ids, user, sizeof(ids)) < 0 ? -MOTOR_EFAULT : set_ids(p, group, ids);
}

static int64_t set_id(struct process *p, bool group, uint64_t value)
{
    uint32_t ids[3] = {(uint32_t)value, (uint32_t)value, (uint32_t)value};
    if (value > UINT32_MAX) {
        return -MOTOR_EINVAL;
    }
    if (!is_root() && value != (group ? p->gid : p->uid)) {
        return -MOTOR_EACCESS;
    }
    return set_ids(p, group, ids);
}

/* One of the words that only tell the kernel what to do for this process. */
static int64_t set_word(uint32_t *word, uint64_t value, uint64_t max)
{
    if (value > max) {
        return -MOTOR_EINVAL;
    }
    __atomic_store_n(word, (uint32_t)value, __ATOMIC_RELAXED);
    return 0;
}

static int64_t set_flag(bool *flag, uint64_t value)
{
    if (value > 1) {
        return -MOTOR_EINVAL;
    }
    __atomic_store_n(flag, value, __ATOMIC_RELAXED);
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
        if (p->account) {
            __atomic_store_n(&p->account->limit, value, __ATOMIC_RELAXED);
        }
    }
    spin_unlock(&p->lock);
    return status;
}

static int64_t set_object_limit(struct process *p, uint64_t value)
{
    if (!p->account) {
        return -MOTOR_EINVAL;
    }
    if (value > __atomic_load_n(&p->account->limit, __ATOMIC_RELAXED) && !is_root()) {
        return -MOTOR_EACCESS;
    }
    __atomic_store_n(&p->account->limit, value, __ATOMIC_RELAXED);
    return 0;
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

static int64_t set_root(struct process *p, uint64_t value)
{
    return this_cpu()->current->process->first ? set_word(&p->root, value, UINT32_MAX)
                                               : -MOTOR_EPERM;
}

static int64_t set_reclaim(struct process *p, uint64_t gate)
{
    struct object *g;
    if (!p->first || p != this_cpu()->current->process) {
        return -MOTOR_EPERM;
    }
    int64_t status = handle_lookup((motor_handle)gate, OBJECT_GATE, MOTOR_RIGHT_CALL, &g, NULL);
    if (status == 0) {
        status = pager_set_reclaim((struct gate *)g);
        object_put(g);
    }
    return status;
}

static int64_t set(struct process *p, uint32_t what, uint64_t value)
{
    switch (what) {
    case MOTOR_PSET_UPCALL_ENTRY:
        return set_entry(p, &p->upcall_entry, value);
    case MOTOR_PSET_LINUX_ENTRY:
        return set_entry(p, &p->linux_entry, value);
    case MOTOR_PSET_ABOUT:
        return set_entry(p, &p->about, value);
    case MOTOR_PSET_UID:
        return set_id(p, false, value);
    case MOTOR_PSET_GID:
        return set_id(p, true, value);
    case MOTOR_PSET_UIDS:
        return set_ids_from(p, false, (const uint32_t *)value);
    case MOTOR_PSET_GIDS:
        return set_ids_from(p, true, (const uint32_t *)value);
    case MOTOR_PSET_GROUPS:
        return is_root() ? groups_set(p, (const struct motor_groups *)value) : -MOTOR_EPERM;
    case MOTOR_PSET_CHILD_FLAGS:
        return set_word(&p->child_flags, value, MOTOR_CHILD_AUTO_REAP | MOTOR_CHILD_NO_STOP);
    case MOTOR_PSET_DEATH_SIGNAL:
        return set_word(&p->death_signal, value, SIGMAX);
    case MOTOR_PSET_NO_NEW_PRIVS:
        return value == 1 ? set_flag(&p->no_new_privs, value) : -MOTOR_EINVAL;
    case MOTOR_PSET_ROOT:
        return set_root(p, value);
    case MOTOR_PSET_SECRET:
        return set_flag(&p->secret, value);
    case MOTOR_PSET_SUBREAPER:
        return set_flag(&p->subreaper, value);
    case MOTOR_PSET_PROCESS_LIMIT:
        return set_word(&p->process_limit, value, UINT32_MAX);
    case MOTOR_PSET_SIGNAL_LIMIT:
        return set_word(&p->signal_limit, value, UINT32_MAX);
    case MOTOR_PSET_MEMORY_LIMIT:
        return set_limit(p, value);
    case MOTOR_PSET_OBJECT_LIMIT:
        return set_object_limit(p, value);
    case MOTOR_PSET_RECLAIM:
        return set_reclaim(p, value);
    case MOTOR_PSET_TEMPLATE:
        return p != this_cpu()->current->process
                   ? -MOTOR_EINVAL
                   : template_set((const struct motor_thread_start *)value);
    case MOTOR_PSET_ROBUST_WORDS:
        return p != this_cpu()->current->process ? -MOTOR_EINVAL
                                                 : set_entry(p, &p->robust_words, value);
    case MOTOR_PSET_MEMORY:
        return process_write_memory(p, (const struct motor_memory_write *)value);
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
