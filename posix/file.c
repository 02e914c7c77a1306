/* SPDX-License-Identifier: MIT */
/*
 * Files of the fs engine. What is hot is read without a call (hot.c). Any other transfer is one
 * call for each buffer of the program; the engine copies between its cache and the program's memory
 * directly. Small vectors to be written are gathered, so
 * that they are one write. The offset is in the description (shared after fork) and locked while a
 * transfer uses it, as in Linux.
 */
#include "file.h"
#include "fd.h"
#include "names.h"

static long call_file(struct px_file *f, uint32_t op, uint64_t w0, uint64_t w1, uint64_t w2)
{
    struct motor_msg msg = {.op = op, .deadline = MOTOR_NEVER};
    msg.word[0] = w0;
    msg.word[1] = w1;
    msg.word[2] = w2;
    return px_call(f->handle, &msg);
}

long px_file_stat(struct px_file *f, struct io_stat *out)
{
    struct motor_msg msg = {
        .op = IO_STAT, .out = out, .out_size = sizeof *out, .deadline = MOTOR_NEVER};
    if (f->ops->stat)
        return f->ops->stat(f, out);
    if (px_hot_stat(f, out))
        return 0;
    return PX_MIN(px_call(f->handle, &msg), 0L);
}

/* ---- position ---- */

uint64_t px_position(struct px_file *f)
{
    if (!f->desc->at_server)
        return f->desc->offset;
    long at = call_file(f, IO_SEEK, 0, SEEK_CUR, 0);
    return at < 0 ? 0 : (uint64_t)at;
}

void px_position_set(struct px_file *f, uint64_t offset)
{
    if (f->desc->at_server)
        call_file(f, IO_SEEK, offset, SEEK_SET, 0);
    else
        f->desc->offset = offset;
}

void px_position_share(struct px_file *f)
{
    if (f->kind != PX_FILE || (f->file.mode & S_IFMT) != S_IFREG || f->path_only)
        return;
    px_desc_lock(f->desc);
    if (!f->desc->at_server && call_file(f, IO_SEEK, f->desc->offset, SEEK_SET, 0) >= 0)
        f->desc->at_server = true;
    px_desc_unlock(f->desc);
}

/* ---- reading ---- */

static long transfer_in(struct px_file *f, struct px_io *io, uint64_t offset)
{
    bool shared = offset == IO_AT_SHARED;
    long done = shared ? -1 : px_hot_read(f, io, offset);
    if (done >= 0)
        return done;
    done = 0;
    while (io->left) {
        size_t size = PX_MIN(io->vec->length, (size_t)IO_TRANSFER_MAX);
        struct motor_msg msg = {
            .op = IO_READ, .out = io->vec->base, .out_size = size, .deadline = MOTOR_NEVER};
        msg.word[0] = shared ? offset : offset + (uint64_t)done;
        long n = px_call(f->handle, &msg);
        if (n < 0)
            return done ? done : n;
        bool whole = (size_t)n == size;
        if (n > 0 && (size_t)n <= size)
            px_io_skip(io, (size_t)n);
        done += n;
        if (!whole)
            break;
    }
    return done;
}

static long file_read_at(struct px_file *f, struct px_io *io, uint64_t offset, uint32_t flags)
{
    (void)flags;
    return transfer_in(f, io, offset);
}

static long file_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    (void)flags;
    px_desc_lock(f->desc);
    bool shared = f->desc->at_server;
    long n = transfer_in(f, io, shared ? IO_AT_SHARED : f->desc->offset);
    if (n > 0 && !shared)
        f->desc->offset += (uint64_t)n;
    px_desc_unlock(f->desc);
    return n;
}

/* ---- writing ---- */

struct place { /* where the next byte goes */
    uint64_t offset;
    bool append;
};

static long write_piece(struct px_file *f, const void *from, size_t size, struct place *at)
{
    struct motor_msg msg = {.op = IO_WRITE, .in = from, .in_size = size, .deadline = MOTOR_NEVER};
    bool shared = at->offset == IO_AT_SHARED;
    msg.word[0] = at->append && !shared ? ~0ull : at->offset;
    msg.word[1] = at->append ? O_APPEND : 0;
    long n = px_call(f->handle, &msg);
    if (n >= 0 && !shared)
        at->offset = at->append ? msg.word[0] : at->offset + (uint64_t)n;
    if (n > 0 && !shared)
        (at->offset < msg.word[1] ? px_hot_written : px_appended)(f);
    return n;
}

