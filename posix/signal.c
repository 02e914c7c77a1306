/* SPDX-License-Identifier: MIT */
/*
 * Signals: sets, queues, sending, masks and actions. How one reaches a handler is in deliver.c.
 *
 * A signal is pending in its thread's set or in the process's. A thread takes signals only itself,
 * on the way out of the runtime or in an upcall (px_take_signal). Who sends one to another thread
 * adds it to the set under the lock and then interrupts that thread (thread_control INTERRUPT),
 * which the kernel remembers until acknowledged. So it is not lost, wherever the target is:
 *   - in program code: an upcall;
 *   - in the runtime, before a wait: the wait ends at once; before leaving: tcb.pending is not 0,
 * so the way out looks. The exit clears busy and then looks at tcb.pending; the kernel sets
 * tcb.pending and then looks at busy; both in the same thread's user mode or its return to it, so
 * one of the two sees the other;
 *   - in a wait: it ends with MOTOR_EINTR.
 * The target acknowledges first and looks at the sets after, so a signal added later interrupts it
 * anew.
 *
 * A blocked signal interrupts nobody; whoever unblocks it looks itself, under the lock
 * (px_set_mask). A process signal goes to one thread that does not block it; should that thread
 * block it, or end, before it took it, it passes the signal on (px_retarget). `work` belongs to its
 * thread alone.
 *
 * A timer's signal has an entry of its own even where a standard signal is pending already, and at
 * most one: timer_queued says so. The bit follows the entry wherever it goes (taken, dropped by
 * SIG_IGN, with its thread), so a timer never takes a signal for pending that nobody will get.
 *
 * Lock: px_signals.lock, also for the list of threads; sending interrupts with it held, so a handle
 * cannot go stale.
 */
#include "internal.h"

#define SIGINFO_SIZE 128u
#define QUEUE_MAX    65536u

struct px_queued {
    struct px_queued *next;
    struct px_siginfo info;
};

static void tell_child_flags(struct px_process *p, motor_handle process);

void px_pending_init(struct px_pending *p)
{
    p->set = 0;
    p->first = NULL;
    p->last = &p->first;
}

void px_signals_prepare(struct px_process *p)
{
    static PX_HOT struct px_signals signals;
    static struct px_action actions[NSIG + 1];
    signals.action = actions;
    px_pending_init(&signals.pending);
    p->signals = &signals;
}

void px_signals_start(struct px_process *p)
{
    struct px_signals *s = p->signals;
    for (uint64_t left = p->start->signal_ignored & ~PX_UNBLOCKABLE; left; left &= left - 1) {
        s->action[__builtin_ctzll(left) + 1].handler = SIG_IGN;
    }
    s->child_flags = UINT32_MAX; /* exec kept those of the program before */
    tell_child_flags(p, 0);
}

void px_signals_forked(struct px_process *p, struct px_thread *t)
{
    struct px_signals *s = p->signals;
    s->lock.word = 0;
    px_pending_drop(p, &s->pending, UINT64_MAX);
    px_pending_drop(p, &t->pending, UINT64_MAX);
    t->waits_for = 0;
}

/* What a vfork child starts with: the actions, and nothing pending. */
struct px_signals *px_signals_copy(struct px_process *p)
{
    size_t actions = (NSIG + 1) * sizeof(struct px_action);
    struct px_signals *s = px_alloc_raw(sizeof(*s) + actions);
    if (s) {
        *s = (struct px_signals){.action = (struct px_action *)(s + 1)};
        px_pending_init(&s->pending);
        px_lock(&p->signals->lock);
        memcpy(s->action, p->signals->action, actions);
        s->child_flags = p->signals->child_flags;
        px_unlock(&p->signals->lock);
    }
    return s;
}

void px_signals_free(struct px_signals *s)
{
    struct px_queued *lists[] = {s->pending.first, s->unused};
    for (int i = 0; i < 2; i++) {
        for (struct px_queued *q = lists[i], *next; q; q = next) {
            next = q->next;
            px_free(q);
        }
    }
    px_free(s);
}

/* ---- queues [lock held] ---- */

static bool in_queue(const struct px_pending *pending, int sig)
{
    for (struct px_queued *q = pending->first; q; q = q->next) {
        if (q->info.signo == sig) {
            return true;
        }
    }
    return false;
}

