/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues by name: who may open them, and what they are charged with. A queue is
 * charged when it is made, to who makes it, with all that may ever be in it, as Linux does
 * (RLIMIT_MSGQUEUE); the limit is the program's own word, so it is believed up to a share of the
 * machine's memory only.
 */
#include "../tty/session.h"
#include "mqueue.h"
#include "mqueue_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define ACCESS        3u /* of open flags: musl's O_ACCMODE has more bits */
#define BUCKETS       64u
#define MEMORY_SHARE  16u /* of the machine's memory, for all queues; */
#define USER_SHARE    4u  /* and of that, for each user but root */
#define QUEUED_COST   48u /* what Linux counts for a message, beside its bytes, */
#define PRIORITY_COST 48u /* and for each priority that it may have */

struct mq_user { /* who has made queues */
    struct mq_user *next;
    uint32_t uid, queues;
    uint64_t bytes;
};

static struct mqueue *buckets[BUCKETS];
static struct mq_user *users;
static uint64_t count, charged, charged_most;
static uint64_t last_number;

static uint32_t limit(const uint32_t *which)
{
    return __atomic_load_n(which, __ATOMIC_RELAXED);
}

/* ---- names ---- */

static struct mqueue **bucket_of(const char *path)
{
    uint32_t hash = 0;
    for (; *path; path++)
        hash = hash * 31 + (uint8_t)*path;
    return &buckets[hash % BUCKETS];
}

static struct mqueue *find(const char *path)
{
    struct mqueue *q = *bucket_of(path);
    while (q && strcmp(q->path, path) != 0)
        q = q->next;
    return q;
}

static void unpublish(struct mqueue *q)
{
    struct mqueue **link = bucket_of(q->path);
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    q->named = false;
}

/* The name in a call, behind a slash. */
static int64_t take_path(const struct motor_event *ev, char path[MQUEUE_NAME_MAX + 2])
{
    if (!ev->in_size)
        return -ENOENT;
    if (ev->in_size > MQUEUE_NAME_MAX)
        return -ENAMETOOLONG;
    int64_t n = event_read(ev, 0, path + 1, ev->in_size);
    if (n < (int64_t)ev->in_size)
        return n < 0 ? n : -EFAULT;
    path[0] = '/';
    path[n + 1] = 0;
    bool dots = !strcmp(path + 1, ".") || !strcmp(path + 1, "..");
    return dots || memchr(path + 1, '/', (size_t)n) || memchr(path + 1, 0, (size_t)n) ? -EACCES : 0;
}

/* ---- charges ---- */

static uint64_t cost_of(uint64_t messages, uint64_t size)
{
    uint64_t priorities = messages < MQUEUE_PRIORITIES ? messages : MQUEUE_PRIORITIES;
    return messages * (QUEUED_COST + size) + priorities * PRIORITY_COST;
}

static struct mq_user *user_get(uint32_t uid)
{
    struct mq_user *u = users;
    while (u && u->uid != uid)
        u = u->next;
    if (!u && (u = calloc(1, sizeof *u))) {
        u->uid = uid;
        u->next = users;
        users = u;
    }
    return u;
}

static void user_settle(struct mq_user *u)
{
    struct mq_user **link = &users;
    if (u->queues)
        return;
    while (*link != u)
        link = &(*link)->next;
    *link = u->next;
    free(u);
}

/* allowed: the caller's RLIMIT_MSGQUEUE */
static int64_t charge(struct mqueue *q, uint64_t allowed)
{
    uint64_t cost = cost_of(q->messages_max, q->size_max);
    struct mq_user *u = memory_low() ? NULL : user_get(q->uid);
    if (!u)
        return -ENOMEM;
    if (q->uid && allowed > charged_most / USER_SHARE)
        allowed = charged_most / USER_SHARE;
    int64_t error = cost > allowed || u->bytes > allowed - cost ? -EMFILE
                    : charged + cost > charged_most             ? -ENOMEM
                                                                : 0;
    if (!error) {
        u->queues++;
        u->bytes += cost;
        charged += cost;
        q->user = u;
    }
    user_settle(u);
    return error;
}

static void discharge(struct mqueue *q)
{
    uint64_t cost = cost_of(q->messages_max, q->size_max);
    q->user->queues--;
    q->user->bytes -= cost;
    charged -= cost;
    user_settle(q->user);
}

/* ---- life ---- */

static void mqueue_free(struct mqueue *q)
{
    mqueue_notice_end(q);
    mqueue_drop(q);
    for (size_t i = 0; i < sizeof q->end / sizeof *q->end; i++)
        if (q->end[i].badge) {
            session_forget(&q->end[i].object);
            badge_remove(&tty_engine.badges, q->end[i].badge);
        }
    discharge(q);
    count--;
    free(q);
}

static void settle(struct mqueue *q)
{
    if (!q->named && !q->refs)
        mqueue_free(q);
}

void mqueue_opened(struct tty_object *o)
{
    struct mq_end *e = mq_end_of(o);
    e->refs++;
    e->queue->refs++;
}