/* Several small buffers as one write. 0: not possible now. */
static long write_gathered(struct px_file *f, struct px_io *io, struct place *at)
{
    struct px_file_pool *t = px_file_pool();
    size_t size = io->left;
    if (io->count < 2 || size > PX_BOUNCE_SIZE || !px_trylock(&t->bounce_lock))
        return 0;
    long n = px_io_take(io, t->bounce, size);
    if (n == 0)
        n = write_piece(f, t->bounce, size, at);
    px_unlock(&t->bounce_lock);
    return n;
}

static long transfer_out(struct px_file *f, struct px_io *io, struct place *at)
{
    bool shared = at->offset == IO_AT_SHARED;
    long done = shared ? -1 : px_append(f, io, at->append, &at->offset);
    if (done >= 0)
        return done;
    done = shared || at->append ? -1 : px_hot_write(f, io, at->offset);
    if (done >= 0) {
        at->offset += (uint64_t)done;
        return done;
    }
    done = write_gathered(f, io, at);
    if (done)
        return done;
    while (io->left) {
        size_t size = PX_MIN(io->vec->length, (size_t)IO_TRANSFER_MAX);
        long n = write_piece(f, io->vec->base, size, at);
        if (n < 0)
            return done ? done : n;
        if (n > 0 && (size_t)n <= size)
            px_io_skip(io, (size_t)n);
        done += n;
        if ((size_t)n != size)
            break;
    }
    return done;
}

static void cut(struct px_io *io, size_t left)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < io->count; i++) {
        io->vec[i].length = PX_MIN(io->vec[i].length, left - sum);
        sum += io->vec[i].length;
    }
    while (io->count && !io->vec[io->count - 1].length)
        io->count--;
    io->left = left;
}

/* RLIMIT_FSIZE: 0, or the error. */
static long obey_limit(struct px_file *f, struct px_io *io, const struct place *at)
{
    uint64_t limit = px_limit(RLIMIT_FSIZE), offset = at->offset;
    if (offset == IO_AT_SHARED)
        offset = px_position(f);
    if ((int64_t)(offset + io->left) < 0 && !at->append)
        return -EFBIG;
    if (limit == RLIM_INFINITY || (f->file.mode & S_IFMT) != S_IFREG || !io->left)
        return 0;
    if (at->append) {
        struct io_stat st;
        long error = px_file_stat(f, &st);
        if (error < 0)
            return error;
        offset = (uint64_t)st.size;
    }
    if (offset >= limit) {
        px_signal_self(SIGXFSZ, 0);
        return -EFBIG;
    }
    if (io->left > limit - offset)
        cut(io, (size_t)(limit - offset));
    return 0;
}

static long write_at(struct px_file *f, struct px_io *io, struct place *at, uint32_t flags)
{
    uint32_t status = px_flags(f);
    at->append = status & O_APPEND || flags & PX_IO_APPEND;
    long n = obey_limit(f, io, at);
    if (n == 0 && io->left)
        n = transfer_out(f, io, at);
    if (n > 0 && !f->file.in_memory && (status & O_DSYNC || flags & PX_IO_SYNC)) {
        long error = call_file(f, IO_SYNC, (status & O_SYNC) != O_SYNC, 0, 0);
        if (error < 0)
            return error;
    }
    return n;
}

static long file_write_at(struct px_file *f, struct px_io *io, uint64_t offset, uint32_t flags)
{
    struct place at = {.offset = offset};
    px_desc_lock(f->desc);
    long n = write_at(f, io, &at, flags);
    px_desc_unlock(f->desc);
    return n;
}

static long file_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    px_desc_lock(f->desc);
    bool shared = f->desc->at_server;
    struct place at = {.offset = shared ? IO_AT_SHARED : f->desc->offset};
    long n = write_at(f, io, &at, flags);
    if (n > 0 && !shared)
        f->desc->offset = at.offset;
    px_desc_unlock(f->desc);
    return n;
}

