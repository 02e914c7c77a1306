/* SPDX-License-Identifier: MIT */
/*
 * poll. First a look at every file without further ado: most calls end there. Only then watches are
 * hung on the files, which are looked at once more, now armed; whatever comes after that fires the
 * waiter.
 */
#include "poll.h"

#define SMALL 32 /* entries that need no allocation */

static struct px_file *file_of(const struct px_files *t, int fd)
{
    return (unsigned)fd < PX_FD_MAX ? (struct px_file *)(t->table[fd] & ~1ull) : NULL;
}

static uint32_t look(struct px_file *f, uint32_t events, bool arm)
{
    if (!f || f->path_only)
        return POLLNVAL;
    if (!f->ops->ready)
        return events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    return f->ops->ready(f, events, arm) & (events | POLLERR | POLLHUP);
}

/*
 * Sockets that came from another process need a slot before they can be looked at, what is unmade
 * the engine.
 */
static void bring_remotes(const struct linux_pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct px_file *f = px_fd_get_io(fds[i].fd);
        if (f)
            px_file_put(f);
    }
}

/* Both locks are held: the table stays, and with it the files. */
static long scan_locked(struct linux_pollfd *fds, size_t count, bool arm)
{
    const struct px_files *t = px_files();
    long ready = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t now =
            fds[i].fd < 0 ? 0 : look(file_of(t, fds[i].fd), (uint16_t)fds[i].events, arm);
        fds[i].revents = (int16_t)now;
        ready += now != 0;
    }
    return ready;
}

static long scan(struct linux_pollfd *fds, size_t count)
{
    struct px_files *t = px_files();
    struct px_net *n = px_net();
    if (t->remotes || PX_GLANCE(t->pool->unmade))
        bring_remotes(fds, count);
    px_lock(&t->lock);
    px_lock(&n->lock);
    px_drain_locked(n);
    long ready = scan_locked(fds, count, false);
    px_unlock(&n->lock);
    px_unlock(&t->lock);
    return ready;
}

static bool any_of_tty_engine(const struct linux_pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct px_file *f = fds[i].fd < 0 ? NULL : px_fd_get(fds[i].fd);
        bool tty = f && px_is_watched_there(f);
        if (f)
            px_file_put(f);
        if (tty)
            return true;
    }
    return false;
}

static long wait(struct linux_pollfd *fds, size_t count, struct px_watch *watches,
                 uint64_t deadline)
{
    struct px_files *t = px_files();
    struct px_net *n = px_net();
    struct px_waiter waiter = {0};
    long error;
    if (any_of_tty_engine(fds, count) && !px_session_get(PX_SESSION_TTY, &error))
        return error;
    if ((error = px_doorbell_need(n)) < 0)
        return error;
    px_lock(&t->lock);
    px_lock(&n->lock);
    for (size_t i = 0; i < count; i++) {
        struct px_file *f = fds[i].fd < 0 ? NULL : file_of(t, fds[i].fd);
        watches[i] = (struct px_watch){.events = (uint16_t)fds[i].events, .waiter = &waiter};
        if (f)
            px_watch_add_locked(&watches[i], f);
    }
    long ready = scan_locked(fds, count, true);
    px_unlock(&t->lock);
    long result = ready ? 0 : px_waiter_wait_locked(n, &waiter, deadline);
    for (size_t i = 0; i < count; i++)
        px_watch_remove_locked(&watches[i]);
    px_unlock(&n->lock);
    return ready ? ready : result;
}

/* When a look has found nothing. */
static long poll_wait(struct linux_pollfd *fds, size_t count, uint64_t deadline)
{
    struct px_watch small[SMALL / 4], *watches = small;
    long result;
    if (count > SMALL / 4 && !(watches = px_alloc(count * sizeof *watches)))
        return -ENOMEM;
    do {
        result = wait(fds, count, watches, deadline);
        if (result == 0 || result == -ETIMEDOUT || result == -PX_ERESTARTSYS) {
            long ready = scan(fds, count);
            if (ready)
                result = ready;
        }
    } while (result == 0);
    if (watches != small)
        px_free(watches);
    return result == -ETIMEDOUT ? 0 : result == -PX_ERESTARTSYS ? -PX_ERESTARTNOHAND : result;
}

long px_poll(struct linux_pollfd *fds, size_t count, uint64_t deadline)
{
    long result = scan(fds, count);
    return result || deadline == 0 ? result : poll_wait(fds, count, deadline);
}

/* ---- the calls ---- */

/* The first look, a piece at a time. */
static long glance(struct linux_pollfd *user, size_t count)
{
    struct linux_pollfd piece[SMALL];
    long ready = 0;
    for (size_t i = 0; i < count; i += SMALL) {
        size_t n = PX_MIN(count - i, (size_t)SMALL);
        if (px_copy_in(piece, user + i, n * sizeof *piece) < 0)
            return -EFAULT;
        ready += scan(piece, n);
        if (px_copy_out(user + i, piece, n * sizeof *piece) < 0)
            return -EFAULT;
    }
    return ready;
}

static long poll_user(struct linux_pollfd *user, size_t count, uint64_t deadline)
{
    struct linux_pollfd small[SMALL], *fds = small;
    if (count > PX_FD_MAX || count > px_limit(RLIMIT_NOFILE))
        return -EINVAL;
    long result = glance(user, count);
    if (result || deadline == 0)
        return result;
    if (count > SMALL && !(fds = px_alloc(count * sizeof *fds)))
        return -ENOMEM;
    result = px_copy_in(fds, user, count * sizeof *fds);
    if (result == 0)
        result = poll_wait(fds, count, deadline);
    if (result >= 0 && px_copy_out(user, fds, count * sizeof *fds) < 0)
        result = -EFAULT;
    if (fds != small)
        px_free(fds);
    return result;
}

long px_sys_poll(void *fds, size_t count, int timeout)
{
    return poll_user(fds, count, timeout == 0 ? 0 : px_deadline_ms(timeout));
}

long px_sys_ppoll(void *fds, size_t count, void *timeout, const void *mask, size_t size)
{
    uint64_t deadline;
    long result = px_deadline_in(timeout, &deadline);
    if (result < 0 || (result = px_sigmask_temporary(mask, size)) < 0)
        return result;
    result = poll_user(fds, count, deadline);
    if (timeout && (result >= 0 || result == -PX_ERESTARTNOHAND))
        px_time_left_out(timeout, deadline);
    return result;
}

/* What is left of a timeout, as Linux tells ppoll and select. A fault is not an error. */
void px_time_left_out(void *user_timespec, uint64_t deadline)
{
    uint64_t now = px_now(), left = deadline > now ? deadline - now : 0;
    struct px_timespec t = {(int64_t)(left / 1000000000u), (int64_t)(left % 1000000000u)};
    if (deadline != MOTOR_NEVER)
        px_copy_out(user_timespec, &t, sizeof t);
}
