/* SPDX-License-Identifier: MIT */
/*
 * Message queues. A sender that must wait has its message kept here; receivers wait with their
 * calls. After each change first senders are tried, in order, as long as there is room, then
 * receivers.
 */
#include "../proc/proc.h"
#include "sysv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>

#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#endif
#ifndef MSG_EXCEPT
#define MSG_EXCEPT 020000
#endif
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#define QUEUES_SHARE 32u /* of the machine's memory, for all messages */

struct message {
    struct message *next;
    int64_t type;
    uint32_t size;
    uint8_t bytes[];
};

struct msg_wait {
    struct msg_wait *next, **link;
    struct queue *queue;
    uint64_t token;
    uint32_t pid;
    struct message *message; /* to send; NULL: it receives */
    int64_t type;            /* of IO_MSG_RECEIVE: what, and how much */
    uint64_t size, flags;
};

struct waits {
    struct msg_wait *first, **end;
};

struct queue {
    struct ipc_object object;
    struct message *first, **end;
    uint64_t bytes, count, bytes_max;
    int64_t stime, rtime, ctime;
    uint32_t lspid, lrpid;
    struct waits senders, receivers;
};

static struct ipc_table queues;
static uint64_t bytes; /* of all messages, and of those that wait */

static uint64_t bytes_limit(void)
{
    return kernel_info()->memory_total / QUEUES_SHARE;
}

/* ---- messages ---- */

static struct message *message_new(uint64_t size)
{
    uint64_t takes = sizeof(struct message) + size;
    struct message *m = memory_low() || bytes + takes > bytes_limit() ? NULL : malloc(takes);
    if (!m)
        return NULL;
    bytes += takes;
    m->next = NULL;
    m->size = (uint32_t)size;
    return m;
}

static void message_free(struct message *m)
{
    bytes -= sizeof *m + m->size;
    free(m);
}

static bool has_room(const struct queue *q, uint64_t size)
{
    return q->bytes + size <= q->bytes_max && q->count + 1 <= q->bytes_max;
}

static void append(struct queue *q, struct message *m, uint32_t pid)
{
    *q->end = m;
    q->end = &m->next;
    q->bytes += m->size;
    q->count++;
    q->lspid = pid;
    q->stime = sysv_seconds();
}

static void take_out(struct queue *q, struct message **link)
{
    struct message *m = *link;
    *link = m->next;
    if (!m->next)
        q->end = link;
    q->bytes -= m->size;
    q->count--;
    message_free(m);
}

/* Where the message that a receiver wants is; NULL: there is none. */
static struct message **find(struct queue *q, int64_t type, uint64_t flags)
{
    struct message **best = NULL;
    for (struct message **link = &q->first; *link; link = &(*link)->next) {
        int64_t has = (*link)->type;
        if (type == 0 || (type > 0 && (flags & MSG_EXCEPT ? has != type : has == type)))
            return link;
        if (type < 0 && has <= -type && (!best || has < (*best)->type))
            best = link;
    }
    return best;
}

/* ---- queues ---- */

static int fits(const struct ipc_object *o, uint64_t size)
{
    (void)o, (void)size;
    return 0;
}

static struct ipc_object *make(const struct ipc_get *get, int *error)
{
    (void)get, (void)error;
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->end = &q->first;
    q->senders.end = &q->senders.first;
    q->receivers.end = &q->receivers.first;
    q->bytes_max = MSG_QUEUE_BYTES;
    q->ctime = sysv_seconds();
    return &q->object;
}

static void unlink_wait(struct msg_wait *w)
{
    struct waits *list = w->message ? &w->queue->senders : &w->queue->receivers;
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    else
        list->end = w->link;
}

static void wait_fail(struct msg_wait *w, int64_t status)
{
    unlink_wait(w);
    engine_reply(&fs_engine, w->token, status);
    if (w->message)
        message_free(w->message);
    free(w);
}

static void queue_free(struct queue *q)
{
    while (q->senders.first)
        wait_fail(q->senders.first, -EIDRM);
    while (q->receivers.first)
        wait_fail(q->receivers.first, -EIDRM);
    while (q->first)
        take_out(q, &q->first);
    ipc_remove(&queues, &q->object);
    free(q);
}

static int64_t wait_begin(struct queue *q, const struct msg_wait *wait)
{
    struct msg_wait *w = memory_low() ? NULL : malloc(sizeof *w);
    struct waits *list = wait->message ? &q->senders : &q->receivers;
    if (!w)
        return -ENOMEM;
    *w = *wait;
    w->queue = q;
    w->link = list->end;
    *list->end = w;
    list->end = &w->next;
    return NO_REPLY;
}

/* ---- receiving ---- */

/*
 * Answers a call with the message, or an error: false: there is nobody to take it. *given: he has
 * it.
 */
