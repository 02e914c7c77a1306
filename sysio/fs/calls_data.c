/* SPDX-License-Identifier: MIT */
/* Calls about a file's bytes: reading, writing, mapping, what is lent, space and syncing. */
#include "call.h"
#include "watches.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef FALLOC_FL_ZERO_RANGE /* <linux/falloc.h>, which musl does not repeat */
#define FALLOC_FL_ZERO_RANGE 0x10
#endif

static uint64_t piece(uint64_t size)
{
    return size < IO_TRANSFER_MAX ? size : IO_TRANSFER_MAX;
}

int64_t call_read(struct request *q)
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

int64_t call_seek(struct request *q)
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

int64_t call_write(struct request *q)
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

int64_t call_truncate(struct request *q)
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

int64_t call_sync(struct request *q)
{
    struct inode *inode = q->file->inode;
    if (q->ev->word[0] == IO_SYNC_ALL)
        return disks_sync();
    if (q->file->flags & O_PATH)
        return -EBADF;
    if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode) && !S_ISBLK(inode->mode))
        return -EINVAL;
    return inode->ops->sync ? inode->ops->sync(q->file, q->ev->word[0]) : 0;
}

int64_t call_advise(struct request *q)
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

int64_t call_map(struct request *q)
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

int64_t call_hot(struct request *q)
{
    int error = take_path(q);
    if (error)
        return error;
    return q->size ? hot_name(q) : q->ev->word[0] == IO_HOT_RING ? append_file(q) : hot_file(q);
}

int64_t call_allocate(struct request *q)
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

int64_t call_copy(struct request *q)
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
