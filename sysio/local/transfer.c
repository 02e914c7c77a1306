/* SPDX-License-Identifier: MIT */
/*
 * Sending and receiving on UNIX sockets. Nothing is received or sent unless the caller is told:
 * bytes are copied and the call is answered; a receiver that has given up leaves the queue as it
 * was, and what a sender sent is taken out again.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define QUEUE_MAX 512u /* datagrams that may wait for one receiver: max_dgram_qlen */

/* ---- the queue ---- */

void unix_queue(struct unix_socket *s, struct message *m)
{
    if (s->last)
        s->last->next = m;
    else
        s->first = m;
    s->last = m;
    s->messages++;
    s->bytes += message_size(m);
    unix_news(s);
}

static void queue_drop_first(struct unix_socket *s)
{
    struct message *m = s->first;
    s->first = m->next;
    if (!s->first)
        s->last = NULL;
    s->messages--;
    s->bytes -= message_size(m);
    message_free(m);
}

static void queue_drop_last(struct unix_socket *s, struct message *before)
{
    struct message *m = s->last;
    *(before ? &before->next : &s->first) = NULL;
    s->last = before;
    s->messages--;
    s->bytes -= message_size(m);
    message_free(m);
}

void unix_drop_queue(struct unix_socket *s)
{
    while (s->first)
        queue_drop_first(s);
}

uint32_t unix_next_size(const struct unix_socket *s)
{
    if (s->type == SOCK_STREAM)
        return (uint32_t)s->bytes + unix_lent_unread(s);
    return s->first ? message_size(s->first) : 0;
}

/* Bytes of a stream have been received, and the descriptors that came with them taken or lost. */
static void consume(struct unix_socket *s, uint64_t n)
{
    while (n) {
        struct message *m = s->first;
        uint32_t step = n < message_size(m) ? (uint32_t)n : message_size(m);
        if (m->parcel)
            parcel_free(m->parcel);
        m->parcel = NULL;
        m->start += step;
        s->bytes -= step;
        n -= step;
        if (!message_size(m))
            queue_drop_first(s);
    }
}

/* ---- sending ---- */

struct sending {
    struct unix_socket *to;
    uint64_t size, offset; /* of the data in the caller's `in` */
    uint32_t flags;
    struct parcel *parcel;
    bool named; /* the call says to whom */
};

static bool would_wait(const struct unix_socket *s, uint64_t size)
{
    return s->account->bytes && s->account->bytes + size > s->send_buffer;
}

/* 0: go on. CALL_WAIT: not now. */
static int64_t check_stream(struct unix_socket *s, struct sending *w)
{
    if (s->type == SOCK_STREAM && w->named)
        return s->state == SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    if (s->state != SOCKET_CONNECTED)
        return -ENOTCONN;
    if (s->shut_write || !s->peer)
        return -EPIPE;
    w->to = s->peer;
    if (s->type == SOCK_STREAM)
        return s->account->bytes >= s->send_buffer ? CALL_WAIT : 0;
    if (w->size > s->send_buffer - 32)
        return -EMSGSIZE;
    return would_wait(s, w->size) ? CALL_WAIT : 0;
}

static int64_t check_datagram(struct unix_socket *s, struct sending *w)
{
    struct unix_socket *to = w->named ? w->to : s->peer;
    if (w->size > s->send_buffer - 32)
        return -EMSGSIZE;
    if (s->error) {
        int error = s->error;
        s->error = 0;
        return -error;
    }
    if (s->shut_write)
        return -EPIPE;
    if (!to) {
        int64_t error = s->refused ? -ECONNREFUSED : -ENOTCONN;
        s->refused = false;
        return error;
    }
    w->to = to;
    if (to->type != s->type)
        return -EPROTOTYPE;
    if (to->peer && to->peer != s)
        return -EPERM;
    if (to->shut_read)
        return -EPIPE;
    if ((s->pass_credentials || to->pass_credentials) && !s->name && !unix_autobind(s))
        return -ENOMEM;
    return would_wait(s, w->size) || (to->messages >= QUEUE_MAX && to->peer != s) ? CALL_WAIT : 0;
}