static void unlink_entry(struct px_pending *pending, struct px_queued **link)
{
    *link = (*link)->next;
    if (!*link) {
        pending->last = link;
    }
}

static struct px_queued *unlink_first(struct px_pending *pending, int sig)
{
    struct px_queued **link = &pending->first, *q;
    while ((q = *link) && q->info.signo != sig) {
        link = &q->next;
    }
    if (q) {
        unlink_entry(pending, link);
    }
    return q;
}

static struct px_queued *entry_get(struct px_signals *s)
{
    struct px_queued *q = s->unused;
    if (q) {
        s->unused = q->next;
    } else {
        q = px_alloc(sizeof(*q));
    }
    s->queued += q != NULL;
    return q;
}

static void entry_put(struct px_signals *s, struct px_queued *q)
{
    if (q->info.of_timer) {
        s->timer_queued[q->info.timer / 64] &= ~(1ull << (q->info.timer % 64));
    }
    q->next = s->unused;
    s->unused = q;
    s->queued--;
}

void px_pending_drop(struct px_process *p, struct px_pending *pending, uint64_t set)
{
    struct px_queued **link = &pending->first, *q;
    while ((q = *link)) {
        if (PX_BIT(q->info.signo) & set) {
            *link = q->next;
            entry_put(p->signals, q);
        } else {
            link = &q->next;
        }
    }
    pending->last = link;
    pending->set &= ~set;
}

void px_signal_forget_timer(struct px_process *p, uint32_t timer)
{
    struct px_signals *s = p->signals;
    px_lock(&s->lock);
    struct px_pending *pending = &s->pending;
    for (struct px_thread *t = p->threads->first; s->timer_queued[timer / 64] >> (timer % 64) & 1;
         t = t->next) {
        struct px_queued **link = &pending->first, *q;
        while ((q = *link) && !(q->info.of_timer && (uint32_t)q->info.timer == timer)) {
            link = &q->next;
        }
        if (q) {
            unlink_entry(pending, link);
            if (!in_queue(pending, q->info.signo)) {
                pending->set &= ~PX_BIT(q->info.signo);
            }
            entry_put(s, q);
        }
        if (!t) {
            break;
        }
        pending = &t->pending;
    }
    px_unlock(&s->lock);
}

/*
 * Standard signals are kept once, but for those of timers; real-time ones each. Without memory only
 * what sigqueue() sent is refused.
 */
static long add(struct px_process *p, struct px_pending *pending, const struct px_siginfo *info)
{
    int sig = info->signo;
    uint64_t *timers = info->of_timer ? &p->signals->timer_queued[info->timer / 64] : NULL;
    if (timers ? *timers >> (info->timer % 64) & 1
               : sig < SIGRTMIN && (pending->set & PX_BIT(sig)) != 0) {
        return timers ? 1 : 0;
    }
    uint64_t limit = p->limit[RLIMIT_SIGPENDING].soft;
    struct px_queued *q = NULL;
    if (p->signals->queued < PX_MIN(limit, QUEUE_MAX)) {
        q = entry_get(p->signals);
    }
    if (!q && sig >= SIGRTMIN && info->code != SI_USER) {
        return -EAGAIN;
    }
    if (q) {
        q->info = *info;
        q->next = NULL;
        *pending->last = q;
        pending->last = &q->next;
        if (timers) {
            *timers |= 1ull << (info->timer % 64);
        }
    }
    pending->set |= PX_BIT(sig);
    px_signalfd_came(p);
    return 0;
}

static int lowest(uint64_t set)
{
    uint64_t synchronous = PX_BIT(SIGSEGV) | PX_BIT(SIGBUS) | PX_BIT(SIGILL) | PX_BIT(SIGTRAP) |
                           PX_BIT(SIGFPE) | PX_BIT(SIGSYS);
    return __builtin_ctzll(set & synchronous ? set & synchronous : set) + 1;
}

static int take(struct px_process *p, struct px_pending *pending, uint64_t set,
                struct px_siginfo *info)
{
    if (!(pending->set & set)) {
        return 0;
    }
    int sig = lowest(pending->set & set);
    struct px_queued *q = unlink_first(pending, sig);
    if (q) {
        *info = q->info;
        entry_put(p->signals, q);
    } else {
        *info = (struct px_siginfo){.signo = sig, .code = SI_USER};
    }
    if (!in_queue(pending, sig)) {
        pending->set &= ~PX_BIT(sig);
    }
    return sig;
}

