/* SPDX-License-Identifier: MIT */
/* ioctl: what is the same for all files; the rest is the file's. */
#include "file.h"

static long set_nonblock(struct px_file *f, const void *user)
{
    uint32_t on;
    if (px_load32(user, &on) < 0)
        return -EFAULT;
    if (on)
        __atomic_fetch_or(&f->desc->flags, O_NONBLOCK, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&f->desc->flags, ~O_NONBLOCK, __ATOMIC_RELAXED);
    return 0;
}

static long set_async(struct px_file *f, const void *user)
{
    uint32_t on;
    if (px_load32(user, &on) < 0)
        return -EFAULT;
    if (!f->ops->async)
        return on ? -ENOTTY : 0;
    if (on)
        __atomic_fetch_or(&f->desc->flags, O_ASYNC, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&f->desc->flags, ~O_ASYNC, __ATOMIC_RELAXED);
    return f->ops->async(f);
}

static long control(struct px_file *f, unsigned request, unsigned long argument)
{
    uint32_t owner;
    switch (request) {
    case FIONBIO:
        return set_nonblock(f, (const void *)argument);
    case FIOASYNC:
        return set_async(f, (const void *)argument);
    case FIOSETOWN:
    case SIOCSPGRP:
        if (!f->ops->socket)
            return -ENOTTY;
        if (px_load32((const void *)argument, &owner) < 0)
            return -EFAULT;
        __atomic_store_n(&f->desc->owner, (int32_t)owner, __ATOMIC_RELAXED);
        return f->ops->async && px_flags(f) & O_ASYNC ? f->ops->async(f) : 0;
    case FIOGETOWN:
    case SIOCGPGRP:
        return f->ops->socket ? px_store32((void *)argument, (uint32_t)f->desc->owner) : -ENOTTY;
    default:
        return f->ops->control ? f->ops->control(f, request, argument) : -ENOTTY;
    }
}

long px_sys_ioctl(int fd, unsigned request, unsigned long argument)
{
    if (request == FIOCLEX || request == FIONCLEX)
        return px_fd_cloexec_set(fd, request == FIOCLEX);
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    long result = control(f, request, argument);
    px_file_put(f);
    return result;
}
