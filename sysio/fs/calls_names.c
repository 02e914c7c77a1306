/* SPDX-License-Identifier: MIT */
/*
 * Calls about names: paths are opened, made, removed, moved and listed. The work is vfs.c's and the
 * file system's.
 */
#include "../local/local.h"
#include "call.h"
#include "watches.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

int64_t call_open(struct request *q)
{
    struct motor_event *ev = q->ev;
    uint32_t flags = (uint32_t)ev->word[0];
    struct inode *inode;
    bool created = false;
    int error = take_path(q);
    if (error)
        return error;
    flags &= ~FILE_EXEC;
    if (q->size) {
        error = vfs_open(q->file->inode, &q->who, q->path, q->size, flags, (uint32_t)ev->word[1],
                         &inode, &created);
    } else if ((flags & O_TMPFILE) == O_TMPFILE) {
        error = vfs_open(q->file->inode, &q->who, ".", 1, flags, (uint32_t)ev->word[1], &inode,
                         &created);
    } else {
        error = vfs_open_check(q->file->inode, &q->who, flags);
        inode = error ? NULL : inode_get(q->file->inode);
    }
    if (error)
        return error;
    file_open_reply(&fs_engine, ev, &q->who, inode, flags, created);
    return NO_REPLY;
}

int64_t call_check_dir(struct request *q)
{
    struct inode *inode;
    int error = take_inode(q, false, &inode);
    if (error)
        return error;
    error = S_ISDIR(inode->mode) ? vfs_permission(inode, &q->who, MAY_EXEC) : -ENOTDIR;
    if (error) {
        inode_put(inode);
        return error;
    }
    file_open_reply(&fs_engine, q->ev, &q->who, inode, O_PATH | O_DIRECTORY, false);
    return NO_REPLY;
}

int64_t call_readdir(struct request *q)
{
    uint64_t next = q->ev->word[0];
    int64_t n =
        file_is_readable(q->file) ? file_readdir(q->file, &q->who, next, q->ev, &next) : -EBADF;
    if (n <= 0 || n >= (int64_t)IO_OWN_FD)
        return n;
    watch_event(q->file->inode, IN_ACCESS);
    engine_reply(&fs_engine, q->ev->token, n)->word[0] = next;
    return NO_REPLY;
}

static int64_t create_named(struct request *q, struct create_args *args)
{
    struct inode *inode;
    int error = vfs_create(q->file->inode, &q->who, q->path, q->size, args, &inode);
    if (!error)
        inode_put(inode);
    return error;
}

int64_t call_mkdir(struct request *q)
{
    struct create_args args = {.mode = S_IFDIR | (q->ev->word[0] & 01777)};
    int error = take_path(q);
    return error ? error : create_named(q, &args);
}

int64_t call_mknod(struct request *q)
{
    struct create_args args = {.mode = (uint32_t)q->ev->word[0], .rdev = q->ev->word[1]};
    int error = take_path(q);
    if (error)
        return error;
    if (!(args.mode & S_IFMT))
        args.mode |= S_IFREG;
    switch (args.mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFCHR:
    case S_IFBLK:
        if (q->who.uid)
            return -EPERM;
        break;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    return create_named(q, &args);
}

/* Where a socket is bound, or found. */
int64_t call_rendezvous(struct request *q)
{
    struct create_args args = {.mode = S_IFSOCK | (q->ev->word[1] & 07777)};
    bool bind = q->ev->word[0];
    struct inode *inode;
    int error = take_path(q);
    if (!error && !q->size)
        error = -ENOENT;
    if (error)
        return error;
    if (bind) {
        error = vfs_create(q->file->inode, &q->who, q->path, q->size, &args, &inode);
        if (error)
            return error == -EEXIST ? -EADDRINUSE : error;
    } else {
        static struct walk w;
        error = vfs_walk(&w, q->file->inode, &q->who, q->path, q->size, 0);
        if (error)
            return error;
        inode = w.inode;
        error = vfs_permission(inode, &q->who, MAY_WRITE);
        if (!error && !S_ISSOCK(inode->mode))
            error = -ECONNREFUSED;
        if (error) {
            inode_put(inode);
            return error;
        }
    }
    file_rendezvous_reply(&fs_engine, q->ev, inode, bind ? RENDEZVOUS_BIND : RENDEZVOUS_WRITE,
                          bind);
    return NO_REPLY;
}

int64_t call_symlink(struct request *q)
{
    size_t length;
    int error = take_two_paths(q, &length);
    if (error)
        return error;
    if (!length || memchr(q->path, 0, length))
        return -ENOENT;
    struct create_args args = {.mode = S_IFLNK | 0777, .target = q->path, .target_size = length};
    q->path += length;
    q->size -= length;
    return create_named(q, &args);
}

int64_t call_unlink(struct request *q)
{
    int error = take_path(q);
    if (error)
        return error;
    if (q->ev->word[0] & ~(uint64_t)AT_REMOVEDIR)
        return -EINVAL;
    return vfs_unlink(q->file->inode, &q->who, q->path, q->size, q->ev->word[0] & AT_REMOVEDIR);
}

int64_t call_rename_or_link(struct request *q)
{
    size_t length;
    int error = take_two_paths(q, &length);
    if (error)
        return error;
    struct file *other = q->ev->nhandles ? second_file(q) : q->file;
    if (!other)
        return -EXDEV;
    return (q->ev->op == IO_RENAME ? vfs_rename : vfs_link)(
        q->file->inode, q->path, length, other->inode, q->path + length, q->size - length, &q->who,
        (uint32_t)q->ev->word[1]);
}

int64_t call_readlink(struct request *q)
{
    struct inode *inode;
    char target[IO_PATH_MAX];
    int error = take_inode(q, true, &inode);
    if (error)
        return error;
    int64_t n = S_ISLNK(inode->mode) ? inode->ops->readlink(inode, &q->who, target, sizeof target)
                : q->size            ? -EINVAL
                                     : -ENOENT;
    inode_put(inode);
    if (n > 0) {
        int64_t written = event_write(q->ev, 0, target, (uint64_t)n);
        n = written < 0 ? written : n;
    }
    return n;
}

int64_t call_path(struct request *q)
{
    char path[IO_PATH_MAX + 16];
    int64_t n = vfs_path_from(q->who.root, q->file->inode, path, sizeof path, q->ev->word[0]);
    if (n > 0) {
        int64_t written = event_write(q->ev, 0, path, (uint64_t)n);
        n = written < 0 ? written : n;
    }
    return n;
}
