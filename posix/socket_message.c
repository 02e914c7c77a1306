/* SPDX-License-Identifier: MIT */
/* send, recv and their forms with messages. */
#include "stream.h"

static long transfer_flags(int flags, uint32_t *out)
{
    unsigned f = (unsigned)flags;
    if (f & MSG_OOB)
        return -EOPNOTSUPP;
    *out = (f & MSG_DONTWAIT ? PX_IO_NONBLOCK : 0) | (f & MSG_NOSIGNAL ? PX_IO_NOSIGNAL : 0) |
           (f & MSG_PEEK ? PX_IO_PEEK : 0) | (f & MSG_WAITALL ? PX_IO_WAITALL : 0) |
           (f & MSG_MORE ? PX_IO_MORE : 0);
    return 0;
}

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

/* ---- sending ---- */

static long send_io(struct px_file *f, struct px_io *io, int flags, const void *address,
                    unsigned length)
{
    struct px_address to;
    uint32_t how;
    long error = transfer_flags(flags, &how);
    if (error < 0)
        return error;
    if (f->kind == PX_STREAM)
        return f->ops->write(f, io, how);
    if (address && (error = px_address_in(&to, address, length, f->stream.family)) < 0)
        return error;
    return px_datagram_send(f, io, how, address ? &to : NULL);
}

long px_sys_sendto(int fd, const void *buffer, size_t count, int flags, const void *address,
                   unsigned length)
{
    struct px_io io;
    struct px_vec vec;
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    px_io_one(&io, &vec, buffer, count);
    result = send_io(f, &io, flags, address, length);
    px_file_put(f);
    return result;
}

static long send_message(struct px_file *f, const struct linux_msghdr *m, int flags)
{
    struct px_vectors v;
    if (m->iovlen > IOV_MAX)
        return -EMSGSIZE;
    long result = px_vectors_get(&v, m->iov, (long)m->iovlen);
    if (result < 0)
        return result;
    result = send_io(f, &v.io, flags, m->namelen ? m->name : NULL, m->namelen);
    px_vectors_put(&v);
    return result;
}

long px_sys_sendmsg(int fd, const void *message, int flags)
{
    struct linux_msghdr m;
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    result = px_copy_in(&m, message, sizeof m);
    if (result == 0)
        result = send_message(f, &m, flags);
    px_file_put(f);
    return result;
}

long px_sys_sendmmsg(int fd, void *messages, unsigned count, int flags)
{
    struct linux_mmsghdr *user = messages, m;
    long result;
    unsigned done = 0;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    for (result = 0; done < PX_MIN(count, (unsigned)IOV_MAX); done++) {
        result = px_copy_in(&m, &user[done], sizeof m);
        if (result == 0)
            result = send_message(f, &m.header, flags);
        if (result < 0 || (result = px_store32(&user[done].length, (uint32_t)result)) < 0)
            break;
    }
    px_file_put(f);
    return done ? (long)done : result;
}

/* ---- receiving ---- */

/* *from.family is 0 when there is no sender to tell; *out_flags: MSG_TRUNC. */
static long receive_io(struct px_file *f, struct px_io *io, int flags, struct px_address *from,
                       uint32_t *out_flags)
{
    struct px_datagram_info info = {0};
    uint32_t how;
    size_t room = io->left;
    long result = transfer_flags(flags, &how);
    from->family = 0;
    *out_flags = 0;
    if (result < 0)
        return (unsigned)flags & MSG_OOB ? -EINVAL : result;
    if ((unsigned)flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (f->kind == PX_STREAM)
        return f->ops->read(f, io, how | ((unsigned)flags & MSG_TRUNC ? PX_IO_DISCARD : 0));
    result = px_datagram_receive(f, io, how, &info);
    if (result < 0)
        return result;
    *from = info.from;
    if (info.length > room) {
        *out_flags = MSG_TRUNC;
        if ((unsigned)flags & MSG_TRUNC)
            return info.length;
    }
    return result;
}

long px_sys_recvfrom(int fd, void *buffer, size_t count, int flags, void *address, void *length)
{
    struct px_io io;
    struct px_vec vec;
    struct px_address from;
    uint32_t out_flags;
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    px_io_one(&io, &vec, buffer, count);
    result = receive_io(f, &io, flags, &from, &out_flags);
    px_file_put(f);
    if (result < 0 || !address)
        return result;
    long error = from.family ? px_address_out(&from, address, length) : px_store32(length, 0);
    return error < 0 ? error : result;
}

static long receive_message(struct px_file *f, struct linux_msghdr *user, int flags)
{
    struct linux_msghdr m;
    struct px_vectors v;
    struct px_address from;
    uint8_t sockaddr[28];
    uint32_t out_flags, length = 0;
    if (px_copy_in(&m, user, sizeof m) < 0)
        return -EFAULT;
    if (m.iovlen > IOV_MAX)
        return -EMSGSIZE;
    if ((int32_t)m.namelen < 0)
        return -EINVAL;
    long result = px_vectors_get(&v, m.iov, (long)m.iovlen);
    if (result < 0)
        return result;
    result = receive_io(f, &v.io, flags, &from, &out_flags);
    px_vectors_put(&v);
    if (result < 0)
        return result;
    if (m.name) {
        length = from.family ? px_address_format(&from, sockaddr) : 0;
        if (px_copy_out(m.name, sockaddr, PX_MIN(length, m.namelen)) < 0)
            return -EFAULT;
        if (px_store32(&user->namelen, length) < 0)
            return -EFAULT;
    }
    m.controllen = 0;
    if (px_copy_out(&user->controllen, &m.controllen, sizeof m.controllen) < 0)
        return -EFAULT;
    out_flags |= (uint32_t)flags & MSG_CMSG_CLOEXEC;
    return px_store32(&user->flags, out_flags) < 0 ? -EFAULT : result;
}

long px_sys_recvmsg(int fd, void *message, int flags)
{
    long result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    result = receive_message(f, message, flags);
    px_file_put(f);
    return result;
}

long px_sys_recvmmsg(int fd, void *messages, unsigned count, int flags, void *timeout)
{
    struct linux_mmsghdr *user = messages;
    uint64_t deadline;
    long result = px_deadline_in(timeout, &deadline);
    unsigned done = 0;
    if (result < 0)
        return result;
    struct px_file *f = get_socket(fd, &result);
    if (!f)
        return result;
    for (result = 0; done < PX_MIN(count, (unsigned)IOV_MAX); done++) {
        int how = flags & ~(int)MSG_WAITFORONE;
        if (done && (unsigned)flags & MSG_WAITFORONE)
            how |= MSG_DONTWAIT;
        result = receive_message(f, &user[done].header, how);
        if (result < 0 || (result = px_store32(&user[done].length, (uint32_t)result)) < 0)
            break;
        if (px_now() >= deadline) {
            done++;
            break;
        }
    }
    px_file_put(f);
    return done ? (long)done : result;
}
