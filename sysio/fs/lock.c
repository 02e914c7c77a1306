/* SPDX-License-Identifier: MIT */
/*
 * Locks of files: see lock.h.
 *
 * The locks of one owner and kind never overlap, and those of the same type never touch: setting
 * one joins, cuts or replaces what the owner has there. Record locks of processes and of open files
 * exclude each other; whole-file locks (flock) are a world of their own, as on Linux.
 *
 * Who must wait is remembered by its call. When something is released, or becomes shared, those who
 * wait for this file are tried in the order of their coming.
 *
 * A process that would wait for itself, by any chain of processes that wait, gets EDEADLK. Only
 * locks of processes count, as there is no telling which of those who share an open file would
 * release its lock.
 */
#include "lock.h"
#include "presence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define BYTES_PER_LOCK 16384u /* of the machine's memory: how many locks there may be */
#define OWNER_SHARE    4u     /* an owner may have this part of them */
#define SEARCH_MAX     65536u /* steps of a search for a deadlock; more is taken for none */

static struct file_locks *all;
static uint64_t locks_count, locks_limit;

void locks_init(uint64_t memory)
{
    locks_limit = memory / BYTES_PER_LOCK;
    counter_register("fs", "locks", &locks_count);
}

/* ---- lists ---- */

static struct file_locks *locks_of(struct inode *inode, bool make)
{
    struct file_locks *of = inode->locks;
    if (of || !make || memory_low() || !(of = calloc(1, sizeof *of)))
        return of;
    of->inode = inode_get(inode);
    of->waits_end = &of->waits;
    of->link = &all;
    of->next = all;
    if (all)
        all->link = &of->next;
    all = of;
    return inode->locks = of;
}

static void free_if_empty(struct file_locks *of)
{
    if (of->locks || of->waits)
        return;
    *of->link = of->next;
    if (of->next)
        of->next->link = of->link;
    of->inode->locks = NULL;
    inode_put(of->inode);
    free(of);
}

static void own(struct lock *l, struct lock **list)
{
    l->owned_link = list;
    l->owned_next = *list;
    if (*list)
        (*list)->owned_link = &l->owned_next;
    *list = l;
    l->set->count++;
    locks_count++;
}

static void disown(struct lock *l)
{
    *l->owned_link = l->owned_next;
    if (l->owned_next)
        l->owned_next->owned_link = l->owned_link;
    l->set->count--;
    locks_count--;
}

static void place(struct lock *l)
{
    struct lock **link = &l->of->locks;
    while (*link && (*link)->start < l->start)
        link = &(*link)->next;
    l->link = link;
    l->next = *link;
    if (l->next)
        l->next->link = &l->next;
    *link = l;
}

static void displace(struct lock *l)
{
    *l->link = l->next;
    if (l->next)
        l->next->link = l->link;
}

static void lock_free(struct lock *l)
{
    displace(l);
    disown(l);
    free(l);
}

static bool may_have(const struct lock_set *set, uint32_t more)
{
    return set->count + more <= locks_limit / OWNER_SHARE && locks_count + more <= locks_limit &&
           !memory_low();
}

/* ---- conflicts ---- */

static bool same_owner(const struct lock *a, const struct lock *b)
{
    return a->kind == b->kind && a->set == b->set;
}

static bool conflicts(const struct lock *a, const struct lock *b)
{
    return (a->kind == LOCK_WHOLE) == (b->kind == LOCK_WHOLE) && !same_owner(a, b) &&
           (a->exclusive || b->exclusive) && a->start <= b->end && b->start <= a->end;
}

/* The first lock from `l` on that is in the way. */
static struct lock *conflict_from(struct lock *l, const struct lock *want)
{
    for (; l && l->start <= want->end; l = l->next)
        if (conflicts(l, want))
            return l;
    return NULL;
}

static struct lock *conflict(const struct lock *want)
{
    return conflict_from(want->of->locks, want);
}

/* ---- deadlocks ---- */

struct search {
    struct lock_set *to_see;
    uint32_t number, steps;
};

/* The processes that are in the way of `want` are to be looked at. */
static void see_blockers(struct search *s, const struct lock *want)
{
    for (struct lock *l = conflict(want); l && s->steps < SEARCH_MAX;
         l = conflict_from(l->next, want)) {
        s->steps++;
        if (l->kind != LOCK_PROCESS || l->set->seen == s->number)
            continue;
        l->set->seen = s->number;
        l->set->to_see = s->to_see;
        s->to_see = l->set;
    }
}

static bool would_deadlock(const struct lock *want)
{
    static uint32_t number;
    struct search s = {.number = ++number};
    if (want->kind != LOCK_PROCESS)
        return false;
    see_blockers(&s, want);
    while (s.to_see) {
        struct lock_set *set = s.to_see;
        s.to_see = set->to_see;
        if (set == want->set)
            return true;
        for (struct lock *w = set->wanted; w && s.steps < SEARCH_MAX; w = w->owned_next) {
            s.steps++;
            see_blockers(&s, w);
        }
    }
    return false;
}

