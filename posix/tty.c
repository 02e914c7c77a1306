/* SPDX-License-Identifier: MIT */
/*
 * Terminals and motor-run's channels: call mode. The server waits for a blocking read or write;
 * poll arms a bit of our session with the server (IO_POLL).
 */
#include "file.h"
#include "internal.h"
#include "watch.h"

/*
 * The server says that this process is in the background (IO_EBACKGROUND): its group is stopped,
 * and the call begins again when it is continued. 0: nobody would notice the signal, go on.
 */
static long in_background(int sig)
{
    if (px_signal_deaf(sig))
        return 0;
    if (motor_process_label(0, MOTOR_LABEL_ORPHANED, 0) == 1)
        return -EIO;
    px_sys_kill(0, sig);
    return px_interrupted() ? -PX_ERESTARTSYS : 1;
}

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
        if (n == -IO_EBACKGROUND) {
            n = in_background(SIGTTIN);
            if (n == 1)
                continue;
            n = n ? n : -EIO;
        }
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
    bool anyway = false;
    while (io->left) {
        struct motor_msg msg = {.op = IO_WRITE,
                                .in = io->vec->base,
                                .in_size = io->vec->length,
                                .deadline = MOTOR_NEVER};
        msg.word[0] = ~0ull;
        msg.word[1] = px_nonblock(f, flags) ? O_NONBLOCK : 0;
        msg.word[2] = anyway;
        long n = px_call_intr(f->handle, &msg);
        if (n == -IO_EBACKGROUND && (n = in_background(SIGTTOU)) >= 0) {
            anyway |= n == 0;
            continue;
        }
        if (n == -EPIPE && !done)
            px_signal_self(SIGPIPE, SI_KERNEL);
        if (n <= 0)
            return done ? done : n;
        px_io_skip(io, PX_MIN((size_t)n, io->left));
        done += n;
    }
    return done;
}

#define TCSETSW 0x5403u
#define TCSETSF 0x5404u
#define TCSETAW 0x5407u
#define TCSETAF 0x5408u
#define TCSBRK  0x5409u
#define TCSBRKP 0x5425u

/* Until the output has been sent: a signal ends that, and nothing else here. */
static bool may_wait(unsigned request)
{
    return request == TCSETSW || request == TCSETSF || request == TCSETAW || request == TCSETAF ||
           request == TCSBRK || request == TCSBRKP;
}

static long tty_control(struct px_file *f, unsigned request, unsigned long argument)
{
    bool anyway = false;
    for (;;) {
        struct motor_msg msg;
        px_control_message(&msg, request, argument);
        msg.word[2] = anyway;
        long n = may_wait(request) ? px_call_intr(f->handle, &msg) : px_call(f->handle, &msg);
        if (n != -IO_EBACKGROUND || (n = in_background(SIGTTOU)) < 0)
            return n;
        anyway |= n == 0;
    }
}

/*
 * Terminals have names in /dev, and there their owners and times; motor-run's channels have none.
 */
static long tty_stat(struct px_file *f, struct io_stat *out)
{
    char path[32];
    struct motor_msg name = {
        .op = IO_PATH, .out = path, .out_size = sizeof path, .deadline = MOTOR_NEVER};
    struct motor_msg msg = {
        .op = IO_STAT, .out = out, .out_size = sizeof *out, .deadline = MOTOR_NEVER};
    long n = px_call(f->handle, &name);
    if (n > 9 && (!memcmp(path, "/dev/pts/", 9) || !memcmp(path, "/dev/cons", 9))) {
        msg.in = path;
        msg.in_size = (uint64_t)n;
        if (px_call(px_proc()->root, &msg) >= 0)
            return 0;
        msg.in_size = 0;
    }
    return PX_MIN(px_call(f->handle, &msg), 0L);
}

static uint32_t tty_ready(struct px_file *f, uint32_t events, bool arm)
{
    return px_session_poll(f, &f->tty.bit, events, arm);
}

static void tty_release(struct px_file *f)
{
    px_session_unpoll(f->tty.bit);
}

const struct px_ops px_tty_ops = {
    .name = "tty",
    .read = tty_read,
    .write = tty_write,
    .ready = tty_ready,
    .control = tty_control,
    .stat = tty_stat,
    .release = tty_release,
};
