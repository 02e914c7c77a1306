/* SPDX-License-Identifier: MIT */
/* Socket calls, but for those that move data (socket_message.c). What they do is the family's. */
#include "socket.h"
#include "stream.h"

static struct px_file *socket_or_none(struct px_file *f, long *error)
{
    *error = f ? -ENOTSOCK : -EBADF;
    if (f && !px_is_socket(f)) {
        px_file_put(f);
        return NULL;
    }
    return f;
}

struct px_file *px_socket_get(int fd, long *error)
{
    return socket_or_none(px_fd_get_io(fd), error);
}

static long inet_socket(int family, int type, int protocol, unsigned flags)
{
    long error;
    struct px_session *s = px_session_get(PX_SESSION_NET, &error);
    if (!s)
        return error;
    if (type == SOCK_STREAM && (!protocol || protocol == IPPROTO_TCP)) {
        struct px_file *unmade = px_socket_unmade(family, flags);
        return unmade ? px_fd_install(unmade, flags & SOCK_CLOEXEC) : -ENFILE;
    }
    struct motor_msg msg = {.op = IO_SOCKET, .deadline = MOTOR_NEVER};
    msg.word[0] = (uint64_t)family;
    msg.word[1] = (uint64_t)type;
    msg.word[2] = (uint64_t)protocol;
    error = px_call(s->gate, &msg);
    if (error < 0)
        return error;
    if (msg.nhandles != 1 || msg.word[0] >= IO_SLOTS)
        return -EIO;
    struct px_file *f = px_socket_file(s, (uint32_t)msg.word[0], msg.handle[0], (uint32_t)family,
                                       (uint32_t)type, (uint32_t)protocol, flags);
    return f ? px_fd_install(f, flags & SOCK_CLOEXEC) : -ENFILE;
}

/* Flags beside a socket's type; -EINVAL: others. */
static long type_flags(int type, unsigned *flags)
{
    *flags = (unsigned)type & ~(unsigned)SOCK_TYPE_MASK;
    return *flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK) ? -EINVAL : 0;
}

long px_sys_socket(int family, int type, int protocol)
{
    unsigned flags;
    if (type_flags(type, &flags) < 0)
        return -EINVAL;
    type &= SOCK_TYPE_MASK;
    if (family == AF_UNIX)
        return px_unix_socket(type, protocol, flags);
    if (family == AF_NETLINK)
        return px_netlink_socket(type, protocol, flags);
    return family == AF_INET || family == AF_INET6 ? inet_socket(family, type, protocol, flags)
                                                   : -EAFNOSUPPORT;
}

long px_sys_socketpair(int family, int type, int protocol, void *fds)
{
    unsigned flags;
    if (type_flags(type, &flags) < 0)
        return -EINVAL;
    if (family == AF_UNIX)
        return px_unix_pair(type & SOCK_TYPE_MASK, protocol, flags, fds);
    return family == AF_INET || family == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
}

long px_sys_bind(int fd, const void *address, unsigned length)
{
    long result;
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    result = f->ops->socket->bind(f, address, length);
    px_file_put(f);
    return result;
}

long px_sys_listen(int fd, int backlog)
{
    long result;
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    result = f->ops->socket->listen(f, backlog);
    px_file_put(f);
    return result;
}

long px_sys_connect(int fd, const void *address, unsigned length)
{
    long result;
    struct px_file *f = socket_or_none(px_fd_get_to_connect(fd), &result);
    if (!f)
        return result;
    result = f->ops->socket->connect(f, address, length);
    px_file_put(f);
    return result;
}

/* Stores a name, cut to what there is room for, and its length. */
static long put_name(const struct px_name *name, void *address, void *length)
{
    uint32_t room;
    if (px_load32(length, &room) < 0)
        return -EFAULT;
    if ((int32_t)room < 0)
        return -EINVAL;
    if (px_copy_out(address, name->bytes, PX_MIN(room, name->length)) < 0)
        return -EFAULT;
    return px_store32(length, name->length);
}

static long accept(int fd, void *address, void *length, unsigned flags)
{
    long result;
    struct px_name peer = {0};
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    result = f->ops->socket->accept(f, flags, &peer);
    px_file_put(f);
    if (result >= 0 && address) {
        long error = put_name(&peer, address, length);
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
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    result = how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : f->ops->socket->shutdown(f, how);
    if (result >= 0)
        px_file_changed(f);
    px_file_put(f);
    return PX_MIN(result, 0L);
}

/* ---- names ---- */

static long get_name(int fd, void *address, void *length, bool peer)
{
    struct px_name name = {0};
    long result;
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    result = f->ops->socket->name(f, peer, &name);
    px_file_put(f);
    return result < 0 ? result : put_name(&name, address, length);
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

long px_socket_set_waits(struct px_socket_waits w, int name, const void *value, unsigned length)
{
    uint32_t number;
    switch (name) {
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
        return set_timeout(w.receive, value, length);
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        return set_timeout(w.send, value, length);
    case SO_RCVLOWAT:
        if (length < 4)
            return -EINVAL;
        if (px_load32(value, &number) < 0)
            return -EFAULT;
        *w.low_water = (int32_t)number < 0 ? INT32_MAX : PX_MAX(number, 1u);
        return 0;
    default:
        return -ENOTTY;
    }
}

long px_socket_get_waits(struct px_socket_waits w, int name, uint8_t *value, uint32_t room)
{
    struct linux_timeval tv;
    uint64_t timeout = name == SO_RCVTIMEO || name == SO_RCVTIMEO_NEW ? *w.receive : *w.send;
    switch (name) {
    case SO_RCVLOWAT:
        memcpy(value, w.low_water, PX_MIN(sizeof *w.low_water, room));
        return sizeof *w.low_water;
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        tv = (struct linux_timeval){(int64_t)(timeout / 1000000000u),
                                    (int64_t)(timeout % 1000000000u / 1000)};
        memcpy(value, &tv, PX_MIN(sizeof tv, room));
        return sizeof tv;
    default:
        return -ENOTTY;
    }
}

long px_sys_setsockopt(int fd, int level, int name, const void *value, unsigned length)
{
    long result;
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    result =
        (int32_t)length < 0 ? -EINVAL : f->ops->socket->set_option(f, level, name, value, length);
    px_file_put(f);
    return result;
}

long px_sys_getsockopt(int fd, int level, int name, void *value, void *length)
{
    uint8_t bytes[256];
    uint32_t room;
    long result;
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    if (px_load32(length, &room) < 0)
        result = -EFAULT;
    else if ((int32_t)room < 0)
        result = -EINVAL;
    else
        result =
            f->ops->socket->get_option(f, level, name, bytes, PX_MIN(room, (uint32_t)sizeof bytes));
    px_file_put(f);
    if (result < 0)
        return result;
    uint32_t size = PX_MIN(PX_MIN((uint32_t)result, room), (uint32_t)sizeof bytes);
    if (px_copy_out(value, bytes, size) < 0)
        return -EFAULT;
    return px_store32(length, size);
}