static int64_t check(struct unix_socket *s, struct sending *w)
{
    return unix_is_stream(s) ? check_stream(s, w) : check_datagram(s, w);
}

/* The message, filled from the caller: NULL and *error. */
static struct message *compose(struct unix_socket *s, const struct sending *w, uint64_t token,
                               int64_t *error)
{
    uint64_t size = w->size;
    if (s->type == SOCK_STREAM) {
        uint64_t room = s->send_buffer - s->account->bytes, half = s->send_buffer / 2;
        size = size < room ? size : room;
        size = size < half ? size : half;
    }
    struct message *m = message_new((uint32_t)size, s->account);
    *error = -ENOBUFS;
    if (!m)
        return NULL;
    int64_t n = size ? token_read(token, w->offset, m->data, size) : 0;
    if (n < (int64_t)size) {
        message_free(m);
        *error = n < 0 ? n : -EFAULT;
        return NULL;
    }
    m->end = (uint32_t)size;
    return m;
}

/* What a message is besides its bytes. */
static void sign(struct unix_socket *s, const struct sending *w, struct message *m,
                 struct signature signature)
{
    m->signature = signature;
    m->from = unix_is_stream(s) ? NULL : name_get(s->name);
    if ((m->parcel = w->parcel)) {
        parcel_signature(w->parcel, &m->signature);
        parcel_detach(w->parcel);
    }
}

/* What came with the call: to whom, and what it carries. */
static int64_t take_handles(const struct unix_socket *s, struct motor_event *ev, struct sending *w)
{
    uint64_t length = ev->word[1];
    w->named = length;
    for (uint32_t i = 0; i < ev->nhandles; i++) {
        if (ev->handle[i] != MOTOR_HANDLE_OWN)
            return -EINVAL;
        if (ev->own_badge[i] & RENDEZVOUS) {
            int64_t error = unix_lookup(ev, s->type, 0, i, &w->to);
            if (error)
                return error;
            w->named = true;
        } else if (!(w->parcel = parcel_find(ev->own_badge[i]))) {
            return -EINVAL;
        }
    }
    if (length > ev->in_size)
        return -EINVAL;
    w->offset = length;
    w->size = ev->in_size - length;
    return length ? unix_lookup(ev, s->type, (uint32_t)length, 0, &w->to) : 0;
}

int64_t unix_send(struct unix_socket *s, struct motor_event *ev)
{
    struct sending w = {.flags = (uint32_t)ev->word[0]};
    struct message *m;
    if (w.flags & MSG_OOB)
        return -EOPNOTSUPP;
    int64_t status = take_handles(s, ev, &w);
    if (!status && w.size)
        unix_by_call(s, w.size);
    if (!status)
        status = check(s, &w);
    if (status == CALL_WAIT)
        return w.flags & MSG_DONTWAIT ? -EAGAIN : CALL_WAIT;
    if (status || (s->type == SOCK_STREAM && !w.size))
        return status;
    if (!(m = compose(s, &w, ev->token, &status)))
        return status;
    /* in the queue before the sender can know of it, and out again if it has given up */
    struct message *before = w.to->last;
    unix_queue(w.to, m);
    if (engine_reply_now(&tty_engine, ev->token, m->end))
        sign(s, &w, m, signature_of(ev));
    else
        queue_drop_last(w.to, before);
    return CALL_ANSWERED;
}

/* ---- receiving ---- */

struct receiving {
    uint64_t token, size, offset; /* where data begins in the caller's `out` */
    uint64_t skip;                /* of the first message (SO_PEEK_OFF) */
    uint64_t done, whole;
    struct message *descriptors; /* whose parcel goes along */
    const struct message *from;
    uint32_t flags;
};

/*
 * The message where r begins: the first, or that behind r->skip bytes, which becomes how many of
 * this one are left out. NULL: there are not so many.
 */
