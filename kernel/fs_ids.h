/* SPDX-License-Identifier: MIT */
/*
 * The user and group by which a thread's calls judge files: those of its process, or others that it
 * has chosen for itself, as by setfsuid(2) on Linux. Other servers go by the effective ones.
 */
#ifndef KERNEL_FS_IDS_H
#define KERNEL_FS_IDS_H

#include "process.h"
#include "thread.h"

#define FS_UID (1u << 0) /* bits of thread.fs_set */
#define FS_GID (1u << 1)

static inline uint32_t fs_uid(const struct thread *t, const struct process *p)
{
    return t->fs_set & FS_UID ? t->fsuid : p->uid;
}

static inline uint32_t fs_gid(const struct thread *t, const struct process *p)
{
    return t->fs_set & FS_GID ? t->fsgid : p->gid;
}

static inline void fs_ids_inherit(struct thread *child, const struct thread *creator)
{
    child->fsuid = creator->fsuid;
    child->fsgid = creator->fsgid;
    child->fs_set = creator->fs_set;
}

/* MOTOR_THREAD_SET_FSUID and _FSGID, of the current thread */
int64_t fs_ids_set(struct thread *t, bool group, uint64_t value);
/* p's effective user or group is set: the current thread's follows, if it is one of p's */
void fs_ids_follow(const struct process *p, bool group);

#endif
