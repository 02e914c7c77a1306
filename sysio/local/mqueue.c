/* SPDX-License-Identifier: MIT */
/* Messages in POSIX message queues, and who waits for them: see mqueue.h. */
#include "mqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

struct mq_wait {
    struct mq_wait *next;
    struct mqueue *queue;
    uint64_t token;
    bool sends;
    uint32_t size, priority; /* of what it sends, which is in its memory still */
};

static struct mq_wait *waits, **waits_end = &waits; /* oldest first */

/* ---- the queue ---- */

/* In front of those of lower priority, behind all others. */
static void insert(struct mqueue *q, struct mq_message *m)
{
    struct mq_message **link = &q->first;
    while (*link && (*link)->priority > m->priority)
        link = &(*link)->lower;
    struct mq_message *same = *link && (*link)->priority == m->priority ? *link : NULL;
    m->next = NULL;
    if (same) {
        same->last->next = m;
        same->last = m;
    } else {
        m->lower = *link;
        m->last = m;
        *link = m;
    }
    q->count++;
    q->bytes += m->size;
}

static void drop_first(struct mqueue *q)
{
    struct mq_message *m = q->first;
    q->first = m->lower;
    if (m->next) {
        m->next->lower = m->lower;
        m->next->last = m->last;
        q->first = m->next;
    }
    q->count--;
    q->bytes -= m->size;
    free(m);
}

static void news(struct mqueue *q)
{
    for (size_t i = 0; i < sizeof q->end / sizeof *q->end; i++)
        q->end[i].object.news += 2; /* odd: never 0 */
}

/* ---- waits ---- */

static int64_t wait_begin(const struct mq_wait *like)
{
    struct mq_wait *w = memory_low() ? NULL : malloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = *like;
    w->next = NULL;
    *waits_end = w;
    waits_end = &w->next;
    *(w->sends ? &w->queue->senders : &w->queue->receivers) += 1;
    return CALL_ANSWERED; /* later */
}

/* Out of the list; what it stands for is the caller's to answer. */
static struct mq_wait wait_end(struct mq_wait **link)
{
    struct mq_wait w = **link;
    free(*link);
    *link = w.next;
    if (!w.next)
        waits_end = link;
    *(w.sends ? &w.queue->senders : &w.queue->receivers) -= 1;
    return w;
}

/* The one that has waited longest. There is one. */
static struct mq_wait next_waiting(const struct mqueue *q, bool sends)
{
    struct mq_wait **link = &waits;
    while ((*link)->queue != q || (*link)->sends != sends)
        link = &(*link)->next;
    return wait_end(link);
}

bool mqueue_cancel(uint64_t token)
{
    for (struct mq_wait **link = &waits; *link; link = &(*link)->next)
        if ((*link)->token == token) {
            wait_end(link);
            engine_reply(&tty_engine, token, -EINTR);
            return true;
        }
    return false;
}

void mqueue_drop(struct mqueue *q)
{
    for (struct mq_wait **link = &waits; *link;)
        if ((*link)->queue == q)
            engine_reply(&tty_engine, wait_end(link).token, -EBADF);
        else
            link = &(*link)->next;
    while (q->first)
        drop_first(q);
}

/* ---- transfers ---- */

/* A sender's message; NULL and *error. */
static struct mq_message *take(uint64_t token, uint32_t size, uint32_t priority, int64_t *error)
{
    struct mq_message *m = memory_low() ? NULL : malloc(sizeof *m + size);
    *error = -ENOMEM;
    if (!m)
        return NULL;
    int64_t n = size ? token_read(token, 0, m->bytes, size) : 0;
    if (n < (int64_t)size) {
        *error = n < 0 ? n : -EFAULT;
        free(m);
        return NULL;
    }
    m->priority = priority;
    m->size = size;
    return m;
}

/* Answers a receiver; false: with an error, or there is nobody any more. */
static bool give(const struct mq_message *m, uint64_t token)
{
    int64_t n = m->size ? token_write(token, 0, m->bytes, m->size) : 0;
    if (n < (int64_t)m->size) {
        engine_reply(&tty_engine, token, n < 0 ? n : -EFAULT);
        return false;
    }
    return engine_reply_now(&tty_engine, token,
                            (int64_t)((uint64_t)m->priority << IO_MQ_PRIORITY | m->size));
}

/* To who waits for it, or into the queue, which has room. */
static void deliver(struct mqueue *q, struct mq_message *m, struct signature sender)
{
    while (q->receivers)
        if (give(m, next_waiting(q, false).token)) {
            free(m);
            return;
        }
    insert(q, m);
    news(q);
    if (q->count == 1)
        mqueue_notice_tell(q, sender);
}

/* There is room: for those who wait to send. */
static void admit(struct mqueue *q)
{
    while (q->senders && q->count < q->messages_max) {
        int64_t error;
        struct mq_wait w = next_waiting(q, true);
        struct mq_message *m = take(w.token, w.size, w.priority, &error);
        if (!m)
            engine_reply(&tty_engine, w.token, error);
        else if (engine_reply_now(&tty_engine, w.token, 0))
            insert(q, m);
        else
            free(m); /* it has given up */
    }
}

