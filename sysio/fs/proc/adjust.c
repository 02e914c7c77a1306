/* SPDX-License-Identifier: MIT */
/*
 * What one process may change, or see, of another's scheduling and limits: setpriority(2),
 * sched_setaffinity(2), sched_setscheduler(2) and prlimit(2) with the number of somebody else. The
 * kernel keeps urgency and processors; nice values, policies and limits are the process's own, in
 * its memory, where they are written for it. Scheduling is that of the first thread, as on Linux.
 */
#include "proc.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>

#define LIMITS 16u

struct target {
    struct process process;
    struct thread main;
    motor_handle thread; /* 0: not needed */
};

/* What is wanted: <motor/io.h>. */
struct wish {
    const struct cred *who;
    uint64_t what, id;
    bool set;
    uint64_t value[2];
    uint64_t resource;
};

static int write_there(const struct process *p, uint64_t address, const void *from, uint64_t size)
{
    struct motor_memory_write w = {.address = address, .from = from, .size = size};
    int64_t n = motor_process_set(p->handle, MOTOR_PSET_MEMORY, (uint64_t)&w);
    return n == (int64_t)size ? 0 : -ESRCH;
}

static bool owns(const struct process *p, const struct cred *who)
{
    return !who->uid || who->uid == p->info.uid || who->uid == p->info.ruid;
}

/* ---- one thread ---- */

/* One that has just been made by fork() may not have set its thread's number yet. */
static bool main_thread(struct target *t, uint32_t pid)
{
    return thread_find(&t->process, pid, &t->main) || thread_get(&t->process, 1, &t->main);
}

static int target_get(struct target *t, uint32_t pid)
{
    uint32_t id;
    int error = process_get(&t->process, pid, 0);
    if (error)
        return error;
    if (!main_thread(t, pid)) {
        process_put(&t->process);
        return -ESRCH;
    }
    id = t->main.info.id;
    int64_t h = motor_process_info(t->process.handle, MOTOR_PINFO_THREAD, &id, sizeof id);
    if (h < 0) {
        process_put(&t->process);
        return -ESRCH;
    }
    t->thread = (motor_handle)h;
    return 0;
}

static void target_put(struct target *t)
{
    motor_handle_close(t->thread);
    process_put(&t->process);
}

static int adjust_nice(struct target *t, const struct wish *w, uint64_t *old)
{
    int32_t nice = (int32_t)w->value[0];
    *old = (uint64_t)(int64_t)t->main.nice;
    if (!w->set)
        return 0;
    if (nice < -20 || nice > 19)
        return -EINVAL;
    if (nice < t->main.nice && w->who->uid)
        return -EACCES;
    int error = write_there(&t->process, t->main.info.tcb + offsetof(struct motor_tcb, nice), &nice,
                            sizeof nice);
    if (!error)
        motor_thread_control(t->thread, MOTOR_THREAD_SET_PRIORITY, (uint64_t)(nice + 20));
    return error;
}

static int adjust_affinity(struct target *t, const struct wish *w, uint64_t *old)
{
    int64_t mask = motor_thread_control(t->thread, MOTOR_THREAD_GET_AFFINITY, 0);
    *old = (uint64_t)mask;
    if (mask < 0)
        return -ESRCH;
    if (!w->set)
        return 0;
    return motor_thread_control(t->thread, MOTOR_THREAD_SET_AFFINITY, w->value[0]) < 0 ? -EINVAL
                                                                                       : 0;
}

static int adjust_policy(struct target *t, const struct wish *w, uint64_t *old)
{
    uint64_t at = t->main.info.tcb + offsetof(struct motor_tcb, policy);
    uint32_t policy = 0;
    *old = 0;
    if (!t->main.info.tcb && !w->set)
        return 0; /* an engine's */
    if (process_read(&t->process, at, &policy, sizeof policy) != sizeof policy)
        return -ESRCH;
    *old = policy;
    if (!w->set)
        return 0;
    policy = (uint32_t)w->value[0];
    return write_there(&t->process, at, &policy, sizeof policy);
}