static int take_any(struct px_thread *t, uint64_t set, struct px_siginfo *info)
{
    int sig = take(t->process, &t->pending, set, info);
    return sig ? sig : take(t->process, &t->process->signals->pending, set, info);
}

/* The next signal of `set` for this thread, 0: none. */
int px_signal_take(struct px_thread *t, uint64_t set, struct px_siginfo *info)
{
    struct px_process *p = t->process;
    px_lock(&p->signals->lock);
    int sig = take_any(t, set, info);
    px_unlock(&p->signals->lock);
    if (sig && info->of_timer) {
        px_timer_dequeued(info);
    }
    return sig;
}

bool px_signal_take_pending(struct px_thread *t, struct px_siginfo *info)
{
    px_lock(&t->process->signals->lock);
    int sig = take_any(t, UINT64_MAX, info);
    px_unlock(&t->process->signals->lock);
    return sig != 0;
}

uint64_t px_signal_pending(const struct px_thread *t)
{
    return __atomic_load_n(&t->pending.set, __ATOMIC_RELAXED) |
           __atomic_load_n(&t->process->signals->pending.set, __ATOMIC_RELAXED);
}

/* ---- sending ---- */

/* [lock held] Where a signal to this thread of p waits. */
static struct px_pending *pending_of(const struct px_process *p, struct px_thread *t)
{
    return t->process == p ? &t->pending : &t->away_pending;
}

/* A thread that runs a vfork child takes no signals of its own process. */
static bool wants(const struct px_process *p, const struct px_thread *t, uint64_t bit)
{
    return t->process == p && (!(t->mask & bit) || (t->waits_for & bit));
}

static void interrupt(struct px_thread *t) /* [lock held] */
{
    if (t == px_self()) {
        t->work |= PX_WORK_SIGNAL;
    } else if (t->handle) {
        motor_thread_control(t->handle, MOTOR_THREAD_INTERRUPT, 0);
    }
}

/* [lock held] */
static struct px_thread *choose(struct px_process *p, uint64_t bit, const struct px_thread *except)
{
    struct px_thread *self = px_self();
    if (self != except && wants(p, self, bit)) {
        return self;
    }
    struct px_thread *chosen = NULL;
    for (struct px_thread *t = p->threads->first; t; t = t->next) {
        if (t != except && wants(p, t, bit)) {
            chosen = t; /* the last one found is the oldest: the main thread first of all */
        }
    }
    return chosen;
}

#define IGNORED_BY_DEFAULT (PX_BIT(SIGCHLD) | PX_BIT(SIGCONT) | PX_BIT(SIGURG) | PX_BIT(SIGWINCH))
#define STOPPING           (PX_BIT(SIGSTOP) | PX_BIT(SIGTSTP) | PX_BIT(SIGTTIN) | PX_BIT(SIGTTOU))

bool px_signal_ignored(const struct px_process *p, int sig)
{
    uint64_t handler = p->signals->action[sig].handler;
    return handler == SIG_IGN || (handler == SIG_DFL && (IGNORED_BY_DEFAULT & PX_BIT(sig)));
}

bool px_signal_deaf(int sig)
{
    struct px_thread *t = px_self();
    px_lock(&t->process->signals->lock);
    bool deaf = t->mask & PX_BIT(sig) || px_signal_ignored(t->process, sig);
    px_unlock(&t->process->signals->lock);
    return deaf;
}

/*
 * A stop takes a SIGCONT that waits away, and the other way round, wherever in the process it
 * waits. [lock held]
 */
static void drop_contrary(struct px_process *p, int sig)
{
    uint64_t contrary = sig == SIGCONT ? STOPPING : PX_BIT(sig) & STOPPING ? PX_BIT(SIGCONT) : 0;
    if (!contrary) {
        return;
    }
    px_pending_drop(p, &p->signals->pending, contrary);
    for (struct px_thread *t = p->threads->first; t; t = t->next) {
        px_pending_drop(p, pending_of(p, t), contrary);
    }
}

