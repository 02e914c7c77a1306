/* SPDX-License-Identifier: MIT */
/*
 * Timers that send signals (setitimer, alarm, timer_create), all on the one timer that the kernel
 * gives a process, and sleeping. When the kernel's timer fires, some thread is interrupted and runs
 * px_timers_run(). CPU-time timers are looked at when they could have expired at the earliest: with
 * n CPUs, a process uses n seconds a second.
 */
#include "internal.h"

#define NS            1000000000ull
#define ITIMERS       3
#define CPU_TIMER_MIN 1000000ull

#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD    2
#define SIGEV_THREAD_ID 4

struct px_timer {
    bool used;
    uint8_t notify;
    /* CLOCK_*; MONOTONIC and REALTIME deadlines are kept in px_now() time */
    int16_t clock;
    int32_t signal;
    uint32_t tid;    /* of SIGEV_THREAD_ID and thread CPU clocks */
    uint64_t value;  /* sigev_value */
    uint64_t expiry; /* in its clock; 0: not armed */
    uint64_t interval;
    uint64_t overrun; /* expirations while its signal was queued */
    uint32_t last_overrun;
};

struct px_timers {
    struct px_mutex lock;            /* before the signals lock */
    struct px_timer itimer[ITIMERS]; /* ITIMER_REAL, VIRTUAL, PROF */
    struct px_timer *timer;          /* posix timers by id */
    uint32_t count;
    uint64_t armed; /* the kernel's timer */
};

#define CLOCK_USER_CPU 100 /* ITIMER_VIRTUAL's clock */

static void begin(struct px_process *p, struct px_timers *timers)
{
    static const int16_t clock[ITIMERS] = {CLOCK_MONOTONIC, CLOCK_USER_CPU,
                                           CLOCK_PROCESS_CPUTIME_ID};
    static const uint8_t sig[ITIMERS] = {SIGALRM, SIGVTALRM, SIGPROF};
    for (int i = 0; i < ITIMERS; i++) {
        timers->itimer[i] = (struct px_timer){.used = true, .clock = clock[i], .signal = sig[i]};
    }
    timers->armed = MOTOR_NEVER;
    p->timers = timers;
}

void px_timers_prepare(struct px_process *p)
{
    static PX_HOT struct px_timers timers;
    begin(p, &timers);
}

bool px_timers_new(struct px_process *p)
{
    struct px_timers *timers = px_alloc(sizeof(*timers));
    if (timers) {
        begin(p, timers);
    }
    return timers;
}

void px_timers_start(struct px_process *p)
{
    struct px_timers *timers = p->timers;
    if (p->start->alarm[0] || p->start->alarm[1]) { /* exec keeps it */
        timers->itimer[0].interval = p->start->alarm[1];
        timers->itimer[0].expiry = p->start->alarm[0] ? px_now() + p->start->alarm[0] : 0;
    }
}

struct px_mutex *px_timers_lock(struct px_process *p)
{
    return &p->timers->lock;
}

/* A child has none of its parent's timers. */
void px_timers_forked(struct px_process *p)
{
    struct px_timers *timers = p->timers;
    timers->lock.word = 0;
    for (int i = 0; i < ITIMERS; i++) {
        timers->itimer[i].expiry = timers->itimer[i].interval = timers->itimer[i].overrun = 0;
    }
    for (uint32_t i = 0; i < timers->count; i++) {
        timers->timer[i].used = false;
    }
    timers->armed = MOTOR_NEVER;
}

/* ---- clocks ---- */

static uint64_t clock_now(struct px_process *p, const struct px_timer *t)
{
    switch (t->clock) {
    case CLOCK_USER_CPU:
        return px_cpu_time(true);
    case CLOCK_PROCESS_CPUTIME_ID:
        return px_cpu_time(false);
    case CLOCK_THREAD_CPUTIME_ID: {
        px_lock(&p->signals->lock);
        struct px_thread *thread = px_thread_find(p, t->tid);
        uint64_t ns = thread ? px_thread_cpu_time(thread) : 0;
        px_unlock(&p->signals->lock);
        return ns;
    }
    default:
        return px_now();
    }
}

