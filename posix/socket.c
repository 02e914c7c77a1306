/* SPDX-License-Identifier: MIT */
/* Socket calls, but for those that move data (socket_message.c). */
#include "stream.h"

/* A socket's file: NULL with -EBADF or -ENOTSOCK. */
static struct px_file *get_socket(int fd, long *error)
{
    struct px_file *f = px_fd_get_io(fd);
    *error = f ? -ENOTSOCK : -EBADF;
    if (f && !px_is_socket(f)) {
        px_file_put(f);
        return NULL;
    }
    return f;
}

long px_sys_socket(int family, int type, int protocol)
{
    long error;
    unsigned flags = (unsigned)type & ~(unsigned)SOCK_TYPE_MASK;
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    struct px_session *s = px_session_get(PX_SESSION_NET, &error);
    if (!s)
        return error;
    struct motor_msg msg = {.op = IO_SOCKET, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)family;
    msg.word[1] = (uint64_t)type & SOCK_TYPE_MASK;
    msg.word[2] = (uint64_t)protocol;
    error = px_call(s->gate, &msg);
    if (error < 0)
        return error;
    if (msg.nhandles != 1 || msg.word[0] >= IO_SLOTS)
        return -EIO;
    struct px_file *f = px_socket_file(s, (uint32_t)msg.word[0], msg.handle[0], (uint32_t)family,
                                       (uint32_t)type & SOCK_TYPE_MASK, (uint32_t)protocol, flags);
    return f ? px_fd_install(f, flags & SOCK_CLOEXEC) : -ENFILE;
}

long px_sys_socketpair(int family, int type, int protocol, void *fds)
{
    (void)type, (void)protocol, (void)fds;
    return family == AF_INET || family == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
}

/* A call that carries the program's address bytes. */
static long address_call(struct px_file *f, uint32_t op, const void *address, unsigned length)
{
    struct motor_msg msg = {.op = op, .in = address, .in_size = length, .deadline = MOTOR_NEVER};
    if (length > 128)
        return -EINVAL;
    return px_call(f->handle, &msg);
}

long px_sys_bind(int fd, const void *address, unsigned length)
{
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    result = address_call(f, IO_BIND, address, length);
    px_file_put(f);
    return result;
}

long px_sys_listen(int fd, int backlog)
{
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    struct motor_msg msg = {.op = IO_LISTEN, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)(uint32_t)PX_MIN((unsigned)backlog, 65535u);
    result = f->kind == PX_STREAM ? px_call(f->handle, &msg) : -EOPNOTSUPP;
    if (result >= 0) {
        struct px_net *n = px_net();
        px_lock(&n->lock); /* watchers use the operations under it */
        f->stream.listening = true;
        f->ops = &px_listener_ops;
        px_unlock(&n->lock);
        result = 0;
    }
    px_file_put(f);
    return result;
}

static long connect_stream(struct px_file *f, const void *address, unsigned length)
{
    struct px_stream *t = &f->stream;
    uint64_t deadline = px_timeout_deadline(t->send_timeout);
    if (t->connecting) /* begun before: by a call that a signal ended, or without waiting */
        return px_stream_connected(f, 0, deadline);
    long result = address_call(f, IO_CONNECT, address, length);
    if (result != -EINPROGRESS)
        return result;
    t->connecting = true;
    result = px_stream_connected(f, 0, deadline);
    return result == -EALREADY ? -EINPROGRESS : result;
}

long px_sys_connect(int fd, const void *address, unsigned length)
{
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    if (f->kind == PX_STREAM) {
        result = connect_stream(f, address, length);
    } else {
        uint16_t family = AF_UNSPEC;
        result = px_copy_in(&family, address, sizeof family);
        if (result == 0)
            result = address_call(f, IO_CONNECT, address, length);
        if (result >= 0)
            f->stream.peer_set = family != AF_UNSPEC;
    }
    px_file_put(f);
    return result;
}

static long accept(int fd, void *address, void *length, unsigned flags)
{
    long result;
    struct px_address peer;
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    if (f->kind != PX_STREAM)
        result = -EOPNOTSUPP;
    else
        result = f->stream.listening ? px_stream_accept(f, flags, &peer) : -EINVAL;
    px_file_put(f);
    if (result >= 0 && address) {
        long error = px_address_out(&peer, address, length);
        if (error < 0) {
            px_sys_close((int)result);
            return error;
        }
    }
    return result;
}

long px_sys_accept(int fd, void *address, void *length)
{
    return accept(fd, address, length, 0);
}

long px_sys_accept4(int fd, void *address, void *length, int flags)
{
    return accept(fd, address, length, (unsigned)flags);
}

long px_sys_shutdown(int fd, int how)
{
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    struct motor_msg msg = {.op = IO_SHUTDOWN, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)how;
    if (how < SHUT_RD || how > SHUT_RDWR)
        result = -EINVAL;
    else if (how == SHUT_WR && f->kind == PX_STREAM && px_stream_shut(f))
        result = 0;
    else
        result = px_call(f->handle, &msg);
    if (result >= 0)
        px_file_changed(f);
    px_file_put(f);
    return PX_MIN(result, 0L);
}

/* ---- names ---- */