long px_signal_send(struct px_process *p, struct px_thread *t, const struct px_siginfo *info)
{
    uint64_t bit = PX_BIT(info->signo);
    long status = 0;
    px_lock(&p->signals->lock);
    struct px_thread *target = t ? t : choose(p, bit, NULL);
    bool wanted = target && wants(p, target, bit);
    drop_contrary(p, info->signo);
    if (!wanted || !px_signal_ignored(p, info->signo) || (target->mask & bit)) {
        status = add(p, t ? pending_of(p, t) : &p->signals->pending, info);
        if (status >= 0 && wanted) {
            interrupt(target);
        }
    }
    px_unlock(&p->signals->lock);
    return status;
}

struct px_siginfo px_info_self(int sig, int code)
{
    struct px_process *p = px_proc();
    struct px_siginfo info = {.signo = sig, .code = code};
    if (code == SI_USER || code == SI_TKILL) {
        info.pid = (int32_t)p->pid;
        info.uid = p->uid;
    }
    return info;
}

void px_signal_self(int sig, int code)
{
    struct px_siginfo info = px_info_self(sig, code);
    px_signal_send(px_proc(), px_self(), &info);
    px_signalfd_poke(px_proc());
}

void px_signal_process(int sig, int code)
{
    struct px_siginfo info = px_info_self(sig, code);
    px_signal_send(px_proc(), NULL, &info);
    px_signalfd_poke(px_proc());
}

/*
 * `leaving` will not take the process's signals in `set` any more: somebody else should. [lock
 * held]
 */
void px_retarget(struct px_process *p, struct px_thread *leaving, uint64_t set)
{
    for (uint64_t left = p->signals->pending.set & set; left; left &= left - 1) {
        struct px_thread *t = choose(p, left & -left, leaving);
        if (t) {
            interrupt(t);
        }
    }
}

/* ---- masks ---- */

/* [lock held] */
static void look(struct px_thread *t)
{
    if ((t->pending.set | t->process->signals->pending.set) & ~t->mask) {
        t->work |= PX_WORK_SIGNAL;
    }
}

void px_set_mask(struct px_thread *t, uint64_t mask)
{
    struct px_process *p = t->process;
    px_lock(&p->signals->lock);
    uint64_t blocked = mask & ~PX_UNBLOCKABLE & ~t->mask;
    t->mask = mask & ~PX_UNBLOCKABLE;
    if (p->signals->pending.set & blocked) {
        px_retarget(p, t, blocked);
    }
    look(t);
    px_unlock(&p->signals->lock);
}

bool px_interrupted(void)
{
    struct px_thread *t = px_self();
    if (__atomic_load_n(&t->tcb.pending, __ATOMIC_RELAXED)) {
        px_take_interruption();
    }
    if (!(t->work & PX_WORK_SIGNAL)) {
        return false;
    }
    px_lock(&t->process->signals->lock);
    t->work &= ~PX_WORK_SIGNAL;
    look(t);
    if ((t->pending.set | t->process->signals->pending.set) & t->waits_for) {
        t->work |= PX_WORK_SIGNAL;
    }
    px_unlock(&t->process->signals->lock);
    return t->work & PX_WORK_SIGNAL;
}

void px_take_interruption(void)
{
    struct px_thread *t = px_self();
    int64_t bits = motor_thread_control(0, MOTOR_THREAD_ACK, 0);
    t->work |= PX_WORK_SIGNAL;
    if (bits <= 0) {
        return;
    }
    if (bits & MOTOR_UPCALL_TIMER) {
        px_timers_run();
    }
    if (bits & MOTOR_UPCALL_SIGNAL) {
        px_signals_fetch();
    }
    if (bits & MOTOR_UPCALL_STOP) {
        t->was_stopped = true;
    }
    px_signalfd_poke(px_home());
}

long px_sigmask_temporary(const void *user_set, size_t size)
{
    struct px_thread *t = px_self();
    uint64_t set;
    if (!user_set) {
        return 0;
    }
    if (size != sizeof(set)) {
        return -EINVAL;
    }
    if (px_copy_in(&set, user_set, sizeof(set)) < 0) {
        return -EFAULT;
    }
    t->saved_mask = t->mask;
    t->work |= PX_WORK_RESTORE;
    px_set_mask(t, set);
    return 0;
}

