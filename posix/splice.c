/* SPDX-License-Identifier: MIT */
/*
 * splice, tee and vmsplice. From pipe to pipe the tty engine moves the bytes; else they pass
 * through a buffer. What is taken out of a pipe is looked at first, and taken when it has been
 * written: what cannot be written stays.
 */
#include "file.h"
#include "watch.h"

#define SPLICE_F_MOVE     1u
#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_MORE     4u
#define SPLICE_F_GIFT     8u
#define KNOWN             (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)
#define PIECE             (64u << 10)

struct side {
    struct px_file *file;
    void *user_offset; /* NULL: where it stands */
    uint64_t offset;
};

static bool is_pipe(const struct px_file *f)
{
    return f->kind == PX_PIPE;
}

static bool nonblocking(const struct px_file *f, unsigned flags)
{
    return flags & SPLICE_F_NONBLOCK || px_nonblock(f, 0);
}

static long failed(long error)
{
    if (error == -EPIPE)
        px_signal_self(SIGPIPE, 0);
    return error;
}

/* ---- pipe to pipe ---- */

static long move(struct px_file *in, struct px_file *out, size_t length, unsigned flags, bool stay)
{
    struct motor_msg msg = {
        .op = IO_PIPE_SPLICE, .nhandles = 1, .handle = {out->handle}, .deadline = MOTOR_NEVER};
    msg.word[0] = length;
    msg.word[1] = nonblocking(in, flags) || nonblocking(out, flags) ? O_NONBLOCK : 0;
    msg.word[2] = stay;
    return failed(px_call_intr(in->handle, &msg));
}

/* ---- a pipe and something else ---- */

static long read_pipe(struct px_file *f, uint8_t *to, size_t size, bool wait, bool peek)
{
    struct motor_msg msg = {.op = IO_READ, .out = to, .out_size = size, .deadline = MOTOR_NEVER};
    msg.word[0] = ~0ull;
    msg.word[1] = wait ? 0 : O_NONBLOCK;
    msg.word[2] = peek ? IO_READ_PEEK : 0;
    return px_call_intr(f->handle, &msg);
}

static long transfer(struct side *s, uint8_t *bytes, size_t size, bool write)
{
    const struct px_ops *ops = s->file->ops;
    struct px_io io;
    struct px_vec vec;
    px_io_one(&io, &vec, bytes, size);
    if (s->user_offset)
        return write ? ops->write_at(s->file, &io, s->offset, 0)
                     : ops->read_at(s->file, &io, s->offset, 0);
    return write ? ops->write(s->file, &io, 0) : ops->read(s->file, &io, 0);
}

static long from_pipe(struct px_file *in, struct side *out, uint8_t *bytes, size_t size,
                      unsigned flags)
{
    long n = read_pipe(in, bytes, size, !nonblocking(in, flags), true);
    if (n <= 0)
        return n;
    n = transfer(out, bytes, (size_t)n, true);
    if (n > 0)
        read_pipe(in, bytes, (size_t)n, false, false);
    return n;
}

/* Bytes that the pipe takes now; waits for at least one. */
static long pipe_room(struct px_file *out, unsigned flags)
{
    for (;;) {
        uint32_t used = 0;
        struct motor_msg size = {.op = IO_PIPE_SIZE, .deadline = MOTOR_NEVER},
                         unread = {.op = IO_CONTROL,
                                   .word = {FIONREAD},
                                   .out = &used,
                                   .out_size = sizeof used,
                                   .deadline = MOTOR_NEVER};
        long capacity = px_call(out->handle, &size), error = px_call(out->handle, &unread);
        if (capacity < 0 || error < 0)
            return PX_MIN(capacity, error);
        if (capacity > (long)used)
            return capacity - (long)used;
        if (nonblocking(out, flags))
            return -EAGAIN;
        if ((error = px_file_wait(out, POLLOUT, MOTOR_NEVER)) < 0)
            return error;
    }
}

