/* SPDX-License-Identifier: MIT */
/*
 * read, write and their forms with offsets and vectors: they look up the file, check, and leave the
 * rest to its operations.
 */
#include "fd.h"

static long do_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    if (!px_may_read(f))
        return -EBADF;
    return f->ops->read ? f->ops->read(f, io, flags) : -EINVAL;
}

static long do_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    if (!px_may_write(f))
        return -EBADF;
    return f->ops->write ? f->ops->write(f, io, flags) : -EINVAL;
}

static long do_read_at(struct px_file *f, struct px_io *io, int64_t offset, uint32_t flags)
{
    if (offset < 0)
        return -EINVAL;
    if (!f->ops->read_at)
        return -ESPIPE;
    return px_may_read(f) ? f->ops->read_at(f, io, (uint64_t)offset, flags) : -EBADF;
}

static long do_write_at(struct px_file *f, struct px_io *io, int64_t offset, uint32_t flags)
{
    if (offset < 0)
        return -EINVAL;
    if (!f->ops->write_at)
        return -ESPIPE;
    return px_may_write(f) ? f->ops->write_at(f, io, (uint64_t)offset, flags) : -EBADF;
}

long px_sys_read(int fd, void *buffer, size_t count)
{
    struct px_io io;
    struct px_vec vec;
    struct px_file *f = px_fd_get_to_read(fd);
    if (!f)
        return -EBADF;
    px_io_one(&io, &vec, buffer, count);
    long result = do_read(f, &io, 0);
    px_file_put(f);
    return result;
}

long px_sys_write(int fd, const void *buffer, size_t count)
{
    struct px_io io;
    struct px_vec vec;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    px_io_one(&io, &vec, buffer, count);
    long result = do_write(f, &io, 0);
    px_file_put(f);
    return result;
}

long px_sys_pread64(int fd, void *buffer, size_t count, long offset)
{
    struct px_io io;
    struct px_vec vec;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    px_io_one(&io, &vec, buffer, count);
    long result = do_read_at(f, &io, offset, 0);
    px_file_put(f);
    return result;
}

long px_sys_pwrite64(int fd, const void *buffer, size_t count, long offset)
{
    struct px_io io;
    struct px_vec vec;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    px_io_one(&io, &vec, buffer, count);
    long result = do_write_at(f, &io, offset, 0);
    px_file_put(f);
    return result;
}

enum { READ, WRITE, READ_AT, WRITE_AT };

static long vectored(int fd, const void *vector, long count, int how, int64_t offset,
                     uint32_t flags)
{
    struct px_vectors v;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    long result = px_vectors_get(&v, vector, count);
    if (result == 0) {
        result = how == READ      ? do_read(f, &v.io, flags)
                 : how == WRITE   ? do_write(f, &v.io, flags)
                 : how == READ_AT ? do_read_at(f, &v.io, offset, flags)
                                  : do_write_at(f, &v.io, offset, flags);
        px_vectors_put(&v);
    }
    px_file_put(f);
    return result;
}

long px_sys_readv(int fd, const void *vector, int count)
{
    return vectored(fd, vector, count, READ, 0, 0);
}

long px_sys_writev(int fd, const void *vector, int count)
{
    return vectored(fd, vector, count, WRITE, 0, 0);
}

long px_sys_preadv(int fd, const void *vector, int count, long offset, long offset_high)
{
    (void)offset_high; /* of 32-bit systems */
    return vectored(fd, vector, count, READ_AT, offset, 0);
}

long px_sys_pwritev(int fd, const void *vector, int count, long offset, long offset_high)
{
    (void)offset_high;
    return vectored(fd, vector, count, WRITE_AT, offset, 0);
}

static long rwf_flags(int flags, uint32_t *out)
{
    if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
        return -EOPNOTSUPP;
    *out = (flags & (RWF_DSYNC | RWF_SYNC) ? PX_IO_SYNC : 0) |
           (flags & RWF_NOWAIT ? PX_IO_NONBLOCK : 0) | (flags & RWF_APPEND ? PX_IO_APPEND : 0);
    return 0;
}

long px_sys_preadv2(int fd, const void *vector, int count, long offset, long offset_high, int flags)
{
    uint32_t how;
    long error = rwf_flags(flags, &how);
    (void)offset_high;
    return error < 0 ? error
                     : vectored(fd, vector, count, offset == -1 ? READ : READ_AT, offset, how);
}

long px_sys_pwritev2(int fd, const void *vector, int count, long offset, long offset_high,
                     int flags)
{
    uint32_t how;
    long error = rwf_flags(flags, &how);
    (void)offset_high;
    return error < 0 ? error
                     : vectored(fd, vector, count, offset == -1 ? WRITE : WRITE_AT, offset, how);
}
