/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: mq_overview(7). A queue is an object of the tty engine (<motor/io.h>), and
 * what is opened an end of it, which several processes may have. Who is to be notified holds a
 * handle for that beside the file's, which a fork does not give to the child.
 */
#include "event.h"
#include "file.h"
#include "internal.h"
#include "socket.h"

#define NAME_MAX        255u
#define SIGEV_SIGNAL    0
#define SIGEV_THREAD    2
#define RLIMIT_MSGQUEUE 12

struct attributes { /* struct mq_attr */
    int64_t flags, messages, size, count, reserved[4];
};

/* ---- the file ---- */

static uint32_t mqueue_ready(struct px_file *f, uint32_t events, bool arm)
{
    return px_session_poll(f, &f->mqueue.bit, events, arm);
}

static long look(struct px_file *f, struct motor_msg *msg)
{
    *msg = (struct motor_msg){.op = IO_MQ_LOOK, .deadline = MOTOR_NEVER};
    return px_call(f->handle, msg);
}

/* How much is in it, and who is to be told, as a text. */
static long mqueue_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    char text[128], number[4][24];
    struct motor_msg msg;
    (void)flags;
    long error = look(f, &msg);
    if (error < 0)
        return error;
    uint64_t values[] = {msg.word[3], (uint32_t)msg.word[5], msg.word[5] >> 32, msg.word[4]};
    for (int i = 0; i < 4; i++)
        px_format(number[i], sizeof number[i], "%lu", values[i]);
    size_t size =
        px_format(text, sizeof text, "QSIZE:%-10s NOTIFY:%-5s SIGNO:%-5s NOTIFY_PID:%-6s\n",
                  number[0], number[1], number[2], number[3]);
    px_desc_lock(f->desc);
    size_t at = PX_MIN(f->desc->offset, size), n = PX_MIN(size - at, io->left);
    error = px_io_put(io, text + at, n);
    if (error == 0)
        f->desc->offset += n;
    px_desc_unlock(f->desc);
    return error < 0 ? error : (long)n;
}

static void mqueue_release(struct px_file *f)
{
    px_session_unpoll(f->mqueue.bit);
    if (f->mqueue.notice)
        motor_handle_close(f->mqueue.notice);
}

static long mqueue_pass(struct px_file *f, struct motor_start_fd *record)
{
    record->protocol = MOTOR_FD_EVENT;
    record->handle = f->handle;
    record->word[0] = IO_EVENT_MQUEUE;
    return 0;
}

static const struct px_ops mqueue_ops = {.name = "mqueue",
                                         .read = mqueue_read,
                                         .ready = mqueue_ready,
                                         .pass = mqueue_pass,
                                         .release = mqueue_release};

struct px_file *px_mqueue_file(uint32_t flags, motor_handle object)
{
    struct px_file *f = px_file_new(&mqueue_ops, PX_MQUEUE, flags, object);
    if (f) {
        f->protocol = MOTOR_FD_EVENT;
        f->mqueue.notice = 0;
    }
    return f;
}

void px_mqueue_forked(struct px_file *f)
{
    f->mqueue.notice = 0; /* the parent's, which stayed there */
}

/* The queue; NULL, and *error: EBADF. */
static struct px_file *queue(int fd, long *error)
{
    struct px_file *f = px_fd_get(fd);
    *error = -EBADF;
    if (f && f->kind != PX_MQUEUE) {
        px_file_put(f);
        f = NULL;
    }
    return f;
}

/* ---- names ---- */

static long take_name(char *name, const char *user)
{
    long n = px_copy_string(name, user, NAME_MAX + 1);
    return n == 0 ? -ENOENT : n;
}

