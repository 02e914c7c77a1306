/* SPDX-License-Identifier: MIT */
/* fcntl. */
#include "filelock.h"
#include "memfd.h"

#define CHANGEABLE (O_APPEND | O_ASYNC | O_NONBLOCK | O_NOATIME | O_DIRECT)

/* Nothing ever happens there that SIGIO could tell of: Linux takes the flag and forgets it. */
static bool never_tells(const struct px_file *f)
{
    return f->kind == PX_FILE || f->kind == PX_DIRECTORY || f->kind == PX_EVENTFD ||
           f->kind == PX_TIMERFD || f->kind == PX_SIGNALFD || f->kind == PX_EPOLL ||
           f->kind == PX_PIDFD;
}

static long set_flags(struct px_file *f, unsigned flags)
{
    if (flags & O_ASYNC && !f->ops->async) {
        if (!never_tells(f))
            return -EINVAL;
        flags &= ~(unsigned)O_ASYNC;
    }
    uint32_t old = px_flags(f);
    while (!__atomic_compare_exchange_n(&f->desc->flags, &old,
                                        (old & ~CHANGEABLE) | (flags & CHANGEABLE), true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    return (old ^ flags) & O_ASYNC && f->ops->async ? f->ops->async(f) : 0;
}

static long changed_async(struct px_file *f)
{
    return f->ops->async && px_flags(f) & O_ASYNC ? f->ops->async(f) : 0;
}

/* Who gets SIGIO: a process, a negated group, or 0: nobody. */
static long set_owner(struct px_file *f, int owner)
{
    if (owner == INT32_MIN)
        return -EINVAL;
    if (owner && px_sys_kill(owner, 0) == -ESRCH)
        return -ESRCH;
    __atomic_store_n(&f->desc->owner, owner, __ATOMIC_RELAXED);
    return changed_async(f);
}

struct owner { /* struct f_owner_ex */
    int32_t type, id;
};
#define F_OWNER_PID  1
#define F_OWNER_PGRP 2

static long set_owner_of(struct px_file *f, const void *user)
{
    struct owner o;
    if (px_copy_in(&o, user, sizeof o) < 0)
        return -EFAULT;
    if ((o.type != F_OWNER_PID && o.type != F_OWNER_PGRP) || o.id < 0)
        return o.type == F_OWNER_PID || o.type == F_OWNER_PGRP ? -ESRCH : -EINVAL;
    return set_owner(f, o.type == F_OWNER_PID ? o.id : -o.id);
}

static long owner_of(struct px_file *f, void *user)
{
    int owner = __atomic_load_n(&f->desc->owner, __ATOMIC_RELAXED);
    struct owner o = {owner < 0 ? F_OWNER_PGRP : F_OWNER_PID, owner < 0 ? -owner : owner};
    return px_copy_out(user, &o, sizeof o);
}

static long pipe_size(struct px_file *f, unsigned long size)
{
    struct motor_msg msg = {.op = IO_PIPE_SIZE, .word = {size}, .deadline = MOTOR_NEVER};
    return f->kind == PX_PIPE ? px_call(f->handle, &msg) : -EBADF;
}

static long control(int fd, struct px_file *f, int command, unsigned long argument)
{
    switch (command) {
    case F_GETFL:
        return (long)(px_flags(f) & ~O_CLOEXEC);
    case F_SETFL:
        return set_flags(f, (unsigned)argument);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return px_record_lock(fd, f, command, (void *)argument);
    case F_SETOWN: /* who gets SIGIO; remembered where none is ever sent */
        return set_owner(f, (int)argument);
    case F_SETOWN_EX:
        return set_owner_of(f, (const void *)argument);
    case F_GETOWN_EX:
        return owner_of(f, (void *)argument);
    case F_GETOWN:
        return __atomic_load_n(&f->desc->owner, __ATOMIC_RELAXED);
    case F_GETSIG:
        return __atomic_load_n(&f->desc->signal, __ATOMIC_RELAXED);
    case F_SETSIG:
        if (argument > 64)
            return -EINVAL;
        __atomic_store_n(&f->desc->signal, (int)argument, __ATOMIC_RELAXED);
        return changed_async(f);
    case F_SETPIPE_SZ:
        return argument > INT32_MAX ? -EINVAL : pipe_size(f, PX_MAX((uint32_t)argument, 1u));
    case F_GETPIPE_SZ:
        return pipe_size(f, 0);
    case F_ADD_SEALS:
    case F_GET_SEALS:
        return px_seal(f, command == F_ADD_SEALS, argument);
    case F_SETLEASE:
    case F_GETLEASE:
    default:
        return -EINVAL;
    }
}

long px_sys_fcntl(int fd, int command, unsigned long argument)
{
    switch (command) { /* of the descriptor, not of what it leads to */
    case F_DUPFD:
        return px_fd_dup_from(fd, (unsigned long)(long)(int)argument, false);
    case F_DUPFD_CLOEXEC:
        return px_fd_dup_from(fd, (unsigned long)(long)(int)argument, true);
    case F_GETFD:
        return px_fd_cloexec_get(fd);
    case F_SETFD:
        return px_fd_cloexec_set(fd, argument & FD_CLOEXEC);
    default:
        break;
    }
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -EBADF;
    long result =
        px_flags(f) & O_PATH && command != F_GETFL ? -EBADF : control(fd, f, command, argument);
    px_file_put(f);
    return result;
}
