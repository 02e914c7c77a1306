/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs: files of the tty engine (sysio/local/pipe.c). A transfer is a call, unless a
 * ring is on loan (loan.h).
 *
 * A new pipe is unmade: the engine is asked for it when an end is used in any way but to be closed,
 * or before another process may have it (px_fd_get(), px_events_share()). One whose ends are closed
 * before, as that by which posix_spawn() would hear of an error, was only memory here: what is left
 * of it reads as ended.
 */
#include "file.h"
#include "loan.h"
#include "watch.h"

static struct px_file *end(motor_handle h, uint32_t flags)
{
    struct io_stat st = {0};
    return px_file_from_handle(h, MOTOR_FD_PIPE, flags, &st);
}

struct px_unmade {
    struct px_mutex lock;
    uint32_t flags;         /* O_DIRECT */
    uint32_t refs;          /* [lock] ends whose files are not released */
    struct px_file *end[2]; /* [lock] that are not closed: what is read, what is written */
};

/* [u->lock] */
static long make_ends(struct px_unmade *u)
{
    struct motor_msg msg = {.op = IO_PIPE, .word = {u->flags}, .deadline = MOTOR_NEVER};
    long error = px_proc()->tty ? px_call(px_proc()->tty, &msg) : -ENFILE;
    if (error < 0)
        return error;
    if (msg.nhandles != 2)
        return -EIO;
    for (int i = 0; i < 2; i++) {
        if (!u->end[i]) {
            motor_handle_close(msg.handle[i]);
            continue;
        }
        PX_SET(u->end[i]->handle, msg.handle[i]);
        __atomic_store_n(&u->end[i]->unmade, false, __ATOMIC_RELEASE);
        __atomic_fetch_sub(&px_file_pool()->unmade, 1, __ATOMIC_RELAXED);
    }
    return 0;
}

long px_pipe_make(struct px_file *f)
{
    struct px_unmade *u = f->local.unmade;
    px_lock(&u->lock);
    long error = px_is_unmade(f) ? make_ends(u) : 0;
    px_unlock(&u->lock);
    return error;
}

/* Of an end that is read: 0 if it has ended, 1 if it is made now, or an error. */
static long read_unmade(struct px_file *f)
{
    struct px_unmade *u = f->local.unmade;
    px_lock(&u->lock);
    bool ended = px_is_unmade(f) && !u->end[1];
    long error = px_is_unmade(f) && !ended ? make_ends(u) : 0;
    px_unlock(&u->lock);
    return error < 0 ? error : !ended;
}

static void release_unmade(struct px_file *f)
{
    struct px_unmade *u = f->local.unmade;
    px_lock(&u->lock);
    bool last = --u->refs == 0;
    if (px_is_unmade(f)) {
        u->end[!px_may_read(f)] = NULL;
        __atomic_fetch_sub(&px_file_pool()->unmade, 1, __ATOMIC_RELAXED);
    }
    px_unlock(&u->lock);
    if (last)
        px_free(u);
}

/* Another thread of the parent was about to open it: its pipe is the child's own. */
void px_pipe_forked(struct px_file *f)
{
    if (px_is_unmade(f))
        f->local.unmade->lock.word = 0;
}

static struct px_file *unmade_end(struct px_unmade *u, int which, uint32_t flags)
{
    struct px_file *f = px_file_new(&px_pipe_ops, PX_PIPE, flags, 0);
    if (!f)
        return NULL;
    f->protocol = MOTOR_FD_PIPE;
    f->local.unmade = u;
    u->end[which] = f;
    u->refs++;
    __atomic_fetch_add(&px_file_pool()->unmade, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&f->unmade, true, __ATOMIC_RELEASE);
    return f;
}

long px_sys_pipe2(void *user, int flags)
{
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    struct px_unmade *u = px_alloc(sizeof *u);
    if (!u)
        return -ENOMEM;
    uint32_t status = (uint32_t)flags & (O_NONBLOCK | O_DIRECT);
    u->flags = (uint32_t)flags & O_DIRECT;
    struct px_file *ends[2] = {unmade_end(u, 0, O_RDONLY | status),
                               unmade_end(u, 1, O_WRONLY | status)};
    if (!u->refs)
        px_free(u);
    return px_fd_install_pair(ends, flags & O_CLOEXEC, user);
}

long px_sys_pipe(void *fds)
{
    return px_sys_pipe2(fds, 0);
}

long px_fifo_open(const motor_handle handle[2], uint32_t flags, struct px_file **out)
{
    struct motor_msg msg = {
        .op = IO_FIFO_OPEN, .nhandles = 1, .handle = {handle[1]}, .deadline = MOTOR_NEVER};
    msg.word[0] = flags & (O_ACCMODE | O_NONBLOCK);
    long result = px_call_intr(handle[0], &msg);
    motor_handle_close(handle[0]);
    motor_handle_close(handle[1]);
    if (result < 0)
        return result;
    *out = msg.nhandles == 1 ? end(msg.handle[0], flags) : NULL;
    return *out ? 0 : -ENFILE;
}

long px_inode_call(struct px_file *f, struct motor_msg *msg)
{
    struct motor_msg ask = {.op = IO_NAMED_FILE, .deadline = MOTOR_NEVER};
    if (px_is_fs(f) || f->kind == PX_TTY || f->kind == PX_MQUEUE)
        return px_call(f->handle, msg);
    if (f->kind != PX_PIPE)
        return -EINVAL;
    if (px_call(f->handle, &ask) < 0)
        return px_call(f->handle, msg);
    long result = px_call(ask.handle[0], msg);
    motor_handle_close(ask.handle[0]);
    return result;
}

/* ---- reading and writing ---- */

