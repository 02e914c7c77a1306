/* SPDX-License-Identifier: MIT */
/* Where the state of eventfds, timerfds and signalfds is: see event.h. */
#include "event.h"

struct px_file *px_event_new(const struct px_ops *ops, enum px_kind kind, int flags)
{
    struct px_file *f = px_file_new(ops, kind, O_RDWR | ((uint32_t)flags & O_NONBLOCK), 0);
    if (f)
        __atomic_fetch_add(&px_file_pool()->events_here, 1, __ATOMIC_RELAXED);
    return f;
}

/* ---- moving ---- */

static long object_new(uint64_t kind, uint64_t word, motor_handle *out)
{
    struct motor_msg msg = {.op = IO_EVENT, .word = {kind, word}, .deadline = MOTOR_NEVER};
    long error = px_call(px_proc()->tty, &msg);
    if (error == 0)
        *out = msg.handle[0];
    return error;
}

long px_event_move(struct px_file *f, uint64_t kind, uint64_t word,
                   void (*settle)(struct px_file *f))
{
    struct px_net *n = px_net();
    motor_handle object;
    long error = 0;
    if (px_event_moved(f))
        return 0;
    if (!px_session_get(PX_SESSION_TTY, &error)) /* whoever watches it goes on by the session */
        return error;
    px_lock(&n->lock);
    if (!f->handle && (error = object_new(kind, word, &object)) == 0) {
        f->protocol = MOTOR_FD_EVENT;
        __atomic_store_n(&f->handle, object, __ATOMIC_RELEASE);
        __atomic_fetch_sub(&px_file_pool()->events_here, 1, __ATOMIC_RELAXED);
        settle(f);
        px_file_changed_locked(f);
    }
    px_unlock(&n->lock);
    return error;
}

void px_event_released(struct px_file *f)
{
    if (px_event_moved(f))
        px_session_unpoll(f->event_bit);
    else
        __atomic_fetch_sub(&px_file_pool()->events_here, 1, __ATOMIC_RELAXED);
}

long px_events_share(struct px_process *p)
{
    struct px_files *t = p->files;
    long error = 0;
    for (uint32_t fd = 0; fd < t->end && error == 0 &&
                          (PX_GLANCE(t->pool->events_here) || PX_GLANCE(t->pool->unmade));
         fd++) {
        struct px_file *f = (struct px_file *)(t->table[fd] & ~1ull);
        struct motor_start_fd record;
        if (f && px_is_unmade(f))
            error = px_make(f);
        else if (f && px_is_event(f))
            error = f->ops->pass(f, &record);
    }
    return error;
}

/* ---- calls ---- */

long px_event_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    uint64_t value;
    struct motor_msg msg = {.op = IO_READ,
                            .out = &value,
                            .out_size = sizeof value,
                            .word = {~0ull, px_nonblock(f, flags) ? O_NONBLOCK : 0},
                            .deadline = MOTOR_NEVER};
    long n = px_call_intr(f->handle, &msg);
    if (n < 0)
        return n;
    return px_io_put(io, &value, sizeof value) < 0 ? -EFAULT : (long)sizeof value;
}

long px_event_words(struct px_file *f, uint32_t op, uint64_t word[3])
{
    struct motor_msg msg = {.op = op, .word = {word[0], word[1], word[2]}, .deadline = MOTOR_NEVER};
    long error = px_call(f->handle, &msg);
    for (int i = 0; error == 0 && i < 3; i++)
        word[i] = msg.word[i];
    return error;
}

/* ---- arriving ---- */

struct px_file *px_event_from_record(const struct motor_start_fd *record)
{
    static const struct px_ops *const ops[] = {[IO_EVENT_COUNTER] = &px_eventfd_ops,
                                               [IO_EVENT_TIMER] = &px_timerfd_ops,
                                               [IO_EVENT_SIGNALS] = &px_signalfd_ops};
    static const uint8_t kinds[] = {[IO_EVENT_COUNTER] = PX_EVENTFD,
                                    [IO_EVENT_TIMER] = PX_TIMERFD,
                                    [IO_EVENT_SIGNALS] = PX_SIGNALFD};
    uint64_t kind = record->word[0];
    struct px_file *f =
        kind == IO_EVENT_INOTIFY  ? px_inotify_file(record->flags & 0x7fffffffu, record->handle)
        : kind == IO_EVENT_MQUEUE ? px_mqueue_file(record->flags & 0x7fffffffu, record->handle)
        : kind == IO_EVENT_PIDFD  ? px_pidfd_file(record->flags & 0x7fffffffu, record->handle)
        : kind <= IO_EVENT_SIGNALS
            ? px_file_new(ops[kind], kinds[kind], record->flags & 0x7fffffffu, record->handle)
            : NULL;
    if (!f) {
        motor_handle_close(record->handle);
        return NULL;
    }
    f->protocol = MOTOR_FD_EVENT;
    if (kind == IO_EVENT_TIMER) {
        f->timerfd.clock = (int)record->word[1];
        f->timerfd.next = MOTOR_NEVER;
    } else if (kind == IO_EVENT_SIGNALS) {
        px_signalfd_list(f);
    }
    return f;
}
