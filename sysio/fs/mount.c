/* SPDX-License-Identifier: MIT */
/*
 * Mounting and unmounting by programs: mount(2), umount2(2). A kind of file system is a row of the
 * table below; what a mounted one can do is its struct mount_ops.
 *
 * A file system is in use while a file of it is open (working directories are open files), another
 * one is mounted on it, or its own operations say so. One that was detached while it was in use
 * goes when the last file is closed.
 */
#include "fs.h"
#include "watches.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define KEPT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_SYNCHRONOUS)
#define KNOWN_FLAGS \
    (KEPT_FLAGS | MS_RDONLY | MS_REMOUNT | MS_RELATIME | MS_STRICTATIME | MS_SILENT | \
     MS_LAZYTIME | MS_DIRSYNC | MS_MGC_MSK)
#define UMOUNT_KNOWN (MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)

static const struct fs_type {
    const char *name;
    int (*mount)(const struct mount_request *r, struct mount **out);
} types[] = {
    {"ext4", disk_mount_type},
    {"tmpfs", tmpfs_mount_type},
    {"proc", procfs_mount_type},
};

static struct mount *detached;

/* ---- the tree ---- */

int mount_attach(struct mount *m, struct inode *on)
{
    static uint32_t next_id = 1;
    m->id = next_id++;
    struct mount **last = &mounts;
    while (*last)
        last = &(*last)->next;
    *last = m;
    m->covered = on;
    if (on)
        on->mounted_here = m;
    names_changed();
    return 0;
}

static void take_out(struct mount *m)
{
    struct mount **link = &mounts;
    while (*link != m)
        link = &(*link)->next;
    *link = m->next;
    m->covered->mounted_here = NULL;
    inode_put(m->covered);
    m->covered = NULL;
    names_changed();
}

static bool covers(const struct mount *m)
{
    for (const struct mount *other = mounts; other; other = other->next)
        if (other->covered && other->covered->mount == m)
            return true;
    return false;
}

/* Files of it that are open; writable: only those that may be written. */
static bool has_files(const struct mount *m, bool writable)
{
    const struct badge_table *t = &fs_engine.badges;
    for (uint32_t i = 0; i < t->size; i++) {
        const struct file *f = t->slots[i].object;
        if (f && f->inode->mount == m &&
            (!writable || (!(f->flags & (O_PATH | FILE_EXEC)) && f->flags & O_ACCMODE)))
            return true;
    }
    return false;
}

static bool in_use(struct mount *m)
{
    return covers(m) || has_files(m, false) || roots_in(m) || (m->ops->busy && m->ops->busy(m));
}

/* ---- mount ---- */

static int remount(struct mount *m, uint32_t flags, const char *data)
{
    bool read_only = flags & MS_RDONLY;
    if (read_only && !m->read_only && has_files(m, true))
        return -EBUSY;
    int error = m->ops && m->ops->remount ? m->ops->remount(m, read_only, data) : 0;
    if (error)
        return error;
    m->flags = flags & KEPT_FLAGS;
    m->read_only = read_only;
    names_changed();
    return 0;
}

static const struct fs_type *type_find(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name))
            return &types[i];
    return NULL;
}

/* Takes over the reference to `on`, also when it fails. */
static int mount_new(const struct mount_request *r, struct inode *on)
{
    struct mount *m;
    const struct fs_type *type = type_find(r->type);
    int error = !type ? -ENODEV : !S_ISDIR(on->mode) ? -ENOTDIR : type->mount(r, &m);
    if (error) {
        inode_put(on);
        return error;
    }
    m->flags = r->flags & KEPT_FLAGS;
    m->read_only |= (r->flags & MS_RDONLY) != 0;
    return mount_attach(m, on);
}

int vfs_mount_call(struct inode *base, const struct cred *who, const struct mount_request *r)
{
    static struct walk w;
    if (who->uid)
        return -EPERM;
    if (r->flags & ~(uint32_t)KNOWN_FLAGS)
        return -EINVAL;
    int error = vfs_walk(&w, base, who, r->target, strlen(r->target), 0);
    if (error)
        return error;
    if (!(r->flags & MS_REMOUNT))
        return mount_new(r, w.inode);
    error = w.inode == w.inode->mount->root ? remount(w.inode->mount, r->flags, r->data) : -EINVAL;
    inode_put(w.inode);
    return error;
}

/* ---- umount ---- */

int vfs_umount_call(struct inode *base, const struct cred *who, const char *path, size_t size,
                    uint32_t flags)
{
    static struct walk w;
    if (who->uid)
        return -EPERM;
    if (flags & ~(uint32_t)UMOUNT_KNOWN || (flags & MNT_EXPIRE && flags & (MNT_FORCE | MNT_DETACH)))
        return -EINVAL;
    int error = vfs_walk(&w, base, who, path, size, flags & UMOUNT_NOFOLLOW ? WALK_NOFOLLOW : 0);
    if (error)
        return error;
    struct mount *m = w.inode->mount;
    error = w.inode == m->root ? 0 : -EINVAL;
    inode_put(w.inode);
    if (error)
        return error;
    if (m->ops && m->ops->settle)
        m->ops->settle(m);
    if (m->covered && m->ops && m->ops->unmount && !covers(m) &&
        (flags & MNT_DETACH || !has_files(m, false)))
        watches_unmount(m); /* they keep nothing busy */
    if (!m->covered || !m->ops || !m->ops->unmount || covers(m) ||
        (!(flags & MNT_DETACH) && in_use(m)))
        return -EBUSY;
    if (flags & MNT_EXPIRE)
        return -EAGAIN; /* marked; nobody comes to look, so the mark is never old enough */
    take_out(m);
    if (!in_use(m))
        return m->ops->unmount(m);
    m->next = detached;
    detached = m;
    return 0;
}

void mounts_settle(void)
{
    struct mount **link = &detached;
    while (*link) {
        struct mount *m = *link;
        if (in_use(m)) {
            link = &m->next;
            continue;
        }
        *link = m->next;
        m->ops->unmount(m);
    }
}