long px_sys_rt_sigprocmask(int how, const void *set, void *old, size_t size)
{
    struct px_thread *t = px_self();
    uint64_t before = t->mask, value;
    if (size != sizeof(value)) {
        return -EINVAL;
    }
    if (set) {
        if (px_copy_in(&value, set, sizeof(value)) < 0) {
            return -EFAULT;
        }
        switch (how) {
        case 0:
            value = before | value;
            break;
        case 1:
            value = before & ~value;
            break;
        case 2:
            break;
        default:
            return -EINVAL;
        }
        if (value != before) {
            px_set_mask(t, value);
        }
    }
    return old ? px_copy_out(old, &before, sizeof(before)) : 0;
}

long px_sys_rt_sigpending(void *set, size_t size)
{
    struct px_thread *t = px_self();
    if (size > sizeof(uint64_t)) {
        return -EINVAL;
    }
    px_lock(&t->process->signals->lock);
    uint64_t pending = (t->pending.set | t->process->signals->pending.set) & t->mask;
    px_unlock(&t->process->signals->lock);
    return px_copy_out(set, &pending, size);
}

/* ---- actions ---- */

static bool signal_ok(int sig)
{
    return sig >= 1 && sig <= NSIG;
}

/* [lock held] a signal that is ignored from now on is pending nowhere */
static void forget(struct px_process *p, uint64_t bit)
{
    px_pending_drop(p, &p->signals->pending, bit);
    for (struct px_thread *t = p->threads->first; t; t = t->next) {
        px_pending_drop(p, pending_of(p, t), bit);
    }
}

/* [lock held] What the kernel must know of the action for SIGCHLD. */
static void tell_child_flags(struct px_process *p, motor_handle process)
{
    const struct px_action *a = &p->signals->action[SIGCHLD];
    uint32_t flags =
        (a->handler == SIG_IGN || (a->flags & SA_NOCLDWAIT) ? MOTOR_CHILD_AUTO_REAP : 0) |
        (a->flags & SA_NOCLDSTOP ? MOTOR_CHILD_NO_STOP : 0);
    if (flags != p->signals->child_flags) {
        p->signals->child_flags = flags;
        motor_process_set(process, MOTOR_PSET_CHILD_FLAGS, flags);
    }
}

long px_sys_rt_sigaction(int sig, const void *action, void *old, size_t size)
{
    struct px_process *p = px_proc();
    struct px_action new, before;
    if (size != sizeof(uint64_t) || !signal_ok(sig) || (action && (PX_BIT(sig) & PX_UNBLOCKABLE))) {
        return -EINVAL;
    }
    if (action && px_copy_in(&new, action, sizeof(new)) < 0) {
        return -EFAULT;
    }
    px_lock(&p->signals->lock);
    before = p->signals->action[sig];
    if (action) {
        new.mask &= ~PX_UNBLOCKABLE;
        p->signals->action[sig] = new;
        if (px_signal_ignored(p, sig)) {
            forget(p, PX_BIT(sig));
        }
        if (sig == SIGCHLD) {
            tell_child_flags(p, px_proc_handle());
        }
    }
    px_unlock(&p->signals->lock);
    return old ? px_copy_out(old, &before, sizeof(before)) : 0;
}

/* [lock held] what carrying out an action does to the action and to the mask */
static void begin_handler(struct px_thread *t, int sig, const struct px_action *a)
{
    struct px_process *p = t->process;
    uint64_t mask = t->mask | a->mask | (a->flags & SA_NODEFER ? 0 : PX_BIT(sig));
    if (a->flags & SA_RESETHAND) {
        p->signals->action[sig].handler = SIG_DFL;
    }
    if (p->signals->pending.set & mask & ~t->mask) {
        px_retarget(p, t, mask & ~t->mask);
    }
    t->mask = mask;
}

int px_signal_next(struct px_thread *t, struct px_siginfo *info, struct px_action *a,
                   uint64_t *old_mask)
{
    struct px_signals *s = t->process->signals;
    px_lock(&s->lock);
    t->work &= ~PX_WORK_SIGNAL;
    int sig = take_any(t, ~t->mask, info);
    if (sig) {
        *a = s->action[sig];
        *old_mask = t->mask;
        if (a->handler > SIG_IGN) {
            begin_handler(t, sig, a);
        }
    }
    px_unlock(&s->lock);
    if (sig && info->of_timer) {
        px_timer_dequeued(info);
    }
    return sig;
}