/* ---- changing what an owner has ---- */

/* What is left of `l` on both sides of [start, end]; `rest` becomes the second part if there are
 * two. True: `rest` was taken. */
static bool cut(struct lock *l, uint64_t start, uint64_t end, struct lock *rest)
{
    bool before = l->start<start, after = l->end> end;
    if (before && after) {
        *rest = *l;
        rest->start = end + 1;
        own(rest, &l->set->held);
        place(rest);
    }
    if (before) {
        l->end = start - 1;
    } else if (after) {
        displace(l);
        l->start = end + 1;
        place(l);
    } else {
        lock_free(l);
    }
    return before && after;
}

static bool touches(const struct lock *l, uint64_t start, uint64_t end)
{
    return l->start <= end + (end != LOCK_LAST_BYTE) &&
           start <= l->end + (l->end != LOCK_LAST_BYTE);
}

/*
 * Gives the owner of `want` this range (or, with `release`, takes it away), joining and cutting
 * what it has there. 1: others may go on now; 0; -ENOLCK.
 */
static int apply(struct lock *want, bool release)
{
    struct lock *new = NULL, *rest = NULL;
    int freed = 0;
    if (!release && !(new = may_have(want->set, 2) ? malloc(sizeof *new) : NULL))
        return -ENOLCK;
    if ((want->start || want->end != LOCK_LAST_BYTE) && !(rest = malloc(sizeof *rest))) {
        free(new);
        return -ENOLCK;
    }
    for (struct lock *l = want->of->locks, *next; l && l->start <= want->end + 1; l = next) {
        next = l->next;
        if (!same_owner(l, want))
            continue;
        if (!release && l->exclusive == want->exclusive) {
            if (!touches(l, want->start, want->end))
                continue;
            want->start = l->start < want->start ? l->start : want->start;
            want->end = l->end > want->end ? l->end : want->end;
            lock_free(l);
        } else if (l->start <= want->end && want->start <= l->end) {
            freed |= l->exclusive || release;
            if (cut(l, want->start, want->end, rest))
                rest = NULL;
        }
    }
    free(rest);
    if (new) {
        *new = *want;
        own(new, &new->set->held);
        place(new);
    }
    return freed;
}

/* ---- waiting ---- */

static void wait_end(struct lock_wait *w, int64_t status)
{
    engine_reply(&fs_engine, w->token, status);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    else
        w->want.of->waits_end = w->link;
    disown(&w->want);
    free(w);
}

/* Those who wait for this file, after something was released. It may be gone afterwards. */
static void retry(struct file_locks *of)
{
    for (bool again = true; again;) {
        again = false;
        for (struct lock_wait *w = of->waits, *next; w; w = next) {
            next = w->next;
            if (conflict(&w->want))
                continue;
            struct lock want = w->want;
            int status = apply(&want, false);
            again |= status > 0; /* it had more than it has now */
            wait_end(w, status < 0 ? status : 0);
        }
    }
    free_if_empty(of);
}

static int64_t wait_begin(const struct lock *want, uint64_t token)
{
    struct lock_wait *w = may_have(want->set, 1) ? malloc(sizeof *w) : NULL;
    if (!w)
        return -ENOLCK;
    *w = (struct lock_wait){.want = *want, .token = token, .link = want->of->waits_end};
    *w->link = w;
    want->of->waits_end = &w->next;
    own(&w->want, &w->want.set->wanted);
    return NO_REPLY;
}

void locks_cancel(uint64_t token)
{
    for (struct file_locks *of = all; of; of = of->next)
        for (struct lock_wait *w = of->waits; w; w = w->next)
            if (w->token == token) {
                wait_end(w, -EINTR);
                free_if_empty(of);
                return;
            }
}

static struct lock_wait *wait_of(struct lock *want)
{
    return (struct lock_wait *)((char *)want - offsetof(struct lock_wait, want));
}

static void owner_gone(struct lock_set *set)
{
    while (set->wanted) {
        struct file_locks *of = set->wanted->of;
        wait_end(wait_of(set->wanted), -EBADF);
        free_if_empty(of);
    }
    while (set->held) {
        struct file_locks *of = set->held->of;
        for (struct lock *l = of->locks, *next; l; l = next) {
            next = l->next;
            if (l->set == set)
                lock_free(l);
        }
        retry(of);
    }
}

void locks_file_closed(struct file *file)
{
    if (file->locks.count)
        owner_gone(&file->locks);
}

void locks_presence_closed(struct presence *presence)
{
    owner_gone(&presence->locks);
}

/* ---- the call ---- */