/* ---- ioctl ---- */

/* The request's own numbers tell how big its structure is; the old ones are listed. */
static void control_sizes(unsigned request, uint64_t *in, uint64_t *out)
{
    static const struct {
        uint16_t request;
        uint8_t in, out;
    } old[] = {
        {0x5401, 0, 36}, {0x5402, 36, 0}, {0x5403, 36, 0}, {0x5404, 36, 0}, {0x5405, 0, 18},
        {0x5406, 18, 0}, {0x5407, 18, 0}, {0x5408, 18, 0}, {0x540f, 0, 4},  {0x5410, 4, 0},
        {0x5411, 0, 4},  {0x5413, 0, 8},  {0x5414, 8, 0},  {0x5415, 0, 4},  {0x5418, 4, 0},
        {0x541b, 0, 4},  {0x5423, 4, 0},  {0x5424, 0, 4},  {0x5429, 0, 4},  {0x5420, 4, 0},
        {2, 0, 4},       {0x125e, 0, 4},  {0x1260, 0, 8},  {0x1268, 0, 4},
    };
    *in = *out = 0;
    if (request == TIOCSIG)
        return; /* the signal itself is the argument */
    for (unsigned i = 0; i < sizeof old / sizeof *old; i++)
        if (old[i].request == request) {
            *in = old[i].in;
            *out = old[i].out;
            return;
        }
    uint64_t size = request >> 16 & 0x3fff;
    *in = request >> 30 & 1 ? size : 0;
    *out = request >> 30 & 2 ? size : 0;
}

void px_control_message(struct motor_msg *msg, unsigned request, unsigned long argument)
{
    *msg = (struct motor_msg){.op = IO_CONTROL, .deadline = MOTOR_NEVER};
    control_sizes(request, &msg->in_size, &msg->out_size);
    msg->word[0] = request;
    msg->word[1] = argument;
    msg->in = (const void *)argument;
    msg->out = (void *)argument;
}

long px_server_control(struct px_file *f, unsigned request, unsigned long argument)
{
    struct motor_msg msg;
    px_control_message(&msg, request, argument);
    return px_call(f->handle, &msg);
}

long px_server_async(struct px_file *f)
{
    struct motor_msg msg = {.op = IO_ASYNC, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)(int64_t)__atomic_load_n(&f->desc->owner, __ATOMIC_RELAXED);
    msg.word[1] = (uint64_t)__atomic_load_n(&f->desc->signal, __ATOMIC_RELAXED);
    msg.word[2] = (px_flags(f) & O_ASYNC) != 0;
    return px_call(f->handle, &msg);
}

static long file_control(struct px_file *f, unsigned request, unsigned long argument)
{
    struct io_stat st;
    if (request == FIONREAD && (f->file.mode & S_IFMT) == S_IFREG) {
        long error = px_file_stat(f, &st);
        if (error < 0)
            return error;
        px_desc_lock(f->desc);
        int64_t left = st.size - (int64_t)px_position(f);
        px_desc_unlock(f->desc);
        return px_store32((uint32_t *)argument, (uint32_t)PX_MIN(PX_MAX(left, 0), INT32_MAX));
    }
    return (f->file.mode & S_IFMT) == S_IFREG ? -ENOTTY : px_server_control(f, request, argument);
}

/* ---- lseek ---- */

static long seek_locked(struct px_file *f, int64_t offset, int whence)
{
    struct io_stat st;
    int64_t base = 0;
    long error;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = (int64_t)px_position(f);
        break;
    case SEEK_END:
    case SEEK_DATA:
    case SEEK_HOLE:
        if (f->kind == PX_DIRECTORY && whence == SEEK_END)
            base = INT64_MAX;
        if ((error = px_file_stat(f, &st)) < 0)
            return error;
        if (whence == SEEK_END) {
            base = base ? base : st.size;
        } else { /* all of it is data, as a file system without holes says */
            if (offset < 0 || offset >= st.size)
                return -ENXIO;
            if (whence == SEEK_HOLE)
                offset = st.size;
        }
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, offset, &base) || base < 0)
        return base < 0 ? -EINVAL : -EOVERFLOW;
    px_position_set(f, (uint64_t)base);
    return base;
}

