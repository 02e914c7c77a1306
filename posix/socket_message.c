/* SPDX-License-Identifier: MIT */
/* send, recv and their forms with messages. */
#include "socket.h"

/* ---- sending ---- */

long px_sys_sendto(int fd, const void *buffer, size_t count, int flags, const void *address,
                   unsigned length)
{
    struct px_io io;
    struct px_vec vec;
    long result;
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    px_io_one(&io, &vec, buffer, count);
    struct px_message m = {.io = &io, .flags = (uint32_t)flags, .name = address, .namelen = length};
    result = f->ops->socket->send(f, &m);
    px_file_put(f);
    return result;
}

static long send_message(struct px_file *f, const struct linux_msghdr *h, int flags)
{
    struct px_vectors v;
    if (h->iovlen > IOV_MAX)
        return -EMSGSIZE;
    long result = px_vectors_get(&v, h->iov, (long)h->iovlen);
    if (result < 0)
        return result;
    struct px_message m = {.io = &v.io,
                           .flags = (uint32_t)flags,
                           .name = h->namelen ? h->name : NULL,
                           .namelen = h->namelen,
                           .control = h->control,
                           .controllen = h->controllen};
    result = f->ops->socket->send(f, &m);
    px_vectors_put(&v);
    return result;
}

long px_sys_sendmsg(int fd, const void *message, int flags)
{
    struct linux_msghdr m;
    long result;
    struct px_file *f = px_socket_get(fd, &result);
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
    struct px_file *f = px_socket_get(fd, &result);
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

long px_sys_recvfrom(int fd, void *buffer, size_t count, int flags, void *address, void *length)
{
    struct px_io io;
    struct px_vec vec;
    uint32_t room = 0;
    long result;
    struct px_file *f = px_socket_get(fd, &result);
    if (!f)
        return result;
    px_io_one(&io, &vec, buffer, count);
    struct px_message m = {.io = &io, .flags = (uint32_t)flags, .name = address};
    result = f->ops->socket->receive(f, &m);
    px_file_put(f);
    if (result < 0 || !address)
        return result;
    if (m.from.length && px_load32(length, &room) < 0)
        return -EFAULT;
    if ((int32_t)room < 0)
        return -EINVAL;
    if (px_copy_out(address, m.from.bytes, PX_MIN(room, m.from.length)) < 0)
        return -EFAULT;
    long error = px_store32(length, m.from.length);
    return error < 0 ? error : result;
}

static long receive_message(struct px_file *f, struct linux_msghdr *user, int flags)
{
    struct linux_msghdr h;
    struct px_vectors v;
    if (px_copy_in(&h, user, sizeof h) < 0)
        return -EFAULT;
    if (h.iovlen > IOV_MAX)
        return -EMSGSIZE;
    if ((int32_t)h.namelen < 0)
        return -EINVAL;
    long result = px_vectors_get(&v, h.iov, (long)h.iovlen);
    if (result < 0)
        return result;
    struct px_message m = {.io = &v.io,
                           .flags = (uint32_t)flags,
                           .name = h.name,
                           .control = h.control,
                           .controllen = h.control ? h.controllen : 0};
    result = f->ops->socket->receive(f, &m);
    px_vectors_put(&v);
    if (result < 0)
        return result;
    if (h.name && (px_copy_out(h.name, m.from.bytes, PX_MIN(m.from.length, h.namelen)) < 0 ||
                   px_store32(&user->namelen, m.from.length) < 0))
        return -EFAULT;
    if (px_copy_out(&user->controllen, &m.control_used, sizeof m.control_used) < 0)
        return -EFAULT;
    m.out_flags |= (uint32_t)flags & MSG_CMSG_CLOEXEC;
    return px_store32(&user->flags, m.out_flags) < 0 ? -EFAULT : result;
}

long px_sys_recvmsg(int fd, void *message, int flags)
{
    long result;
    struct px_file *f = px_socket_get(fd, &result);
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
    struct px_file *f = px_socket_get(fd, &result);
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