static long to_pipe(struct side *in, struct px_file *out, uint8_t *bytes, size_t size,
                    unsigned flags)
{
    long room = pipe_room(out, flags);
    if (room < 0)
        return room;
    long n = transfer(in, bytes, PX_MIN(size, (size_t)room), false);
    if (n <= 0)
        return n;
    struct side to = {.file = out};
    return transfer(&to, bytes, (size_t)n, true);
}

static long move_through(struct side *in, struct side *out, size_t length, unsigned flags)
{
    size_t size = PX_MIN(length, (size_t)PIECE);
    uint8_t *bytes = px_map(PIECE);
    if (!bytes)
        return -ENOMEM;
    long n = is_pipe(in->file) ? from_pipe(in->file, out, bytes, size, flags)
                               : to_pipe(in, out->file, bytes, size, flags);
    px_unmap(bytes, PIECE);
    return n;
}

/* ---- the calls ---- */

static long check_side(struct side *s, bool out)
{
    const struct px_ops *ops = s->file->ops;
    if (!(out ? px_may_write(s->file) : px_may_read(s->file)))
        return -EBADF;
    if (s->user_offset && (is_pipe(s->file) || !(out ? ops->write_at : ops->read_at)))
        return -ESPIPE;
    if (!(out ? ops->write : ops->read) || (out && px_flags(s->file) & O_APPEND))
        return -EINVAL;
    if (!s->user_offset)
        return 0;
    if (px_copy_in(&s->offset, s->user_offset, sizeof s->offset) < 0)
        return -EFAULT;
    return (int64_t)s->offset < 0 ? -EINVAL : 0;
}

static long give_offset(struct side *s, long n)
{
    uint64_t end = s->offset + (uint64_t)n;
    return s->user_offset ? px_copy_out(s->user_offset, &end, sizeof end) : 0;
}

static long splice(struct side *in, struct side *out, size_t length, unsigned flags)
{
    if (!in->file || !out->file)
        return -EBADF;
    long error = check_side(in, false);
    if (error == 0)
        error = check_side(out, true);
    if (error < 0)
        return error;
    if (!is_pipe(in->file) && !is_pipe(out->file))
        return -EINVAL;
    long n = is_pipe(in->file) && is_pipe(out->file)
                 ? move(in->file, out->file, length, flags, false)
                 : move_through(in, out, length, flags);
    if (n > 0 && (give_offset(in, n) < 0 || give_offset(out, n) < 0))
        return -EFAULT;
    return n;
}

static void put_both(struct px_file *a, struct px_file *b)
{
    if (a)
        px_file_put(a);
    if (b)
        px_file_put(b);
}

long px_sys_splice(int in_fd, void *in_offset, int out_fd, void *out_offset, size_t length,
                   unsigned flags)
{
    if (flags & ~KNOWN)
        return -EINVAL;
    if (!length)
        return 0;
    struct side in = {px_fd_get_io(in_fd), in_offset, 0},
                out = {px_fd_get_io(out_fd), out_offset, 0};
    long result = splice(&in, &out, length, flags);
    put_both(in.file, out.file);
    return result;
}

long px_sys_tee(int in_fd, int out_fd, size_t length, unsigned flags)
{
    if (flags & ~KNOWN)
        return -EINVAL;
    if (!length)
        return 0;
    struct px_file *in = px_fd_get_io(in_fd), *out = px_fd_get_io(out_fd);
    long result = !in || !out || !px_may_read(in) || !px_may_write(out) ? -EBADF
                  : !is_pipe(in) || !is_pipe(out)                       ? -EINVAL
                                                  : move(in, out, length, flags, true);
    put_both(in, out);
    return result;
}

long px_sys_vmsplice(int fd, const void *vector, size_t count, unsigned flags)
{
    struct px_vectors v;
    if (flags & ~KNOWN)
        return -EINVAL;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    uint32_t how = flags & SPLICE_F_NONBLOCK ? PX_IO_NONBLOCK : 0;
    long result = is_pipe(f) ? px_vectors_get(&v, vector, (long)count) : -EBADF;
    if (result == 0) {
        result = px_may_write(f) ? f->ops->write(f, &v.io, how) : f->ops->read(f, &v.io, how);
        px_vectors_put(&v);
    }
    px_file_put(f);
    return result;
}
