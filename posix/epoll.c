/* SPDX-License-Identifier: MIT */
/*
 * epoll. An item is a watch on a file. When the file may have become ready, the item goes to its
 * epoll's ready list and one waiter of the epoll is woken; epoll_wait takes items from the list,
 * asks their files what is true now, and puts level-triggered ones back. So a wait costs by what is
 * ready, not by what is watched. Everything is under px_net.lock.
 */
#include "watch.h"

#define DEPTH_MAX    5
#define PRIVATE_BITS (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)
#define EVENTS_MAX   (INT32_MAX / (int)sizeof(struct linux_epoll_event))

struct px_epoll_item {
    struct px_watch watch; /* first; events without PRIVATE_BITS; file: what is watched */
    struct px_file *epoll;
    struct px_epoll_item *next, **link; /* all items of the epoll */
    struct px_epoll_item *ready_next, *ready_prev;
    uint64_t data;
    uint32_t flags; /* PRIVATE_BITS */
    int fd;
    bool queued, off; /* off: one-shot, and shot */
    bool inherited;   /* nobody in this process has looked at the file yet */
};

/* ---- the ready list ---- */

static void enqueue(struct px_epoll_item *i)
{
    struct px_file_epoll *e = &i->epoll->epoll;
    i->queued = true;
    i->ready_next = NULL;
    i->ready_prev = e->ready_last;
    *(e->ready_last ? &e->ready_last->ready_next : &e->ready_first) = i;
    e->ready_last = i;
}

static void dequeue(struct px_epoll_item *i)
{
    struct px_file_epoll *e = &i->epoll->epoll;
    i->queued = false;
    *(i->ready_prev ? &i->ready_prev->ready_next : &e->ready_first) = i->ready_next;
    *(i->ready_next ? &i->ready_next->ready_prev : &e->ready_last) = i->ready_prev;
}

static void remove_waiter(struct px_waiter *w)
{
    if (!w->epoll)
        return;
    struct px_file_epoll *e = &w->epoll->epoll;
    *(w->epoll_prev ? &w->epoll_prev->epoll_next : &e->waiters) = w->epoll_next;
    *(w->epoll_next ? &w->epoll_next->epoll_prev : &e->waiters_last) = w->epoll_prev;
    w->epoll = NULL;
}

static void add_waiter(struct px_file *epoll, struct px_waiter *w)
{
    struct px_file_epoll *e = &epoll->epoll;
    w->epoll = epoll;
    w->epoll_next = NULL;
    w->epoll_prev = e->waiters_last;
    *(e->waiters_last ? &e->waiters_last->epoll_next : &e->waiters) = w;
    e->waiters_last = w;
}

/* One thread of those that wait takes what is on the list. */
static bool wake_one(struct px_file *epoll)
{
    struct px_waiter *w = epoll->epoll.waiters;
    if (!w)
        return false;
    remove_waiter(w);
    px_fire_locked(w);
    return true;
}

bool px_epoll_item_ready_locked(struct px_watch *w, bool exclusive_done)
{
    struct px_epoll_item *i = (struct px_epoll_item *)w;
    if (i->off || (exclusive_done && i->flags & EPOLLEXCLUSIVE))
        return false;
    if (!i->queued)
        enqueue(i);
    bool woken = wake_one(i->epoll);
    if (i->epoll->watches)
        px_file_changed_locked(i->epoll);
    return woken && i->flags & EPOLLEXCLUSIVE;
}

static uint32_t ready_now(struct px_epoll_item *i)
{
    uint32_t wanted = i->watch.events | POLLERR | POLLHUP;
    uint32_t events = i->watch.events | (i->flags & EPOLLET); /* that: see px_loan_arms() */
    return i->off ? 0 : i->watch.file->ops->ready(i->watch.file, events, true) & wanted;
}