static long get_name(int fd, void *address, void *length, bool peer)
{
    uint8_t bytes[128];
    uint32_t room;
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    /* What accept told of stays true while the connection lives; later only the engine knows. */
    bool known =
        f->stream.named &&
        (!peer || __atomic_load_n(&f->stream.slot->state, __ATOMIC_ACQUIRE) == IO_STATE_CONNECTED);
    struct motor_msg msg = {
        .op = IO_GETNAME, .out = bytes, .out_size = sizeof bytes, .deadline = MOTOR_NEVER};
    msg.word[0] = peer;
    if (known)
        result = px_address_format(peer ? &f->stream.peer : &f->stream.own, bytes);
    else
        result = px_call(f->handle, &msg);
    px_file_put(f);
    if (result < 0)
        return result;
    if (px_load32(length, &room) < 0)
        return -EFAULT;
    if ((int32_t)room < 0)
        return -EINVAL;
    uint32_t size = (uint32_t)PX_MIN(result, (long)sizeof bytes);
    if (px_copy_out(address, bytes, PX_MIN(room, size)) < 0)
        return -EFAULT;
    return px_store32(length, size);
}

long px_sys_getsockname(int fd, void *address, void *length)
{
    return get_name(fd, address, length, false);
}

long px_sys_getpeername(int fd, void *address, void *length)
{
    return get_name(fd, address, length, true);
}

/* ---- options ---- */

static long set_timeout(uint64_t *timeout, const void *value, unsigned length)
{
    struct linux_timeval t;
    if (length < sizeof t)
        return -EINVAL;
    if (px_copy_in(&t, value, sizeof t) < 0)
        return -EFAULT;
    if (t.usec < 0 || t.usec >= 1000000)
        return -EDOM;
    if (t.sec < 0)
        *timeout = 1; /* Linux: does not wait at all */
    else
        *timeout =
            t.sec > 1000000000 ? 0 : (uint64_t)t.sec * 1000000000u + (uint64_t)t.usec * 1000u;
    return 0;
}

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

/* Options that live here: -ENOTTY for others. */
static long set_own(struct px_stream *t, int name, const void *value, unsigned length)
{
    uint32_t number;
    switch (name) {
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
        return set_timeout(&t->receive_timeout, value, length);
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        return set_timeout(&t->send_timeout, value, length);
    case SO_RCVLOWAT:
        if (length < 4)
            return -EINVAL;
        if (px_load32(value, &number) < 0)
            return -EFAULT;
        t->low_water = (int32_t)number < 0 ? INT32_MAX : PX_MAX(number, 1u);
        return 0;
    default:
        return -ENOTTY;
    }
}

long px_sys_setsockopt(int fd, int level, int name, const void *value, unsigned length)
{
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    struct motor_msg msg = {
        .op = IO_SETSOCKOPT, .in = value, .in_size = length, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)(int64_t)level;
    msg.word[1] = (uint64_t)(int64_t)name;
    uint32_t flag = f->kind == PX_STREAM ? client_flag(level, name) : 0;
    result = (int32_t)length < 0   ? -EINVAL
             : level == SOL_SOCKET ? set_own(&f->stream, name, value, length)
             : flag                ? set_flag(f, flag, value, length)
                                   : -ENOTTY;
    if (result == -ENOTTY)
        result = PX_MIN(px_call(f->handle, &msg), 0L);
    px_file_put(f);
    return result;
}

static long get_own(struct px_file *f, int name, uint8_t value[16])
{
    struct px_stream *t = &f->stream;
    uint64_t timeout;
    int32_t number;
    struct linux_timeval tv;
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
        number = t->listening;
        break;
    case SO_RCVLOWAT:
        number = (int32_t)t->low_water;
        break;
    case SO_ERROR:
        number = (int32_t)-px_socket_error(f);
        break;
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        timeout =
            name == SO_RCVTIMEO || name == SO_RCVTIMEO_NEW ? t->receive_timeout : t->send_timeout;
        tv = (struct linux_timeval){(int64_t)(timeout / 1000000000u),
                                    (int64_t)(timeout % 1000000000u / 1000)};
        memcpy(value, &tv, sizeof tv);
        return sizeof tv;
    default:
        return -ENOTTY;
    }
    memcpy(value, &number, sizeof number);
    return sizeof number;
}

long px_sys_getsockopt(int fd, int level, int name, void *value, void *length)
{
    uint8_t bytes[256];
    uint32_t room;
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    if (px_load32(length, &room) < 0) {
        px_file_put(f);
        return -EFAULT;
    }
    struct motor_msg msg = {.op = IO_GETSOCKOPT,
                            .out = bytes,
                            .out_size = PX_MIN((uint32_t)sizeof bytes, room),
                            .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)(int64_t)level;
    msg.word[1] = (uint64_t)(int64_t)name;
    result = (int32_t)room < 0 ? -EINVAL : level == SOL_SOCKET ? get_own(f, name, bytes) : -ENOTTY;
    if (result == -ENOTTY)
        result = px_call(f->handle, &msg);
    px_file_put(f);
    if (result < 0)
        return result;
    uint32_t size = PX_MIN(PX_MIN((uint32_t)result, room), (uint32_t)sizeof bytes);
    if (px_copy_out(value, bytes, size) < 0)
        return -EFAULT;
    return px_store32(length, size);
}
