/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: nice values, policies and processors, of threads here and of other processes; and the
 * limits of other processes. What is not this process's own the fs engine changes, which opens
 * processes for /proc and judges who may (IO_PROCESS_ADJUST).
 *
 * Nice value and policy are in the thread's tcb, where the engine finds them. Real-time policies
 * are kept and reported; the kernel has one kind of scheduling.
 */
#include "internal.h"

#define SCHED_FIFO          1
#define SCHED_RR            2
#define SCHED_BATCH         3
#define SCHED_IDLE          5
#define SCHED_RESET_ON_FORK 0x40000000

#define PRIO_PROCESS 0
#define PRIO_PGRP    1
#define PRIO_USER    2

/* value[0] and [1]: what is set; and what it was. */
static long adjust(uint64_t what, uint64_t id, uint64_t value[2], unsigned resource)
{
    struct motor_msg msg = {.op = IO_PROCESS_ADJUST,
                            .word = {what, id, value[0], value[1], resource},
                            .deadline = MOTOR_NEVER};
    long status = px_call(px_proc()->root, &msg);
    value[0] = msg.word[0];
    value[1] = msg.word[1];
    return status;
}

/*
 * For the thread that `pid` names (0: this one), which the lock keeps there; or for the first one
 * of another process: `what` then.
 */
static long with_thread(int pid, long (*act)(struct px_thread *t, uint64_t *value), uint64_t what,
                        uint64_t *value)
{
    struct px_process *p = px_proc();
    uint64_t words[2] = {*value, 0};
    if (pid < 0)
        return -ESRCH;
    px_lock(&p->signals->lock);
    struct px_thread *t = pid ? px_thread_find(p, (uint32_t)pid) : px_self();
    long result = t ? act(t, value) : 0;
    px_unlock(&p->signals->lock);
    if (t)
        return result;
    result = adjust(what, (uint32_t)pid, words, 0);
    *value = words[0];
    return result;
}

/* ---- processors ---- */

static uint64_t all_cpus(void)
{
    uint32_t n = px_kinfo()->cpus;
    return n >= 64 ? UINT64_MAX : (1ull << n) - 1;
}

static long set_affinity(struct px_thread *t, uint64_t *mask)
{
    struct px_vfork *v = t->process->vfork;
    if (v && t == px_self()) {
        px_vfork_keep_affinity(
            v, (uint64_t)motor_thread_control(t->handle, MOTOR_THREAD_GET_AFFINITY, 0));
    }
    return px_errno(motor_thread_control(t->handle, MOTOR_THREAD_SET_AFFINITY, *mask));
}

static long get_affinity(struct px_thread *t, uint64_t *mask)
{
    int64_t value = motor_thread_control(t->handle, MOTOR_THREAD_GET_AFFINITY, 0);
    *mask = value > 0 ? (uint64_t)value : all_cpus();
    return 0;
}

long px_sys_sched_setaffinity(int pid, size_t size, const void *user)
{
    uint64_t mask = 0;
    if (px_copy_in(&mask, user, PX_MIN(size, sizeof mask)) < 0)
        return -EFAULT;
    mask &= all_cpus();
    return mask ? with_thread(pid, set_affinity, IO_ADJUST_AFFINITY | IO_ADJUST_SET, &mask)
                : -EINVAL;
}

long px_sys_sched_getaffinity(int pid, size_t size, void *user)
{
    uint64_t mask = 0;
    if (size < sizeof mask || size % sizeof mask)
        return -EINVAL;
    long status = with_thread(pid, get_affinity, IO_ADJUST_AFFINITY, &mask);
    if (status < 0)
        return status;
    mask &= all_cpus();
    return px_copy_out(user, &mask, sizeof mask) < 0 ? -EFAULT : (long)sizeof mask;
}

/* ---- policies ---- */

static bool policy_ok(int policy)
{
    return (policy >= 0 && policy <= SCHED_BATCH) || policy == SCHED_IDLE;
}