static struct message *first_of(const struct unix_socket *s, struct receiving *r)
{
    struct message *m = s->first;
    for (; m && r->skip && r->skip >= message_size(m); m = m->next)
        r->skip -= message_size(m);
    return m;
}

/* 0: there is something. CALL_WAIT: not yet. 1: the end. */
static int64_t check_receive(struct unix_socket *s, const struct message *first)
{
    int error = s->error;
    if (unix_is_stream(s) && s->state != SOCKET_CONNECTED)
        return s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
    if (first && (s->type == SOCK_STREAM || !error))
        return 0;
    s->error = 0;
    return error ? -error : s->shut_read ? 1 : CALL_WAIT;
}

static bool same_signature(const struct message *a, const struct message *b)
{
    return a->signature.pid == b->signature.pid && a->signature.uid == b->signature.uid &&
           a->signature.gid == b->signature.gid;
}

static int64_t copy_message(struct receiving *r, const struct message *m)
{
    uint64_t left = r->size - r->done, has = message_size(m) - r->skip, n = has < left ? has : left;
    const uint8_t *from = m->data + m->start + r->skip;
    int64_t moved = n ? token_write(r->token, r->offset + r->done, from, n) : 0;
    r->skip = 0;
    if (moved > 0)
        r->done += (uint64_t)moved;
    return moved < (int64_t)n ? (moved < 0 ? moved : -EFAULT) : 0;
}

/* Goes on through messages until one brings descriptors, or another sender's name matters. */
static int64_t copy_stream(struct unix_socket *s, struct message *m, struct receiving *r)
{
    for (; m && r->done < r->size; m = m->next) {
        if (r->from && s->pass_credentials && !same_signature(r->from, m))
            break;
        r->from = m;
        int64_t error = copy_message(r, m);
        if (error)
            return r->done ? 0 : error;
        if (m->parcel) {
            r->descriptors = m;
            break;
        }
    }
    return 0;
}

static int64_t copy_datagram(struct message *m, struct receiving *r)
{
    r->from = m;
    r->whole = message_size(m) - r->skip;
    if (r->whole > r->size)
        r->flags |= MSG_TRUNC;
    if (m->parcel)
        r->descriptors = m;
    return copy_message(r, m);
}

static int64_t copy_some(struct unix_socket *s, struct message *m, struct receiving *r)
{
    return s->type == SOCK_STREAM ? copy_stream(s, m, r) : copy_datagram(m, r);
}

/* What comes next begins nearer by what has gone, and further by what was looked at. */
static void move_peek_offset(struct unix_socket *s, int64_t by)
{
    int64_t to = s->peek_offset + by;
    if (s->peek_offset >= 0)
        s->peek_offset = (int32_t)(to < 0 ? 0 : to > INT32_MAX ? INT32_MAX : to);
}

static void received(struct unix_socket *s, const struct receiving *r)
{
    move_peek_offset(s, -(int64_t)(s->type == SOCK_STREAM ? r->done : message_size(s->first)));
    if (s->type == SOCK_STREAM)
        consume(s, r->done);
    else
        queue_drop_first(s);
}

static int64_t write_sender(const struct receiving *r)
{
    struct io_sender sender = {0};
    const struct name *n = r->from ? r->from->from : NULL;
    if (n) {
        sender.length = n->length;
        for (uint32_t i = 0; i < n->length; i++)
            sender.name[i] = n->bytes[i];
    }
    int64_t written = token_write(r->token, 0, &sender, sizeof sender);
    return written < (int64_t)sizeof sender ? -EFAULT : 0;
}

