/* SPDX-License-Identifier: MIT */
/*
 * Connections of UNIX sockets. connect(2) makes the other end at once, which waits at the listener
 * to be accepted; bytes may go to it before that.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* ---- datagram sockets: to whom it sends ---- */

void unix_disconnect(struct unix_socket *s)
{
    if (!s->peer)
        return;
    struct unix_socket **link = &s->peer->senders;
    while (*link != s)
        link = &(*link)->next_sender;
    *link = s->next_sender;
    s->peer = NULL;
    s->state = SOCKET_NEW;
}

void unix_send_to(struct unix_socket *s, struct unix_socket *peer)
{
    if (s->peer && s->peer != peer) { /* what the old one sent is not for this connection */
        struct unix_socket *old = s->peer;
        unix_disconnect(s);
        unix_drop_queue(s);
        if (old->peer == s)
            old->error = ECONNRESET;
    }
    unix_disconnect(s);
    s->peer = peer;
    s->next_sender = peer->senders;
    peer->senders = s;
    s->state = SOCKET_CONNECTED;
}

static int64_t connect_datagram(struct unix_socket *s, struct motor_event *ev)
{
    struct unix_socket *peer;
    if (ev->word[1]) {
        unix_disconnect(s);
        return 0;
    }
    int64_t error = unix_lookup(ev, s->type, (uint32_t)ev->in_size, 0, &peer);
    if (error)
        return error;
    if (peer->type != s->type)
        return -EPROTOTYPE;
    if (s->pass_credentials && !s->name && !unix_autobind(s))
        return -ENOMEM;
    if (peer->peer && peer->peer != s)
        return -EPERM;
    unix_send_to(s, peer);
    return 0;
}

/* ---- streams ---- */

void unix_pair_up(struct unix_socket *a, struct unix_socket *b)
{
    if (!unix_is_stream(a)) {
        unix_send_to(a, b);
        unix_send_to(b, a);
    }
    a->peer = b;
    b->peer = a;
    a->side = 0;
    b->side = 1;
    a->state = b->state = SOCKET_CONNECTED;
    a->peer_owner = b->owner;
    b->peer_owner = a->owner;
}

int64_t unix_listen(struct unix_socket *s, const struct motor_event *ev)
{
    if (!unix_is_stream(s))
        return -EOPNOTSUPP;
    if (!s->name || s->state == SOCKET_CONNECTED)
        return -EINVAL;
    s->state = SOCKET_LISTENING;
    s->backlog = ev->word[0] < 4096 ? (uint32_t)ev->word[0] : 4096;
    s->owner = signature_of(ev);
    return 0;
}

static void wait_at(struct unix_socket *listener, struct unix_socket *s)
{
    s->listener = listener;
    s->next_waiting = NULL;
    if (listener->waiting)
        listener->waiting_last->next_waiting = s;
    else
        listener->waiting = s;
    listener->waiting_last = s;
    listener->waiting_count++;
    unix_news(listener);
}

static int64_t connect_stream(struct unix_socket *s, struct motor_event *ev)
{
    struct unix_socket *listener, *end;
    if (ev->word[1])
        return -EINVAL;
    int64_t error = unix_lookup(ev, s->type, (uint32_t)ev->in_size, 0, &listener);
    if (error)
        return error;
    if (listener->type != s->type)
        return -EPROTOTYPE;
    if (listener->state != SOCKET_LISTENING || listener->shut_read)
        return -ECONNREFUSED;
    if (listener->waiting_count > listener->backlog)
        return ev->word[0] & O_NONBLOCK ? -EAGAIN : CALL_WAIT;
    if (s->state != SOCKET_NEW)
        return s->state == SOCKET_CONNECTED ? -EISCONN : -EINVAL;
    if (s->pass_credentials && !s->name && !unix_autobind(s))
        return -ENOMEM;
    if (!(end = unix_new(s->type, ev)))
        return -ENOMEM;
    s->owner = signature_of(ev);
    end->owner = listener->owner;
    end->name = name_get(listener->name);
    end->pass_credentials = listener->pass_credentials;
    unix_pair_up(s, end);
    wait_at(listener, end);
    return 0;
}

int64_t unix_connect(struct unix_socket *s, struct motor_event *ev)
{
    return unix_is_stream(s) ? connect_stream(s, ev) : connect_datagram(s, ev);
}

/* ---- accepting ---- */

static struct unix_socket *take_waiting(struct unix_socket *s)
{
    struct unix_socket *first = s->waiting;
    if (!first)
        return NULL;
    s->waiting = first->next_waiting;
    s->waiting_count--;
    return first;
}

int64_t unix_accept(struct unix_socket *s, struct motor_event *ev)
{
    if (!unix_is_stream(s))
        return -EOPNOTSUPP;
    if (s->state != SOCKET_LISTENING)
        return -EINVAL;
    if (!s->waiting)
        return s->shut_read ? -EINVAL : ev->word[0] & O_NONBLOCK ? -EAGAIN : CALL_WAIT;
    int64_t gate = unix_gate(s->waiting);
    if (gate < 0)
        return gate;
    struct unix_socket *end = take_waiting(s);
    end->listener = NULL;
    const struct name *n = end->peer ? end->peer->name : end->peer_name;
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, 0);
    engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    r->word[0] = n ? n->length : 0;
    if (n)
        engine_reply_data(r, &tty_engine, n->bytes, n->length);
    return CALL_ANSWERED;
}

void unix_drop_waiting(struct unix_socket *s)
{
    for (struct unix_socket *end; (end = take_waiting(s));)
        unix_end(end);
}

/* ---- shutdown ---- */

int64_t unix_shutdown(struct unix_socket *s, uint64_t how)
{
    if (how > SHUT_RDWR)
        return -EINVAL;
    bool read = how != SHUT_WR, write = how != SHUT_RD;
    unix_loan_end(s);
    s->shut_read |= read;
    s->shut_write |= write;
    if (unix_is_stream(s) && s->peer) {
        s->peer->shut_read |= write;
        s->peer->shut_write |= read;
        unix_news(s->peer);
    }
    return 0;
}