static void free_item(struct px_epoll_item *i)
{
    if (i->queued)
        dequeue(i);
    *i->link = i->next;
    if (i->next)
        i->next->link = i->link;
    px_free(i);
}

void px_epoll_item_drop_locked(struct px_watch *w)
{
    free_item((struct px_epoll_item *)w);
}

/* ---- after a fork ---- */

void px_epoll_item_forked(struct px_watch *w)
{
    struct px_epoll_item *i = (struct px_epoll_item *)w;
    i->inherited = true;
    i->epoll->remote = px_files()->remotes = true;
}

/* A reference to the file of some item that nobody has looked at; NULL: there is none. */
static struct px_file *next_inherited(struct px_file *epoll)
{
    struct px_net *n = px_net();
    struct px_file *f = NULL;
    px_lock(&n->lock);
    for (struct px_epoll_item *i = epoll->epoll.items; i && !f; i = i->next) {
        if (i->inherited && px_file_get_unless_closed(i->watch.file))
            f = i->watch.file;
        i->inherited = false;
    }
    px_unlock(&n->lock);
    return f;
}

void px_epoll_arrive(struct px_file *epoll)
{
    struct px_net *n = px_net();
    struct px_file *f;
    long error;
    while ((f = next_inherited(epoll))) {
        if (f->remote)
            px_file_arrive(f);
        if (px_is_watched_there(f))
            px_session_get(PX_SESSION_TTY, &error);
        px_lock(&n->lock);
        px_file_changed_locked(f);
        px_unlock(&n->lock);
        px_file_put(f);
    }
    __atomic_store_n(&epoll->remote, false, __ATOMIC_RELEASE);
}

static uint32_t epoll_ready(struct px_file *f, uint32_t events, bool arm)
{
    (void)events, (void)arm;
    for (struct px_epoll_item *i = f->epoll.ready_first, *next; i; i = next) {
        next = i->ready_next;
        if (ready_now(i))
            return POLLIN | POLLRDNORM;
        dequeue(i);
    }
    return 0;
}

static void epoll_release(struct px_file *f)
{
    struct px_net *n = px_net();
    px_lock(&n->lock);
    while (f->epoll.items) {
        px_watch_remove_locked(&f->epoll.items->watch);
        free_item(f->epoll.items);
    }
    px_unlock(&n->lock);
}

static long epoll_stat(struct px_file *f, struct io_stat *out)
{
    (void)f;
    *out = (struct io_stat){.dev = 14, .ino = 2, .mode = 0600, .nlink = 1, .blksize = 4096};
    return 0;
}

const struct px_ops px_epoll_ops = {
    .name = "eventpoll", .ready = epoll_ready, .stat = epoll_stat, .release = epoll_release};

long px_sys_epoll_create1(int flags)
{
    if ((unsigned)flags & ~O_CLOEXEC)
        return -EINVAL;
    struct px_file *f = px_file_new(&px_epoll_ops, PX_EPOLL, O_RDWR, 0);
    return f ? px_fd_install(f, flags) : -ENOMEM;
}

long px_sys_epoll_create(int size)
{
    return size > 0 ? px_sys_epoll_create1(0) : -EINVAL;
}

/* ---- epoll_ctl ---- */

/*
 * How deep epolls are nested below f; more than DEPTH_MAX also for cycles, and when `target` is
 * found among them.
 */
static int depth(const struct px_file *f, const struct px_file *target, int above)
{
    int most = 0;
    if (f == target || above > DEPTH_MAX)
        return DEPTH_MAX + 1;
    if (f->kind != PX_EPOLL)
        return 0;
    for (const struct px_epoll_item *i = f->epoll.items; i; i = i->next)
        if (i->watch.file->kind == PX_EPOLL)
            most = PX_MAX(most, depth(i->watch.file, target, above + 1));
    return most + 1;
}