long px_sys_lseek(int fd, long offset, int whence)
{
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    long result = -ESPIPE;
    if (f->kind == PX_FILE || f->kind == PX_DIRECTORY) {
        px_desc_lock(f->desc);
        if ((f->file.mode & S_IFMT) != S_IFCHR)
            result = seek_locked(f, offset, whence);
        else
            px_position_set(f, (uint64_t)(result = 0)); /* Linux: wherever one wants to go */
        px_desc_unlock(f->desc);
    } else if ((px_is_event(f) && f->kind != PX_PIDFD) || f->kind == PX_EPOLL) {
        result = 0; /* Linux: they stay where they are */
    }
    px_file_put(f);
    return result;
}

/* ---- calls on open files ---- */

/* A file of the fs engine, for calls that write to it: NULL and the error. */
static struct px_file *get_regular(int fd, bool writable, long other, long *error)
{
    struct px_file *f = px_fd_get_io(fd);
    *error = !f ? -EBADF : f->kind != PX_FILE ? other : writable && !px_may_write(f) ? -EINVAL : 0;
    if (f && *error) {
        px_file_put(f);
        f = NULL;
    }
    return f;
}

long px_sys_ftruncate(int fd, long length)
{
    long result;
    if (length < 0)
        return -EINVAL;
    struct px_file *f = get_regular(fd, true, -EINVAL, &result);
    if (!f)
        return result;
    if ((uint64_t)length > px_limit(RLIMIT_FSIZE)) {
        px_signal_self(SIGXFSZ, 0);
        result = -EFBIG;
    } else {
        result = PX_MIN(call_file(f, IO_TRUNCATE, (uint64_t)length, 0, 0), 0L);
    }
    px_file_put(f);
    return result;
}

long px_sys_fallocate(int fd, int mode, long offset, long length)
{
    long result;
    int64_t end;
    if (offset < 0 || length <= 0)
        return -EINVAL;
    if (__builtin_add_overflow(offset, length, &end))
        return -EFBIG;
    struct px_file *f = get_regular(fd, false, -ENODEV, &result);
    if (!f)
        return result == -ENODEV && px_file_is_pipe(fd) ? -ESPIPE : result;
    if (!px_may_write(f)) {
        result = -EBADF;
    } else if ((uint64_t)end > px_limit(RLIMIT_FSIZE) && !(mode & 1)) {
        px_signal_self(SIGXFSZ, 0);
        result = -EFBIG;
    } else {
        result = PX_MIN(
            call_file(f, IO_ALLOCATE, (uint64_t)offset, (uint64_t)length, (uint64_t)(unsigned)mode),
            0L);
    }
    px_file_put(f);
    return result;
}

bool px_file_is_pipe(int fd)
{
    struct px_file *f = px_fd_get(fd);
    bool pipe = f && px_is_stream_kind(f);
    if (f)
        px_file_put(f);
    return pipe;
}

/* how: w0 of IO_SYNC */
static long sync_file(int fd, uint64_t how)
{
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    bool file = f->kind == PX_FILE || f->kind == PX_DIRECTORY;
    long result = !file               ? -EINVAL
                  : f->file.in_memory ? 0
                                      : PX_MIN(call_file(f, IO_SYNC, how, 0, 0), 0L);
    px_file_put(f);
    return result;
}

long px_sys_fsync(int fd)
{
    return sync_file(fd, 0);
}

long px_sys_fdatasync(int fd)
{
    return sync_file(fd, 1);
}

/* Of all file systems, which is more than what is asked for. */
long px_sys_syncfs(int fd)
{
    return sync_file(fd, IO_SYNC_ALL);
}

long px_sys_sync(void)
{
    struct motor_msg msg = {.op = IO_SYNC, .word = {IO_SYNC_ALL}, .deadline = MOTOR_NEVER};
    px_call(px_proc()->root, &msg);
    return 0;
}

long px_sys_sync_file_range(int fd, long offset, long length, unsigned flags)
{
    if (flags & ~7u || offset < 0 || length < 0)
        return -EINVAL;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    bool stream = px_is_stream_kind(f);
    px_file_put(f);
    return stream ? -ESPIPE : flags ? sync_file(fd, 1) : 0;
}