bool px_fault_action(struct px_thread *t, int sig, struct px_action *a, uint64_t *old_mask)
{
    struct px_signals *s = t->process->signals;
    px_lock(&s->lock);
    *a = s->action[sig];
    *old_mask = t->mask;
    bool handled = a->handler > SIG_IGN && !(t->mask & PX_BIT(sig));
    if (handled) {
        begin_handler(t, sig, a);
    }
    px_unlock(&s->lock);
    return handled;
}

/* ---- waiting for signals ---- */

static long wait_for_ever(void)
{
    static uint32_t never;
    for (;;) {
        long status = px_wait(&never, 0, 0, MOTOR_NEVER);
        if (status == -PX_ERESTARTSYS) {
            return -PX_ERESTARTNOHAND;
        }
    }
}

long px_sys_pause(void)
{
    return wait_for_ever();
}

long px_sys_rt_sigsuspend(const void *set, size_t size)
{
    if (!set) {
        return -EFAULT;
    }
    long status = px_sigmask_temporary(set, size);
    return status < 0 ? status : wait_for_ever();
}

static void set_waits_for(struct px_thread *t, uint64_t set)
{
    px_lock(&t->process->signals->lock);
    uint64_t no_more = t->waits_for & ~set;
    t->waits_for = set;
    if (no_more & t->process->signals->pending.set) {
        px_retarget(t->process, t, no_more);
    }
    px_unlock(&t->process->signals->lock);
}

/*
 * The signals waited for are blocked (if not, a handler may win); `waits_for` makes senders
 * interrupt this thread for them and px_interrupted() report them.
 */
static long wait_for_signal(struct px_thread *t, uint64_t set, uint64_t deadline,
                            struct px_siginfo *info)
{
    static uint32_t never;
    for (;;) {
        int sig = px_signal_take(t, set, info);
        if (sig) {
            return sig;
        }
        t->work |= PX_WORK_SIGNAL;
        long status = px_wait(&never, 0, 0, deadline);
        if (status == -ETIMEDOUT) {
            sig = px_signal_take(t, set, info);
            return sig ? sig : -EAGAIN;
        }
        if (status == -PX_ERESTARTSYS || status == -EINTR) {
            sig = px_signal_take(t, set, info);
            return sig ? sig : -EINTR;
        }
    }
}

long px_sys_rt_sigtimedwait(const void *user_set, void *info, const void *timeout, size_t size)
{
    struct px_thread *t = px_self();
    struct px_siginfo got;
    uint64_t set, deadline;
    if (size != sizeof(set)) {
        return -EINVAL;
    }
    if (px_copy_in(&set, user_set, sizeof(set)) < 0) {
        return -EFAULT;
    }
    long status = px_deadline_in(timeout, &deadline);
    if (status < 0) {
        return status;
    }
    set &= ~PX_UNBLOCKABLE;
    set_waits_for(t, set);
    t->was_stopped = false;
    t->stop_ends = true;
    status = wait_for_signal(t, set, deadline, &got);
    t->stop_ends = false;
    set_waits_for(t, 0);
    t->work |= PX_WORK_SIGNAL;
    if (status > 0 && info) {
        if (px_copy_out(info, &got, sizeof(got)) < 0 ||
            px_zero_out((char *)info + sizeof(got), SIGINFO_SIZE - sizeof(got)) < 0) {
            return -EFAULT;
        }
    }
    return status;
}

/* ---- calls that send ---- */

long px_signal_send_tid(struct px_process *p, uint32_t tid, const struct px_siginfo *info)
{
    px_lock(&p->signals->lock);
    struct px_thread *t = px_thread_find(p, tid);
    if (!t) {
        px_unlock(&p->signals->lock);
        return -ESRCH;
    }
    long status = 0;
    if (info->signo) {
        drop_contrary(p, info->signo);
        bool ignored = px_signal_ignored(p, info->signo) && !(t->mask & PX_BIT(info->signo));
        status = ignored ? 0 : add(p, pending_of(p, t), info);
        if (!ignored && status >= 0 && wants(p, t, PX_BIT(info->signo))) {
            interrupt(t);
        }
    }
    px_unlock(&p->signals->lock);
    return status;
}