/* The range that a struct flock names, from the position that its l_whence is. */
static int take_range(struct lock *want, uint64_t base, int64_t start, int64_t length)
{
    int64_t from;
    if (base > INT64_MAX)
        return -EINVAL;
    if (__builtin_add_overflow((int64_t)base, start, &from))
        return -EOVERFLOW;
    if (from < 0)
        return -EINVAL;
    if (length > 0 && length - 1 > INT64_MAX - from)
        return -EOVERFLOW;
    if (length < 0 && from + length < 0)
        return -EINVAL;
    want->start = (uint64_t)(length < 0 ? from + length : from);
    want->end = length < 0   ? (uint64_t)from - 1
                : length > 0 ? (uint64_t)(from + length - 1)
                             : LOCK_LAST_BYTE;
    return 0;
}

static int64_t answer_test(struct lock *want, const struct motor_event *ev)
{
    struct lock *l = want->of ? conflict(want) : NULL;
    struct motor_reply *r = engine_reply(&fs_engine, ev->token, 0);
    r->word[0] = !l ? F_UNLCK : l->exclusive ? F_WRLCK : F_RDLCK;
    if (l) {
        r->word[1] = l->start;
        r->word[2] = l->end == LOCK_LAST_BYTE ? 0 : l->end - l->start + 1;
        r->word[3] = l->kind == LOCK_PROCESS ? l->pid : UINT64_MAX;
    }
    return NO_REPLY;
}

static int64_t wait_or_fail(struct lock *want, const struct motor_event *ev)
{
    struct file_locks *of = want->of;
    int64_t status = !(ev->word[0] & IO_LOCK_WAIT) ? -EAGAIN
                     : would_deadlock(want)        ? -EDEADLK
                                                   : wait_begin(want, ev->token);
    /* flock's change of a lock is a release first */
    if (want->kind == LOCK_WHOLE && apply(want, true) > 0)
        retry(of);
    else
        free_if_empty(of);
    return status;
}

static int64_t set(struct lock *want, const struct motor_event *ev, bool release)
{
    struct file_locks *of = want->of;
    if (!release && conflict(want))
        return wait_or_fail(want, ev);
    int status = apply(want, release);
    if (status > 0)
        retry(of);
    else
        free_if_empty(of);
    return status < 0 ? status : 0;
}

static bool may_lock(const struct file *file, uint64_t type)
{
    uint32_t access = file->flags & O_ACCMODE;
    return type == F_RDLCK ? access != O_WRONLY : type == F_WRLCK ? access != O_RDONLY : true;
}

/* Decodes the call. With IO_LOCK_TEST, type F_UNLCK has no meaning. */
static int take_want(struct lock *want, struct file *file, struct presence *presence,
                     const struct motor_event *ev)
{
    const uint64_t *w = ev->word;
    uint64_t kind = w[0] & IO_LOCK_KIND, type = w[1];
    bool test = w[0] & IO_LOCK_TEST, process = kind == IO_LOCK_PROCESS || kind == IO_LOCK_CLOSE;
    if (kind > IO_LOCK_WHOLE || (process && !presence))
        return -EINVAL;
    *want = (struct lock){.kind = process                     ? LOCK_PROCESS
                                  : kind == IO_LOCK_OPEN_FILE ? LOCK_OPEN_FILE
                                                              : LOCK_WHOLE,
                          .set = process ? &presence->locks : &file->locks,
                          .pid = process ? presence->pid : ev->pid,
                          .exclusive = type == F_WRLCK,
                          .end = LOCK_LAST_BYTE};
    if (kind == IO_LOCK_CLOSE)
        return 0;
    if (type > F_UNLCK || (test && (type == F_UNLCK || kind == IO_LOCK_WHOLE)))
        return -EINVAL;
    if (kind == IO_LOCK_WHOLE)
        return 0;
    int error = take_range(want, w[2] == IO_LOCK_FROM_END ? file->inode->size : w[2], (int64_t)w[3],
                           (int64_t)w[4]);
    return error ? error : test || may_lock(file, type) ? 0 : -EBADF;
}

int64_t lock_call(struct file *file, struct presence *presence, const struct motor_event *ev)
{
    struct lock want;
    if (file->flags & O_PATH)
        return -EBADF;
    int error = take_want(&want, file, presence, ev);
    if (error)
        return error;
    bool release = ev->word[1] == F_UNLCK || (ev->word[0] & IO_LOCK_KIND) == IO_LOCK_CLOSE;
    want.of = locks_of(file->inode, !release && !(ev->word[0] & IO_LOCK_TEST));
    if (ev->word[0] & IO_LOCK_TEST)
        return answer_test(&want, ev);
    if (!want.of)
        return release ? 0 : -ENOLCK;
    return set(&want, ev, release);
}

void locks_each(void (*show)(struct text *t, const struct lock *l, bool waits), struct text *t)
{
    for (struct file_locks *of = all; of; of = of->next) {
        for (struct lock *l = of->locks; l; l = l->next)
            show(t, l, false);
        for (struct lock_wait *w = of->waits; w; w = w->next)
            show(t, &w->want, true);
    }
}