/* Answers; false: the caller has given up. gate: to a parcel, 0: none. */
static bool answer(const struct unix_socket *s, struct receiving *r, motor_handle gate)
{
    const struct message *m = r->from;
    struct motor_reply reply = {.token = r->token,
                                .status = (int64_t)r->done,
                                .word = {r->flags, r->whole},
                                .flags = MOTOR_REPLY_CHECK};
    if (m) {
        reply.word[2] = m->signature.pid;
        reply.word[3] = m->signature.uid | (uint64_t)m->signature.gid << 32;
    }
    if (r->descriptors)
        reply.word[4] = parcel_count(r->descriptors->parcel);
    reply.word[5] = s->pass_credentials;
    if (gate) {
        reply.nhandles = 1;
        reply.handle[0] = gate;
        reply.rights[0] = MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP;
    }
    engine_flush(&tty_engine);
    return motor_serve(tty_engine.endpoint, &reply, 1, NULL, 0, 0) != -MOTOR_EGONE;
}

/* With the descriptors of a message: `peek`: copies of them. */
static bool answer_with_parcel(const struct unix_socket *s, struct receiving *r, bool peek)
{
    struct parcel *p = r->descriptors->parcel;
    if (peek)
        p = parcel_copy(p);
    int64_t gate = p ? parcel_attach(p) : -ENOMEM;
    bool told = answer(s, r, gate < 0 ? 0 : (motor_handle)gate);
    if (gate >= 0 && !told)
        parcel_unattach(p);
    if (gate >= 0)
        motor_handle_close((motor_handle)gate);
    if (p && peek && (gate < 0 || !told))
        parcel_free(p);
    if (told && !peek && gate >= 0)
        r->descriptors->parcel = NULL;
    return told;
}

int64_t unix_receive(struct unix_socket *s, struct motor_event *ev)
{
    enum { WITH_SENDER = 1, WITH_DESCRIPTORS = 2 };
    uint64_t header = ev->word[1] & WITH_SENDER ? sizeof(struct io_sender) : 0;
    uint32_t flags = (uint32_t)ev->word[0];
    struct receiving r = {.token = ev->token, .size = ev->out_size, .offset = header};
    if (ev->out_size < header || flags & MSG_OOB)
        return -EINVAL;
    r.size -= header;
    if (s->type == SOCK_STREAM && !r.size && s->state == SOCKET_CONNECTED)
        return 0;
    unix_by_call(s, 0);
    bool peek = flags & MSG_PEEK;
    r.skip = peek && s->peek_offset > 0 ? (uint64_t)s->peek_offset : 0;
    struct message *first = first_of(s, &r);
    int64_t status = check_receive(s, first);
    if (status == 1)
        return flags & MSG_DONTWAIT && s->type == SOCK_DGRAM ? -EAGAIN : 0;
    if (status == CALL_WAIT)
        return flags & MSG_DONTWAIT ? -EAGAIN : CALL_WAIT;
    if (!status)
        status = copy_some(s, first, &r);
    if (!status && header)
        status = write_sender(&r);
    if (status)
        return status;
    bool told = r.descriptors && ev->word[1] & WITH_DESCRIPTORS ? answer_with_parcel(s, &r, peek)
                                                                : answer(s, &r, 0);
    if (told && peek)
        move_peek_offset(s, (int64_t)r.done);
    else if (told)
        received(s, &r);
    return CALL_ANSWERED;
}

/* ---- readiness ---- */

static bool writable(const struct unix_socket *s)
{
    if ((s->account->bytes + unix_lent_sent(s)) * 4 > s->send_buffer)
        return false;
    return unix_is_stream(s) || !s->peer || s->peer->peer == s || s->peer->messages < QUEUE_MAX;
}

uint32_t unix_ready(struct tty_object *o)
{
    struct unix_socket *s = unix_of(o);
    uint32_t ready = s->error ? POLLERR : 0;
    if (s->state == SOCKET_LISTENING)
        return s->waiting ? POLLIN | POLLRDNORM : 0;
    if (s->shut_read && s->shut_write)
        ready |= POLLHUP;
    if (s->shut_read)
        ready |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (s->first || unix_lent_unread(s))
        ready |= POLLIN | POLLRDNORM;
    if (unix_is_stream(s) && s->state == SOCKET_NEW)
        ready |= POLLHUP;
    return ready | (writable(s) ? POLLOUT | POLLWRNORM | POLLWRBAND : 0);
}
