/* SPDX-License-Identifier: MIT */
/*
 * sendfile and copy_file_range. To a TCP socket, a hot file's bytes (hot.c), or else the fs
 * engine's answer to IO_READ, go straight into the tx ring: one copy, and no call or one for each
 * contiguous piece of free ring. Elsewhere bytes pass through a buffer.
 */
#include "file.h"
#include "stream.h"

struct source {
    struct px_file *file;
    uint64_t offset;
};

static long read_source(struct source *s, void *to, size_t size)
{
    struct px_io io;
    struct px_vec vec;
    px_io_one(&io, &vec, to, size);
    long hot = px_hot_read(s->file, &io, s->offset);
    if (hot >= 0)
        return hot;
    struct motor_msg msg = {.op = IO_READ, .out = to, .out_size = size, .deadline = MOTOR_NEVER};
    msg.word[0] = s->offset;
    long n = px_call(s->file->handle, &msg);
    return n > (long)size ? -EIO : n;
}

/* As much as the ring has room for now. 0: end of file. -EAGAIN: no room. */
static long fill_ring(struct px_file *out, struct source *s, size_t left)
{
    long done = 0, error = 0;
    bool more = true;
    px_lock(&out->stream.tx_lock);
    while (more && (size_t)done < left) {
        uint32_t room;
        uint8_t *to = px_stream_room(out, left - (size_t)done, &room, &error);
        if (!to)
            break;
        long n = read_source(s, to, room);
        if (n <= 0) {
            error = n;
            break;
        }
        if (!px_stream_commit(out, (uint32_t)n)) {
            error = -EAGAIN;
            break;
        }
        s->offset += (uint64_t)n;
        done += n;
        more = n == (long)room;
    }
    px_unlock(&out->stream.tx_lock);
    return done ? done : error;
}

static long send_to_stream(struct px_file *out, struct source *s, size_t count)
{
    struct px_stream *t = &out->stream;
    uint64_t deadline = 0;
    long done = 0;
    while ((size_t)done < count) {
        uint32_t seq = __atomic_load_n(&t->slot->seq, __ATOMIC_ACQUIRE);
        long n = fill_ring(out, s, count - (size_t)done);
        if (n > 0) {
            px_stream_tell(out);
            done += n;
            continue;
        }
        if (n != -EAGAIN)
            return done ? done : px_stream_failed(n, 0);
        if (px_stream_is_lent(t)) {
            long error = px_lent_give_back(out, count - (size_t)done);
            if (error == 0)
                continue;
            return done ? done : error;
        }
        if (px_stream_away(t)) {
            long error = px_stream_come_home(out, POLLOUT);
            if (error == 0)
                continue;
            if (error != -EAGAIN)
                return done ? done : error;
        }
        if (px_nonblock(out, 0)) {
            if (!px_stream_away(t) && px_stream_wish(out))
                continue;
            return done ? done : -EAGAIN;
        }
        if (!deadline)
            deadline = px_timeout_deadline(t->send_timeout);
        long error = px_stream_await_space(out, seq, deadline);
        if (error < 0)
            return done ? done : error == -ETIMEDOUT ? -EAGAIN : error;
    }
    return done;
}

static long write_all(struct px_file *out, uint8_t *bytes, size_t size)
{
    struct px_io io;
    struct px_vec vec;
    px_io_one(&io, &vec, bytes, size);
    return out->ops->write(out, &io, 0);
}

#define PIECE (32u << 10)

static long send_to_file(struct px_file *out, struct source *s, size_t count)
{
    uint8_t *buffer = px_map(PIECE);
    long done = 0, n = buffer ? 0 : -ENOMEM;
    while (buffer && (size_t)done < count) {
        n = read_source(s, buffer, PX_MIN(count - (size_t)done, (size_t)PIECE));
        if (n <= 0)
            break;
        long written = write_all(out, buffer, (size_t)n);
        if (written > 0) {
            s->offset += (uint64_t)written;
            done += written;
        }
        if (written < n) {
            n = written;
            break;
        }
    }
    if (buffer)
        px_unmap(buffer, PIECE);
    return done ? done : n;
}