static bool is_cpu_clock(const struct px_timer *t)
{
    return t->clock == CLOCK_USER_CPU || t->clock == CLOCK_PROCESS_CPUTIME_ID ||
           t->clock == CLOCK_THREAD_CPUTIME_ID;
}

/* When to look at it next, in px_now() time. */
static uint64_t look_at(struct px_process *p, const struct px_timer *t)
{
    if (!t->used || !t->expiry) {
        return MOTOR_NEVER;
    }
    if (!is_cpu_clock(t)) {
        return t->expiry;
    }
    uint64_t now = clock_now(p, t), left = t->expiry > now ? t->expiry - now : 0;
    uint64_t cpus = t->clock == CLOCK_THREAD_CPUTIME_ID ? 1 : px_kinfo()->cpus;
    return px_now() + PX_MAX(left / cpus, CPU_TIMER_MIN);
}

/* ---- expiry [lock held] ---- */

static void arm(struct px_process *p)
{
    struct px_timers *timers = p->timers;
    uint64_t next = MOTOR_NEVER;
    for (uint32_t i = 0; i < ITIMERS; i++) {
        next = PX_MIN(next, look_at(p, &timers->itimer[i]));
    }
    for (uint32_t i = 0; i < timers->count; i++) {
        next = PX_MIN(next, look_at(p, &timers->timer[i]));
    }
    if (next != timers->armed && !p->vfork) { /* a vfork child has none of the kernel's */
        timers->armed = next;
        motor_timer_set(0, 0, next, 0);
    }
}

/* True: its last signal is still queued, and stands for this expiration too. */
static bool send(struct px_process *p, struct px_timer *t, int id)
{
    struct px_siginfo info = {.signo = t->signal, .code = id < 0 ? SI_KERNEL : SI_TIMER};
    if (id >= 0) {
        info.of_timer = true;
        info.timer = id;
        info.timer_value = t->value;
    }
    if (t->notify == SIGEV_NONE) {
        return false;
    }
    return (t->notify == SIGEV_THREAD_ID ? px_signal_send_tid(p, t->tid, &info)
                                         : px_signal_send(p, NULL, &info)) == 1;
}

static void expire(struct px_process *p, struct px_timer *t, int id)
{
    if (!t->used || !t->expiry) {
        return;
    }
    uint64_t now = clock_now(p, t), times = 1;
    if (now < t->expiry) {
        return;
    }
    if (t->interval) {
        times += (now - t->expiry) / t->interval;
        t->expiry += times * t->interval;
    } else {
        t->expiry = 0;
    }
    t->overrun += send(p, t, id) ? times : times - 1;
}

static void expire_all(struct px_process *p)
{
    for (int i = 0; i < ITIMERS; i++) {
        expire(p, &p->timers->itimer[i], -1);
    }
    for (uint32_t i = 0; i < p->timers->count; i++) {
        expire(p, &p->timers->timer[i], (int)i);
    }
}

void px_timers_run(void)
{
    struct px_process *p = px_home();
    px_lock(&p->timers->lock);
    p->timers->armed = MOTOR_NEVER; /* the kernel's has fired */
    expire_all(p);
    arm(p);
    px_unlock(&p->timers->lock);
}

/* Its signal leaves the queue: tell how many expirations it stands for. */
void px_timer_dequeued(struct px_siginfo *info)
{
    struct px_timers *timers = px_proc()->timers;
    info->of_timer = false;
    px_lock(&timers->lock);
    struct px_timer *t = &timers->timer[info->timer]; /* the table never shrinks */
    if (t->used) {
        t->last_overrun = (uint32_t)PX_MIN(t->overrun, (uint64_t)INT32_MAX);
        t->overrun = 0;
        info->overrun = (int32_t)t->last_overrun;
    }
    px_unlock(&timers->lock);
}

