/* SPDX-License-Identifier: MIT */
/* eventfd: a counter in the description. */
#include "event.h"

#define COUNTER_MAX (UINT64_MAX - 1)
#define MOVED       UINT64_MAX /* what the counter of one that has moved shows */

static long eventfd_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    if (io->left < 8)
        return -EINVAL;
    for (;;) {
        uint64_t value = __atomic_load_n(&f->desc->value, __ATOMIC_SEQ_CST);
        if (px_event_moved(f) || value == MOVED)
            return px_event_read(f, io, flags);
        if (value) {
            uint64_t take = f->eventfd.semaphore ? 1 : value;
            if (!__atomic_compare_exchange_n(&f->desc->value, &value, value - take, false,
                                             __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                continue;
            px_file_changed(f);
            return px_io_put(io, &take, 8) < 0 ? -EFAULT : 8;
        }
        if (px_nonblock(f, flags))
            return -EAGAIN;
        long error = px_file_wait(f, POLLIN, MOTOR_NEVER);
        if (error < 0)
            return error;
    }
}

/*
 * There may be room for 1, but not for what we want to add: what helps is a change, and every read
 * is one.
 */
static long wait_for_change(struct px_file *f, uint64_t seen)
{
    struct px_net *n = px_net();
    struct px_waiter waiter = {0};
    struct px_watch watch = {.events = POLLOUT, .waiter = &waiter};
    long result = px_doorbell_need(n);
    if (result < 0)
        return result;
    px_lock(&n->lock);
    px_watch_add_locked(&watch, f);
    if (__atomic_load_n(&f->desc->value, __ATOMIC_SEQ_CST) == seen)
        result = px_waiter_wait_locked(n, &waiter, MOTOR_NEVER);
    px_watch_remove_locked(&watch);
    px_unlock(&n->lock);
    return result;
}

static long write_there(struct px_file *f, uint64_t add, uint32_t flags)
{
    struct motor_msg msg = {
        .op = IO_WRITE, .in = &add, .in_size = sizeof add, .deadline = MOTOR_NEVER};
    msg.word[0] = ~0ull;
    msg.word[1] = px_nonblock(f, flags) ? O_NONBLOCK : 0;
    return px_call_intr(f->handle, &msg);
}

static long eventfd_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    uint64_t add;
    if (io->left < 8)
        return -EINVAL;
    if (px_io_take(io, &add, 8) < 0)
        return -EFAULT;
    if (add == UINT64_MAX)
        return -EINVAL;
    for (;;) {
        uint64_t value = __atomic_load_n(&f->desc->value, __ATOMIC_SEQ_CST);
        if (px_event_moved(f) || value == MOVED)
            return write_there(f, add, flags);
        if (add <= COUNTER_MAX - value) {
            if (!__atomic_compare_exchange_n(&f->desc->value, &value, value + add, false,
                                             __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                continue;
            px_file_changed(f);
            return 8;
        }
        if (px_nonblock(f, flags))
            return -EAGAIN;
        long error = wait_for_change(f, value);
        if (error < 0)
            return error;
    }
}

static uint32_t eventfd_ready(struct px_file *f, uint32_t events, bool arm)
{
    if (px_event_moved(f))
        return px_session_poll(f, &f->event_bit, events, arm);
    uint64_t value = __atomic_load_n(&f->desc->value, __ATOMIC_SEQ_CST);
    return (value ? POLLIN | POLLRDNORM : 0) | (value < COUNTER_MAX ? POLLOUT | POLLWRNORM : 0);
}

static long anonymous_stat(struct px_file *f, struct io_stat *out)
{
    (void)f;
    *out = (struct io_stat){.dev = 14, .ino = 1, .mode = 0600, .nlink = 1, .blksize = 4096};
    return 0;
}

static void settle(struct px_file *f)
{
    uint64_t value = __atomic_exchange_n(&f->desc->value, MOVED, __ATOMIC_SEQ_CST);
    if (value)
        write_there(f, value, PX_IO_NONBLOCK);
}

static long eventfd_pass(struct px_file *f, struct motor_start_fd *record)
{
    long error = px_event_move(f, IO_EVENT_COUNTER, f->eventfd.semaphore, settle);
    record->protocol = MOTOR_FD_EVENT;
    record->handle = f->handle;
    record->word[0] = IO_EVENT_COUNTER;
    return error;
}

const struct px_ops px_eventfd_ops = {.name = "eventfd",
                                      .read = eventfd_read,
                                      .write = eventfd_write,
                                      .ready = eventfd_ready,
                                      .stat = anonymous_stat,
                                      .release = px_event_released,
                                      .pass = eventfd_pass};

long px_sys_eventfd2(unsigned value, int flags)
{
    if ((unsigned)flags & ~(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE))
        return -EINVAL;
    struct px_file *f = px_event_new(&px_eventfd_ops, PX_EVENTFD, flags);
    if (!f)
        return -ENFILE;
    f->desc->value = value;
    f->eventfd.semaphore = flags & EFD_SEMAPHORE;
    return px_fd_install(f, (unsigned)flags & O_CLOEXEC);
}

long px_sys_eventfd(unsigned value)
{
    return px_sys_eventfd2(value, 0);
}
