/* SPDX-License-Identifier: MIT */
/*
 * The fs engine's messages. Each IO_* call is decoded here (handle, path, words), then done by
 * vfs.c or by the inode's file system. All calls but those that wait for a lock, a semaphore or
 * a message are answered at once.
 */
#include "../base/fiber.h"
#include "../local/local.h"
#include "data.h"
#include "devices.h"
#include "pager.h"
#include "presence.h"
#include "proc/proc.h"
#include "program.h"
#include "system_name.h"
#include "sysv/sysv.h"
#include "watches.h"
#include "xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/bundle.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef FALLOC_FL_ZERO_RANGE /* <linux/falloc.h>, which musl does not repeat */
#define FALLOC_FL_ZERO_RANGE 0x10
#endif

struct engine fs_engine;
const void *bundle_bytes;

struct request {
    struct motor_event *ev;
    struct file *file;
    struct cred who;
    const char *path; /* in the path buffer; not terminated */
    size_t size;
    bool noted; /* a read that changes no access time */
};

static char path_buffer[2 * IO_PATH_MAX];

/* Reads the message's bytes as one path. */
static int take_path(struct request *q)
{
    if (q->ev->in_size >= IO_PATH_MAX)
        return -ENAMETOOLONG;
    int64_t n = event_read(q->ev, 0, path_buffer, q->ev->in_size);
    q->path = path_buffer;
    q->size = n < 0 ? 0 : (size_t)n;
    return n < 0 ? (int)n : n < (int64_t)q->ev->in_size ? -EFAULT : 0;
}

/* As two, of which the first has w0 bytes. */
static int take_two_paths(struct request *q, size_t *first)
{
    uint64_t length = q->ev->word[0], total = q->ev->in_size;
    if (length > total)
        return -EINVAL;
    if (length >= IO_PATH_MAX || total - length >= IO_PATH_MAX)
        return -ENAMETOOLONG;
    int64_t n = event_read(q->ev, 0, path_buffer, total);
    if (n < (int64_t)total)
        return n < 0 ? (int)n : -EFAULT;
    *first = length;
    q->path = path_buffer;
    q->size = total;
    return 0;
}

/*
 * The inode a call is about: by path, or the object itself when the path is empty. With a
 * reference.
 */
static int take_inode(struct request *q, bool nofollow, struct inode **out)
{
    static struct walk w;
    int error = take_path(q);
    if (error)
        return error;
    if (!q->size) {
        *out = inode_get(q->file->inode);
        return 0;
    }
    error = vfs_walk(&w, q->file->inode, &q->who, q->path, q->size, nofollow ? WALK_NOFOLLOW : 0);
    if (!error)
        *out = w.inode;
    return error;
}

/* The file object of a handle that came with the message. */
static struct file *second_file(struct request *q)
{
    if (!q->ev->nhandles || q->ev->handle[0] != MOTOR_HANDLE_OWN)
        return NULL;
    return badge_get(&fs_engine.badges, q->ev->own_badge[0]);
}

/* ---- the calls; each returns its status, or NO_REPLY when it has answered ---- */

static int64_t call_open(struct request *q)
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

static int64_t call_check_dir(struct request *q)
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