/* ---- values in and out ---- */

struct times {
    uint64_t interval, value; /* ns */
};

static long times_in(const void *user, uint64_t scale, struct times *t)
{
    struct px_timespec pair[2];
    if (px_copy_in(pair, user, sizeof(pair)) < 0) {
        return -EFAULT;
    }
    for (int i = 0; i < 2; i++) {
        pair[i].nsec = pair[i].nsec < 0 || pair[i].nsec >= (int64_t)(NS / scale)
                           ? -1
                           : pair[i].nsec * (int64_t)scale;
        if (pair[i].sec < 0 || pair[i].nsec < 0) {
            return -EINVAL;
        }
    }
    t->interval = px_timespec_ns(&pair[0]);
    t->value = px_timespec_ns(&pair[1]);
    return 0;
}

static long times_out(void *user, uint64_t scale, const struct times *t)
{
    uint64_t value = t->value ? PX_MAX(t->value, scale) : 0; /* armed is never shown as 0 */
    struct px_timespec pair[2] = {
        {(int64_t)(t->interval / NS), (int64_t)(t->interval % NS / scale)},
        {(int64_t)(value / NS), (int64_t)(value % NS / scale)},
    };
    return px_copy_out(user, pair, sizeof(pair));
}

static struct times remaining(struct px_process *p, const struct px_timer *t)
{
    struct times left = {t->interval, 0};
    if (t->expiry) {
        uint64_t now = clock_now(p, t);
        left.value = t->expiry > now ? t->expiry - now : 1;
    }
    return left;
}

/* [lock held] value relative, 0: disarm */
static void set(struct px_process *p, struct px_timer *t, const struct times *to)
{
    t->interval = to->interval;
    t->expiry = to->value ? clock_now(p, t) + to->value : 0;
    t->overrun = 0;
}

/* ---- setitimer, alarm ---- */

uint64_t px_alarm_left(struct px_process *p, uint64_t *interval)
{
    px_lock(&p->timers->lock);
    struct times left = remaining(p, &p->timers->itimer[0]);
    px_unlock(&p->timers->lock);
    *interval = left.interval;
    return left.value;
}

long px_sys_getitimer(int which, void *value)
{
    struct px_process *p = px_proc();
    if (which < 0 || which >= ITIMERS) {
        return -EINVAL;
    }
    px_lock(&p->timers->lock);
    struct times left = remaining(p, &p->timers->itimer[which]);
    px_unlock(&p->timers->lock);
    return times_out(value, 1000, &left);
}

static struct times set_itimer(struct px_process *p, int which, const struct times *to)
{
    px_lock(&p->timers->lock);
    struct times before = remaining(p, &p->timers->itimer[which]);
    set(p, &p->timers->itimer[which], to);
    arm(p);
    px_unlock(&p->timers->lock);
    return before;
}

long px_sys_setitimer(int which, const void *value, void *old)
{
    struct times to = {0, 0};
    if (which < 0 || which >= ITIMERS) {
        return -EINVAL;
    }
    long status = value ? times_in(value, 1000, &to) : 0;
    if (status < 0) {
        return status;
    }
    struct times before = set_itimer(px_proc(), which, &to);
    return old ? times_out(old, 1000, &before) : 0;
}

long px_sys_alarm(unsigned seconds)
{
    struct times to = {0, seconds * NS};
    struct times before = set_itimer(px_proc(), 0, &to);
    return (long)((before.value + NS / 2) / NS) + (before.value && before.value < NS / 2);
}

/* ---- timer_create ---- */

struct event { /* struct sigevent */
    uint64_t value;
    int32_t signal, notify;
    int32_t tid;
};

