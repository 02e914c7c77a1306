/* SPDX-License-Identifier: MIT */
/*
 * Names: the walk along a path, permissions, and the operations that change the tree. What is
 * checked here is what Linux checks, in its order, so that the errno is the same when several
 * apply.
 */
#include "fs.h"
#include "watches.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>

#ifndef RENAME_NOREPLACE /* not in musl 1.2.5 */
#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE  2u
#endif

struct mount *mounts;

/* ---- inodes ---- */

/*
 * Times of changes go in steps, as on Linux: so a write whose step is that of the one before
 * changes nothing but bytes, and an fsync of it has no inode to bring to the disk. A time of access
 * is exact, and ends the step: what is changed after it is later, so that the next access is noted
 * again.
 */
#define TIME_STEP 4000000u

static uint64_t after_access; /* of the last one that was noted */

uint64_t fs_time(uint64_t ns)
{
    uint64_t step = ns - ns % TIME_STEP;
    return step < after_access && after_access <= ns ? after_access : step;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

struct timespec fs_now(void)
{
    return to_timespec(fs_time(clock_realtime_ns()));
}

void inode_touch(struct inode *inode, bool data)
{
    hot_collect(inode);
    inode->ctime = fs_now();
    if (data)
        inode->mtime = inode->ctime;
    hot_changed(inode);
}

static bool before(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

bool inode_access_is_noted(const struct inode *inode)
{
    return (inode->mount->flags & MS_NOATIME) || inode->mount->read_only ||
           (before(inode->mtime, inode->atime) && before(inode->ctime, inode->atime));
}

void inode_accessed(struct inode *inode, uint32_t flags)
{
    uint32_t none = MS_NOATIME | (S_ISDIR(inode->mode) ? MS_NODIRATIME : 0);
    if ((flags & O_NOATIME) || (inode->mount->flags & none) || inode->mount->read_only)
        return;
    hot_collect(inode);
    uint64_t ns = clock_realtime_ns();
    struct timespec now = to_timespec(ns);
    if (!inode_access_is_noted(inode) || now.tv_sec - inode->atime.tv_sec >= 86400) {
        inode->atime = now;
        after_access = ns + 1;
        hot_changed(inode);
    }
}

void inode_stat(struct inode *i, struct io_stat *out)
{
    hot_collect(i);
    *out = (struct io_stat){
        .dev = i->mount->id,
        .ino = i->ino,
        .mode = i->mode,
        .nlink = i->nlink,
        .uid = i->uid,
        .gid = i->gid,
        .rdev = i->rdev,
        .size = (int64_t)i->size,
        .blksize = MOTOR_PAGE_SIZE,
        .flags = (S_ISREG(i->mode) || S_ISDIR(i->mode)) && !i->ops->sync ? IO_FILE_IN_MEMORY : 0,
        .blocks = i->ops->blocks ? (int64_t)i->ops->blocks(i) : 0,
        .atime = i->atime.tv_sec,
        .mtime = i->mtime.tv_sec,
        .ctime = i->ctime.tv_sec,
        .btime = i->btime.tv_sec,
        .atime_ns = (uint32_t)i->atime.tv_nsec,
        .mtime_ns = (uint32_t)i->mtime.tv_nsec,
        .ctime_ns = (uint32_t)i->ctime.tv_nsec,
        .btime_ns = (uint32_t)i->btime.tv_nsec,
    };
}

/* ---- permissions ---- */

/* Of anybody but root: the one class of bits that counts for him. */
static __attribute__((noinline)) int by_class(const struct inode *inode, const struct cred *who,
                                              uint32_t want)
{
    uint32_t mode = inode->mode;
    if (who->uid == inode->uid)
        mode >>= 6;
    else if ((want & (mode ^ mode >> 3) & 7) && cred_in_group(who, inode->gid))
        mode >>= 3; /* otherwise the group would make no difference */
    return want & ~mode & 7 ? -EACCES : 0;
}

int vfs_permission(const struct inode *inode, const struct cred *who, uint32_t want)
{
    uint32_t mode = inode->mode;
    if ((want & MAY_WRITE) && inode->mount->read_only &&
        (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
        return -EROFS;
    if (who->uid == 0) {
        if ((want & MAY_EXEC) && !S_ISDIR(mode) && !(mode & 0111))
            return -EACCES;
        return 0;
    }
    return by_class(inode, who, want);
}

void inode_drop_privileges(struct inode *inode, const struct cred *who)
{
    uint32_t mode = inode->mode;
    if (!who->uid || !S_ISREG(mode) || !(mode & (S_ISUID | S_ISGID)))
        return;
    mode &= ~(uint32_t)S_ISUID;
    if ((mode & S_IXGRP) || !cred_in_group(who, inode->gid))
        mode &= ~(uint32_t)S_ISGID;
    if (mode != inode->mode) {
        inode->mode = mode;
        hot_changed(inode);
    }
}

int vfs_setattr_check(const struct inode *inode, const struct cred *who)
{
    if (inode->mount->read_only)
        return -EROFS;
    return who->uid == 0 || who->uid == inode->uid ? 0 : -EPERM;
}

/* May `who` remove or replace the name of `inode` in dir? */
static int may_delete(const struct inode *dir, const struct inode *inode, const struct cred *who)
{
    int error = vfs_permission(dir, who, MAY_WRITE | MAY_EXEC);
    if (error)
        return error;
    if ((dir->mode & S_ISVTX) && who->uid != 0 && who->uid != inode->uid && who->uid != dir->uid)
        return -EPERM;
    return 0;
}

/* ---- mounts ---- */

int vfs_mount(struct mount *m, const char *path)
{
    static struct walk w;
    if (!mounts)
        return mount_attach(m, NULL);
    int error = vfs_walk(&w, mounts->root, &(struct cred){0}, path, strlen(path), 0);
    if (error)
        return error;
    return mount_attach(m, w.inode);
}

static struct inode *cross_mount(struct inode *inode)
{
    while (inode->mounted_here) {
        struct inode *root = inode_get(inode->mounted_here->root);
        inode_put(inode);
        inode = root;
    }
    return inode;
}

static struct inode *root_of(const struct cred *who)
{
    return who->root ? who->root : mounts->root;
}

/* ".." of a directory; takes over the reference. */
static struct inode *dot_dot(struct inode *dir, const struct cred *who)
{
    struct inode *at = dir;
    if (dir == who->root)
        return dir;
    while (at == at->mount->root && at->mount->covered)
        at = at->mount->covered;
    struct inode *parent = at == at->mount->root || !at->parent ? at : at->parent;
    inode_get(parent);
    inode_put(dir);
    return cross_mount(parent);
}

/* ---- the walk ---- */

/* Puts a symlink's target before the rest of the path. */
static int follow(struct walk *w, struct inode *link, const struct cred *who, char **path,
                  size_t *size)
{
    char target[IO_PATH_MAX];
    if (!link->ops->readlink)
        return -EINVAL;
    int64_t n = link->ops->readlink(link, who, target, sizeof target);
    if (n < 0)
        return (int)n;
    if (n == 0)
        return -ENOENT;
    if ((size_t)n + *size >= IO_PATH_MAX)
        return -ENAMETOOLONG;
    /*
     * `rest` starts at its '/' if it has one, so the two join correctly. It lies at the end of the
     * buffer.
     */
    char *to = w->buffer + sizeof w->buffer - *size - (size_t)n;
    memmove(w->buffer + sizeof w->buffer - *size, *path, *size);
    memcpy(to, target, (size_t)n);
    *path = to;
    *size += (size_t)n;
    inode_accessed(link, 0);
    return 0;
}

static int lookup(struct inode *dir, const struct cred *who, const char *name, size_t length,
                  struct inode **out)
{
    *out = NULL;
    if (!dir->ops->lookup)
        return -ENOTDIR;
    if (length > FS_NAME_MAX)
        return dir->nlink ? -ENAMETOOLONG : -ENOENT;
    int error = dir->ops->lookup(dir, who, name, length, out);
    if (!error)
        *out = cross_mount(*out);
    return error;
}

static bool all_slashes(const char *path, size_t size)
{
    while (size && *path == '/')
        path++, size--;
    return size == 0;
}

static int walk_fail(struct inode *at, int error)
{
    inode_put(at);
    return error;
}

int vfs_walk(struct walk *w, struct inode *base, const struct cred *who, const char *text,
             size_t size, uint32_t flags)
{
    unsigned links = 0;
    w->inode = w->parent = NULL;
    w->slash = false;
    w->error = 0;
    w->last = LAST_ROOT;
    w->name = "";
    w->length = 0;
    if (size == 0)
        return -ENOENT;
    if (size >= IO_PATH_MAX)
        return -ENAMETOOLONG;
    if (memchr(text, 0, size))
        return -ENOENT;
    char *path = w->buffer + sizeof w->buffer - size;
    memcpy(path, text, size);
    struct inode *at = inode_get(*path == '/' ? root_of(who) : base);
    w->stable = at->mount->stable;

    for (;;) {
        while (size && *path == '/')
            path++, size--;
        if (!size)
            break;
        if (!S_ISDIR(at->mode))
            return walk_fail(at, -ENOTDIR);
        int error = vfs_permission(at, who, MAY_EXEC);
        if (error)
            return walk_fail(at, error);
        size_t length = 0;
        while (length < size && path[length] != '/')
            length++;
        const char *name = path;
        path += length;
        size -= length;
        bool last = all_slashes(path, size), slash = last && size;
        bool dot = length == 1 && name[0] == '.',
             dots = length == 2 && name[0] == '.' && name[1] == '.';
        if (last && (flags & WALK_PARENT)) {
            w->name = name;
            w->length = length;
            w->slash = slash;
            w->last = dot ? LAST_DOT : dots ? LAST_DOTDOT : LAST_NORMAL;
        }
        if (dot || dots) {
            if (last && (flags & WALK_PARENT))
                w->parent = inode_get(at);
            at = dots ? dot_dot(at, who) : at;
            if (last && (flags & WALK_PARENT)) {
                w->inode = at;
                return 0;
            }
            continue;
        }
        struct inode *next;
        error = lookup(at, who, name, length, &next);
        w->stable &= at->mount->stable;
        /* the caller decides about symlinks, and when an error counts */
        if (last && (flags & WALK_PARENT)) {
            w->parent = at;
            w->inode = next;
            w->error = error == -ENOENT ? 0 : error;
            return 0;
        }
        if (error)
            return walk_fail(at, error);
        if (S_ISLNK(next->mode) && !(last && !slash && (flags & WALK_NOFOLLOW))) {
            error = ++links > FS_SYMLINKS_MAX ? -ELOOP : follow(w, next, who, &path, &size);
            inode_put(next);
            if (error)
                return walk_fail(at, error);
            if (*path == '/') {
                inode_put(at);
                at = inode_get(root_of(who));
            }
            continue;
        }
        inode_put(at);
        at = next;
        if (slash && !S_ISDIR(at->mode))
            return walk_fail(at, -ENOTDIR);
    }
    w->inode = at;
    if (flags & WALK_PARENT)
        w->parent = inode_get(at);
    return 0;
}

void walk_done(struct walk *w)
{
    inode_put(w->inode);
    inode_put(w->parent);
    w->inode = w->parent = NULL;
}

struct inode *vfs_parent(struct inode *dir, const struct cred *who)
{
    return dot_dot(inode_get(dir), who);
}

int64_t vfs_path(const struct inode *inode, char *buffer, size_t size, bool removed_too)
{
    return vfs_path_from(NULL, inode, buffer, size, removed_too);
}

int64_t vfs_path_from(const struct inode *root, const struct inode *inode, char *buffer,
                      size_t size, bool removed_too)
{
    static const char suffix[] = " (deleted)";
    char *end = buffer + size, *at = end;
    bool removed = false;
    const struct inode *i = inode;
    while (i != root) {
        while (i == i->mount->root && i->mount->covered)
            i = i->mount->covered;
        if (i == i->mount->root && root)
            return -ENOENT;
        if (i == i->mount->root)
            break;
        if (!i->parent || !i->name)
            return -ENOENT;
        removed |= !i->linked;
        size_t n = strlen(i->name);
        if ((size_t)(at - buffer) < n + 1)
            return -ENAMETOOLONG;
        at -= n;
        memcpy(at, i->name, n);
        *--at = '/';
        i = i->parent;
    }
    if (removed && !removed_too)
        return -ENOENT;
    if (at == end)
        *--at = '/';
    size_t length = (size_t)(end - at);
    memmove(buffer, at, length);
    if (removed) {
        if (length + sizeof suffix - 1 > size)
            return -ENAMETOOLONG;
        memcpy(buffer + length, suffix, sizeof suffix - 1);
        length += sizeof suffix - 1;
    }
    return (int64_t)length;
}

/* ---- create and open ---- */

/* Owner and group of what is made in dir. */
static void inherit(const struct inode *dir, const struct cred *who, struct create_args *args)
{
    args->uid = who->uid;
    args->gid = who->gid;
    if (dir->mode & S_ISGID) {
        args->gid = dir->gid;
        if (S_ISDIR(args->mode))
            args->mode |= S_ISGID;
        else if (who->uid && (args->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
                 !cred_in_group(who, args->gid))
            args->mode &= ~(uint32_t)S_ISGID;
    }
}

static int create_at(struct inode *dir, const struct cred *who, const char *name, size_t length,
                     struct create_args *args, struct inode **out)
{
    if (dir->nlink == 0)
        return -ENOENT;
    int error = vfs_permission(dir, who, MAY_WRITE | MAY_EXEC);
    if (error)
        return error;
    if (!dir->ops->create)
        return -EPERM;
    inherit(dir, who, args);
    int64_t created = dir->ops->create(dir, name, length, args, out);
    if (!created)
        watch_name(dir, *out, name, length, IN_CREATE, 0);
    return (int)created;
}

int vfs_create(struct inode *base, const struct cred *who, const char *path, size_t size,
               struct create_args *args, struct inode **out)
{
    static struct walk w;
    int error = vfs_walk(&w, base, who, path, size, WALK_PARENT);
    if (error)
        return error;
    if (w.last != LAST_NORMAL || w.inode)
        error = -EEXIST;
    else if (w.error)
        error = w.error;
    else if (w.slash && !S_ISDIR(args->mode))
        error = -ENOENT;
    else
        error = create_at(w.parent, who, w.name, w.length, args, out);
    walk_done(&w);
    return error;
}

int vfs_open_check(struct inode *inode, const struct cred *who, uint32_t flags)
{
    uint32_t mode = inode->mode, access = flags & O_ACCMODE;
    bool write = access != O_RDONLY || (flags & O_TRUNC);
    if ((flags & O_DIRECTORY) && !S_ISDIR(mode))
        return -ENOTDIR;
    if (S_ISLNK(mode))
        return flags & O_PATH ? 0 : -ELOOP;
    if (flags & O_PATH)
        return 0;
    if (S_ISDIR(mode) && write)
        return -EISDIR;
    uint32_t want = (access == O_WRONLY ? 0 : MAY_READ) | (write ? MAY_WRITE : 0);
    int error = vfs_permission(inode, who, want);
    if (error)
        return error;
    if ((S_ISCHR(mode) || S_ISBLK(mode)) && inode->mount->flags & MS_NODEV)
        return -EACCES;
    if ((flags & O_NOATIME) && who->uid != 0 && who->uid != inode->uid)
        return -EPERM;
    if (S_ISSOCK(mode))
        return -ENXIO;
    return write && inode->runners ? -ETXTBSY : 0;
}

static int open_tmpfile(struct inode *base, const struct cred *who, const char *path, size_t size,
                        uint32_t flags, uint32_t mode, struct inode **out)
{
    static struct walk w;
    if ((flags & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    int error = vfs_walk(&w, base, who, path, size, 0);
    if (error)
        return error;
    struct create_args args = {.mode = S_IFREG | (mode & 07777)};
    inherit(w.inode, who, &args);
    if (!S_ISDIR(w.inode->mode))
        error = -ENOTDIR;
    else
        error = vfs_permission(w.inode, who, MAY_WRITE | MAY_EXEC);
    if (!error)
        error = w.inode->ops->tmpfile ? w.inode->ops->tmpfile(w.inode, &args, out) : -EOPNOTSUPP;
    walk_done(&w);
    return error;
}

/*
 * O_CREAT of what is there, in a sticky directory that all may write, is for its owner; files and
 * FIFOs are excepted, as by default in Linux.
 */
static int may_create_in_sticky(const struct inode *dir, const struct inode *inode,
                                const struct cred *who)
{
    uint32_t mode = inode->mode;
    if (!(dir->mode & S_ISVTX) || !(dir->mode & 0002) || S_ISREG(mode) || S_ISFIFO(mode) ||
        S_ISDIR(mode))
        return 0;
    return inode->uid == dir->uid || inode->uid == who->uid ? 0 : -EACCES;
}

/*
 * O_CREAT: the last component may be a symlink to a name that does not exist yet, so links are
 * followed here, name by name.
 */
static int open_create(struct inode *base, const struct cred *who, const char *path, size_t size,
                       uint32_t flags, uint32_t mode, struct inode **out, bool *created)
{
    static struct walk w;
    char target[IO_PATH_MAX];
    inode_get(base);
    for (unsigned links = 0;; links++) {
        int error = vfs_walk(&w, base, who, path, size, WALK_PARENT);
        if (error)
            return walk_fail(base, error);
        bool link = w.inode && S_ISLNK(w.inode->mode);
        if (w.slash && w.last == LAST_NORMAL) {
            error = -EISDIR;
        } else if (w.error) {
            error = w.error;
        } else if (!w.inode) {
            struct create_args args = {.mode = S_IFREG | (mode & 07777)};
            error = create_at(w.parent, who, w.name, w.length, &args, out);
            *created = !error;
        } else if ((flags & O_EXCL)) {
            error = -EEXIST;
        } else if (!link || (flags & O_NOFOLLOW)) {
            error = S_ISDIR(w.inode->mode) ? -EISDIR : may_create_in_sticky(w.parent, w.inode, who);
            if (!error)
                *out = inode_get(w.inode);
        } else {
            int64_t n = links >= FS_SYMLINKS_MAX ? -ELOOP
                        : !w.inode->ops->readlink
                            ? -EINVAL
                            : w.inode->ops->readlink(w.inode, who, target, sizeof target - 1);
            if (n > 0) {
                struct inode *next = inode_get(w.parent);
                walk_done(&w);
                inode_put(base);
                base = next;
                path = target;
                size = (size_t)n;
                continue;
            }
            error = n ? (int)n : -ENOENT;
        }
        walk_done(&w);
        return walk_fail(base, error);
    }
}

int vfs_open(struct inode *base, const struct cred *who, const char *path, size_t size,
             uint32_t flags, uint32_t mode, struct inode **out, bool *created)
{
    static struct walk w;
    int error;
    *created = false;
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        *created = true;
        return open_tmpfile(base, who, path, size, flags, mode, out);
    }
    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
    if (flags & O_CREAT) {
        if (flags & O_DIRECTORY)
            return -EINVAL;
        error = open_create(base, who, path, size, flags, mode, out, created);
    } else {
        error = vfs_walk(&w, base, who, path, size, flags & O_NOFOLLOW ? WALK_NOFOLLOW : 0);
        if (!error)
            *out = w.inode;
    }
    if (error || *created)
        return error;
    error = vfs_open_check(*out, who, flags);
    return error ? walk_fail(*out, error) : 0;
}

/* ---- unlink, link, rename ---- */

static int unlink_check(const struct walk *w, const struct cred *who, bool directory)
{
    if (directory) {
        if (w->last == LAST_DOT)
            return -EINVAL;
        if (w->last == LAST_DOTDOT)
            return -ENOTEMPTY;
        if (w->last == LAST_ROOT)
            return -EBUSY;
    } else if (w->last != LAST_NORMAL) {
        return -EISDIR;
    }
    if (!w->inode)
        return w->error ? w->error : -ENOENT;
    if (!directory && w->slash)
        return S_ISDIR(w->inode->mode) ? -EISDIR : -ENOTDIR;
    if (w->inode->mount != w->parent->mount)
        return directory ? -EBUSY : -EISDIR;
    int error = may_delete(w->parent, w->inode, who);
    if (error)
        return error;
    if (directory) {
        if (!S_ISDIR(w->inode->mode))
            return -ENOTDIR;
        if (w->inode->ops->empty && !w->inode->ops->empty(w->inode))
            return -ENOTEMPTY;
    } else if (S_ISDIR(w->inode->mode)) {
        return -EISDIR;
    }
    return w->parent->ops->unlink ? 0 : -EPERM;
}

int vfs_unlink(struct inode *base, const struct cred *who, const char *path, size_t size,
               bool directory)
{
    static struct walk w;
    int error = vfs_walk(&w, base, who, path, size, WALK_PARENT);
    if (error)
        return error;
    error = unlink_check(&w, who, directory);
    if (!error)
        error = w.parent->ops->unlink(w.parent, w.name, w.length, w.inode);
    if (!error) {
        if (!directory)
            watch_self(w.inode, IN_ATTRIB);
        watch_gone(w.inode, 1);
        watch_name(w.parent, w.inode, w.name, w.length, IN_DELETE, 0);
    }
    walk_done(&w);
    return error;
}

/* As with fs.protected_hardlinks = 1: nobody pins a file that he could not have written. */
static int may_link(const struct inode *inode, const struct cred *who)
{
    uint32_t mode = inode->mode;
    if (who->uid == 0 || who->uid == inode->uid)
        return 0;
    if (!S_ISREG(mode) || (mode & S_ISUID) || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        return -EPERM;
    return vfs_permission(inode, who, MAY_READ | MAY_WRITE) ? -EPERM : 0;
}

int vfs_link(struct inode *old_base, const char *old_path, size_t old_size, struct inode *new_base,
             const char *new_path, size_t new_size, const struct cred *who, uint32_t flags)
{
    static struct walk w, n;
    int error = 0;
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (!old_size && (flags & AT_EMPTY_PATH))
        w.inode = inode_get(old_base);
    else
        error = vfs_walk(&w, old_base, who, old_path, old_size,
                         flags & AT_SYMLINK_FOLLOW ? 0 : WALK_NOFOLLOW);
    if (error)
        return error;
    w.parent = NULL;
    error = vfs_walk(&n, new_base, who, new_path, new_size, WALK_PARENT);
    if (!error) {
        if (n.last != LAST_NORMAL || n.inode)
            error = -EEXIST;
        else if (n.error)
            error = n.error;
        else if (n.slash || n.parent->nlink == 0)
            error = -ENOENT;
        else if (n.parent->mount != w.inode->mount)
            error = -EXDEV;
        else if ((error = may_link(w.inode, who)) ||
                 (error = vfs_permission(n.parent, who, MAY_WRITE | MAY_EXEC)))
            ;
        else if (S_ISDIR(w.inode->mode))
            error = -EPERM;
        else if (w.inode->nlink >= FS_LINK_MAX)
            error = -EMLINK;
        else
            error = n.parent->ops->link ? n.parent->ops->link(n.parent, n.name, n.length, w.inode)
                                        : -EPERM;
        if (!error) {
            inode_touch(w.inode, false);
            watch_self(w.inode, IN_ATTRIB);
            watch_name(n.parent, w.inode, n.name, n.length, IN_CREATE, 0);
        }
    }
    if (!error || n.parent)
        walk_done(&n);
    walk_done(&w);
    return error;
}

static bool is_ancestor(const struct inode *ancestor, const struct inode *of)
{
    for (const struct inode *i = of;; i = i->parent) {
        if (i == ancestor)
            return true;
        if (!i->parent || i == i->mount->root)
            return false;
    }
}

static int rename_check(const struct walk *o, const struct walk *n, const struct cred *who,
                        uint32_t flags)
{
    int error;
    if (o->parent->mount != n->parent->mount)
        return -EXDEV;
    if (o->last != LAST_NORMAL)
        return -EBUSY;
    if (n->last != LAST_NORMAL)
        return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    if (!o->inode)
        return o->error ? o->error : -ENOENT;
    if (n->error)
        return n->error;
    if (n->parent->nlink == 0)
        return -ENOENT;
    if (n->inode && (flags & RENAME_NOREPLACE))
        return -EEXIST;
    if (!n->inode && (flags & RENAME_EXCHANGE))
        return -ENOENT;
    if ((flags & RENAME_EXCHANGE) && n->slash && !S_ISDIR(n->inode->mode))
        return -ENOTDIR;
    if (!S_ISDIR(o->inode->mode) && (o->slash || (n->slash && !(flags & RENAME_EXCHANGE))))
        return -ENOTDIR;
    if (is_ancestor(o->inode, n->parent))
        return -EINVAL;
    if (n->inode && is_ancestor(n->inode, o->parent))
        return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    if (o->inode == n->inode)
        return 0;
    if ((error = may_delete(o->parent, o->inode, who)))
        return error;
    if (n->inode) {
        if ((error = may_delete(n->parent, n->inode, who)))
            return error;
        if (!(flags & RENAME_EXCHANGE)) {
            if (S_ISDIR(o->inode->mode) && !S_ISDIR(n->inode->mode))
                return -ENOTDIR;
            if (!S_ISDIR(o->inode->mode) && S_ISDIR(n->inode->mode))
                return -EISDIR;
        }
    } else if ((error = vfs_permission(n->parent, who, MAY_WRITE | MAY_EXEC))) {
        return error;
    }
    if (!o->parent->ops->rename)
        return -EPERM;
    if (o->parent != n->parent) {
        if (S_ISDIR(o->inode->mode) && (error = vfs_permission(o->inode, who, MAY_WRITE)))
            return error;
        if ((flags & RENAME_EXCHANGE) && S_ISDIR(n->inode->mode) &&
            (error = vfs_permission(n->inode, who, MAY_WRITE)))
            return error;
    }
    if (o->inode->mount != o->parent->mount || (n->inode && n->inode->mount != n->parent->mount))
        return -EBUSY;
    if (n->inode && !(flags & RENAME_EXCHANGE) && S_ISDIR(n->inode->mode) && n->inode->ops->empty &&
        !n->inode->ops->empty(n->inode))
        return -ENOTEMPTY;
    return 0;
}

static void tell_renamed(struct walk *o, struct walk *n, bool exchanged)
{
    watch_moved(o->parent, o->name, o->length, n->parent, n->name, n->length, o->inode);
    if (n->inode && !exchanged && !S_ISDIR(n->inode->mode))
        watch_self(n->inode, IN_ATTRIB);
    watch_self(o->inode, IN_MOVE_SELF);
    if (exchanged) {
        watch_moved(n->parent, n->name, n->length, o->parent, o->name, o->length, n->inode);
        watch_self(n->inode, IN_MOVE_SELF);
    } else if (n->inode) {
        watch_gone(n->inode, 1);
    }
}

int vfs_rename(struct inode *old_base, const char *old_path, size_t old_size,
               struct inode *new_base, const char *new_path, size_t new_size,
               const struct cred *who, uint32_t flags)
{
    static struct walk o, n;
    if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
        flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    int error = vfs_walk(&o, old_base, who, old_path, old_size, WALK_PARENT);
    if (error)
        return error;
    error = vfs_walk(&n, new_base, who, new_path, new_size, WALK_PARENT);
    if (error) {
        walk_done(&o);
        return error;
    }
    error = rename_check(&o, &n, who, flags);
    if (!error && o.inode != n.inode)
        error = o.parent->ops->rename(o.parent, o.name, o.length, o.inode, n.parent, n.name,
                                      n.length, n.inode, flags & RENAME_EXCHANGE);
    if (!error && o.inode != n.inode)
        tell_renamed(&o, &n, flags & RENAME_EXCHANGE);
    walk_done(&o);
    walk_done(&n);
    return error;
}