static int64_t send_message(struct mqueue *q, const struct motor_event *ev)
{
    int64_t error;
    struct mq_wait wait = {.queue = q,
                           .token = ev->token,
                           .sends = true,
                           .size = (uint32_t)ev->in_size,
                           .priority = (uint32_t)ev->word[0]};
    if (ev->word[0] >= MQUEUE_PRIORITIES)
        return -EINVAL;
    if (ev->in_size > q->size_max)
        return -EMSGSIZE;
    if (q->count == q->messages_max)
        return ev->word[1] & O_NONBLOCK ? -EAGAIN : wait_begin(&wait);
    struct mq_message *m = take(ev->token, wait.size, wait.priority, &error);
    if (!m)
        return error;
    bool timed = ev->word[1] == IO_MQ_TIMED;
    if (timed && !engine_reply_now(&tty_engine, ev->token, 0)) {
        free(m); /* it was told that it came too late */
        return CALL_ANSWERED;
    }
    deliver(q, m, signature_of(ev));
    return timed ? CALL_ANSWERED : 0;
}

static int64_t receive_message(struct mqueue *q, const struct motor_event *ev)
{
    if (ev->out_size < q->size_max)
        return -EMSGSIZE;
    if (!q->count)
        return ev->word[0] & O_NONBLOCK
                   ? -EAGAIN
                   : wait_begin(&(struct mq_wait){.queue = q, .token = ev->token});
    if (give(q->first, ev->token)) {
        drop_first(q);
        admit(q);
        news(q);
    }
    return CALL_ANSWERED;
}

static int64_t tell(const struct mqueue *q, const struct motor_event *ev)
{
    uint32_t how, signal;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, 0);
    r->word[0] = q->messages_max;
    r->word[1] = q->size_max;
    r->word[2] = q->count;
    r->word[3] = q->bytes;
    r->word[4] = mqueue_notice_of(q, &how, &signal);
    r->word[5] = how | (uint64_t)signal << 32;
    return CALL_ANSWERED;
}

static int64_t mqueue_call(struct tty_object *o, struct motor_event *ev, void **state)
{
    struct mqueue *q = mq_end_of(o)->queue;
    (void)state;
    switch (ev->op) {
    case IO_MQ_SEND:
        return o->no_write ? -EBADF : send_message(q, ev);
    case IO_MQ_RECEIVE:
        return o->no_read ? -EBADF : receive_message(q, ev);
    case IO_MQ_NOTIFY:
        return mqueue_notify(q, ev);
    case IO_MQ_LOOK:
        return tell(q, ev);
    default:
        return -ENOTSOCK;
    }
}

/* ---- what every object has ---- */

static int64_t no_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                       bool *eof, uint64_t *again)
{
    (void)o, (void)token, (void)size, (void)since, (void)eof, (void)again;
    return -EINVAL; /* the runtime makes the text that there is to read */
}

static int64_t no_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    (void)o, (void)token, (void)size;
    return -EINVAL;
}

static void no_undo(struct tty_object *o, bool write)
{
    (void)o, (void)write;
}

static uint32_t mqueue_ready(struct tty_object *o)
{
    const struct mqueue *q = mq_end_of(o)->queue;
    return (q->count ? POLLIN | POLLRDNORM : 0) |
           (q->count < q->messages_max ? POLLOUT | POLLWRNORM : 0);
}

static void mqueue_stat(struct tty_object *o, struct io_stat *st)
{
    const struct mqueue *q = mq_end_of(o)->queue;
    st->ino = q->number;
    st->mode = S_IFREG | q->mode;
    st->nlink = q->named;
    st->uid = q->uid;
    st->gid = q->gid;
    st->size = IO_MQ_TEXT;
    st->atime = st->mtime = st->btime = q->made / 1000000000;
    st->ctime = q->changed / 1000000000;
}

/* IO_CHMOD, IO_CHOWN */
static int64_t mqueue_change(struct tty_object *o, const struct motor_event *ev)
{
    struct mqueue *q = mq_end_of(o)->queue;
    uint32_t uid = (uint32_t)ev->word[0], gid = (uint32_t)ev->word[1];
    if (ev->uid && ev->uid != q->uid)
        return -EPERM;
    if (ev->op == IO_CHMOD) {
        q->mode = (uint32_t)ev->word[0] & 07777;
    } else {
        if (ev->uid && ((uid != UINT32_MAX && uid != q->uid) ||
                        (gid != UINT32_MAX && gid != q->gid && !event_in_group(ev, gid))))
            return -EPERM;
        q->uid = uid == UINT32_MAX ? q->uid : uid;
        q->gid = gid == UINT32_MAX ? q->gid : gid;
    }
    q->changed = (int64_t)clock_realtime_ns();
    return 0;
}

const struct tty_ops mqueue_ops = {
    .read = no_read,
    .write = no_write,
    .undo = no_undo,
    .ready = mqueue_ready,
    .stat = mqueue_stat,
    .change = mqueue_change,
    .call = mqueue_call,
};
