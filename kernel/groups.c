/* SPDX-License-Identifier: MIT */
/* See groups.h. Lists are copied from and to user memory in pieces, with no lock held. */
#include "groups.h"
#include "account.h"
#include "endpoint.h"
#include "frame.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"

#define PIECE 1024u /* ids between preemption points */

static uint64_t last_id, live; /* [atomic] */

/* ---- lists ---- */

static uint64_t bytes_of(const struct groups *g)
{
    return sizeof(*g) + g->count * sizeof(*g->gid);
}

/* Of ids that are still to be filled in; NULL: no memory, or the account's limit. */
static struct groups *groups_alloc(uint32_t count)
{
    struct groups *g = frame_current_may() ? kzalloc(sizeof(*g)) : NULL;
    struct account *payer = this_cpu()->current->process->account;
    if (!g) {
        return NULL;
    }
    *g = (struct groups){.refs = 1, .count = count, .gid = kmalloc(count * sizeof(*g->gid))};
    if (!g->gid || (payer && !account_take(payer, bytes_of(g)))) {
        kfree(g->gid);
        kfree(g);
        return NULL;
    }
    if (payer) {
        account_get(payer);
        g->payer = payer;
    }
    g->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
    return g;
}

void groups_put(struct groups *g)
{
    if (!g || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }
    if (g->payer) {
        account_give(g->payer, bytes_of(g));
    }
    account_put(g->payer);
    kfree(g->gid);
    kfree(g);
    __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
}

uint64_t groups_live(void)
{
    return __atomic_load_n(&live, __ATOMIC_RELAXED);
}

static bool has(const struct groups *g, uint32_t gid)
{
    uint32_t from = 0, end = g->count;
    while (from < end) {
        uint32_t middle = from + (end - from) / 2;
        if (g->gid[middle] < gid) {
            from = middle + 1;
        } else {
            end = middle;
        }
    }
    return from < g->count && g->gid[from] == gid;
}

/* ---- to and from user memory ---- */

static bool ascends(const struct groups *g, uint32_t from, uint32_t end)
{
    for (uint32_t i = from; i < end; i++) {
        if (g->gid[i] == UINT32_MAX || (i && g->gid[i] < g->gid[i - 1])) {
            return false;
        }
    }
    return true;
}

static int64_t fill(struct groups *g, const uint32_t *user)
{
    for (uint32_t at = 0, n; at < g->count; at += n) {
        n = g->count - at < PIECE ? g->count - at : PIECE;
        if (copy_from_user(g->gid + at, user + at, n * sizeof(*user)) < 0) {
            return -MOTOR_EFAULT;
        }
        if (!ascends(g, at, at + n)) {
            return -MOTOR_EINVAL;
        }
        sched_preempt_point();
    }
    return 0;
}

static int64_t give(const struct groups *g, uint32_t *user)
{
    for (uint32_t at = 0, n; at < g->count; at += n) {
        n = g->count - at < PIECE ? g->count - at : PIECE;
        if (copy_to_user(user + at, g->gid + at, n * sizeof(*user)) < 0) {
            return -MOTOR_EFAULT;
        }
        sched_preempt_point();
    }
    return 0;
}

/* ---- of processes ---- */

/* p has g from now on, whose reference is its own; what it had, or g, is put. */
static int64_t exchange(struct process *p, struct groups *g)
{
    struct groups *old = g;
    int64_t status = -MOTOR_EACCESS;
    spin_lock(&p->lock);
    if (!process_is_closed(p)) {
        old = p->groups;
        status = g ? (int64_t)g->id : 0;
        p->groups = g;
        __atomic_store_n(&p->group_list, (uint64_t)status, __ATOMIC_RELAXED);
    }
    spin_unlock(&p->lock);
    groups_put(old);
    return status;
}

int64_t groups_set(struct process *p, const struct motor_groups *user)
{
    struct motor_groups m;
    if (copy_from_user(&m, user, sizeof(m)) < 0) {
        return -MOTOR_EFAULT;
    }
    if (m.count > MOTOR_GROUPS_MAX) {
        return -MOTOR_EINVAL;
    }
    if (!m.count) {
        return exchange(p, NULL);
    }
    struct groups *g = groups_alloc(m.count);
    int64_t status = g ? fill(g, m.gid) : -MOTOR_ENOMEM;
    if (status < 0) {
        groups_put(g);
        return status;
    }
    return exchange(p, g);
}

int64_t groups_info(struct process *p, struct motor_groups *user, size_t size)
{
    struct motor_groups m;
    if (size != sizeof(m)) {
        return -MOTOR_EINVAL;
    }
    if (copy_from_user(&m, user, sizeof(m)) < 0) {
        return -MOTOR_EFAULT;
    }
    spin_lock(&p->lock);
    struct groups *g = groups_get(p->groups);
    spin_unlock(&p->lock);
    int64_t status = g && g->count <= m.count ? give(g, m.gid) : 0;
    m.id = g ? g->id : 0;
    m.count = g ? g->count : 0;
    groups_put(g);
    return status < 0 ? status : copy_to_user(user, &m, sizeof(m));
}

int64_t sys_caller_in_group(uint64_t token, uint64_t list, uint32_t gid)
{
    struct thread *caller;
    int64_t status = call_pin(token, &caller);
    if (status < 0) {
        return status;
    }
    struct process *p = thread_acts_for(caller); /* for whom it does not change: it waits */
    spin_lock(&p->lock);
    const struct groups *g = p->groups;
    status = g && g->id == list ? has(g, gid) : -MOTOR_EGONE;
    spin_unlock(&p->lock);
    call_unpin(caller);
    return status;
}