static long read_by_call(struct px_file *f, const struct px_io *io, bool nonblock)
{
    struct motor_msg msg = {.op = IO_READ,
                            .out = io->vec->base,
                            .out_size = io->vec->length,
                            .word = {~0ull, nonblock ? O_NONBLOCK : 0},
                            .deadline = MOTOR_NEVER};
    return px_call_intr(f->handle, &msg);
}

/* What there is for the first of the buffers, or for all of them. */
static long read_once(struct px_file *f, struct px_io *io, bool nonblock)
{
    long n = px_loan_read(f, io, nonblock ? PX_IO_NONBLOCK : 0, MOTOR_NEVER);
    if (n != -PX_BY_CALL)
        return n;
    n = read_by_call(f, io, nonblock);
    if (n > 0) {
        n = PX_MIN(n, (long)io->vec->length);
        px_io_skip(io, (size_t)n);
        px_loan_wanted(f);
    }
    return n;
}

static long pipe_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    long done = 0, made = io->left && px_is_unmade(f) ? read_unmade(f) : 1;
    if (made <= 0)
        return made;
    while (io->left) {
        size_t size = io->vec->length;
        long n = read_once(f, io, px_nonblock(f, flags) || done);
        if (n == -IO_ELENT)
            continue;
        if (n <= 0)
            return done ? done : n;
        done += n;
        if ((size_t)n < size || px_flags(f) & O_DIRECT)
            break;
    }
    return done;
}

static long write_piece(struct px_file *f, const void *from, size_t size, uint32_t flags)
{
    struct motor_msg msg = {.op = IO_WRITE, .in = from, .in_size = size, .deadline = MOTOR_NEVER};
    msg.word[0] = ~0ull;
    msg.word[1] = px_nonblock(f, flags) ? O_NONBLOCK : 0;
    return px_call_intr(f->handle, &msg);
}

#define PIPE_BUF 4096u

/* Several vectors of at most PIPE_BUF bytes are one write: not mixed with another's. */
static long write_gathered(struct px_file *f, const struct px_io *io, uint32_t flags)
{
    size_t size = io->left;
    uint8_t *bytes = px_alloc(size);
    if (!bytes)
        return -ENOMEM;
    long n = px_io_look(io, bytes, size);
    if (n == 0)
        n = write_piece(f, bytes, size, flags);
    px_free(bytes);
    return n;
}

static long write_by_call(struct px_file *f, struct px_io *io, uint32_t flags)
{
    bool gather = io->count > 1 && io->left <= PIPE_BUF;
    long n = gather ? write_gathered(f, io, flags)
                    : write_piece(f, io->vec->base, io->vec->length, flags);
    if (n > 0) {
        n = PX_MIN(n, (long)io->left);
        px_io_skip(io, (size_t)n);
        px_loan_wanted(f);
    }
    return n;
}

static long pipe_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    /* px_fd_get() has tried: what the engine refused it with is this call's error */
    long done = 0, error = px_is_unmade(f) ? px_pipe_make(f) : 0;
    if (error < 0)
        return error;
    while (io->left) {
        uint32_t nonblock = px_nonblock(f, flags) ? PX_IO_NONBLOCK : 0;
        long n = px_loan_write(f, io, nonblock, PIPE_BUF, MOTOR_NEVER);
        if (n == -PX_BY_CALL)
            n = write_by_call(f, io, flags);
        if (n == -IO_ELENT)
            continue;
        if (n == -EPIPE && !done && !(flags & PX_IO_NOSIGNAL))
            px_signal_self(SIGPIPE, SI_KERNEL);
        if (n <= 0)
            return done ? done : n;
        done += n;
    }
    return done;
}

/* ---- the rest ---- */

/* Of a pipe with a loan. false: the ring is full, and who calls has more room. */
static bool lent_ready(const struct px_loan_state *s, bool writer, uint32_t *ready)
{
    *ready = (s->readable ? POLLIN | POLLRDNORM : 0) |
             (writer && s->room >= PIPE_BUF ? POLLOUT | POLLWRNORM : 0);
    return !(writer && s->room < PIPE_BUF && s->more);
}

static uint32_t pipe_ready(struct px_file *f, uint32_t events, bool arm)
{
    struct px_loan_state s;
    bool writer = !px_may_read(f);
    uint32_t ready;
    if (px_loan_look(f, &s) && lent_ready(&s, writer, &ready)) {
        if (!arm || !px_loan_arms(events, ready))
            return events & ready;
        if (px_loan_watch(f, !writer, writer ? PIPE_BUF : 0, &s) && lent_ready(&s, writer, &ready))
            return events & ready;
    }
    return px_session_poll(f, &f->local.bit, events, arm);
}

static long pipe_control(struct px_file *f, unsigned request, unsigned long argument)
{
    struct px_loan_state s;
    if (request == FIONREAD && px_loan_look_alone(f, &s))
        return px_store32((uint32_t *)argument, px_may_read(f) ? s.readable : s.unread);
    return request == FIONREAD ? px_server_control(f, request, argument) : -ENOTTY;
}

static void pipe_release(struct px_file *f)
{
    if (f->local.unmade)
        release_unmade(f);
    px_loan_release(f);
    px_session_unpoll(f->local.bit);
}

static long pipe_stat(struct px_file *f, struct io_stat *out)
{
    struct motor_msg msg = {
        .op = IO_STAT, .out = out, .out_size = sizeof *out, .deadline = MOTOR_NEVER};
    return PX_MIN(px_inode_call(f, &msg), 0L);
}

const struct px_ops px_pipe_ops = {
    .name = "pipe",
    .read = pipe_read,
    .write = pipe_write,
    .ready = pipe_ready,
    .control = pipe_control,
    .async = px_server_async,
    .stat = pipe_stat,
    .release = pipe_release,
};