/* How many epolls lie above one. */
static int height(const struct px_file *f, int below)
{
    int most = 0;
    for (const struct px_watch *w = f->watches; w && below <= DEPTH_MAX; w = w->next)
        if (!w->waiter)
            most = PX_MAX(most, 1 + height(((const struct px_epoll_item *)w)->epoll, below + 1));
    return most;
}

static struct px_epoll_item *find(struct px_file *epoll, struct px_file *f, int fd)
{
    for (struct px_watch *w = f->watches; w; w = w->next) {
        struct px_epoll_item *i = (struct px_epoll_item *)w;
        if (!w->waiter && i->epoll == epoll && i->fd == fd)
            return i;
    }
    return NULL;
}

static void arm(struct px_epoll_item *i, const struct linux_epoll_event *event)
{
    i->watch.events = event->events & ~PRIVATE_BITS;
    i->flags = event->events & PRIVATE_BITS;
    i->data = event->data;
    i->off = false;
    if (ready_now(i))
        px_epoll_item_ready_locked(&i->watch, false);
}

static long add_locked(struct px_file *epoll, struct px_file *f, int fd,
                       const struct linux_epoll_event *event, struct px_epoll_item *i)
{
    if (f->kind == PX_EPOLL && depth(f, epoll, 0) + height(epoll, 0) > DEPTH_MAX - 1)
        return -ELOOP;
    i->epoll = epoll;
    i->fd = fd;
    i->link = &epoll->epoll.items;
    i->next = epoll->epoll.items;
    if (i->next)
        i->next->link = &i->next;
    epoll->epoll.items = i;
    px_watch_add_locked(&i->watch, f);
    arm(i, event);
    return 0;
}

static long control_locked(struct px_file *epoll, int operation, struct px_file *f, int fd,
                           const struct linux_epoll_event *event, struct px_epoll_item **new)
{
    struct px_epoll_item *i = find(epoll, f, fd);
    if (operation == EPOLL_CTL_ADD) {
        if (i)
            return -EEXIST;
        long result = add_locked(epoll, f, fd, event, *new);
        if (result == 0)
            *new = NULL;
        return result;
    }
    if (!i)
        return -ENOENT;
    if (operation == EPOLL_CTL_MOD) {
        if (i->flags & EPOLLEXCLUSIVE)
            return -EINVAL;
        if (i->queued)
            dequeue(i);
        arm(i, event);
        return 0;
    }
    px_watch_remove_locked(&i->watch);
    free_item(i);
    return 0;
}

static long check(struct px_file *epoll, int operation, struct px_file *f,
                  const struct linux_epoll_event *event)
{
    if (!epoll || !f)
        return -EBADF;
    if (!f->ops->ready)
        return -EPERM;
    if (epoll == f || epoll->kind != PX_EPOLL)
        return -EINVAL;
    if (operation != EPOLL_CTL_DEL && event->events & EPOLLEXCLUSIVE) {
        uint32_t allowed = POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET |
                           EPOLLEXCLUSIVE | POLLRDNORM | POLLWRNORM;
        if (operation == EPOLL_CTL_MOD || f->kind == PX_EPOLL || event->events & ~allowed)
            return -EINVAL;
    }
    return operation < EPOLL_CTL_ADD || operation > EPOLL_CTL_MOD ? -EINVAL : 0;
}

long px_sys_epoll_ctl(int epoll_fd, int operation, int fd, const void *user)
{
    struct linux_epoll_event event = {0};
    struct px_epoll_item *new = NULL;
    struct px_net *n = px_net();
    if (operation != EPOLL_CTL_DEL && px_copy_in(&event, user, sizeof event) < 0)
        return -EFAULT;
    struct px_file *epoll = px_fd_get_io(epoll_fd), *f = px_fd_get_io(fd);
    long result = check(epoll, operation, f, &event);
    if (result == 0 && operation == EPOLL_CTL_ADD) {
        new = px_alloc(sizeof *new);
        result = new ? px_doorbell_need(n) : -ENOMEM;
        if (result == 0 && px_is_watched_there(f))
            px_session_get(PX_SESSION_TTY, &result);
    }
    if (result == 0) {
        px_lock(&n->lock);
        result = control_locked(epoll, operation, f, fd, &event, &new);
        px_unlock(&n->lock);
    }
    px_free(new);
    if (f)
        px_file_put(f);
    if (epoll)
        px_file_put(epoll);
    return result;
}

