/* SPDX-License-Identifier: MIT */
/* Sockets of the net engine: struct px_socket_ops. Their bytes are in stream.c and datagram.c. */
#include "socket.h"
#include "stream.h"

static struct px_socket_waits waits_of(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    return (struct px_socket_waits){&t->receive_timeout, &t->send_timeout, &t->low_water};
}

/* A call that carries the program's address bytes. */
static long address_call(struct px_file *f, uint32_t op, const void *address, unsigned length)
{
    struct motor_msg msg = {.op = op, .in = address, .in_size = length, .deadline = MOTOR_NEVER};
    if (length > 128)
        return -EINVAL;
    return px_call(f->handle, &msg);
}

static long inet_bind(struct px_file *f, const void *address, unsigned length)
{
    return address_call(f, IO_BIND, address, length);
}

/* [stream.rx_lock] */
static void become_listener(struct px_file *f)
{
    struct px_net *n = px_net();
    px_lock(&n->lock); /* watchers use the operations under it */
    f->stream.shared |= f->stream.passed;
    f->stream.listening = true;
    f->ops = &px_listener_ops;
    px_unlock(&n->lock);
}

/* Whether another process, which has it too, has made it listen: then it does for all. */
static bool listens_elsewhere(struct px_file *f)
{
    struct px_stream *t = &f->stream;
    int32_t listening = 0;
    struct motor_msg msg = {.op = IO_GETSOCKOPT,
                            .word = {SOL_SOCKET, SO_ACCEPTCONN},
                            .out = &listening,
                            .out_size = sizeof listening,
                            .deadline = MOTOR_NEVER};
    if (!t->passed || px_call(f->handle, &msg) < 0 || !listening)
        return false;
    px_lock(&t->rx_lock);
    become_listener(f);
    px_unlock(&t->rx_lock);
    return true;
}

static bool is_listening(struct px_file *f)
{
    return f->kind == PX_STREAM && (f->stream.listening || listens_elsewhere(f));
}

static long inet_listen(struct px_file *f, int backlog)
{
    struct px_stream *t = &f->stream;
    struct motor_msg msg = {.op = IO_LISTEN, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)(uint32_t)PX_MIN((unsigned)backlog, 65535u);
    if (f->kind != PX_STREAM)
        return -EOPNOTSUPP;
    px_lock(&t->rx_lock); /* whoever is about to pass it on waits: see px_listener_share() */
    msg.word[1] = t->passed;
    long result = px_call(f->handle, &msg);
    if (result >= 0)
        become_listener(f);
    px_unlock(&t->rx_lock);
    return PX_MIN(result, 0);
}

static long connect_stream(struct px_file *f, const void *address, unsigned length)
{
    struct px_stream *t = &f->stream;
    uint64_t deadline = px_timeout_deadline(t->send_timeout);
    if (t->connecting) /* begun before: by a call that a signal ended, or without waiting */
        return px_stream_connected(f, 0, deadline);
    long result = px_is_unmade(f) ? px_socket_make_connected(f, address, length)
                                  : address_call(f, IO_CONNECT, address, length);
    if (result != -EINPROGRESS)
        return result;
    t->connecting = true;
    result = px_stream_connected(f, 0, deadline);
    return result == -EALREADY ? -EINPROGRESS : result;
}

static long inet_connect(struct px_file *f, const void *address, unsigned length)
{
    uint16_t family = AF_UNSPEC;
    if (f->kind == PX_STREAM)
        return connect_stream(f, address, length);
    long result = px_copy_in(&family, address, sizeof family);
    if (result == 0)
        result = address_call(f, IO_CONNECT, address, length);
    if (result >= 0)
        f->stream.peer_set = family != AF_UNSPEC;
    return result;
}

static long inet_accept(struct px_file *f, unsigned flags, struct px_name *peer)
{
    struct px_address from;
    if (f->kind != PX_STREAM)
        return -EOPNOTSUPP;
    long fd = is_listening(f) ? px_stream_accept(f, flags, &from) : -EINVAL;
    if (fd >= 0)
        peer->length = px_address_format(&from, peer->bytes);
    return fd;
}

static long inet_shutdown(struct px_file *f, int how)
{
    struct motor_msg msg = {.op = IO_SHUTDOWN, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)how;
    if (how == SHUT_WR && f->kind == PX_STREAM && px_stream_shut(f))
        return 0;
    return px_call(f->handle, &msg);
}

static long inet_name(struct px_file *f, bool peer, struct px_name *out)
{
    /* What accept told of stays true while the connection lives; later only the engine knows. */
    bool known =
        f->stream.named && (!peer || (__atomic_load_n(&f->stream.slot->state, __ATOMIC_ACQUIRE) &
                                      ~IO_STATE_LENT) == IO_STATE_CONNECTED);
    struct motor_msg msg = {.op = IO_GETNAME,
                            .out = out->bytes,
                            .out_size = sizeof out->bytes,
                            .deadline = MOTOR_NEVER};
    msg.word[0] = peer;
    long result = known ? px_address_format(peer ? &f->stream.peer : &f->stream.own, out->bytes)
                        : px_call(f->handle, &msg);
    if (result < 0)
        return result;
    out->length = (uint32_t)PX_MIN(result, (long)sizeof out->bytes);
    return 0;
}