void mqueue_closed(struct tty_object *o)
{
    struct mq_end *e = mq_end_of(o);
    e->refs--;
    e->queue->refs--;
    settle(e->queue);
}

/* What a new queue is to have; -EINVAL: it must not. */
static int64_t set_sizes(struct mqueue *q, const struct motor_event *ev)
{
    uint32_t msg_max = limit(&mqueue_limits.msg_max), size_max = limit(&mqueue_limits.msgsize_max);
    uint32_t messages = limit(&mqueue_limits.msg_default),
             size = limit(&mqueue_limits.msgsize_default);
    q->messages_max = messages < msg_max ? messages : msg_max;
    q->size_max = size < size_max ? size : size_max;
    if (!ev->word[4])
        return 0;
    q->messages_max = ev->word[2];
    q->size_max = ev->word[3];
    uint64_t most = ev->uid ? msg_max : MQUEUE_MESSAGES_MOST;
    uint64_t largest = ev->uid ? size_max : MQUEUE_SIZE_MOST;
    return q->messages_max - 1 < most && q->size_max - 1 < largest ? 0 : -EINVAL;
}

static int64_t make(const struct motor_event *ev, const char *path, struct mqueue **out)
{
    if (count >= limit(&mqueue_limits.queues_max) && (ev->uid || count >= MQUEUE_QUEUES_MOST))
        return -ENOSPC;
    struct mqueue *q = memory_low() ? NULL : calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    q->mode = (uint32_t)ev->word[1] & 07777;
    q->uid = ev->uid;
    q->gid = ev->gid;
    q->number = ++last_number;
    q->made = q->changed = (int64_t)clock_realtime_ns();
    strcpy(q->path, path);
    int64_t error = set_sizes(q, ev);
    if (!error)
        error = charge(q, ev->word[5]);
    if (error) {
        free(q);
        return error;
    }
    count++;
    q->named = true;
    struct mqueue **bucket = bucket_of(path);
    q->next = *bucket;
    *bucket = q;
    *out = q;
    return 0;
}

/* ---- opening ---- */

static int64_t may_open(const struct mqueue *q, const struct motor_event *ev)
{
    static const uint32_t needs[] = {[O_RDONLY] = 4, [O_WRONLY] = 2, [O_RDWR] = 6};
    uint32_t has = ev->uid == q->uid            ? q->mode >> 6
                   : event_in_group(ev, q->gid) ? q->mode >> 3
                                                : q->mode;
    uint32_t want = needs[ev->word[0] & ACCESS];
    return !ev->uid || (has & want) == want ? 0 : -EACCES;
}

/* The end for an access mode; its gate, or a negated errno. */
static int64_t end_gate(struct mqueue *q, uint32_t access)
{
    struct mq_end *e = &q->end[access];
    if (!e->badge) {
        e->queue = q;
        e->object = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                        .ops = &mqueue_ops,
                                        .opened = mqueue_opened,
                                        .closed = mqueue_closed,
                                        .news = 1,
                                        .no_read = access == O_WRONLY,
                                        .no_write = access == O_RDONLY,
                                        .path = q->path};
        e->badge = badge_add(&tty_engine.badges, &e->object);
    }
    int64_t gate = e->badge ? engine_gate(&tty_engine, e->badge) : -ENOMEM;
    if (gate >= 0)
        mqueue_opened(&e->object);
    return gate;
}

static int64_t open_queue(const struct motor_event *ev)
{
    char path[MQUEUE_NAME_MAX + 2];
    uint32_t access = (uint32_t)ev->word[0] & ACCESS;
    int64_t error = take_path(ev, path);
    if (error)
        return error;
    struct mqueue *q = find(path);
    bool made = !q;
    if (q && ev->word[0] & O_CREAT && ev->word[0] & O_EXCL)
        return -EEXIST;
    if (!q && !(ev->word[0] & O_CREAT))
        return -ENOENT;
    if (access == ACCESS)
        return -EINVAL;
    error = q ? may_open(q, ev) : make(ev, path, &q);
    if (error)
        return error;
    int64_t gate = end_gate(q, access);
    if (gate < 0 && made) {
        unpublish(q);
        mqueue_free(q);
    }
    return gate;
}

void mqueue_open(struct motor_event *ev)
{
    int64_t gate = open_queue(ev);
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, gate < 0 ? gate : 0);
    if (gate >= 0)
        engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
}

int64_t mqueue_unlink(const struct motor_event *ev)
{
    char path[MQUEUE_NAME_MAX + 2];
    int64_t error = take_path(ev, path);
    struct mqueue *q = error ? NULL : find(path);
    if (!q)
        return error ? error : -ENOENT;
    if (ev->uid && ev->uid != q->uid)
        return -EPERM; /* they lie in a sticky directory */
    unpublish(q);
    settle(q);
    return 0;
}

void mqueues_init(uint64_t memory)
{
    charged_most = memory / MEMORY_SHARE;
    counter_register("tty", "message_queues", &count);
    counter_register("tty", "message_queue_bytes", &charged);
}