/* ---- epoll_wait ---- */

/* From the ready list into the program's array: how many, or -EFAULT when not even one. */
static long collect_locked(struct px_file *epoll, struct linux_epoll_event *user, int count)
{
    struct px_file_epoll *e = &epoll->epoll;
    struct px_epoll_item *last = e->ready_last;
    long done = 0;
    for (bool more = e->ready_first; more && done < count;) {
        struct px_epoll_item *i = e->ready_first;
        uint32_t ready = ready_now(i);
        more = i != last; /* what is put back comes after it */
        dequeue(i);
        if (!ready)
            continue;
        struct linux_epoll_event event = {ready, i->data};
        if (px_copy_out(&user[done], &event, sizeof event) < 0) {
            enqueue(i);
            return done ? done : -EFAULT;
        }
        done++;
        if (i->flags & EPOLLONESHOT)
            i->off = true;
        else if (!(i->flags & EPOLLET))
            enqueue(i);
    }
    if (done && e->ready_first)
        wake_one(epoll);
    return done;
}

static long wait_events(struct px_file *epoll, struct linux_epoll_event *user, int count,
                        uint64_t deadline)
{
    struct px_net *n = px_net();
    long result = px_doorbell_need(n), error = 0;
    if (result < 0)
        return result;
    px_lock(&n->lock);
    px_drain_locked(n);
    if (n->timers)
        px_timers_run_locked(n);
    while ((result = collect_locked(epoll, user, count)) == 0 && deadline && error == 0) {
        struct px_waiter waiter = {0};
        add_waiter(epoll, &waiter);
        error = px_waiter_wait_locked(n, &waiter, deadline);
        remove_waiter(&waiter);
    }
    px_unlock(&n->lock);
    if (result == 0 && error == -PX_ERESTARTSYS)
        return -EINTR; /* in Linux, too, whatever SA_RESTART says */
    return result == 0 && error != -ETIMEDOUT ? error : result;
}

static long do_wait_stoppable(int fd, void *events, int count, uint64_t deadline);

static long do_wait(int fd, void *events, int count, uint64_t deadline)
{
    struct px_thread *t = px_self();
    t->was_stopped = false;
    t->stop_ends = true;
    long result = do_wait_stoppable(fd, events, count, deadline);
    t->stop_ends = false;
    return result;
}

static long do_wait_stoppable(int fd, void *events, int count, uint64_t deadline)
{
    if (count <= 0 || count > EVENTS_MAX)
        return -EINVAL;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    long result = f->kind == PX_EPOLL ? wait_events(f, events, count, deadline) : -EINVAL;
    px_file_put(f);
    return result;
}

long px_sys_epoll_wait(int fd, void *events, int count, int timeout)
{
    return do_wait(fd, events, count, timeout == 0 ? 0 : px_deadline_ms(timeout));
}

long px_sys_epoll_pwait(int fd, void *events, int count, int timeout, const void *mask, size_t size)
{
    long error = px_sigmask_temporary(mask, size);
    return error < 0 ? error
                     : do_wait(fd, events, count, timeout == 0 ? 0 : px_deadline_ms(timeout));
}

long px_sys_epoll_pwait2(int fd, void *events, int count, const void *timeout, const void *mask,
                         size_t size)
{
    uint64_t deadline;
    long error = px_deadline_in(timeout, &deadline);
    if (error == 0)
        error = px_sigmask_temporary(mask, size);
    return error < 0 ? error : do_wait(fd, events, count, deadline);
}