static bool answer(const struct message *m, const struct msg_wait *to, bool *given)
{
    uint64_t size = m->size < to->size ? m->size : to->size;
    *given = false;
    if (m->size > to->size && !(to->flags & MSG_NOERROR)) {
        engine_reply(&fs_engine, to->token, -E2BIG);
        return true;
    }
    int64_t written = token_write(to->token, 0, &m->type, sizeof m->type);
    if (written == sizeof m->type && size)
        written = token_write(to->token, sizeof m->type, m->bytes, size) == (int64_t)size ? 8 : -1;
    *given = engine_reply_now(&fs_engine, to->token, written == 8 ? (int64_t)size : -EFAULT);
    return *given;
}

/* MSG_COPY: the one at a place in the queue, where it stays. */
static int64_t look_at(const struct queue *q, const struct msg_wait *to)
{
    const struct message *m = q->first;
    bool given;
    if (!(to->flags & IPC_NOWAIT) || to->flags & MSG_EXCEPT)
        return -EINVAL;
    for (int64_t i = 0; m && i < to->type; i++)
        m = m->next;
    if (!m || to->type < 0)
        return -ENOMSG;
    answer(m, to, &given);
    return NO_REPLY;
}

/*
 * Gives the message to a call: true: it was answered, with an error maybe; false: there is nobody
 * to take it.
 */
static bool give(struct queue *q, struct message **link, const struct msg_wait *to)
{
    bool given, answered = answer(*link, to, &given);
    if (!given)
        return answered;
    take_out(q, link);
    q->lrpid = to->pid;
    q->rtime = sysv_seconds();
    return true;
}

static bool serve_senders(struct queue *q)
{
    struct msg_wait *w = q->senders.first;
    if (!w || !has_room(q, w->message->size))
        return false;
    append(q, w->message, w->pid);
    unlink_wait(w);
    engine_reply(&fs_engine, w->token, 0);
    free(w);
    return true;
}

static bool serve_receivers(struct queue *q)
{
    for (struct msg_wait *w = q->receivers.first; w; w = w->next) {
        struct message **link = find(q, w->type, w->flags);
        if (!link)
            continue;
        give(q, link, w); /* whoever has gone is just forgotten */
        unlink_wait(w);
        free(w);
        return true;
    }
    return false;
}

static void changed(struct queue *q)
{
    while (serve_senders(q) || serve_receivers(q))
        ;
}

static void cancel_in(struct waits *list, uint64_t token)
{
    for (struct msg_wait *w = list->first; w; w = w->next)
        if (w->token == token) {
            wait_fail(w, -EINTR);
            return;
        }
}

void msg_cancel(uint64_t token)
{
    for (uint32_t i = 0; i < queues.end; i++)
        if (queues.slot[i]) {
            struct queue *q = (struct queue *)queues.slot[i];
            cancel_in(&q->senders, token);
            cancel_in(&q->receivers, token);
            changed(q); /* one that stood first may have been in the others' way */
        }
}

/* w0 id, w1 type, w2 flags, w3 bytes at most; out: the type and the bytes */
static int64_t receive(const struct motor_event *ev, const struct cred *who)
{
    struct ipc_object *o;
    struct msg_wait wait = {.token = ev->token,
                            .pid = who->pid,
                            .type = (int64_t)ev->word[1],
                            .flags = ev->word[2],
                            .size = ev->word[3]};
    if ((int64_t)wait.size < 0)
        return -EINVAL;
    int error = ipc_find(&queues, ev->word[0], &o);
    if (!error)
        error = ipc_may(o, who, 4);
    if (error)
        return error;
    struct queue *q = (struct queue *)o;
    if (wait.flags & MSG_COPY)
        return look_at(q, &wait);
    if (wait.type == INT64_MIN)
        wait.type++;
    struct message **link = find(q, wait.type, wait.flags);
    if (!link)
        return wait.flags & IPC_NOWAIT ? -ENOMSG : wait_begin(q, &wait);
    give(q, link, &wait);
    changed(q);
    return NO_REPLY;
}

/* w0 id, w1 flags, w2 bytes; in: the type and the bytes */
static int64_t send_message(const struct motor_event *ev, const struct cred *who)
{
    struct ipc_object *o;
    uint64_t size = ev->word[2];
    int64_t type;
    if (size > MSG_SIZE_MAX)
        return -EINVAL;
    if (event_read(ev, 0, &type, sizeof type) < (int64_t)sizeof type)
        return -EFAULT;
    if (type < 1)
        return -EINVAL;
    struct message *m = message_new(size);
    if (!m)
        return -ENOMEM;
    m->type = type;
    int error = size && event_read(ev, sizeof type, m->bytes, size) < (int64_t)size ? -EFAULT : 0;
    if (!error)
        error = ipc_find(&queues, ev->word[0], &o);
    if (!error)
        error = ipc_may(o, who, 2);
    struct queue *q = (struct queue *)o;
    int64_t status = error;
    if (!error && has_room(q, size) && !q->senders.first) {
        append(q, m, who->pid);
        changed(q);
        return 0;
    }
    if (!error)
        status =
            ev->word[1] & IPC_NOWAIT
                ? -EAGAIN
                : wait_begin(q,
                             &(struct msg_wait){.token = ev->token, .pid = who->pid, .message = m});
    if (status != NO_REPLY)
        message_free(m);
    return status;
}