static int64_t adjust_thread(const struct wish *w, uint64_t *old)
{
    struct target t;
    int error = target_get(&t, (uint32_t)w->id);
    if (error)
        return error;
    error = w->set && !owns(&t.process, w->who) ? -EPERM
            : w->what == IO_ADJUST_NICE         ? adjust_nice(&t, w, old)
            : w->what == IO_ADJUST_AFFINITY     ? adjust_affinity(&t, w, old)
                                                : adjust_policy(&t, w, old);
    target_put(&t);
    return error;
}

/* ---- groups and users ---- */

static bool is_meant(const struct process *p, const struct wish *w)
{
    return w->what == IO_ADJUST_GROUP_NICE ? p->info.pgid == w->id : p->info.ruid == w->id;
}

/* All of them, also after one that may not be changed; *old: the most favourable. */
static int64_t adjust_many(const struct wish *w, uint64_t *old)
{
    uint32_t *pids, n = processes_list(&pids);
    int64_t best = INT_MAX, result = -ESRCH;
    struct wish one = *w;
    one.what = IO_ADJUST_NICE;
    for (uint32_t i = 0; i < n; i++) {
        struct process p;
        uint64_t nice = 0;
        if (process_get(&p, pids[i], 0))
            continue;
        bool meant = p.info.state == 1 && is_meant(&p, w);
        process_put(&p);
        one.id = pids[i];
        int64_t error = meant ? adjust_thread(&one, &nice) : -ESRCH;
        if (error == -ESRCH)
            continue;
        best = (int64_t)nice < best ? (int64_t)nice : best;
        result = error || result == -ESRCH ? error : result;
    }
    free(pids);
    *old = (uint64_t)best;
    return result;
}

/* ---- limits ---- */

static int set_limit(const struct process *p, const struct wish *w, const uint64_t old[2])
{
    uint64_t soft = w->value[0];
    uint32_t kept = soft < UINT32_MAX ? (uint32_t)soft : UINT32_MAX;
    if (soft > w->value[1])
        return -EINVAL;
    if ((w->value[1] > old[1] && w->who->uid) ||
        (w->resource == RLIMIT_NOFILE && w->value[1] > MOTOR_HANDLES_MAX))
        return -EPERM;
    int error =
        write_there(p, p->about.limits + w->resource * sizeof w->value, w->value, sizeof w->value);
    if (!error && w->resource == RLIMIT_NPROC)
        motor_process_set(p->handle, MOTOR_PSET_PROCESS_LIMIT, kept);
    if (!error && w->resource == RLIMIT_SIGPENDING)
        motor_process_set(p->handle, MOTOR_PSET_SIGNAL_LIMIT, kept);
    return error;
}

static int64_t adjust_limit(const struct wish *w, uint64_t old[2])
{
    struct process p;
    if (w->resource >= LIMITS)
        return -EINVAL;
    int error = process_get(&p, (uint32_t)w->id, 0);
    if (error)
        return error;
    if (!process_is_same_user(&p, w->who))
        error = -EPERM;
    else if (process_read(&p, p.about.limits + w->resource * 2 * sizeof *old, old,
                          2 * sizeof *old) != 2 * sizeof *old)
        error = -ESRCH;
    else if (w->set)
        error = set_limit(&p, w, old);
    process_put(&p);
    return error;
}

int64_t adjust_call(const struct motor_event *ev, const struct cred *who)
{
    struct wish w = {.who = who,
                     .what = ev->word[0] & ~(uint64_t)IO_ADJUST_SET,
                     .id = ev->word[1],
                     .set = ev->word[0] & IO_ADJUST_SET,
                     .value = {ev->word[2], ev->word[3]},
                     .resource = ev->word[4]};
    uint64_t old[2] = {0};
    int64_t status = -EINVAL;
    if (w.what == IO_ADJUST_LIMIT)
        status = adjust_limit(&w, old);
    else if (w.what == IO_ADJUST_GROUP_NICE || w.what == IO_ADJUST_USER_NICE)
        status = adjust_many(&w, old);
    else if (w.what <= IO_ADJUST_POLICY)
        status = adjust_thread(&w, old);
    struct motor_reply *r = engine_reply(&fs_engine, ev->token, status);
    r->word[0] = old[0];
    r->word[1] = old[1];
    return NO_REPLY;
}