static bool is_realtime(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

long px_sys_sched_get_priority_max(int policy)
{
    return policy_ok(policy) ? (is_realtime(policy) ? 99 : 0) : -EINVAL;
}

long px_sys_sched_get_priority_min(int policy)
{
    return policy_ok(policy) ? (is_realtime(policy) ? 1 : 0) : -EINVAL;
}

static long get_policy(struct px_thread *t, uint64_t *value)
{
    *value = t->tcb.policy;
    return 0;
}

static long set_policy(struct px_thread *t, uint64_t *value)
{
    t->tcb.policy = (uint32_t)*value;
    return 0;
}

long px_sys_sched_getscheduler(int pid)
{
    uint64_t value = 0;
    long status = pid < 0 ? -EINVAL : with_thread(pid, get_policy, IO_ADJUST_POLICY, &value);
    return status < 0 ? status : (long)(value >> 8);
}

long px_sys_sched_getparam(int pid, void *parameters)
{
    uint64_t value = 0;
    long status =
        parameters && pid >= 0 ? with_thread(pid, get_policy, IO_ADJUST_POLICY, &value) : -EINVAL;
    return status < 0 ? status : px_store32(parameters, value & 255);
}

static long set_scheduler(int pid, int policy, uint32_t priority)
{
    if (is_realtime(policy) ? priority < 1 || priority > 99 : priority != 0)
        return -EINVAL;
    if (is_realtime(policy) && px_proc()->euid != 0)
        return -EPERM;
    uint64_t value = (uint64_t)policy << 8 | priority;
    return with_thread(pid, set_policy, IO_ADJUST_POLICY | IO_ADJUST_SET, &value);
}

long px_sys_sched_setscheduler(int pid, int policy, const void *parameters)
{
    uint32_t priority;
    policy &= ~SCHED_RESET_ON_FORK;
    if (!parameters || pid < 0 || !policy_ok(policy))
        return -EINVAL;
    if (px_load32(parameters, &priority) < 0)
        return -EFAULT;
    return set_scheduler(pid, policy, priority);
}

long px_sys_sched_setparam(int pid, const void *parameters)
{
    long policy = px_sys_sched_getscheduler(pid);
    return policy < 0 ? policy : px_sys_sched_setscheduler(pid, (int)policy, parameters);
}

long px_sys_sched_rr_get_interval(int pid, void *interval)
{
    uint64_t value = 0;
    long status = pid < 0 ? -EINVAL : with_thread(pid, get_policy, IO_ADJUST_POLICY, &value);
    return status < 0 ? status : px_timespec_out(interval, 10000000);
}

/* ---- nice values ---- */

static long get_nice(struct px_thread *t, uint64_t *value)
{
    *value = (uint64_t)(int64_t)t->tcb.nice;
    return 0;
}

static long set_nice(struct px_thread *t, uint64_t *value)
{
    int nice = (int)(int64_t)*value;
    if (nice < t->tcb.nice && t->process->euid != 0)
        return -EACCES;
    t->tcb.nice = nice;
    motor_thread_control(t->handle, MOTOR_THREAD_SET_PRIORITY, (uint64_t)(nice + 20));
    return 0;
}

/* Of everybody in a group or of a user; 0: one's own. */
static long many_nice(int which, int who, uint64_t set, uint64_t *value)
{
    uint64_t words[2] = {*value, 0}, what = IO_ADJUST_GROUP_NICE, id = (uint32_t)who;
    if (which == PRIO_USER) {
        what = IO_ADJUST_USER_NICE;
        id = who ? id : px_proc()->uid;
    } else if (!who) {
        id = (uint64_t)px_sys_getpgrp();
    }
    long status = adjust(what | set, id, words, 0);
    *value = words[0];
    return status;
}

long px_sys_getpriority(int which, int who)
{
    uint64_t value = 0;
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    long status = which == PRIO_PROCESS ? with_thread(who, get_nice, IO_ADJUST_NICE, &value)
                                        : many_nice(which, who, 0, &value);
    return status < 0 ? status : 20 - (long)(int64_t)value;
}

long px_sys_setpriority(int which, int who, int priority)
{
    uint64_t value = (uint64_t)(int64_t)PX_MAX(-20, PX_MIN(priority, 19));
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    return which == PRIO_PROCESS
               ? with_thread(who, set_nice, IO_ADJUST_NICE | IO_ADJUST_SET, &value)
               : many_nice(which, who, IO_ADJUST_SET, &value);
}

/* ---- policy and nice value in one structure ---- */

#define ATTRIBUTES_LEAST 48u   /* bytes: the first version of it */
#define ATTRIBUTES_MOST  4096u /* and what any version may have */
#define RESET_ON_FORK    1u
#define KEEP_POLICY      8u
#define KEEP_PARAMETERS  16u

struct attributes { /* struct sched_attr */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* of SCHED_DEADLINE, which does not exist */
    uint32_t least, most;
};
_Static_assert(sizeof(struct attributes) == 56, "Linux ABI");

static long attributes_of(int pid, struct attributes *a)
{
    uint64_t policy = 0, nice = 0;
    long status = with_thread(pid, get_policy, IO_ADJUST_POLICY, &policy);
    if (status == 0)
        status = with_thread(pid, get_nice, IO_ADJUST_NICE, &nice);
    *a = (struct attributes){.policy = (uint32_t)(policy >> 8)};
    if (is_realtime((int)a->policy))
        a->priority = policy & 255;
    else
        a->nice = (int32_t)(int64_t)nice;
    return status;
}

long px_sys_sched_getattr(int pid, void *user, unsigned size, unsigned flags)
{
    struct attributes a;
    if (!user || pid < 0 || size < ATTRIBUTES_LEAST || size > ATTRIBUTES_MOST || flags)
        return -EINVAL;
    long status = attributes_of(pid, &a);
    a.size = PX_MIN(size, (unsigned)sizeof a);
    return status < 0 ? status : px_copy_out(user, &a, a.size);
}

/* -E2BIG: it says something that we do not know; then it is told what we do. */
static long take_attributes(struct attributes *a, void *user)
{
    uint8_t rest[64];
    *a = (struct attributes){0};
    if (px_load32(user, &a->size) < 0)
        return -EFAULT;
    uint32_t size = a->size ? a->size : ATTRIBUTES_LEAST;
    bool known = size >= ATTRIBUTES_LEAST && size <= ATTRIBUTES_MOST;
    if (known && px_copy_in(a, user, PX_MIN(size, (uint32_t)sizeof *a)) < 0)
        return -EFAULT;
    for (uint32_t at = sizeof *a; known && at < size; at += sizeof rest) {
        uint32_t n = PX_MIN(size - at, (uint32_t)sizeof rest);
        if (px_copy_in(rest, (uint8_t *)user + at, n) < 0)
            return -EFAULT;
        for (uint32_t i = 0; i < n; i++)
            known &= !rest[i];
    }
    if (known)
        return 0;
    px_store32(user, sizeof *a);
    return -E2BIG;
}

long px_sys_sched_setattr(int pid, void *user, unsigned flags)
{
    struct attributes a, now;
    if (!user || pid < 0 || flags)
        return -EINVAL;
    long status = take_attributes(&a, user);
    if (status < 0)
        return status;
    if (a.flags & ~(uint64_t)(RESET_ON_FORK | KEEP_POLICY | KEEP_PARAMETERS))
        return -EINVAL;
    status = attributes_of(pid, &now);
    if (status < 0)
        return status;
    if (a.flags & KEEP_POLICY)
        a.policy = now.policy;
    if (a.flags & KEEP_PARAMETERS) {
        a.nice = now.nice;
        a.priority = now.priority;
    }
    if (!policy_ok((int)a.policy))
        return -EINVAL;
    status = set_scheduler(pid, (int)a.policy, a.priority);
    if (status < 0 || is_realtime((int)a.policy))
        return status;
    status = px_sys_setpriority(PRIO_PROCESS, pid, a.nice);
    return status == -EACCES ? -EPERM : status;
}

/* ---- limits of another process ---- */

long px_limit_other(int pid, unsigned resource, const struct px_limits *new, struct px_limits *old)
{
    uint64_t words[2] = {new ? new->soft : 0, new ? new->hard : 0};
    long status =
        adjust(IO_ADJUST_LIMIT | (new ? IO_ADJUST_SET : 0), (uint32_t)pid, words, resource);
    *old = (struct px_limits){words[0], words[1]};
    return status;
}