#define FADV_DONTNEED 4
#define FADV_LAST     5

long px_sys_fadvise64(int fd, long offset, long length, int advice)
{
    long result = 0;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    if (px_is_stream_kind(f))
        result = -ESPIPE;
    else if (length < 0 || advice < 0 || advice > FADV_LAST)
        result = -EINVAL;
    else if (advice == FADV_DONTNEED && f->kind == PX_FILE && !f->file.in_memory && offset >= 0)
        result = PX_MIN(
            call_file(f, IO_ADVISE, (uint64_t)offset, (uint64_t)length, (uint64_t)advice), 0L);
    px_file_put(f);
    return result;
}

long px_sys_readahead(int fd, long offset, size_t count)
{
    (void)offset, (void)count;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    long result = !px_may_read(f)                                            ? -EBADF
                  : f->kind == PX_FILE && (f->file.mode & S_IFMT) == S_IFREG ? 0
                                                                             : -EINVAL;
    px_file_put(f);
    return result;
}

/* ---- mapping ---- */

long px_file_object(int fd, int prot, int flags, uint64_t *base, uint64_t *size)
{
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    bool shared_write = (flags & MAP_TYPE) != MAP_PRIVATE && prot & PROT_WRITE;
    struct motor_msg msg = {.op = IO_MAP, .deadline = MOTOR_NEVER};
    long result = -ENODEV;
    if (!px_may_read(f) ||
        (shared_write && ((px_flags(f) & O_ACCMODE) != O_RDWR || px_flags(f) & O_APPEND)))
        result = -EACCES;
    else if (f->kind == PX_FILE) {
        msg.word[0] = (uint64_t)(shared_write ? PROT_READ | PROT_WRITE | (prot & PROT_EXEC)
                                              : (prot & PROT_EXEC) | PROT_READ);
        msg.word[1] = (flags & MAP_TYPE) != MAP_PRIVATE && !(px_flags(f) & O_APPEND);
        result = px_call(f->handle, &msg);
    }
    px_file_put(f);
    if (result < 0)
        return result;
    if (msg.nhandles != 1)
        return -ENODEV;
    *base = msg.word[0];
    *size = msg.word[1];
    return msg.handle[0];
}

/* ---- kinds ---- */

static void file_release(struct px_file *f)
{
    px_append_free(f);
    if (!px_name_keep(f))
        px_hot_free(f->file.hot);
    f->file.hot = NULL;
}

const struct px_ops px_file_ops = {
    .name = "file",
    .read = file_read,
    .write = file_write,
    .read_at = file_read_at,
    .write_at = file_write_at,
    .control = file_control,
    .release = file_release,
};

static long is_directory(struct px_file *f, struct px_io *io, uint32_t flags)
{
    (void)f, (void)io, (void)flags;
    return -EISDIR;
}

static long is_directory_at(struct px_file *f, struct px_io *io, uint64_t offset, uint32_t flags)
{
    (void)f, (void)io, (void)offset, (void)flags;
    return -EISDIR;
}

const struct px_ops px_directory_ops = {
    .name = "directory",
    .read = is_directory,
    .read_at = is_directory_at,
};

struct px_file *px_file_from_handle(motor_handle h, uint32_t protocol, uint32_t flags,
                                    const struct io_stat *st)
{
    bool directory = (st->mode & S_IFMT) == S_IFDIR, tty = protocol == MOTOR_FD_TTY,
         pipe = protocol == MOTOR_FD_PIPE;
    struct px_file *f = px_file_new(tty         ? &px_tty_ops
                                    : pipe      ? &px_pipe_ops
                                    : directory ? &px_directory_ops
                                                : &px_file_ops,
                                    tty         ? PX_TTY
                                    : pipe      ? PX_PIPE
                                    : directory ? PX_DIRECTORY
                                                : PX_FILE,
                                    flags, h);
    if (!f) {
        motor_handle_close(h);
        return NULL;
    }
    f->protocol = (uint8_t)protocol;
    if (!tty && !pipe) {
        f->file.mode = st->mode;
        f->file.rdev = st->rdev;
        f->file.in_memory = st->flags & IO_FILE_IN_MEMORY;
    }
    return f;
}