static long check_event(struct px_process *p, const struct event *e)
{
    if (e->notify == SIGEV_NONE) {
        return 0;
    }
    if (e->notify != SIGEV_SIGNAL && e->notify != SIGEV_THREAD && e->notify != SIGEV_THREAD_ID) {
        return -EINVAL;
    }
    if (e->signal < 1 || e->signal > NSIG) {
        return -EINVAL;
    }
    if (e->notify == SIGEV_THREAD_ID) {
        px_lock(&p->signals->lock);
        bool there = px_thread_find(p, (uint32_t)e->tid) != NULL;
        px_unlock(&p->signals->lock);
        return there ? 0 : -EINVAL;
    }
    return 0;
}

static int usual_clock(int clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
    case CLOCK_TAI:
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
        return clock;
    default:
        if (clock < 0) {
            return clock & 4 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID;
        }
        return -1;
    }
}

/* [lock held] a free place, growing the table */
static int take_place(struct px_timers *timers)
{
    for (uint32_t i = 0; i < timers->count; i++) {
        if (!timers->timer[i].used) {
            return (int)i;
        }
    }
    uint32_t count = timers->count ? timers->count * 2 : 8;
    if (count > PX_TIMERS_MAX) {
        return -1;
    }
    struct px_timer *table = px_alloc(count * sizeof(*table));
    if (!table) {
        return -1;
    }
    memcpy(table, timers->timer, timers->count * sizeof(*table));
    px_free(timers->timer);
    timers->timer = table;
    uint32_t first = timers->count;
    timers->count = count;
    return (int)first;
}

long px_sys_timer_create(int clock, const void *user_event, void *id)
{
    struct px_process *p = px_proc();
    struct event e = {.signal = SIGALRM, .notify = SIGEV_SIGNAL};
    if (user_event && px_copy_in(&e, user_event, sizeof(e)) < 0) {
        return -EFAULT;
    }
    if (usual_clock(clock) < 0) {
        return -EINVAL;
    }
    long status = check_event(p, &e);
    if (status < 0) {
        return status;
    }
    px_lock(&p->timers->lock);
    int place = take_place(p->timers);
    if (place >= 0) {
        struct px_timer *t = &p->timers->timer[place];
        *t = (struct px_timer){.used = true,
                               .notify = (uint8_t)e.notify,
                               .clock = (int16_t)usual_clock(clock),
                               .signal = e.signal};
        t->value = user_event ? e.value : (uint64_t)place;
        t->tid = e.notify == SIGEV_THREAD_ID ? (uint32_t)e.tid : px_self()->tid;
    }
    px_unlock(&p->timers->lock);
    if (place < 0) {
        return -EAGAIN;
    }
    if (px_store32(id, (uint32_t)place) < 0) {
        px_sys_timer_delete(place);
        return -EFAULT;
    }
    return 0;
}

/* [lock taken when found] */
static struct px_timer *find(struct px_process *p, int id)
{
    px_lock(&p->timers->lock);
    if (id >= 0 && (uint32_t)id < p->timers->count && p->timers->timer[id].used) {
        return &p->timers->timer[id];
    }
    px_unlock(&p->timers->lock);
    return NULL;
}

long px_sys_timer_settime(int id, int flags, const void *value, void *old)
{
    struct px_process *p = px_proc();
    struct times to, before;
    if (!value) {
        return -EINVAL;
    }
    long status = times_in(value, 1, &to);
    if (status < 0) {
        return status;
    }
    struct px_timer *t = find(p, id);
    if (!t) {
        return -EINVAL;
    }
    before = remaining(p, t);
    bool cpu = is_cpu_clock(t);
    bool realtime =
        t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM || t->clock == CLOCK_TAI;
    if ((flags & TIMER_ABSTIME) && to.value) {
        t->interval = to.interval;
        t->expiry = cpu || !realtime ? to.value : PX_MAX(px_deadline_realtime(to.value), 1u);
        t->overrun = 0;
    } else {
        set(p, t, &to);
    }
    if (t->expiry && !cpu && t->expiry <= px_now()) {
        expire(p, t, id);
    }
    arm(p);
    px_unlock(&p->timers->lock);
    return old ? times_out(old, 1, &before) : 0;
}

