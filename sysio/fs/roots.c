/* SPDX-License-Identifier: MIT */
/*
 * chroot(2): a process's root is a label that the kernel keeps for us (MOTOR_PSET_ROOT), which
 * comes with its calls and which its children inherit. Here is what the labels mean: each directory
 * that is somebody's root has one, until nobody has that label any more, which is looked for when
 * there is no place left or a file system is to go. A label is never given out again for another
 * directory.
 */
#include "proc/proc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ROOTS 1024u

static struct root {
    struct inode *inode; /* NULL: the place is free */
    uint32_t label;      /* its place + ROOTS * how often that has been used */
    bool used;
} * roots;
static uint32_t count;

static struct root *find(uint32_t label)
{
    struct root *r = roots ? &roots[label % ROOTS] : NULL;
    return r && r->inode && r->label == label ? r : NULL;
}

int root_find(uint32_t label, struct inode **out)
{
    struct root *r = label ? find(label) : NULL;
    *out = r ? inode_get(r->inode) : NULL;
    return label && !r ? -EIO : 0;
}

static void give_up(struct root *r)
{
    inode_put(r->inode);
    r->inode = NULL;
    count--;
}

/* Labels that no process has are given up. */
static void collect(void)
{
    uint32_t *pids, n = processes_list(&pids);
    for (uint32_t i = 0; i < ROOTS; i++)
        roots[i].used = false;
    for (uint32_t i = 0; i < n; i++) {
        struct process p;
        if (process_get(&p, pids[i], 0) < 0)
            continue;
        struct root *r = p.info.root ? find(p.info.root) : NULL;
        if (r)
            r->used = true;
        process_put(&p);
    }
    free(pids);
    for (uint32_t i = 0; n && i < ROOTS; i++)
        if (roots[i].inode && !roots[i].used)
            give_up(&roots[i]);
}

bool roots_in(const struct mount *m)
{
    if (!count)
        return false;
    collect();
    for (uint32_t i = 0; i < ROOTS; i++)
        if (roots[i].inode && roots[i].inode->mount == m)
            return true;
    return false;
}

static struct root *free_place(void)
{
    if (count == ROOTS)
        collect();
    for (uint32_t i = 0; i < ROOTS; i++)
        if (!roots[i].inode)
            return &roots[i];
    return NULL;
}

/* The label of a directory; 0: none can be had. */
static uint32_t label_of(struct inode *inode)
{
    if (!roots && !(roots = calloc(ROOTS, sizeof *roots)))
        return 0;
    for (uint32_t i = 0; i < ROOTS; i++)
        if (roots[i].inode == inode)
            return roots[i].label;
    struct root *r = free_place();
    if (!r)
        return 0;
    uint32_t index = (uint32_t)(r - roots);
    if (r->label >= UINT32_MAX - 2 * ROOTS)
        return 0; /* so often that it would come again */
    r->label = (r->label ? r->label : index) + ROOTS;
    r->inode = inode_get(inode);
    count++;
    return r->label;
}

int root_change(const struct cred *who, struct inode *inode)
{
    if (!S_ISDIR(inode->mode))
        return -ENOTDIR;
    int error = vfs_permission(inode, who, MAY_EXEC);
    if (error)
        return error;
    if (who->euid)
        return -EPERM;
    uint32_t label = inode == mounts->root ? 0 : label_of(inode);
    if (!label && inode != mounts->root)
        return -ENOMEM;
    int64_t h = motor_process_open(who->pid, MOTOR_RIGHT_MANAGE);
    int64_t status = h < 0 ? h : motor_process_set((motor_handle)h, MOTOR_PSET_ROOT, label);
    if (h >= 0)
        motor_handle_close((motor_handle)h);
    return status < 0 ? (int)to_errno(status) : 0;
}