static long send_check(struct px_file *out, struct px_file *in)
{
    if (!out || !in || !px_may_read(in) || !px_may_write(out))
        return -EBADF;
    if (in->kind != PX_FILE)
        return -EINVAL;
    if (px_flags(out) & O_APPEND || !out->ops->write)
        return -EINVAL;
    return 0;
}

long px_sys_sendfile(int out_fd, int in_fd, void *user_offset, size_t count)
{
    struct px_file *out = px_fd_get_io(out_fd), *in = px_fd_get_io(in_fd);
    struct source s = {.file = in};
    long result = send_check(out, in);
    if (result == 0 && user_offset)
        result = px_copy_in(&s.offset, user_offset, sizeof s.offset);
    if (result == 0 && (int64_t)s.offset < 0)
        result = -EINVAL;
    count = PX_MIN(count, MAX_RW_COUNT);
    if (result == 0 && count) {
        if (!user_offset)
            s.offset = px_position(in);
        result = out->ops == &px_stream_ops ? send_to_stream(out, &s, count)
                                            : send_to_file(out, &s, count);
        if (result > 0 && user_offset) {
            if (px_copy_out(user_offset, &s.offset, sizeof s.offset) < 0)
                result = -EFAULT;
        } else if (result > 0) {
            px_desc_lock(in->desc);
            px_position_set(in, s.offset);
            px_desc_unlock(in->desc);
        }
    }
    if (in)
        px_file_put(in);
    if (out)
        px_file_put(out);
    return result;
}

/* ---- copy_file_range ---- */

static bool is_regular(const struct px_file *f)
{
    return f->kind == PX_FILE && (f->file.mode & S_IFMT) == S_IFREG;
}

static long copy_check(struct px_file *in, struct px_file *out, unsigned flags)
{
    if (!in || !out)
        return -EBADF;
    if (flags)
        return -EINVAL;
    if (in->kind == PX_DIRECTORY || out->kind == PX_DIRECTORY)
        return -EISDIR;
    if (!is_regular(in) || !is_regular(out))
        return -EINVAL;
    return px_may_read(in) && px_may_write(out) && !(px_flags(out) & O_APPEND) ? 0 : -EBADF;
}

static long take_offset(struct px_file *f, const void *user, uint64_t *offset)
{
    if (!user)
        *offset = px_position(f);
    else if (px_copy_in(offset, user, sizeof *offset) < 0)
        return -EFAULT;
    return (int64_t)*offset < 0 ? -EINVAL : 0;
}

static long give_offset(struct px_file *f, void *user, uint64_t offset)
{
    if (user)
        return px_copy_out(user, &offset, sizeof offset);
    px_desc_lock(f->desc);
    px_position_set(f, offset);
    px_desc_unlock(f->desc);
    return 0;
}

long px_sys_copy_file_range(int in_fd, void *in_offset, int out_fd, void *out_offset, size_t length,
                            unsigned flags)
{
    struct px_file *in = px_fd_get_io(in_fd), *out = px_fd_get_io(out_fd);
    uint64_t from = 0, to = 0;
    long result = copy_check(in, out, flags);
    if (result == 0)
        result = take_offset(in, in_offset, &from);
    if (result == 0)
        result = take_offset(out, out_offset, &to);
    length = PX_MIN(length, MAX_RW_COUNT);
    if (result == 0 && length) {
        struct motor_msg msg = {
            .op = IO_COPY, .nhandles = 1, .handle = {out->handle}, .deadline = MOTOR_NEVER};
        msg.word[0] = from;
        msg.word[1] = to;
        msg.word[2] = length;
        result = px_call(in->handle, &msg);
        if (result > 0) {
            long error = give_offset(in, in_offset, from + (uint64_t)result);
            if (error == 0)
                error = give_offset(out, out_offset, to + (uint64_t)result);
            result = error < 0 ? error : result;
        }
    }
    if (in)
        px_file_put(in);
    if (out)
        px_file_put(out);
    return result;
}
