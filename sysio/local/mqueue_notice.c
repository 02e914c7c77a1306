/* SPDX-License-Identifier: MIT */
/*
 * mq_notify(3): one process may ask to be told, once, when a message comes into the empty queue and
 * nobody waits for it. What it holds meanwhile is a gate: when that goes, with the descriptor or
 * with the process, so does the request.
 */
#include "../tty/session.h"
#include "mqueue.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WOKEN   1 /* the last byte of the cookie: a message has come, */
#define REMOVED 2 /* or none will be told of any more */

struct mq_notice {
    struct tty_object object;
    uint64_t badge;
    uint32_t refs;
    struct mqueue *queue; /* NULL: it has been told, or was taken back */
    uint32_t pid, how, signal;
    uint64_t start; /* when that process began: pids are used again */
    uint64_t value;
    struct unix_socket *socket; /* SIGEV_THREAD: where the cookie goes. A reference */
    struct message *cookie;     /* reserved, so that it can always go */
};

/* 0: there is no such process. */
static uint64_t start_of(uint32_t pid)
{
    struct motor_process_info info;
    int64_t h = motor_process_open(pid, MOTOR_RIGHT_READ);
    int64_t status =
        h < 0 ? h : motor_process_info((motor_handle)h, MOTOR_PINFO_BASIC, &info, sizeof info);
    if (h >= 0)
        motor_handle_close((motor_handle)h);
    return status < 0 ? 0 : info.start_ns;
}

/* ---- its end ---- */

static void send_cookie(struct mq_notice *n, uint8_t last)
{
    struct message *m = n->cookie;
    if (!m)
        return;
    n->cookie = NULL;
    m->data[IO_MQ_COOKIE - 1] = last;
    unix_queue(n->socket, message_cut(m, IO_MQ_COOKIE, n->socket->account));
    unix_unref(n->socket);
}

/* The queue has none any more. */
static void detach(struct mq_notice *n)
{
    n->queue->notice = NULL;
    n->queue = NULL;
}

static void notice_free(struct mq_notice *n)
{
    if (n->queue) {
        detach(n);
        send_cookie(n, REMOVED);
    }
    session_forget(&n->object);
    if (n->badge)
        badge_remove(&tty_engine.badges, n->badge);
    free(n);
}

static void notice_opened(struct tty_object *o)
{
    ((struct mq_notice *)o)->refs++;
}

static void notice_closed(struct tty_object *o)
{
    struct mq_notice *n = (struct mq_notice *)o;
    if (--n->refs == 0)
        notice_free(n);
}

void mqueue_notice_end(struct mqueue *q)
{
    struct mq_notice *n = q->notice;
    if (!n)
        return;
    detach(n);
    send_cookie(n, REMOVED);
}

void mqueue_notice_tell(struct mqueue *q, struct signature sender)
{
    struct mq_notice *n = q->notice;
    struct motor_signal signal = {.code = SI_MESGQ};
    if (!n)
        return;
    detach(n);
    signal.signo = (int32_t)n->signal;
    signal.data[0] = (uint64_t)sender.uid << 32 | sender.pid;
    signal.data[1] = n->value;
    if (n->how == SIGEV_SIGNAL && n->signal && start_of(n->pid) == n->start)
        motor_signal_send(MOTOR_TO_PROCESS, n->pid, &signal);
    send_cookie(n, WOKEN);
}

uint32_t mqueue_notice_of(const struct mqueue *q, uint32_t *how, uint32_t *signal)
{
    const struct mq_notice *n = q->notice;
    *how = n ? n->how : 0;
    *signal = n && n->how == SIGEV_SIGNAL ? n->signal : 0;
    return n ? n->pid : 0;
}

/* ---- its beginning ---- */

static int64_t no_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                       bool *eof, uint64_t *again)
{
    (void)o, (void)token, (void)size, (void)since, (void)eof, (void)again;
    return -EBADF;
}

static int64_t no_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    (void)o, (void)token, (void)size;
    return -EBADF;
}

static uint32_t never_ready(struct tty_object *o)
{
    (void)o;
    return 0;
}

static const struct tty_ops notice_ops = {.read = no_read, .write = no_write, .ready = never_ready};

/* The socket that came along, and a place for the cookie. */
static int64_t take_socket(struct mq_notice *n, const struct motor_event *ev)
{
    bool own = ev->nhandles && ev->handle[0] == MOTOR_HANDLE_OWN;
    struct tty_object *o = own ? object_of(ev->own_badge[0]) : NULL;
    if (!o || !is_socket(o) || unix_is_stream(unix_of(o)))
        return -EINVAL;
    struct message *m = message_reserve(IO_MQ_COOKIE);
    if (!m)
        return -ENOMEM;
    int64_t got = event_read(ev, 0, m->data, IO_MQ_COOKIE);
    if (got < (int64_t)IO_MQ_COOKIE) {
        message_free(m);
        return got < 0 ? got : -EFAULT;
    }
    n->cookie = m;
    n->socket = unix_of(o);
    n->object.path = "anon_inode:[mq_notify]";
    unix_opened(o);
    return 0;
}

static int64_t notice_new(struct mqueue *q, const struct motor_event *ev, struct mq_notice **out)
{
    struct mq_notice *n = memory_low() ? NULL : calloc(1, sizeof *n);
    if (!n)
        return -ENOMEM;
    n->object = (struct tty_object){.badge_kind = BADGE_OBJECT,
                                    .ops = &notice_ops,
                                    .opened = notice_opened,
                                    .closed = notice_closed,
                                    .news = 1,
                                    .no_read = true,
                                    .no_write = true,
                                    .mode = 0600,
                                    .path = "anon_inode:[mq_notify]"};
    n->how = (uint32_t)ev->word[0];
    n->signal = (uint32_t)ev->word[1];
    n->value = ev->word[2];
    n->pid = ev->pid;
    n->start = start_of(ev->pid);
    int64_t error = n->how == SIGEV_THREAD ? take_socket(n, ev) : 0;
    if (!error && !(n->badge = badge_add(&tty_engine.badges, &n->object)))
        error = -ENOMEM;
    int64_t gate = error ? error : engine_gate(&tty_engine, n->badge);
    n->queue = q;
    q->notice = n;
    if (gate < 0)
        notice_free(n);
    *out = n;
    return gate;
}

int64_t mqueue_notify(struct mqueue *q, struct motor_event *ev)
{
    struct mq_notice *n;
    if (ev->word[0] == IO_MQ_NOTIFY_NOT) {
        if (q->notice && q->notice->pid == ev->pid)
            mqueue_notice_end(q);
        return 0;
    }
    if (ev->word[0] > SIGEV_THREAD || ev->word[1] > 64)
        return -EINVAL;
    if (q->notice)
        return -EBUSY;
    int64_t gate = notice_new(q, ev, &n);
    if (gate < 0)
        return gate;
    n->refs = 1;
    engine_reply_handle(engine_reply(&tty_engine, ev->token, 0), (motor_handle)gate,
                        MOTOR_RIGHT_CALL);
    return CALL_ANSWERED;
}