static long open_queue(const char *name, size_t length, int flags, unsigned mode,
                       const struct attributes *a)
{
    uint32_t umask = __atomic_load_n(&px_proc()->umask, __ATOMIC_RELAXED);
    struct motor_msg msg = {.op = IO_MQ_OPEN,
                            .word = {(unsigned)flags & (O_ACCMODE | O_CREAT | O_EXCL),
                                     mode & 07777 & ~umask, a ? (uint64_t)a->messages : 0,
                                     a ? (uint64_t)a->size : 0, a != NULL,
                                     px_limit(RLIMIT_MSGQUEUE)},
                            .in = name,
                            .in_size = length,
                            .deadline = MOTOR_NEVER};
    long error = px_call(px_proc()->tty, &msg);
    if (error < 0)
        return error;
    struct px_file *f = px_mqueue_file((unsigned)flags & (O_ACCMODE | O_NONBLOCK), msg.handle[0]);
    if (f)
        return px_fd_install(f, true);
    motor_handle_close(msg.handle[0]);
    return -ENFILE;
}

long px_sys_mq_open(const char *user, int flags, unsigned mode, const void *attributes)
{
    char name[NAME_MAX + 1];
    struct attributes a;
    if (attributes && px_copy_in(&a, attributes, sizeof a) < 0)
        return -EFAULT;
    long length = take_name(name, user);
    return length < 0 ? length
                      : open_queue(name, (size_t)length, flags, mode, attributes ? &a : NULL);
}

long px_sys_mq_unlink(const char *user)
{
    char name[NAME_MAX + 1];
    long length = take_name(name, user);
    struct motor_msg msg = {
        .op = IO_MQ_UNLINK, .in = name, .in_size = (size_t)length, .deadline = MOTOR_NEVER};
    return length < 0 ? length : px_call(px_proc()->tty, &msg);
}

/* ---- messages ---- */

/* A time of CLOCK_REALTIME; NULL: never. */
static long deadline_in(const void *user, uint64_t *deadline)
{
    struct px_timespec t;
    *deadline = MOTOR_NEVER;
    if (!user)
        return 0;
    long error = px_timespec_in(user, &t);
    if (error == 0)
        *deadline = px_deadline_realtime(px_timespec_ns(&t));
    return error;
}

/*
 * A call whose word `flags` says whether it may wait. A time that has passed ends a wait, but not a
 * call that need not wait: that is tried first.
 */
static long transfer(struct px_file *f, struct motor_msg *msg, uint32_t flags, uint64_t deadline)
{
    struct motor_msg before = *msg;
    bool waits = !px_nonblock(f, 0);
    if (!waits || deadline != MOTOR_NEVER) {
        msg->word[flags] = O_NONBLOCK;
        long result = px_call_intr(f->handle, msg);
        if (!waits || result != -EAGAIN)
            return result;
        *msg = before;
    }
    msg->deadline = deadline;
    msg->word[flags] = deadline == MOTOR_NEVER ? 0 : IO_MQ_TIMED;
    return px_call_intr(f->handle, msg);
}

long px_sys_mq_timedsend(int fd, const void *message, size_t size, unsigned priority,
                         const void *timeout)
{
    uint64_t deadline;
    struct motor_msg msg = {.op = IO_MQ_SEND,
                            .word = {priority},
                            .in = message,
                            .in_size = size,
                            .deadline = MOTOR_NEVER};
    long result = deadline_in(timeout, &deadline);
    if (result < 0)
        return result;
    struct px_file *f = queue(fd, &result);
    if (!f)
        return result;
    if (size > IO_TRANSFER_MAX) /* more than any queue's messages have */
        result = px_may_write(f) ? -EMSGSIZE : -EBADF;
    else
        result = transfer(f, &msg, 1, deadline);
    px_file_put(f);
    return result;
}

long px_sys_mq_timedreceive(int fd, void *buffer, size_t size, void *priority, const void *timeout)
{
    uint64_t deadline;
    struct motor_msg msg = {.op = IO_MQ_RECEIVE,
                            .out = buffer,
                            .out_size = PX_MIN(size, (size_t)IO_TRANSFER_MAX),
                            .deadline = MOTOR_NEVER};
    long result = deadline_in(timeout, &deadline);
    if (result < 0)
        return result;
    struct px_file *f = queue(fd, &result);
    if (!f)
        return result;
    result = transfer(f, &msg, 0, deadline);
    px_file_put(f);
    if (result < 0)
        return result;
    uint32_t had = (uint32_t)(result >> IO_MQ_PRIORITY);
    if (priority && px_store32(priority, had) < 0)
        return -EFAULT;
    return (long)(uint32_t)result;
}

