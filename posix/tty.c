/* SPDX-License-Identifier: MIT */
/*
 * Terminals and motor-run's channels: call mode. The server waits for a blocking read or write;
 * poll arms a bit of our session with the server (IO_POLL).
 */
#include "file.h"
#include "watch.h"

static long tty_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    long done = 0;
    while (io->left) {
        struct motor_msg msg = {.op = IO_READ,
                                .out = io->vec->base,
                                .out_size = io->vec->length,
                                .deadline = MOTOR_NEVER};
        msg.word[0] = ~0ull;
        msg.word[1] = px_nonblock(f, flags) || done ? O_NONBLOCK : 0;
        long n = px_call_intr(f->handle, &msg);
        if (n <= 0)
            return done ? done : n;
        bool whole = (size_t)n == io->vec->length;
        px_io_skip(io, PX_MIN((size_t)n, io->vec->length));
        done += n;
        if (!whole)
            break;
    }
    return done;
}

static long tty_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    long done = 0;
    while (io->left) {
        struct motor_msg msg = {.op = IO_WRITE,
                                .in = io->vec->base,
                                .in_size = io->vec->length,
                                .deadline = MOTOR_NEVER};
        msg.word[0] = ~0ull;
        msg.word[1] = px_nonblock(f, flags) ? O_NONBLOCK : 0;
        long n = px_call_intr(f->handle, &msg);
        if (n <= 0)
            return done ? done : n;
        px_io_skip(io, PX_MIN((size_t)n, io->left));
        done += n;
    }
    return done;
}

static uint32_t tty_ready(struct px_file *f, uint32_t events, bool arm)
{
    struct px_net *n = px_net();
    struct px_session *s = __atomic_load_n(&n->session[PX_SESSION_TTY], __ATOMIC_ACQUIRE);
    struct motor_msg msg = {.op = IO_POLL, .deadline = MOTOR_NEVER};
    msg.word[0] = events | POLLERR | POLLHUP;
    if (arm && s) {
        if (!f->tty.bit) {
            long bit = px_session_bit(s, f);
            f->tty.bit = bit < 0 ? 0 : (uint32_t)bit + 1;
        }
        msg.word[1] = f->tty.bit != 0;
        msg.word[2] = f->tty.bit - 1;
        msg.nhandles = f->tty.bit != 0;
        msg.handle[0] = s->gate;
    }
    long ready = px_call(f->handle, &msg);
    return ready < 0 ? POLLERR : (uint32_t)ready;
}

static void tty_release(struct px_file *f)
{
    if (f->tty.bit)
        px_session_bit_free(px_net()->session[PX_SESSION_TTY], f->tty.bit - 1);
}

const struct px_ops px_tty_ops = {
    .name = "tty",
    .read = tty_read,
    .write = tty_write,
    .ready = tty_ready,
    .control = px_server_control,
    .release = tty_release,
};
