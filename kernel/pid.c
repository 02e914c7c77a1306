/* SPDX-License-Identifier: MIT */
/* The table of pids, and the count of processes of each user. See pid.h. */
#include "pid.h"
#include "frame.h"
#include "log.h"
#include "process.h"

#define LEAF    256u /* slots: a page */
#define BUCKETS 64u

struct spinlock processes_lock;

struct slot {
    struct process *process;
    uint32_t members; /* processes whose group or session this is; one that is both counts twice */
};

/* made as needed; an empty one goes, unless the next pid will be in it */
static struct slot *leaves[PIDS / LEAF];
static uint64_t used[PIDS / 64];
static uint64_t busy[PIDS / 64 / 64]; /* words of `used` that are not 0 */
static uint32_t next_pid = 1;

static struct slot *slot_of(uint32_t pid)
{
    return pid < PIDS && leaves[pid / LEAF] ? &leaves[pid / LEAF][pid % LEAF] : NULL;
}

static bool is_used(uint32_t pid)
{
    return used[pid / 64] >> (pid % 64) & 1;
}

static uint32_t free_pid(void)
{
    for (uint32_t i = 0; i < PIDS; i++) {
        uint32_t pid = next_pid + i;
        pid = pid < PIDS ? pid : pid - PIDS + 1; /* 0 is no pid */
        if (pid && pid < PIDS && !is_used(pid)) {
            return pid;
        }
    }
    return 0;
}

bool pid_assign(struct process *p, uint32_t wanted)
{
    uint32_t pid = wanted ? wanted : free_pid();
    if (!pid || is_used(pid)) {
        return false;
    }
    struct slot **leaf = &leaves[pid / LEAF];
    if (!*leaf && !(*leaf = kzalloc(LEAF * sizeof(**leaf)))) {
        return false;
    }
    used[pid / 64] |= 1ull << (pid % 64);
    busy[pid / 64 / 64] |= 1ull << (pid / 64 % 64);
    (*leaf)[pid % LEAF].process = p;
    p->pid = pid;
    if (!wanted) {
        next_pid = pid + 1 < PIDS ? pid + 1 : 1;
    }
    return true;
}

static bool leaf_is_empty(uint32_t leaf)
{
    const uint64_t *word = &used[leaf * LEAF / 64];
    uint64_t any = 0;
    for (uint32_t i = 0; i < LEAF / 64; i++) {
        any |= word[i];
    }
    return !any;
}

static void slot_changed(struct slot *s, uint32_t pid)
{
    if (s->process || s->members) {
        return;
    }
    used[pid / 64] &= ~(1ull << (pid % 64));
    if (!used[pid / 64]) {
        busy[pid / 64 / 64] &= ~(1ull << (pid / 64 % 64));
    }
    if (pid / LEAF != next_pid / LEAF && leaf_is_empty(pid / LEAF)) {
        kfree(leaves[pid / LEAF]);
        leaves[pid / LEAF] = NULL;
    }
}

void pid_release(struct process *p)
{
    struct slot *s = slot_of(p->pid);
    KASSERT(s && s->process == p);
    s->process = NULL;
    slot_changed(s, p->pid);
}

struct process *pid_find(uint32_t pid)
{
    struct slot *s = slot_of(pid);
    return s ? s->process : NULL;
}

/* The first bit from `from` on; `bits` if there is none. */
static uint32_t next_bit(const uint64_t *map, uint32_t bits, uint32_t from)
{
    while (from < bits) {
        uint64_t word = map[from / 64] >> (from % 64);
        if (word) {
            return from + (uint32_t)__builtin_ctzll(word);
        }
        from = (from / 64 + 1) * 64;
    }
    return bits;
}

static uint32_t next_used(uint32_t from)
{
    uint32_t end = (from / 64 + 1) * 64, pid = from < PIDS ? next_bit(used, end, from) : PIDS;
    if (pid < end) {
        return pid;
    }
    uint32_t word = next_bit(busy, PIDS / 64, end / 64);
    return word < PIDS / 64 ? next_bit(used, PIDS, word * 64) : PIDS;
}

struct process *pid_next(uint32_t from)
{
    for (uint32_t pid = next_used(from); pid < PIDS; pid = next_used(pid + 1)) {
        struct process *p = pid_find(pid);
        if (p) {
            return p;
        }
    }
    return NULL;
}

void pid_group_join(uint32_t id)
{
    struct slot *s = slot_of(id);
    KASSERT(s);
    s->members++;
}

void pid_group_leave(uint32_t id)
{
    struct slot *s = slot_of(id);
    KASSERT(s && s->members);
    s->members--;
    slot_changed(s, id);
}

bool pid_is_group(uint32_t id)
{
    struct slot *s = slot_of(id);
    return s && s->members;
}

uint32_t process_pids(uint32_t from, uint32_t *pids, uint32_t max)
{
    uint32_t n = 0;
    spin_lock(&processes_lock);
    for (struct process *p = pid_next(from); p && n < max; p = pid_next(p->pid + 1)) {
        pids[n++] = p->pid;
    }
    spin_unlock(&processes_lock);
    return n;
}

/* ---- users ---- */

static struct user {
    struct user *next;
    uint32_t uid, processes;
} * users[BUCKETS];

static struct user **user_find(uint32_t uid)
{
    struct user **u = &users[uid % BUCKETS];
    while (*u && (*u)->uid != uid) {
        u = &(*u)->next;
    }
    return u;
}

bool user_add(uint32_t uid)
{
    struct user **u = user_find(uid);
    if (!*u) {
        if (!(*u = kzalloc(sizeof(**u)))) {
            return false;
        }
        (*u)->uid = uid;
    }
    (*u)->processes++;
    return true;
}

void user_remove(uint32_t uid)
{
    struct user **u = user_find(uid), *gone = *u;
    KASSERT(gone && gone->processes);
    if (--gone->processes == 0) {
        *u = gone->next;
        kfree(gone);
    }
}

uint32_t user_count(uint32_t uid)
{
    struct user *u = *user_find(uid);
    return u ? u->processes : 0;
}