/* ---- options ---- */

static uint32_t client_flag(int level, int name)
{
    if (level != IPPROTO_TCP)
        return 0;
    return name == TCP_CORK ? IO_CLIENT_CORK : name == TCP_NODELAY ? IO_CLIENT_NODELAY : 0;
}

/* Options in the slot: -ENOTTY when the engine has to be asked. */
static long set_flag(struct px_file *f, uint32_t flag, const void *value, unsigned length)
{
    uint32_t number;
    if (length < 4)
        return -EINVAL;
    if (px_load32(value, &number) < 0)
        return -EFAULT;
    return px_stream_set_flag(f, flag, number) ? 0 : -ENOTTY;
}

static long inet_set_option(struct px_file *f, int level, int name, const void *value,
                            unsigned length)
{
    struct motor_msg msg = {
        .op = IO_SETSOCKOPT, .in = value, .in_size = length, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)(int64_t)level;
    msg.word[1] = (uint64_t)(int64_t)name;
    uint32_t flag = f->kind == PX_STREAM ? client_flag(level, name) : 0;
    long result = level == SOL_SOCKET ? px_socket_set_waits(waits_of(f), name, value, length)
                  : flag              ? set_flag(f, flag, value, length)
                                      : -ENOTTY;
    return result == -ENOTTY ? PX_MIN(px_call(f->handle, &msg), 0L) : result;
}

/* Options that live here: -ENOTTY for others. */
static long get_own(struct px_file *f, int name, uint8_t *value, uint32_t room)
{
    struct px_stream *t = &f->stream;
    int32_t number;
    switch (name) {
    case SO_TYPE:
        number = t->type;
        break;
    case SO_DOMAIN:
        number = t->family;
        break;
    case SO_PROTOCOL:
        number = t->protocol;
        break;
    case SO_ACCEPTCONN:
        number = is_listening(f);
        break;
    case SO_ERROR:
        number = (int32_t)-px_socket_error(f);
        break;
    default:
        return px_socket_get_waits(waits_of(f), name, value, room);
    }
    memcpy(value, &number, PX_MIN(sizeof number, room));
    return sizeof number;
}

static long inet_get_option(struct px_file *f, int level, int name, uint8_t *value, uint32_t room)
{
    struct motor_msg msg = {
        .op = IO_GETSOCKOPT, .out = value, .out_size = room, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)(int64_t)level;
    msg.word[1] = (uint64_t)(int64_t)name;
    long result = level == SOL_SOCKET ? get_own(f, name, value, room) : -ENOTTY;
    return result == -ENOTTY ? px_call(f->handle, &msg) : result;
}

/* ---- messages ---- */

static uint32_t transfer_flags(uint32_t f)
{
    return (f & MSG_DONTWAIT ? PX_IO_NONBLOCK : 0) | (f & MSG_NOSIGNAL ? PX_IO_NOSIGNAL : 0) |
           (f & MSG_PEEK ? PX_IO_PEEK : 0) | (f & MSG_WAITALL ? PX_IO_WAITALL : 0) |
           (f & MSG_MORE ? PX_IO_MORE : 0);
}

static long inet_send(struct px_file *f, struct px_message *m)
{
    struct px_address to = {0};
    struct io_datagram record = {0};
    uint32_t how = transfer_flags(m->flags);
    long error;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (f->kind == PX_STREAM)
        return f->ops->write(f, m->io, how);
    if (m->name && (error = px_address_in(&to, m->name, m->namelen, f->stream.family)) < 0)
        return error;
    record.family = to.family;
    record.port = to.port;
    memcpy(record.address, to.bytes, sizeof record.address);
    record.flags = m->flags & MSG_DONTROUTE ? IO_DATAGRAM_NEAR : 0;
    error = px_datagram_say(f, m, &record);
    return error < 0 ? error : px_datagram_send(f, m->io, how, &record);
}

static long inet_receive(struct px_file *f, struct px_message *m)
{
    struct io_datagram info = {0};
    uint32_t how = transfer_flags(m->flags);
    size_t room = m->io->left;
    if (m->flags & MSG_OOB)
        return -EINVAL;
    if (m->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (f->kind == PX_STREAM)
        return f->ops->read(f, m->io, how | (m->flags & MSG_TRUNC ? PX_IO_DISCARD : 0));
    long result = px_datagram_receive(f, m->io, how, &info);
    if (result < 0)
        return result;
    if (info.family) {
        struct px_address from = {.family = info.family, .port = info.port};
        memcpy(from.bytes, info.address, sizeof from.bytes);
        m->from.length = px_address_format(&from, m->from.bytes);
        px_datagram_tell(f, &info, m);
    }
    if (info.length > room) {
        m->out_flags = MSG_TRUNC;
        if (m->flags & MSG_TRUNC)
            return info.length;
    }
    return result;
}

const struct px_socket_ops px_inet_ops = {
    .bind = inet_bind,
    .listen = inet_listen,
    .connect = inet_connect,
    .accept = inet_accept,
    .shutdown = inet_shutdown,
    .name = inet_name,
    .set_option = inet_set_option,
    .get_option = inet_get_option,
    .send = inet_send,
    .receive = inet_receive,
};
