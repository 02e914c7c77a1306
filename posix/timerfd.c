/* SPDX-License-Identifier: MIT */
/*
 * timerfd. When a timer has expired is computed when somebody looks. For those who sleep, timers
 * that are armed and watched lie on px_net.timers, and the leader wakes for the first. All under
 * px_net.lock.
 */
#include "event.h"

/* ---- the list ---- */

static void unlist(struct px_net *n, struct px_file *f)
{
    if (!f->timerfd.listed)
        return;
    struct px_file **link = &n->timers;
    while (*link != f)
        link = &(*link)->timerfd.later;
    *link = f->timerfd.later;
    f->timerfd.listed = false;
}

static void list(struct px_net *n, struct px_file *f)
{
    if (f->timerfd.listed || !f->watches || f->timerfd.next == MOTOR_NEVER || px_event_moved(f))
        return;
    struct px_file **link = &n->timers;
    f->timerfd.list_time = f->timerfd.next;
    while (*link && (*link)->timerfd.list_time <= f->timerfd.list_time)
        link = &(*link)->timerfd.later;
    f->timerfd.later = *link;
    f->timerfd.listed = true;
    *link = f;
    if (n->timers == f)
        px_leader_kick_locked(n);
}

static void expire(struct px_file *f, uint64_t now)
{
    struct px_file_timerfd *t = &f->timerfd;
    if (t->next > now)
        return;
    uint64_t times = t->interval ? (now - t->next) / t->interval + 1 : 1;
    t->due += times;
    t->next = t->interval ? t->next + times * t->interval : MOTOR_NEVER;
}

uint64_t px_timers_run_locked(struct px_net *n)
{
    while (n->timers) {
        struct px_file *f = n->timers;
        uint64_t now = px_now();
        if (f->timerfd.list_time > now)
            return f->timerfd.list_time;
        unlist(n, f);
        expire(f, now);
        px_file_changed_locked(f);
        list(n, f);
    }
    return MOTOR_NEVER;
}

void px_timer_watched_locked(struct px_file *f)
{
    list(px_net(), f);
}

/* ---- operations ---- */

static uint32_t timerfd_ready(struct px_file *f, uint32_t events, bool arm)
{
    if (px_event_moved(f))
        return px_session_poll(f, &f->event_bit, events, arm);
    if (!f->timerfd.due && f->timerfd.next != MOTOR_NEVER)
        expire(f, px_now());
    return f->timerfd.due ? POLLIN | POLLRDNORM : 0;
}

static long timerfd_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    struct px_net *n = px_net();
    if (io->left < 8)
        return -EINVAL;
    for (;;) {
        if (px_event_moved(f))
            return px_event_read(f, io, flags);
        px_lock(&n->lock);
        expire(f, px_now());
        uint64_t due = f->timerfd.due;
        f->timerfd.due = 0;
        px_unlock(&n->lock);
        if (due)
            return px_io_put(io, &due, 8) < 0 ? -EFAULT : 8;
        if (px_nonblock(f, flags))
            return -EAGAIN;
        long error = px_file_wait(f, POLLIN, MOTOR_NEVER);
        if (error < 0)
            return error;
    }
}

static long timerfd_stat(struct px_file *f, struct io_stat *out)
{
    (void)f;
    *out = (struct io_stat){.dev = 14, .ino = 3, .mode = 0600, .nlink = 1, .blksize = 4096};
    return 0;
}

static void timerfd_release(struct px_file *f)
{
    struct px_net *n = px_net();
    px_lock(&n->lock);
    unlist(n, f);
    px_unlock(&n->lock);
    px_event_released(f);
}

static void settle(struct px_file *f)
{
    struct px_file_timerfd *t = &f->timerfd;
    unlist(px_net(), f);
    px_event_words(f, IO_EVENT_SET, (uint64_t[]){t->next, t->interval, t->due});
    t->next = MOTOR_NEVER;
    t->due = 0;
}

static long timerfd_pass(struct px_file *f, struct motor_start_fd *record)
{
    long error = px_event_move(f, IO_EVENT_TIMER, 0, settle);
    record->protocol = MOTOR_FD_EVENT;
    record->handle = f->handle;
    record->word[0] = IO_EVENT_TIMER;
    record->word[1] = (uint64_t)f->timerfd.clock;
    return error;
}

