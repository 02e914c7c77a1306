/* SPDX-License-Identifier: MIT */
/*
 * A new TCP socket is only memory here until it is used. Most are connected next: then the engine
 * is asked once, for both (IO_SOCKET). Whatever else is done with one (px_fd_get()), and whoever
 * else may have it (px_events_share()), makes it first.
 */
#include "socket.h"
#include "stream.h"

struct px_file *px_socket_unmade(int family, unsigned flags)
{
    struct px_file *f = px_file_new(&px_remote_ops, PX_STREAM, O_RDWR | (flags & O_NONBLOCK), 0);
    if (!f)
        return NULL;
    f->protocol = MOTOR_FD_SOCKET;
    f->stream.family = (uint16_t)family;
    f->stream.type = SOCK_STREAM;
    f->stream.protocol = IPPROTO_TCP;
    f->stream.low_water = 1;
    __atomic_fetch_add(&px_file_pool()->unmade, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&f->unmade, true, __ATOMIC_RELEASE);
    return f;
}

/* [open_lock] */
static void made(struct px_file *f, struct px_session *s, const struct motor_msg *msg)
{
    struct px_net *n = px_net();
    struct px_stream *t = &f->stream;
    t->session = s;
    t->index = (uint32_t)msg->word[0];
    t->slot = &s->slots[t->index];
    px_session_attach(s, t->index, f);
    px_lock(&n->lock);
    PX_SET(f->handle, msg->handle[0]);
    f->ops = &px_stream_ops;
    px_unlock(&n->lock);
    __atomic_store_n(&f->unmade, false, __ATOMIC_RELEASE);
    __atomic_fetch_sub(&px_file_pool()->unmade, 1, __ATOMIC_RELAXED);
}

/* 1: another thread has just done it. */
static long make(struct px_file *f, struct motor_msg *msg)
{
    struct px_net *n = px_net();
    long result;
    struct px_session *s = px_session_get(PX_SESSION_NET, &result);
    if (!s)
        return result;
    msg->op = IO_SOCKET;
    msg->deadline = MOTOR_NEVER;
    msg->word[0] = f->stream.family;
    msg->word[1] = SOCK_STREAM;
    msg->word[2] = IPPROTO_TCP;
    px_lock(&n->open_lock);
    result = px_is_unmade(f) ? px_call(s->gate, msg) : 1;
    if (result == 0 && (msg->nhandles != 1 || msg->word[0] >= IO_SLOTS))
        result = -EIO;
    if (result == 0)
        made(f, s, msg);
    px_unlock(&n->open_lock);
    return result;
}

long px_socket_make(struct px_file *f)
{
    struct motor_msg msg = {0};
    return PX_MIN(make(f, &msg), 0L);
}

long px_socket_make_connected(struct px_file *f, const void *address, unsigned length)
{
    struct motor_msg msg = {.in = address, .in_size = length, .word = {0, 0, 0, 1}};
    if (length > PX_SOCKADDR_MAX)
        return -EINVAL;
    long result = make(f, &msg);
    if (result == 1)
        return f->ops->socket->connect(f, address, length);
    return result < 0 ? result : (long)msg.word[1];
}