/* ---- msgctl ---- */

static int64_t stat_queue(const struct motor_event *ev, const struct queue *q, int64_t status)
{
    struct msqid_ds ds = {.msg_perm = q->object.perm,
                          .msg_stime = q->stime,
                          .msg_rtime = q->rtime,
                          .msg_ctime = q->ctime,
                          .msg_qnum = q->count,
                          .msg_qbytes = q->bytes_max,
                          .msg_lspid = (int)q->lspid,
                          .msg_lrpid = (int)q->lrpid};
    ds.__msg_cbytes = q->bytes;
    int64_t n = event_write(ev, 0, &ds, sizeof ds);
    return n < (int64_t)sizeof ds ? -EFAULT : status;
}

static int64_t information(const struct motor_event *ev, bool info)
{
    struct msginfo i = {.msgmax = MSG_SIZE_MAX,
                        .msgmnb = MSG_QUEUE_BYTES,
                        .msgmni = IPC_IDS,
                        .msgssz = 16,
                        .msgseg = 0xffff};
    for (uint32_t n = 0; info && n < queues.end; n++)
        i.msgmap += queues.slot[n] ? (int)((struct queue *)queues.slot[n])->count : 0;
    i.msgpool = info ? (int)queues.used : (int)(bytes_limit() / 1024);
    i.msgtql = info ? (int)bytes : (int)MSG_QUEUE_BYTES;
    int64_t n = event_write(ev, 0, &i, sizeof i);
    return n < (int64_t)sizeof i ? -EFAULT : queues.end ? (int64_t)queues.end - 1 : 0;
}

static int64_t change(struct queue *q, const struct motor_event *ev, const struct cred *who)
{
    struct msqid_ds ds;
    if (event_read(ev, 0, &ds, sizeof ds) < (int64_t)sizeof ds)
        return -EFAULT;
    if (ds.msg_qbytes > MSG_QUEUE_BYTES && who->uid)
        return -EPERM;
    ipc_set(&q->object, &ds.msg_perm);
    q->bytes_max = ds.msg_qbytes;
    q->ctime = sysv_seconds();
    changed(q);
    return 0;
}

/* w0 id, w1 command; in, out */
static int64_t control(const struct motor_event *ev, const struct cred *who)
{
    uint64_t command = ev->word[1];
    struct ipc_object *o;
    bool index = command == MSG_STAT || command == MSG_STAT_ANY;
    if (command == IPC_INFO || command == MSG_INFO)
        return information(ev, command == MSG_INFO);
    int error = (index ? ipc_find_index : ipc_find)(&queues, ev->word[0], &o);
    if (error)
        return error;
    struct queue *q = (struct queue *)o;
    switch (command) {
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        error = command == MSG_STAT_ANY ? 0 : ipc_may(o, who, 4);
        return error ? error : stat_queue(ev, q, index ? (int64_t)o->id : 0);
    case IPC_SET:
        error = ipc_owns(o, who);
        return error ? error : change(q, ev, who);
    case IPC_RMID:
        error = ipc_owns(o, who);
        if (!error)
            queue_free(q);
        return error;
    default:
        return -EINVAL;
    }
}

int64_t msg_call(const struct motor_event *ev, const struct cred *who)
{
    switch (ev->op) {
    case IO_MSG_GET:
        return ipc_get(&queues, &(struct ipc_get){.who = who,
                                                  .key = (int32_t)ev->word[0],
                                                  .flags = (int32_t)ev->word[1],
                                                  .fits = fits,
                                                  .make = make});
    case IO_MSG_SEND:
        return send_message(ev, who);
    case IO_MSG_RECEIVE:
        return receive(ev, who);
    default:
        return control(ev, who);
    }
}

void msg_text(struct text *t)
{
    put(t, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid "
           "     stime      rtime      ctime\n");
    for (uint32_t i = 0; i < queues.end; i++) {
        const struct queue *q = (const struct queue *)queues.slot[i];
        if (!q)
            continue;
        const struct ipc_perm *p = &q->object.perm;
        put(t, "%10d %10u  %4o  %10llu %10llu %5u %5u %5u %5u %5u %5u %10lld %10lld %10lld\n",
            p->__key, q->object.id, p->mode, (unsigned long long)q->bytes,
            (unsigned long long)q->count, q->lspid, q->lrpid, p->uid, p->gid, p->cuid, p->cgid,
            (long long)q->stime, (long long)q->rtime, (long long)q->ctime);
    }
}
