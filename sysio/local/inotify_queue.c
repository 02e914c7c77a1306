/* SPDX-License-Identifier: MIT */
/* See inotify_queue.h. */
#include "inotify_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct queued {
    struct queued *next;
    struct inotify_event event; /* last: its name follows */
};

struct user { /* who has instances */
    struct user *next;
    uint32_t uid, instances, watches;
};

struct inotify_queue {
    struct inotify_queue *next;
    uint64_t badge;
    struct user *user;
    uint32_t refs;
    bool closed;
    struct queued *first, **last;
    uint32_t count, added;
    uint32_t given; /* of them, to a reader who may not have got them */
    size_t bytes;
    int last_watch;
    struct watch *watches;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct inotify_queue *queues; /* [lock] and all that they hold, but for lists of watches */
static struct user *users;

/* ---- users ---- */

static struct user *user_get(uint32_t uid)
{
    struct user *u = users;
    while (u && u->uid != uid)
        u = u->next;
    if (!u && (u = calloc(1, sizeof *u))) {
        u->uid = uid;
        u->next = users;
        users = u;
    }
    return u;
}

static void user_settle(struct user *u)
{
    struct user **link = &users;
    if (u->instances || u->watches)
        return;
    while (*link != u)
        link = &(*link)->next;
    *link = u->next;
    free(u);
}

/* ---- life ---- */

static void drop_first(struct inotify_queue *q)
{
    struct queued *e = q->first;
    q->first = e->next;
    if (!q->first)
        q->last = &q->first;
    q->count--;
    q->bytes -= sizeof e->event + e->event.len;
    free(e);
}

struct inotify_queue *inotify_queue_new(uint64_t badge, uint32_t uid, int *error)
{
    struct inotify_queue *q = calloc(1, sizeof *q);
    pthread_mutex_lock(&lock);
    struct user *u = q ? user_get(uid) : NULL;
    *error = !u ? -ENOMEM : u->instances == INOTIFY_INSTANCES ? -EMFILE : 0;
    if (!*error) {
        u->instances++;
        *q = (struct inotify_queue){
            .next = queues, .badge = badge, .user = u, .refs = 1, .last = &q->first};
        queues = q;
    }
    pthread_mutex_unlock(&lock);
    if (*error)
        free(q);
    return *error ? NULL : q;
}

struct inotify_queue *inotify_queue_find(uint64_t badge)
{
    pthread_mutex_lock(&lock);
    struct inotify_queue *q = queues;
    while (q && (q->closed || q->badge != badge))
        q = q->next;
    if (q)
        q->refs++;
    pthread_mutex_unlock(&lock);
    return q;
}

static void unlist(struct inotify_queue *q)
{
    struct inotify_queue **link = &queues;
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
}

void inotify_queue_put(struct inotify_queue *q)
{
    pthread_mutex_lock(&lock);
    bool last = --q->refs == 0;
    if (last) {
        unlist(q);
        while (q->first)
            drop_first(q);
        q->user->instances--;
        user_settle(q->user);
    }
    pthread_mutex_unlock(&lock);
    if (last)
        free(q);
}

void inotify_queue_close(struct inotify_queue *q)
{
    pthread_mutex_lock(&lock);
    q->closed = true;
    pthread_mutex_unlock(&lock);
    inotify_queue_put(q);
}

struct inotify_queue *inotify_queue_closed(void)
{
    pthread_mutex_lock(&lock);
    struct inotify_queue *q = queues;
    while (q && !q->closed)
        q = q->next;
    if (q)
        q->refs++;
    pthread_mutex_unlock(&lock);
    return q;
}

/* ---- watches ---- */

struct watch **inotify_queue_watches(struct inotify_queue *q)
{
    return &q->watches;
}

int inotify_queue_watch(struct inotify_queue *q)
{
    int number = -ENOSPC;
    pthread_mutex_lock(&lock);
    if (q->user->watches < INOTIFY_WATCHES && q->last_watch < INT32_MAX) {
        q->user->watches++;
        q->refs++;
        number = ++q->last_watch;
    }
    pthread_mutex_unlock(&lock);
    return number;
}

void inotify_queue_unwatch(struct inotify_queue *q)
{
    pthread_mutex_lock(&lock);
    q->user->watches--;
    pthread_mutex_unlock(&lock);
    inotify_queue_put(q);
}

/* ---- events ---- */

static bool is_last(const struct inotify_queue *q, const struct inotify_event *e, const char *name,
                    size_t length)
{
    if (q->count == q->given)
        return false;
    const struct queued *l =
        (const struct queued *)((const char *)q->last - offsetof(struct queued, next));
    if (l->event.wd != e->wd || l->event.mask != e->mask || l->event.cookie != e->cookie)
        return false;
    return length ? l->event.len && strlen(l->event.name) == length &&
                        !memcmp(l->event.name, name, length)
                  : !l->event.len;
}

static void append(struct inotify_queue *q, const struct inotify_event *event, const char *name,
                   size_t length)
{
    /* a name is filled up with NULs, at least one, so that the next event is aligned */
    size_t unit = sizeof(struct inotify_event), room = length ? (length / unit + 1) * unit : 0;
    struct queued *e = calloc(1, sizeof *e + room);
    if (!e)
        return;
    e->event = *event;
    e->event.len = (uint32_t)room;
    if (length)
        memcpy(e->event.name, name, length);
    *q->last = e;
    q->last = &e->next;
    q->count++;
    q->added++;
    q->bytes += sizeof e->event + room;
}

bool inotify_queue_add(struct inotify_queue *q, const struct inotify_event *event, const char *name,
                       size_t length)
{
    static const struct inotify_event overflow = {.wd = -1, .mask = IN_Q_OVERFLOW};
    pthread_mutex_lock(&lock);
    bool more = !q->closed && q->count <= INOTIFY_EVENTS && !is_last(q, event, name, length);
    if (more && q->count == INOTIFY_EVENTS)
        append(q, &overflow, NULL, 0);
    else if (more)
        append(q, event, name, length);
    pthread_mutex_unlock(&lock);
    return more;
}

int64_t inotify_queue_give(struct inotify_queue *q, void *to, size_t room)
{
    size_t done = 0;
    pthread_mutex_lock(&lock);
    bool any = q->first;
    q->given = 0;
    for (const struct queued *e = q->first; e; e = e->next) {
        size_t size = sizeof e->event + e->event.len;
        if (size > room - done)
            break;
        memcpy((char *)to + done, &e->event, size);
        done += size;
        q->given++;
    }
    pthread_mutex_unlock(&lock);
    return any && !done ? -EINVAL : (int64_t)done;
}

void inotify_queue_given(struct inotify_queue *q, bool taken)
{
    pthread_mutex_lock(&lock);
    for (; taken && q->given; q->given--)
        drop_first(q);
    q->given = 0;
    pthread_mutex_unlock(&lock);
}

size_t inotify_queue_bytes(struct inotify_queue *q)
{
    pthread_mutex_lock(&lock);
    size_t bytes = q->bytes;
    pthread_mutex_unlock(&lock);
    return bytes;
}

uint32_t inotify_queue_added(struct inotify_queue *q)
{
    pthread_mutex_lock(&lock);
    uint32_t added = q->added;
    pthread_mutex_unlock(&lock);
    return added;
}