static int64_t call_exec(struct request *q)
{
    struct inode *inode;
    int error = take_inode(q, q->ev->word[0] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    if (S_ISLNK(inode->mode))
        error = -ELOOP;
    else if (!S_ISREG(inode->mode) || (inode->mount->flags & MS_NOEXEC))
        error = -EACCES;
    else
        error = vfs_permission(inode, &q->who, MAY_EXEC);
    if (!error && inode->writers && !tmpfs_is_memory_file(inode)) /* whose maker may always write */
        error = -ETXTBSY;
    if (error) {
        inode_put(inode);
        return error;
    }
    program_reply(q->ev, &q->who, inode);
    return NO_REPLY;
}

static int64_t call_exec_set_id(struct request *q)
{
    return program_set_id(q->ev, &q->who, q->file);
}

static int64_t call_stat(struct request *q)
{
    struct inode *inode;
    struct io_stat st;
    int error = take_inode(q, q->ev->word[0] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    hot_others(inode, q->size ? NULL : q->file);
    inode_stat(inode, &st);
    inode_put(inode);
    engine_reply_data(engine_reply(&fs_engine, q->ev->token, 0), &fs_engine, &st, sizeof st);
    return NO_REPLY;
}

static uint64_t piece(uint64_t size)
{
    return size < IO_TRANSFER_MAX ? size : IO_TRANSFER_MAX;
}

static int64_t call_read(struct request *q)
{
    struct file *f = q->file;
    uint64_t offset = q->ev->word[0];
    bool shared = offset == IO_AT_SHARED && S_ISREG(f->inode->mode);
    if (shared)
        offset = f->offset;
    if (!file_is_readable(f))
        return -EBADF;
    if (S_ISDIR(f->inode->mode))
        return -EISDIR;
    if (!f->inode->ops->read)
        return -EINVAL;
    if (S_ISREG(f->inode->mode) && offset > INT64_MAX)
        return -EINVAL;
    hot_others(f->inode, f);
    struct transfer t = {.token = q->ev->token, .left = piece(q->ev->out_size), .noted = q->noted};
    int64_t n = f->inode->ops->read(f, &t, offset);
    if (shared && n > 0)
        f->offset += (uint64_t)n;
    if (n > 0)
        watch_event(f->inode, IN_ACCESS);
    return n;
}

static int64_t call_seek(struct request *q)
{
    struct file *f = q->file;
    int64_t to = (int64_t)q->ev->word[0];
    uint64_t whence = q->ev->word[1];
    if (!S_ISREG(f->inode->mode))
        return -ESPIPE;
    if (whence > SEEK_END)
        return -EINVAL;
    int64_t base =
        whence == SEEK_SET ? 0 : (int64_t)(whence == SEEK_CUR ? f->offset : f->inode->size);
    if (__builtin_add_overflow(base, to, &to))
        return -EOVERFLOW;
    if (to < 0)
        return -EINVAL;
    f->offset = (uint64_t)to;
    return to;
}

static int64_t call_write(struct request *q)
{
    struct file *f = q->file;
    struct inode *inode = f->inode;
    uint64_t offset = q->ev->word[0];
    if (!file_is_writable(f))
        return -EBADF;
    if (!inode->ops->write)
        return -EINVAL;
    bool shared = offset == IO_AT_SHARED && S_ISREG(inode->mode);
    if (shared)
        offset = f->offset;
    append_pause(inode, f);
    if (S_ISREG(inode->mode)) {
        if (offset == UINT64_MAX || (q->ev->word[1] & O_APPEND))
            offset = inode->size;
        if (offset > INT64_MAX)
            return -EINVAL;
    }
    struct transfer t = {.token = q->ev->token, .left = piece(q->ev->in_size)};
    int64_t n = inode->ops->write(f, &t, offset);
    if (n > 0) {
        inode_drop_privileges(inode, &q->who);
        watch_event(inode, IN_MODIFY);
    }
    struct motor_reply *r = engine_reply(&fs_engine, q->ev->token, n);
    r->word[0] = offset + (n > 0 ? (uint64_t)n : 0);
    r->word[1] = inode->size;
    if (shared && n > 0)
        f->offset = r->word[0];
    return NO_REPLY;
}

static int truncate_check(const struct request *q, const struct inode *inode)
{
    if (!q->size)
        return q->file->flags & O_PATH ? -EBADF : !file_is_writable(q->file) ? -EINVAL : 0;
    if (!S_ISREG(inode->mode))
        return S_ISDIR(inode->mode) ? -EISDIR : -EINVAL;
    int error = vfs_permission(inode, &q->who, MAY_WRITE);
    return error ? error : inode->runners ? -ETXTBSY : 0;
}

static int64_t call_truncate(struct request *q)
{
    struct inode *inode;
    uint64_t size = q->ev->word[0];
    int error = take_inode(q, false, &inode);
    if (error)
        return error;
    error = size > INT64_MAX ? -EINVAL : truncate_check(q, inode);
    append_end(inode);
    if (!error)
        error = S_ISREG(inode->mode) && inode->ops->truncate ? inode->ops->truncate(inode, size)
                                                             : -EINVAL;
    if (!error) {
        inode_drop_privileges(inode, &q->who);
        watch_event(inode, IN_MODIFY);
    }
    inode_put(inode);
    return error;
}

static int64_t call_readdir(struct request *q)
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

static int64_t call_mkdir(struct request *q)
{
    struct create_args args = {.mode = S_IFDIR | (q->ev->word[0] & 01777)};
    int error = take_path(q);
    return error ? error : create_named(q, &args);
}

static int64_t call_mknod(struct request *q)
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
static int64_t call_rendezvous(struct request *q)
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

static int64_t call_symlink(struct request *q)
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

static int64_t call_unlink(struct request *q)
{
    int error = take_path(q);
    if (error)
        return error;
    if (q->ev->word[0] & ~(uint64_t)AT_REMOVEDIR)
        return -EINVAL;
    return vfs_unlink(q->file->inode, &q->who, q->path, q->size, q->ev->word[0] & AT_REMOVEDIR);
}

static int64_t call_rename_or_link(struct request *q)
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

static int64_t call_readlink(struct request *q)
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

/* Owner or root may change it, and the file system must agree. */
static int setattr_check(struct request *q, struct inode *inode)
{
    if (!q->size && (q->file->flags & O_PATH))
        return -EBADF;
    int error = vfs_setattr_check(inode, &q->who);
    return error ? error : inode->ops->setattr ? inode->ops->setattr(inode) : 0;
}

static int64_t call_chmod(struct request *q)
{
    struct inode *inode;
    uint32_t mode = q->ev->word[0] & 07777;
    int error = take_inode(q, q->ev->word[1] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    error = setattr_check(q, inode);
    if (!error && S_ISLNK(inode->mode))
        error = -EOPNOTSUPP;
    if (!error) {
        if (q->who.uid && q->who.gid != inode->gid)
            mode &= ~(uint32_t)S_ISGID;
        inode->mode = (inode->mode & S_IFMT) | mode;
        inode_touch(inode, false);
        names_changed();
        watch_event(inode, IN_ATTRIB);
    }
    inode_put(inode);
    return error;
}

/* What chown takes from the mode of anything but a directory. */
static uint32_t chown_clears(const struct inode *inode, const struct cred *who)
{
    uint32_t mode = inode->mode, clears = S_ISUID;
    if (S_ISDIR(mode))
        return 0;
    if ((mode & S_IXGRP) || (who->uid && who->gid != inode->gid))
        clears |= S_ISGID;
    return mode & clears;
}

static int64_t call_chown(struct request *q)
{
    struct inode *inode;
    uint32_t uid = (uint32_t)q->ev->word[0], gid = (uint32_t)q->ev->word[1];
    int error = take_inode(q, q->ev->word[2] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    error = setattr_check(q, inode);
    bool owner = q->who.uid == inode->uid;
    uint32_t clears = chown_clears(inode, &q->who);
    if (error == -EPERM && uid == UINT32_MAX && gid == UINT32_MAX && !inode->ops->setattr &&
        !clears)
        error = 0; /* nothing is asked for */
    if (!error && q->who.uid && uid != UINT32_MAX && !(owner && uid == inode->uid))
        error = -EPERM;
    if (!error && q->who.uid && gid != UINT32_MAX &&
        !(owner && (gid == inode->gid || gid == q->who.gid)))
        error = -EPERM;
    if (!error) {
        if (uid != UINT32_MAX)
            inode->uid = uid;
        if (gid != UINT32_MAX)
            inode->gid = gid;
        inode->mode &= ~clears;
        inode_touch(inode, false);
        names_changed();
        watch_event(inode, IN_ATTRIB);
    }
    inode_put(inode);
    return error;
}

static bool set_time(struct timespec *to, uint64_t sec, uint64_t nsec)
{
    if (nsec == UTIME_OMIT)
        return true;
    if (nsec == UTIME_NOW) {
        *to = fs_now();
        return true;
    }
    if (nsec > 999999999u)
        return false;
    *to = (struct timespec){(time_t)sec, (long)nsec};
    return true;
}

static int64_t call_utimens(struct request *q)
{
    const uint64_t *w = q->ev->word;
    struct inode *inode;
    int error = take_inode(q, w[4] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    hot_collect(inode);
    struct timespec atime = inode->atime, mtime = inode->mtime;
    if (!set_time(&atime, w[0], w[1]) || !set_time(&mtime, w[2], w[3])) {
        error = -EINVAL;
    } else if (w[1] != UTIME_OMIT || w[3] != UTIME_OMIT) {
        error = setattr_check(q, inode);
        if (error == -EPERM && w[1] == UTIME_NOW && w[3] == UTIME_NOW)
            error = vfs_permission(inode, &q->who, MAY_WRITE);
        if (!error) {
            inode->atime = atime;
            inode->mtime = mtime;
            inode_touch(inode, false);
            watch_event(inode, w[1] == UTIME_OMIT   ? IN_MODIFY
                               : w[3] == UTIME_OMIT ? IN_ACCESS
                                                    : IN_ATTRIB); /* as Linux */
        }
    }
    inode_put(inode);
    return error;
}

/*
 * The caller's real user and group instead of the effective ones. It says that they differ, and the
 * kernel says what they are.
 */
static int take_real_ids(struct request *q)
{
    struct motor_process_info info;
    int64_t h = motor_process_open(q->ev->pid, MOTOR_RIGHT_READ);
    if (h < 0)
        return -ESRCH;
    int64_t status = motor_process_info((motor_handle)h, MOTOR_PINFO_BASIC, &info, sizeof info);
    motor_handle_close((motor_handle)h);
    if (status < 0)
        return -ESRCH;
    q->who.uid = info.ruid;
    q->who.gid = info.rgid;
    return 0;
}

static int64_t call_access(struct request *q)
{
    struct inode *inode;
    if (q->ev->word[0] & ~(uint64_t)(R_OK | W_OK | X_OK))
        return -EINVAL;
    int error = q->ev->word[2] && !(q->ev->word[1] & AT_EACCESS) ? take_real_ids(q) : 0;
    if (error)
        return error;
    error = take_inode(q, q->ev->word[1] & AT_SYMLINK_NOFOLLOW, &inode);
    if (error)
        return error;
    error = q->ev->word[0] ? vfs_permission(inode, &q->who, (uint32_t)q->ev->word[0]) : 0;
    inode_put(inode);
    return error;
}

/* Linux ST_*: the lower ones are as in mount(2). */
static uint64_t statfs_flags(const struct mount *m)
{
    uint64_t valid = 0x20, noatime = 1024, nodiratime = 2048, relatime = 4096;
    return valid | (m->read_only ? MS_RDONLY : 0) |
           (m->flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS)) |
           (m->flags & MS_NOATIME ? noatime : relatime) |
           (m->flags & MS_NODIRATIME ? nodiratime : 0);
}

static int64_t call_statfs(struct request *q)
{
    struct inode *inode;
    struct io_statfs st = {.bsize = MOTOR_PAGE_SIZE, .namelen = FS_NAME_MAX};
    int error = take_inode(q, false, &inode);
    if (error)
        return error;
    if (inode->ops->statfs)
        inode->ops->statfs(inode, &st);
    st.fsid = inode->mount->id;
    st.flags = statfs_flags(inode->mount);
    inode_put(inode);
    engine_reply_data(engine_reply(&fs_engine, q->ev->token, 0), &fs_engine, &st, sizeof st);
    return NO_REPLY;
}

static int64_t call_sync(struct request *q)
{
    struct inode *inode = q->file->inode;
    if (q->ev->word[0] == IO_SYNC_ALL)
        return disks_sync();
    if (q->file->flags & O_PATH)
        return -EBADF;
    if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode) && !S_ISBLK(inode->mode))
        return -EINVAL;
    return inode->ops->sync ? inode->ops->sync(q->file) : 0;
}

static int64_t call_advise(struct request *q)
{
    struct inode *inode = q->file->inode;
    const uint64_t *w = q->ev->word;
    if (q->file->flags & O_PATH)
        return -EBADF;
    uint64_t end = !w[1] || w[1] > INT64_MAX || w[0] > INT64_MAX ? UINT64_MAX : w[0] + w[1];
    if (w[2] == POSIX_FADV_DONTNEED && inode->ops->forget)
        inode->ops->forget(inode, w[0], end);
    return 0;
}

static int64_t call_map(struct request *q)
{
    struct inode *inode = q->file->inode;
    uint64_t prot = q->ev->word[0], offset;
    bool later = q->ev->word[1] && file_is_writable(q->file); /* by mprotect */
    motor_handle vmo;
    if (q->file->flags & O_PATH)
        return -EBADF;
    if (!file_is_readable(q->file) || ((prot & MOTOR_PROT_WRITE) && !file_is_writable(q->file)))
        return -EACCES;
    if (!S_ISREG(inode->mode) || !inode->ops->map)
        return -ENODEV;
    if ((prot & MOTOR_PROT_EXEC) && inode->mount->flags & MS_NOEXEC)
        return -EPERM;
    if ((prot & MOTOR_PROT_EXEC) && !(inode->mode & 0111))
        return -EACCES;
    append_end(inode); /* what is mapped is seen without a call */
    inode->mapped = true;
    int64_t status = inode->ops->map(inode, later || (prot & MOTOR_PROT_WRITE), &vmo, &offset);
    if (status && later && !(prot & MOTOR_PROT_WRITE)) {
        later = false;
        status = inode->ops->map(inode, false, &vmo, &offset);
    }
    if (status)
        return status;
    prot |= later ? MOTOR_PROT_WRITE : 0;
    uint32_t rights = MOTOR_RIGHT_READ | MOTOR_RIGHT_DUP |
                      (prot & MOTOR_PROT_WRITE ? MOTOR_RIGHT_WRITE : 0) |
                      (prot & MOTOR_PROT_EXEC ? MOTOR_RIGHT_EXEC : 0);
    inode_accessed(inode, q->file->flags);
    struct motor_reply *r = engine_reply(&fs_engine, q->ev->token, 0);
    r->nhandles = 1; /* a duplicate: the object stays the file's */
    r->handle[0] = vmo;
    r->rights[0] = rights;
    r->word[0] = offset;
    r->word[1] = inode->size;
    return NO_REPLY;
}

/* Duplicates: the objects stay ours. */
static int64_t reply_hot(struct request *q, uint32_t rights, motor_handle page, motor_handle other,
                         uint64_t w0, uint64_t w1)
{
    struct motor_reply *r = engine_reply(&fs_engine, q->ev->token, 0);
    r->nhandles = 2;
    r->handle[0] = page;
    r->handle[1] = other;
    r->rights[0] = r->rights[1] = rights;
    r->word[0] = w0;
    r->word[1] = w1;
    return NO_REPLY;
}

static int64_t append_file(struct request *q)
{
    motor_handle ring;
    int error = append_begin(q->file, &ring);
    if (error)
        return error;
    struct motor_reply *r = engine_reply(&fs_engine, q->ev->token, 0);
    r->nhandles = 1; /* a duplicate */
    r->handle[0] = ring;
    r->rights[0] = MOTOR_RIGHT_READ | MOTOR_RIGHT_WRITE;
    return NO_REPLY;
}

static int64_t hot_file(struct request *q)
{
    struct inode *inode = q->file->inode;
    uint64_t offset;
    motor_handle page, bytes;
    bool private = false;
    if (!file_is_readable(q->file))
        return -EBADF;
    if (!S_ISREG(inode->mode) || !inode->ops->hot || watch_has(inode))
        return -EOPNOTSUPP;
    bool write = q->ev->word[0] == IO_HOT_WRITE;
    int error = inode->ops->hot(inode, &bytes, &offset, &private);
    if (!error)
        error = write ? hot_write_begin(q->file, &page) : hot_begin(inode, &page);
    return error   ? error
           : write ? reply_hot(q, MOTOR_RIGHT_READ | MOTOR_RIGHT_WRITE, page, bytes, offset, 0)
                   : reply_hot(q, MOTOR_RIGHT_READ, page, bytes, offset,
                               private ? MOTOR_MAP_PRIVATE : 0);
}

static int64_t hot_name(struct request *q)
{
    static struct walk w;
    uint64_t changes;
    motor_handle page, names;
    int error = vfs_walk(&w, q->file->inode, &q->who, q->path, q->size, 0);
    if (error)
        return error;
    if (q->path[0] != '/' || !w.stable || !w.inode->mount->stable || !w.inode->ops->steady ||
        !w.inode->ops->steady(w.inode) || watch_has(w.inode))
        error = -EOPNOTSUPP;
    if (!error)
        error = names_page(&names, &changes);
    if (!error)
        error = hot_begin(w.inode, &page);
    inode_put(w.inode);
    return error ? error : reply_hot(q, MOTOR_RIGHT_READ, page, names, changes, 0);
}

static int64_t call_hot(struct request *q)
{
    int error = take_path(q);
    if (error)
        return error;
    return q->size ? hot_name(q) : q->ev->word[0] == IO_HOT_RING ? append_file(q) : hot_file(q);
}

static int64_t call_allocate(struct request *q)
{
    struct inode *inode = q->file->inode;
    const uint64_t *w = q->ev->word;
    uint64_t punch = FALLOC_FL_PUNCH_HOLE, keep = FALLOC_FL_KEEP_SIZE, zero = FALLOC_FL_ZERO_RANGE;
    if (q->file->flags & O_PATH)
        return -EBADF;
    if (w[0] > INT64_MAX || w[1] > INT64_MAX || !w[1])
        return -EINVAL;
    if ((w[2] & ~(punch | keep | zero)) || ((w[2] & punch) && w[2] != (punch | keep)))
        return -EOPNOTSUPP;
    if (!file_is_writable(q->file))
        return -EBADF;
    if (w[0] + w[1] > INT64_MAX)
        return -EFBIG;
    if (!S_ISREG(inode->mode))
        return -ENODEV;
    append_end(inode);
    int error = inode->ops->allocate ? inode->ops->allocate(inode, w[0], w[1], (uint32_t)w[2])
                                     : -EOPNOTSUPP;
    if (!error) {
        inode_drop_privileges(inode, &q->who);
        watch_event(inode, IN_MODIFY);
    }
    return error;
}

static int64_t call_control(struct request *q)
{
    if (q->file->flags & O_PATH)
        return -EBADF;
    return q->file->inode->ops->control ? q->file->inode->ops->control(q->file, q->ev) : -ENOTTY;
}

static int64_t call_poll(struct request *q)
{
    if (q->file->flags & O_PATH)
        return POLLNVAL;
    return (int64_t)(q->ev->word[0] & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM));
}

static int64_t call_path(struct request *q)
{
    char path[IO_PATH_MAX + 16];
    int64_t n = vfs_path(q->file->inode, path, sizeof path, q->ev->word[0]);
    if (n > 0) {
        int64_t written = event_write(q->ev, 0, path, (uint64_t)n);
        n = written < 0 ? written : n;
    }
    return n;
}

static int64_t call_copy(struct request *q)
{
    struct file *to = second_file(q);
    const uint64_t *w = q->ev->word;
    if (!to)
        return -EXDEV;
    if (!file_is_readable(q->file) || !file_is_writable(to))
        return -EBADF;
    if (S_ISDIR(q->file->inode->mode) || S_ISDIR(to->inode->mode))
        return -EISDIR;
    if (!S_ISREG(q->file->inode->mode) || !S_ISREG(to->inode->mode) || w[0] > INT64_MAX ||
        w[1] > INT64_MAX)
        return -EINVAL;
    if (q->file->inode->ops != to->inode->ops || !to->inode->ops->copy)
        return -EXDEV;
    uint64_t length = piece(w[2]);
    append_end(to->inode);
    if (q->file->inode == to->inode && w[0] < w[1] + length && w[1] < w[0] + length && length)
        return -EINVAL;
    int64_t n = length ? to->inode->ops->copy(q->file->inode, w[0], to->inode, w[1], length) : 0;
    if (n > 0) {
        watch_event(q->file->inode, IN_ACCESS);
        watch_event(to->inode, IN_MODIFY);
    }
    return n;
}

static int64_t call_lock(struct request *q)
{
    return lock_call(q->file, presence_of(second_file(q)), q->ev);
}

#define MEMORY_FILE "memfd:"

static int64_t call_memory_file(struct request *q)
{
    char name[FS_NAME_MAX + 1] = MEMORY_FILE;
    struct inode *inode;
    size_t prefix = strlen(MEMORY_FILE), length = q->ev->in_size;
    if (length > FS_NAME_MAX - prefix)
        return -EINVAL;
    int error = take_path(q);
    if (error)
        return error;
    memcpy(name + prefix, q->path, length);
    error = tmpfs_memory_file(name, q->ev->word[0], &q->who, &inode);
    if (error)
        return error == -ENOSPC ? -ENOMEM : error;
    file_open_reply(&fs_engine, q->ev, &q->who, inode, O_RDWR, true);
    return NO_REPLY;
}

static int64_t call_seal(struct request *q)
{
    const struct inode_ops *ops = q->file->inode->ops;
    if (q->file->flags & O_PATH)
        return -EBADF;
    return ops->seal ? ops->seal(q->file, q->ev->word[0], (uint32_t)q->ev->word[1]) : -EINVAL;
}

static int64_t call_xattr(struct request *q)
{
    return xattr_call(q->file, &q->who, q->ev);
}

static int64_t call_inotify_add(struct request *q)
{
    struct inode *inode;
    int error = take_inode(q, q->ev->word[0] & IN_DONT_FOLLOW, &inode);
    if (error)
        return error;
    int64_t result = watch_add(q->ev, &q->who, inode);
    inode_put(inode);
    return result;
}

static int64_t call_inotify_remove(struct request *q)
{
    return watch_remove(q->ev);
}

static int64_t call_presence(struct request *q)
{
    return presence_call(q->ev);
}

static int64_t call_shm(struct request *q)
{
    return shm_call(q->ev, &q->who);
}

static int64_t call_sem(struct request *q)
{
    return sem_call(q->ev, &q->who, presence_of(second_file(q)));
}

static int64_t call_msg(struct request *q)
{
    return msg_call(q->ev, &q->who);
}

static int64_t call_system_name(struct request *q)
{
    return system_name_call(q->ev, &q->who);
}

static int64_t call_process_memory(struct request *q)
{
    return foreign_memory_call(q->ev, &q->who);
}

static int64_t call_process_adjust(struct request *q)
{
    return adjust_call(q->ev, &q->who);
}

/* Four strings, one after the other; the lengths of the first three are in the words. */
static int64_t call_mount(struct request *q)
{
    static char strings[IO_MOUNT_MAX + 4];
    const uint64_t *w = q->ev->word;
    char *string[4], *to = strings;
    uint64_t at = 0, size = q->ev->in_size;
    if (size > IO_MOUNT_MAX || w[1] > size || w[2] > size - w[1] || w[3] > size - w[1] - w[2])
        return -ENAMETOOLONG;
    uint64_t length[4] = {w[1], w[2], w[3], size - w[1] - w[2] - w[3]};
    for (int i = 0; i < 4; i++) {
        int64_t n = event_read(q->ev, at, to, length[i]);
        if (n < (int64_t)length[i])
            return n < 0 ? n : -EFAULT;
        string[i] = to;
        to[length[i]] = 0;
        to += length[i] + 1;
        at += length[i];
    }
    struct mount_request r = {.source = string[0],
                              .target = string[1],
                              .type = string[2],
                              .data = string[3],
                              .flags = (uint32_t)w[0]};
    return vfs_mount_call(q->file->inode, &q->who, &r);
}

/*
 * A file that the caller has just closed may still count: the kernel tells of it in its own time.
 * So a busy file system is looked at a second time, when what was closed before is known.
 */
static struct {
    struct motor_event event;
    struct engine_timer timer;
    bool waits;
} second_look;
#define SECOND_LOOK_NS 1000000u

static void fs_message(struct motor_event *ev);

static void look_again(struct engine *e, struct engine_timer *t)
{
    (void)e, (void)t;
    work_add(&second_look.event, fs_message);
}

static int64_t call_umount(struct request *q)
{
    bool second = second_look.waits && second_look.event.token == q->ev->token;
    int error = take_path(q);
    if (!error)
        error =
            vfs_umount_call(q->file->inode, &q->who, q->path, q->size, (uint32_t)q->ev->word[0]);
    if (second)
        second_look.waits = false;
    if (error != -EBUSY || second || second_look.waits || !device_at(0))
        return error;
    second_look.waits = true;
    second_look.event = *q->ev;
    second_look.event.nhandles = 0; /* they are closed with the first */
    second_look.timer.fire = look_again;
    engine_timer_set(&fs_engine, &second_look.timer, fs_engine.now + SECOND_LOOK_NS);
    return NO_REPLY;
}

static int64_t (*const calls[])(struct request *) = {
    [IO_OPEN] = call_open,
    [IO_STAT] = call_stat,
    [IO_READ] = call_read,
    [IO_WRITE] = call_write,
    [IO_TRUNCATE] = call_truncate,
    [IO_READDIR] = call_readdir,
    [IO_MKDIR] = call_mkdir,
    [IO_UNLINK] = call_unlink,
    [IO_RENAME] = call_rename_or_link,
    [IO_LINK] = call_rename_or_link,
    [IO_SYMLINK] = call_symlink,
    [IO_READLINK] = call_readlink,
    [IO_CHMOD] = call_chmod,
    [IO_CHOWN] = call_chown,
    [IO_UTIMENS] = call_utimens,
    [IO_ACCESS] = call_access,
    [IO_STATFS] = call_statfs,
    [IO_SYNC] = call_sync,
    [IO_MAP] = call_map,
    [IO_HOT] = call_hot,
    [IO_MKNOD] = call_mknod,
    [IO_ALLOCATE] = call_allocate,
    [IO_CONTROL] = call_control,
    [IO_POLL] = call_poll,
    [IO_PATH] = call_path,
    [IO_COPY] = call_copy,
    [IO_CHECK_DIR] = call_check_dir,
    [IO_EXEC] = call_exec,
    [IO_EXEC_SET_ID] = call_exec_set_id,
    [IO_SEEK] = call_seek,
    [IO_RENDEZVOUS] = call_rendezvous,
    [IO_LOCK] = call_lock,
    [IO_PRESENCE] = call_presence,
    [IO_MEMORY_FILE] = call_memory_file,
    [IO_SEAL] = call_seal,
    [IO_XATTR] = call_xattr,
    [IO_SHM_GET... IO_SHM_CONTROL] = call_shm,
    [IO_SEM_GET... IO_SEM_CONTROL] = call_sem,
    [IO_MSG_GET... IO_MSG_CONTROL] = call_msg,
    [IO_MOUNT] = call_mount,
    [IO_UMOUNT] = call_umount,
    [IO_PROCESS_MEMORY] = call_process_memory,
    [IO_PROCESS_ADJUST] = call_process_adjust,
    [IO_SYSTEM_NAME] = call_system_name,
    [IO_ADVISE] = call_advise,
    [IO_INOTIFY_ADD] = call_inotify_add,
    [IO_INOTIFY_REMOVE] = call_inotify_remove,
};

/* Not an index of the table of badges: see badge_add(). */
#define CONTROL_BADGE 1000u

static void cancel(uint64_t token)
{
    locks_cancel(token);
    sem_cancel(token);
    msg_cancel(token);
}

static bool finished; /* the inodes of disks lead nowhere */

static struct cred cred_of(const struct motor_event *ev)
{
    return (struct cred){ev->pid, ev->uid, ev->gid, ev->sid};
}

/*
 * A read that has nothing to do with other calls: no position at the server, no access time to be
 * noted, and nobody appends without calls.
 */
static bool may_read_beside(const struct motor_event *ev)
{
    const struct file *f =
        ev->kind == MOTOR_EVENT_CALL && ev->op == IO_READ && ev->word[0] != IO_AT_SHARED
            ? badge_get(&fs_engine.badges, ev->badge)
            : NULL;
    return f && !finished && S_ISREG(f->inode->mode) && f->inode->ops->reads_beside &&
           !f->inode->lease && ((f->flags & O_NOATIME) || inode_access_is_noted(f->inode));
}

static void read_beside(struct motor_event *ev)
{
    struct file *f = badge_get(&fs_engine.badges, ev->badge);
    struct request q = {.ev = ev, .file = f, .who = cred_of(ev), .noted = true};
    f->reads++;
    engine_reply(&fs_engine, ev->token, call_read(&q));
    if (!--f->reads && f->closes)
        fiber_ready(f->closes);
}

static void close_file(struct file *f)
{
    f->closes = fiber_current();
    while (f->reads)
        fiber_suspend();
    file_free(f);
}

static void fs_message(struct motor_event *ev)
{
    struct engine *e = &fs_engine;
    struct file *file = badge_get(&e->badges, ev->badge);
    if (ev->kind == MOTOR_EVENT_CALL && (finished || ev->badge == CONTROL_BADGE)) {
        if (!finished) {
            appends_end(false);
            disks_finish();
        }
        finished = true;
        engine_reply(e, ev->token, ev->badge == CONTROL_BADGE ? 0 : -EIO);
    }
    if (finished)
        return;
    appends_collect();
    if (ev->kind == MOTOR_EVENT_CLOSED && file) {
        close_file(file);
        disks_publish();
        hot_publish();
        watches_publish();
        mounts_settle();
    }
    if (ev->kind == MOTOR_EVENT_CANCEL)
        cancel(ev->token);
    if (ev->kind == MOTOR_EVENT_NOTIFY && ev->badge == SHM_BADGE)
        shm_unmapped();
    if (ev->kind == MOTOR_EVENT_NOTIFY && ev->badge == WATCHES_BADGE)
        watches_closed();
    if (ev->kind != MOTOR_EVENT_CALL)
        return;
    int64_t status = -ENOSYS;
    if (!file) {
        status = -EBADF;
    } else if (ev->op < sizeof calls / sizeof *calls && calls[ev->op]) {
        struct request q = {.ev = ev, .file = file, .who = cred_of(ev)};
        status = calls[ev->op](&q);
        appends_go_on();
        disks_publish();
        hot_publish();
        watches_publish();
    }
    if (status <= FS_OWN_FD(0) && status != NO_REPLY)
        status = -status;
    if (status != NO_REPLY)
        engine_reply(e, ev->token, status);
}

static void fs_event(struct engine *e, struct motor_event *ev)
{
    (void)e;
    if (ev->kind == MOTOR_EVENT_NOTIFY && devices_interrupt(ev->badge))
        return;
    if (pager_event(ev))
        return;
    if (!device_at(0)) /* else a call may have to wait for it */
        fs_message(ev);
    else if (!may_read_beside(ev) || !work_beside(ev, read_beside))
        work_add(ev, fs_message);
}

static void fs_turn_end(struct engine *e)
{
    do
        work_run();
    while (fiber_run());
    e->again |= devices_turn();
}

void fs_finish(bool running)
{
    struct motor_msg m = {.deadline = MOTOR_NEVER};
    if (!disks_mounted())
        return;
    int64_t gate = running ? engine_gate(&fs_engine, CONTROL_BADGE) : -1;
    if (gate >= 0)
        motor_call((motor_handle)gate, &m);
    else if (!running)
        disks_finish_now();
}

/* ---- start ---- */

struct opening {
    const char *path;
    uint32_t flags;
    bool exec;
    int64_t result;
};

static void open_handle(void *arg)
{
    struct opening *o = arg;
    struct inode *inode;
    bool created;
    struct cred root = {0};
    int64_t status = vfs_open(mounts->root, &root, o->path, strlen(o->path),
                              o->exec ? O_RDONLY : o->flags, 0, &inode, &created);
    o->result = status;
    if (status)
        return;
    if (o->exec)
        status = S_ISREG(inode->mode) ? vfs_permission(inode, &root, MAY_EXEC) : -EACCES;
    struct file *file = status ? NULL : file_new(inode, o->exec ? O_RDONLY | FILE_EXEC : o->flags);
    if (!file) {
        inode_put(inode);
        o->result = status ? status : -ENFILE;
        return;
    }
    if (inode->ops->open && !(o->flags & O_PATH))
        status = inode->ops->open(file, &root, NULL);
    if (!status)
        status = engine_gate(&fs_engine, file->badge);
    if (status < 0)
        file_free(file);
    o->result = status;
}

int64_t fs_open_handle(const char *path, uint32_t flags, bool exec)
{
    struct opening o = {path, flags, exec, -ENOMEM};
    work_now(open_handle, &o);
    return o.result;
}

/* Directories that must be there, whatever the bundle brings. */
static void make_directory(const char *path, uint32_t mode)
{
    struct cred root = {0};
    struct create_args args = {.mode = S_IFDIR | mode};
    struct inode *inode;
    if (!vfs_create(mounts->root, &root, path, strlen(path), &args, &inode))
        inode_put(inode);
}

static void make_base(void *arg)
{
    struct cred root = {0};
    static const char resolv[] = "/etc/resolv.conf", text[] = "/proc/motor/resolv.conf";
    struct create_args link = {
        .mode = S_IFLNK | 0777, .target = text, .target_size = sizeof text - 1};
    struct inode *inode;
    (void)arg;
    make_directory("/dev", 0755);
    make_directory("/proc", 0555);
    make_directory("/etc", 0755);
    make_directory("/root", 0700);
    make_directory("/tmp", 01777);
    make_directory("/run", 0755);
    make_directory("/var", 0755);
    make_directory("/var/tmp", 01777);
    if (!vfs_create(mounts->root, &root, resolv, sizeof resolv - 1, &link, &inode))
        inode_put(inode);
}

static struct mount root, dev, pts, proc, shm, tmp, run;

/* "/": the device that the command line names, else files in memory, filled from the bundle. */
static bool mount_root(const void *bundle, uint64_t bundle_size)
{
    char what[64];
    if (boot_option("root", what, sizeof what))
        return disk_mount_root(what);
    if (!tmpfs_init(&root, "root", 0755) || vfs_mount(&root, "/"))
        return false;
    bundle_fill(bundle, bundle_size);
    return true;
}

/* What lies over the root: devices, processes and, on a disk, what is not to outlive the machine.
 */
static void mount_rest(void *arg)
{
    bool *mounted = arg;
    *mounted = devfs_init(&dev) && devpts_init(&pts) && procfs_init(&proc) &&
               tmpfs_init(&shm, "shm", 01777) && !vfs_mount(&shm, "/dev/shm");
    if (*mounted && disks_mounted())
        *mounted = tmpfs_init(&tmp, "tmp", 01777) && !vfs_mount(&tmp, "/tmp") &&
                   tmpfs_init(&run, "run", 0755) && !vfs_mount(&run, "/run");
}

bool fs_init(const void *bundle, uint64_t bundle_size, motor_handle bundle_vmo)
{
    struct motor_memory_info memory = {0};
    bool mounted = false;
    motor_system_info(MOTOR_SINFO_MEMORY, &memory, sizeof memory);
    if (!engine_init(&fs_engine, "fs", fs_event))
        return false;
    fs_engine.turn_end = fs_turn_end;
    data_bundle = bundle_vmo;
    bundle_bytes = bundle;
    tmpfs_limits(memory.total / 2, memory.total / 8192 + 1024);
    locks_init(memory.total);
    sysv_init(memory.total);
    devices_init();
    if (!mount_root(bundle, bundle_size))
        return false;
    if (!work_now(make_base, NULL) || !work_now(mount_rest, &mounted) || !mounted) {
        log_error("fs", "the file systems of the base cannot be mounted");
        return false;
    }
    disks_init();
    return true;
}