const struct px_ops px_timerfd_ops = {.name = "timerfd",
                                      .read = timerfd_read,
                                      .ready = timerfd_ready,
                                      .stat = timerfd_stat,
                                      .release = timerfd_release,
                                      .pass = timerfd_pass};

/* ---- the calls ---- */

long px_sys_timerfd_create(int clock, int flags)
{
    if ((unsigned)flags & ~(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
        clock != CLOCK_REALTIME_ALARM && clock != CLOCK_BOOTTIME_ALARM)
        return -EINVAL;
    struct px_file *f = px_event_new(&px_timerfd_ops, PX_TIMERFD, flags);
    if (!f)
        return -ENFILE;
    f->timerfd.clock = clock;
    f->timerfd.next = MOTOR_NEVER;
    return px_fd_install(f, (unsigned)flags & O_CLOEXEC);
}

static struct px_file *get_timer(int fd, long *error)
{
    struct px_file *f = px_fd_get_io(fd);
    *error = f ? -EINVAL : -EBADF;
    if (f && f->kind != PX_TIMERFD) {
        px_file_put(f);
        return NULL;
    }
    return f;
}

static void show(uint64_t next, uint64_t interval, struct linux_itimerspec *out)
{
    uint64_t now = px_now(), left = next == MOTOR_NEVER ? 0 : next - PX_MIN(now, next - 1);
    *out = (struct linux_itimerspec){(int64_t)(interval / 1000000000u),
                                     (int64_t)(interval % 1000000000u),
                                     (int64_t)(left / 1000000000u), (int64_t)(left % 1000000000u)};
}

/* [px_net.lock] */
static void current_value(struct px_file *f, struct linux_itimerspec *out)
{
    uint64_t word[3];
    if (px_event_moved(f)) {
        px_event_words(f, IO_EVENT_GET, word);
        show(word[0], word[1], out);
        return;
    }
    expire(f, px_now());
    show(f->timerfd.next, f->timerfd.interval, out);
}

static bool realtime(int clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

static uint64_t nanoseconds(int64_t sec, int64_t nsec)
{
    return sec > 9000000000 ? MOTOR_NEVER - 1 : (uint64_t)sec * 1000000000u + (uint64_t)nsec;
}

static void set_locked(struct px_net *n, struct px_file *f, int flags,
                       const struct linux_itimerspec *v)
{
    struct px_file_timerfd *t = &f->timerfd;
    uint64_t value = nanoseconds(v->value_sec, v->value_nsec);
    unlist(n, f);
    t->interval = nanoseconds(v->interval_sec, v->interval_nsec);
    t->due = 0;
    if (!value)
        t->next = MOTOR_NEVER;
    else if (!(flags & TFD_TIMER_ABSTIME))
        t->next = value > MOTOR_NEVER - 1 - px_now() ? MOTOR_NEVER - 1 : px_now() + value;
    else
        t->next = realtime(t->clock) ? px_deadline_realtime(value) : value;
    if (px_event_moved(f)) {
        settle(f);
        return;
    }
    px_file_changed_locked(f);
    list(n, f);
}

long px_sys_timerfd_settime(int fd, int flags, const void *value, void *old)
{
    struct linux_itimerspec v, before;
    struct px_net *n = px_net();
    long result;
    if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
        return -EINVAL;
    if (px_copy_in(&v, value, sizeof v) < 0)
        return -EFAULT;
    if (v.value_sec < 0 || v.interval_sec < 0 || (uint64_t)v.value_nsec >= 1000000000u ||
        (uint64_t)v.interval_nsec >= 1000000000u)
        return -EINVAL;
    struct px_file *f = get_timer(fd, &result);
    if (!f)
        return result;
    px_lock(&n->lock);
    current_value(f, &before);
    set_locked(n, f, flags, &v);
    px_unlock(&n->lock);
    px_file_put(f);
    return old ? px_copy_out(old, &before, sizeof before) : 0;
}

long px_sys_timerfd_gettime(int fd, void *value)
{
    struct linux_itimerspec now;
    struct px_net *n = px_net();
    long result;
    struct px_file *f = get_timer(fd, &result);
    if (!f)
        return result;
    px_lock(&n->lock);
    current_value(f, &now);
    px_unlock(&n->lock);
    px_file_put(f);
    return px_copy_out(value, &now, sizeof now);
}