long px_sys_timer_gettime(int id, void *value)
{
    struct px_process *p = px_proc();
    struct px_timer *t = find(p, id);
    if (!t) {
        return -EINVAL;
    }
    struct times left = remaining(p, t);
    px_unlock(&p->timers->lock);
    return times_out(value, 1, &left);
}

long px_sys_timer_getoverrun(int id)
{
    struct px_process *p = px_proc();
    struct px_timer *t = find(p, id);
    if (!t) {
        return -EINVAL;
    }
    long overrun = t->last_overrun;
    px_unlock(&p->timers->lock);
    return overrun;
}

long px_sys_timer_delete(int id)
{
    struct px_process *p = px_proc();
    struct px_timer *t = find(p, id);
    if (!t) {
        return -EINVAL;
    }
    t->used = false;
    px_signal_forget_timer(p, (uint32_t)id);
    arm(p);
    px_unlock(&p->timers->lock);
    return 0;
}

/* ---- sleeping ---- */

void px_restart_at(uint64_t deadline)
{
    px_self()->restart_deadline = deadline;
}

bool px_restarted(uint64_t *deadline)
{
    struct px_thread *t = px_self();
    *deadline = t->restart_deadline;
    t->restart_deadline = 0;
    return *deadline != 0;
}

static long sleep_until(uint64_t deadline)
{
    static uint32_t never;
    for (;;) {
        long status = px_wait(&never, 0, 0, deadline);
        if (status == -ETIMEDOUT) {
            return 0;
        }
        if (status < 0) {
            return status;
        }
    }
}

static long sleep_for(const void *duration, void *left)
{
    uint64_t deadline;
    if (!px_restarted(&deadline)) {
        struct px_timespec t;
        long status = px_timespec_in(duration, &t);
        if (status < 0) {
            return status;
        }
        deadline = px_deadline_after(&t);
    }
    long status = sleep_until(deadline);
    if (status != -PX_ERESTARTSYS) {
        return status;
    }
    uint64_t now = px_now();
    if (left && px_timespec_out(left, deadline > now ? deadline - now : 0) < 0) {
        return -EFAULT;
    }
    px_restart_at(deadline);
    return -PX_ERESTART_RESTARTBLOCK;
}

long px_sys_nanosleep(const void *duration, void *left)
{
    return sleep_for(duration, left);
}

/* CPU clocks advance while others run: look again and again. */
static long sleep_cpu(uint64_t until)
{
    for (;;) {
        uint64_t now = px_cpu_time(false);
        if (now >= until) {
            return 0;
        }
        long status =
            sleep_until(px_now() + PX_MAX((until - now) / px_kinfo()->cpus, CPU_TIMER_MIN));
        if (status < 0) {
            return -PX_ERESTARTNOHAND;
        }
    }
}

long px_sys_clock_nanosleep(int clock, int flags, const void *time, void *left)
{
    struct px_timespec t;
    if (clock == CLOCK_THREAD_CPUTIME_ID || usual_clock(clock) < 0) {
        return clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
                       clock == CLOCK_REALTIME_COARSE
                   ? -EOPNOTSUPP
                   : -EINVAL;
    }
    long status = px_timespec_in(time, &t);
    if (status < 0) {
        return status;
    }
    uint64_t ns = px_timespec_ns(&t);
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0) {
        return sleep_cpu(flags & TIMER_ABSTIME ? ns : px_cpu_time(false) + ns);
    }
    if (!(flags & TIMER_ABSTIME)) {
        return sleep_for(time, left);
    }
    bool realtime = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_TAI;
    status = sleep_until(realtime ? px_deadline_realtime(ns) : ns);
    return status == -PX_ERESTARTSYS ? -PX_ERESTARTNOHAND : status;
}
