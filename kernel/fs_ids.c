/* SPDX-License-Identifier: MIT */
/* See fs_ids.h. A thread changes its own; others read them while it waits in a call. */
#include "fs_ids.h"
#include "pid.h"
#include "sched.h"

/* As in Linux, what somebody may not have changes nothing, and is no error. */
static bool may_have(const struct process *p, bool group, uint32_t id)
{
    return p->uid == 0 || (group ? id == p->rgid || id == p->gid || id == p->sgid
                                 : id == p->ruid || id == p->uid || id == p->suid);
}

int64_t fs_ids_set(struct thread *t, bool group, uint64_t value)
{
    struct process *p = t->process;
    if (t != this_cpu()->current || value > UINT32_MAX) {
        return -MOTOR_EINVAL;
    }
    uint32_t id = (uint32_t)value, before = group ? fs_gid(t, p) : fs_uid(t, p);
    bool acts = thread_acts_for(t) != p; /* what it chose would remain when it acts no more */
    if (id == UINT32_MAX || id == before || acts || !may_have(p, group, id)) {
        return before;
    }
    if (group) {
        t->fsgid = id;
        t->fs_set |= FS_GID;
    } else {
        t->fsuid = id;
        t->fs_set |= FS_UID;
    }
    __atomic_store_n(&p->secret, true, __ATOMIC_RELAXED);
    return before;
}

void fs_ids_follow(const struct process *p, bool group)
{
    struct thread *t = this_cpu()->current;
    if (p == thread_acts_for(t)) {
        t->fs_set &= (uint8_t) ~(group ? FS_GID : FS_UID);
    }
}
