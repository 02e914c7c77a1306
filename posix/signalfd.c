/* SPDX-License-Identifier: MIT */
/*
 * signalfd: blocked signals as bytes. A read takes what is pending for this thread or the process,
 * as sigtimedwait does. Senders cannot take px_net.lock (they may hold locks inside it), so they
 * only mark that something has come; px_signalfd_poke() tells the watchers, without locks held.
 */
#include "event.h"
#include "internal.h"

struct linux_signalfd_siginfo {
    uint32_t signo;
    int32_t error, code;
    uint32_t pid, uid;
    int32_t fd;
    uint32_t tid, band, overrun, trapno;
    int32_t status, value_int;
    uint64_t value_ptr, utime, stime, address;
    uint8_t rest[48];
};
_Static_assert(sizeof(struct linux_signalfd_siginfo) == 128, "Linux ABI");

static void fill(struct linux_signalfd_siginfo *to, const struct px_siginfo *from)
{
    *to = (struct linux_signalfd_siginfo){
        .signo = (uint32_t)from->signo, .error = from->error, .code = from->code};
    if (from->code == SI_TIMER) {
        to->tid = (uint32_t)from->timer;
        to->overrun = (uint32_t)from->overrun;
        to->value_ptr = from->timer_value;
        to->value_int = (int32_t)from->timer_value;
        return;
    }
    to->pid = (uint32_t)from->pid;
    to->uid = from->uid;
    if (from->signo == SIGCHLD && from->code > 0) {
        to->status = (int32_t)from->value;
        memcpy(&to->utime, from->raw + 16, sizeof(to->utime));
        memcpy(&to->stime, from->raw + 24, sizeof(to->stime));
    } else {
        to->value_ptr = from->value;
        to->value_int = (int32_t)from->value;
    }
}

static uint64_t mask_of(struct px_file *f)
{
    uint64_t word[3] = {0};
    if (!px_event_moved(f))
        return f->signalfd.mask;
    px_event_words(f, IO_EVENT_GET, word);
    return word[0] & ~PX_UNBLOCKABLE;
}

static long signalfd_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    struct px_thread *t = px_self();
    struct linux_signalfd_siginfo out;
    struct px_siginfo info;
    long done = 0;
    if (io->left < sizeof(out))
        return -EINVAL;
    for (;;) {
        while (io->left >= sizeof(out) && px_signal_take(t, mask_of(f), &info)) {
            fill(&out, &info);
            if (px_io_put(io, &out, sizeof(out)) < 0)
                return done ? done : -EFAULT;
            done += (long)sizeof(out);
        }
        if (done || px_nonblock(f, flags))
            return done ? done : -EAGAIN;
        long error = px_file_wait(f, POLLIN, MOTOR_NEVER);
        if (error < 0)
            return error;
    }
}

static uint32_t signalfd_ready(struct px_file *f, uint32_t events, bool arm)
{
    (void)events, (void)arm;
    uint64_t pending = px_signal_pending(px_self());
    return pending && pending & mask_of(f) ? POLLIN | POLLRDNORM : 0;
}

static void signalfd_release(struct px_file *f)
{
    struct px_net *n = px_net();
    px_lock(&n->lock);
    struct px_file **link = &n->signalfds;
    while (*link && *link != f)
        link = &(*link)->signalfd.next;
    if (*link)
        *link = f->signalfd.next;
    px_unlock(&n->lock);
    px_event_released(f);
}

static void settle(struct px_file *f)
{
    px_event_words(f, IO_EVENT_SET, (uint64_t[]){f->signalfd.mask, 0, 0});
}

static long signalfd_pass(struct px_file *f, struct motor_start_fd *record)
{
    long error = px_event_move(f, IO_EVENT_SIGNALS, 0, settle);
    record->protocol = MOTOR_FD_EVENT;
    record->handle = f->handle;
    record->word[0] = IO_EVENT_SIGNALS;
    return error;
}

static long signalfd_stat(struct px_file *f, struct io_stat *out)
{
    (void)f;
    *out = (struct io_stat){.dev = 14, .ino = 2, .mode = 0600, .nlink = 1, .blksize = 4096};
    return 0;
}

const struct px_ops px_signalfd_ops = {.name = "[signalfd]",
                                       .read = signalfd_read,
                                       .ready = signalfd_ready,
                                       .stat = signalfd_stat,
                                       .release = signalfd_release,
                                       .pass = signalfd_pass};

void px_signalfd_list(struct px_file *f)
{
    struct px_net *n = px_net();
    px_lock(&n->lock);
    f->signalfd.next = n->signalfds;
    n->signalfds = f;
    px_unlock(&n->lock);
}

void px_signalfd_poke(struct px_process *p)
{
    struct px_net *n = p->netstate;
    if (!n || !__atomic_load_n(&n->signalfds, __ATOMIC_RELAXED) ||
        !__atomic_exchange_n(&n->signal_came, false, __ATOMIC_SEQ_CST))
        return;
    px_lock(&n->lock);
    for (struct px_file *f = n->signalfds; f; f = f->signalfd.next)
        px_file_changed_locked(f);
    px_unlock(&n->lock);
}

void px_signalfd_came(struct px_process *p)
{
    struct px_net *n = p->netstate;
    if (n && __atomic_load_n(&n->signalfds, __ATOMIC_RELAXED))
        __atomic_store_n(&n->signal_came, true, __ATOMIC_SEQ_CST);
}

static void set_mask(struct px_file *f, uint64_t mask)
{
    struct px_net *n = px_net();
    px_lock(&n->lock);
    f->signalfd.mask = mask;
    if (px_event_moved(f))
        settle(f);
    px_unlock(&n->lock);
}

long px_sys_signalfd4(int fd, const void *user, size_t size, int flags)
{
    uint64_t mask;
    if ((unsigned)flags & ~(O_CLOEXEC | O_NONBLOCK) || size != sizeof mask)
        return -EINVAL;
    if (px_copy_in(&mask, user, sizeof mask) < 0)
        return -EFAULT;
    mask &= ~PX_UNBLOCKABLE;
    if (fd != -1) {
        struct px_file *f = px_fd_get_io(fd);
        if (!f)
            return -EBADF;
        bool ours = f->ops == &px_signalfd_ops;
        if (ours)
            set_mask(f, mask);
        px_file_put(f);
        if (ours) {
            px_signalfd_came(px_proc());
            px_signalfd_poke(px_proc());
        }
        return ours ? fd : -EINVAL;
    }
    struct px_file *f = px_event_new(&px_signalfd_ops, PX_SIGNALFD, flags);
    if (!f)
        return -ENFILE;
    f->signalfd.mask = mask;
    px_signalfd_list(f);
    return px_fd_install(f, (unsigned)flags & O_CLOEXEC);
}

long px_sys_signalfd(int fd, const void *mask, size_t size)
{
    return px_sys_signalfd4(fd, mask, size, 0);
}