/* ---- attributes ---- */

long px_sys_mq_getsetattr(int fd, const void *new, void *old)
{
    struct attributes a;
    struct motor_msg msg;
    if (new &&px_copy_in(&a, new, sizeof a) < 0)
        return -EFAULT;
    if (new && (uint64_t)a.flags & ~(uint64_t)O_NONBLOCK)
        return -EINVAL;
    uint32_t flags = new ? (uint32_t)a.flags : 0;
    long result;
    struct px_file *f = queue(fd, &result);
    if (!f)
        return result;
    result = look(f, &msg);
    a = (struct attributes){.flags = px_flags(f) & O_NONBLOCK,
                            .messages = (int64_t)msg.word[0],
                            .size = (int64_t)msg.word[1],
                            .count = (int64_t)msg.word[2]};
    if (result == 0 && new) {
        __atomic_fetch_and(&f->desc->flags, ~O_NONBLOCK, __ATOMIC_RELAXED);
        __atomic_fetch_or(&f->desc->flags, flags, __ATOMIC_RELAXED);
    }
    px_file_put(f);
    return result < 0 || !old ? result : px_copy_out(old, &a, sizeof a);
}

/* ---- notification ---- */

struct event { /* the part of struct sigevent in use */
    uint64_t value;
    int32_t signal, notify;
};

static long ask(struct px_file *f, struct motor_msg *msg)
{
    long result = px_call(f->handle, msg);
    motor_handle notice = result == 0 && msg->nhandles == 1 ? msg->handle[0] : 0;
    if (notice)
        notice = __atomic_exchange_n(&f->mqueue.notice, notice, __ATOMIC_ACQ_REL);
    if (notice)
        motor_handle_close(notice); /* of a request that has been served */
    return result;
}

/* SIGEV_THREAD: the value is a cookie's address, the signal a netlink socket to which that goes. */
static long ask_thread(struct px_file *f, struct motor_msg *msg, const struct event *e)
{
    uint8_t cookie[IO_MQ_COOKIE];
    long error;
    if (px_copy_in(cookie, (const void *)e->value, sizeof cookie) < 0)
        return -EFAULT;
    struct px_file *s = px_socket_get(e->signal, &error);
    if (!s)
        return error;
    msg->word[1] = 0;
    msg->in = cookie;
    msg->in_size = sizeof cookie;
    msg->nhandles = 1;
    msg->handle[0] = s->handle;
    long result = px_is_netlink(s) ? ask(f, msg) : -EINVAL;
    px_file_put(s);
    return result;
}

long px_sys_mq_notify(int fd, const void *user)
{
    struct event e = {0};
    long result;
    if (user && px_copy_in(&e, user, sizeof e) < 0)
        return -EFAULT;
    if (user && (e.notify < SIGEV_SIGNAL || e.notify > SIGEV_THREAD ||
                 (e.notify == SIGEV_SIGNAL && (e.signal < 0 || e.signal > NSIG))))
        return -EINVAL;
    struct motor_msg msg = {.op = IO_MQ_NOTIFY, .deadline = MOTOR_NEVER};
    msg.word[0] = user ? (uint64_t)e.notify : IO_MQ_NOTIFY_NOT;
    msg.word[1] = e.notify == SIGEV_SIGNAL ? (uint64_t)e.signal : 0;
    msg.word[2] = e.value;
    struct px_file *f = queue(fd, &result);
    if (!f)
        return result;
    result = user && e.notify == SIGEV_THREAD ? ask_thread(f, &msg, &e) : ask(f, &msg);
    px_file_put(f);
    return result;
}
