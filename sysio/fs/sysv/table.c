/* SPDX-License-Identifier: MIT */
/* Keys, identifiers and permissions of System V IPC. */
#include "sysv.h"

#include <errno.h>
#include <stdlib.h>

int64_t sysv_seconds(void)
{
    return fs_now().tv_sec;
}

static struct ipc_object *find_key(const struct ipc_table *t, int32_t key)
{
    for (uint32_t i = 0; i < t->end; i++)
        if (t->slot[i] && t->slot[i]->perm.__key == key && key != IPC_PRIVATE)
            return t->slot[i];
    return NULL;
}

static int64_t insert(struct ipc_table *t, struct ipc_object *o, const struct ipc_get *get)
{
    uint32_t i = 0;
    while (t->slot[i])
        i++;
    o->perm = (struct ipc_perm){.__key = get->key,
                                .uid = get->who->uid,
                                .gid = get->who->gid,
                                .cuid = get->who->uid,
                                .cgid = get->who->gid,
                                .mode = get->flags & 0777};
    o->perm.__seq = (int)(t->sequence++ % (INT32_MAX / IPC_ID_STEP));
    o->id = i + (uint32_t)o->perm.__seq * IPC_ID_STEP;
    t->slot[i] = o;
    t->used++;
    t->end = i >= t->end ? i + 1 : t->end;
    return o->id;
}

int64_t ipc_get(struct ipc_table *t, const struct ipc_get *get)
{
    struct ipc_object *o = find_key(t, get->key);
    uint32_t mode = get->flags & 0777;
    int error = 0;
    if (o) {
        if ((get->flags & IPC_CREAT) && (get->flags & IPC_EXCL))
            return -EEXIST;
        error = get->fits(o, get->size);
        if (!error)
            error = ipc_may(o, get->who, (mode | mode >> 3 | mode >> 6) & 7);
        return error ? error : (int64_t)o->id;
    }
    if (get->key != IPC_PRIVATE && !(get->flags & IPC_CREAT))
        return -ENOENT;
    if (t->used == IPC_IDS)
        return -ENOSPC;
    o = memory_low() ? NULL : get->make(get, &error);
    return o ? insert(t, o, get) : error ? error : -ENOMEM;
}

int ipc_find_index(const struct ipc_table *t, uint64_t index, struct ipc_object **out)
{
    *out = index < t->end ? t->slot[index] : NULL;
    return *out ? 0 : -EINVAL;
}

int ipc_find(const struct ipc_table *t, uint64_t id, struct ipc_object **out)
{
    int error = ipc_find_index(t, id % IPC_ID_STEP, out);
    return error || (*out)->id != id ? -EINVAL : 0;
}

int ipc_may(const struct ipc_object *o, const struct cred *who, uint32_t mode)
{
    const struct ipc_perm *p = &o->perm;
    uint32_t granted = p->mode;
    if (who->uid == p->cuid || who->uid == p->uid)
        granted >>= 6;
    else if ((mode & (granted ^ granted >> 3) & 7) &&
             (cred_in_group(who, p->cgid) || cred_in_group(who, p->gid)))
        granted >>= 3;
    return !who->uid || !(mode & ~granted & 7) ? 0 : -EACCES;
}

int ipc_owns(const struct ipc_object *o, const struct cred *who)
{
    return !who->uid || who->uid == o->perm.uid || who->uid == o->perm.cuid ? 0 : -EPERM;
}

void ipc_set(struct ipc_object *o, const struct ipc_perm *from)
{
    o->perm.uid = from->uid;
    o->perm.gid = from->gid;
    o->perm.mode = (o->perm.mode & ~0777u) | (from->mode & 0777);
}

void ipc_remove(struct ipc_table *t, struct ipc_object *o)
{
    t->slot[o->id % IPC_ID_STEP] = NULL;
    t->used--;
    while (t->end && !t->slot[t->end - 1])
        t->end--;
}

void ipc_forget_key(struct ipc_object *o)
{
    o->perm.__key = IPC_PRIVATE;
}
