/* SPDX-License-Identifier: MIT */
/* fcntl and locks. */
#include "file.h"

#define CHANGEABLE (O_APPEND | O_ASYNC | O_NONBLOCK | O_NOATIME | O_DIRECT)

static long set_flags(struct px_file *f, unsigned flags)
{
    if (flags & O_ASYNC && !f->ops->async)
        return -EINVAL;
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

static long pipe_size(struct px_file *f, unsigned long size)
{
    struct motor_msg msg = {.op = IO_PIPE_SIZE, .word = {size}, .deadline = MOTOR_NEVER};
    return f->kind == PX_PIPE ? px_call(f->handle, &msg) : -EBADF;
}

/*
 * Record locks belong to processes, and until there is a second one nobody can hold one that is in
 * our way. What is asked is checked as Linux does. The next issue's processes bring IO_LOCK.
 */
static long record_lock(struct px_file *f, int command, void *user)
{
    struct linux_flock l;
    if (px_copy_in(&l, user, sizeof l) < 0)
        return -EFAULT;
    if (l.whence < SEEK_SET || l.whence > SEEK_END || l.type < F_RDLCK || l.type > F_UNLCK)
        return -EINVAL;
    if (l.whence == SEEK_SET && (l.start < 0 || (l.length < 0 && l.start + l.length < 0)))
        return -EINVAL;
    if (f->kind != PX_FILE)
        return -EINVAL;
    if (command == F_GETLK || command == F_OFD_GETLK) {
        if (l.type == F_UNLCK)
            return -EINVAL;
        l.type = F_UNLCK;
        return px_copy_out(user, &l, sizeof l.type);
    }
    if ((l.type == F_RDLCK && !px_may_read(f)) || (l.type == F_WRLCK && !px_may_write(f)))
        return -EBADF;
    return 0;
}

static long control(struct px_file *f, int command, unsigned long argument)
{
    switch (command) {
    case F_GETFL:
        return (long)(px_flags(f) & ~O_CLOEXEC);
    case F_SETFL:
        return set_flags(f, (unsigned)argument);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
        return record_lock(f, command, (void *)argument);
    case F_OFD_GETLK: /* two descriptions of one process may collide: not without a lock table */
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return -ENOLCK;
    case F_SETOWN: /* who gets SIGIO; remembered where none is ever sent */
        __atomic_store_n(&f->desc->owner, (int)argument, __ATOMIC_RELAXED);
        return changed_async(f);
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
    case F_SETLEASE:
    case F_GETLEASE:
    case F_ADD_SEALS:
    case F_GET_SEALS:
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
        px_flags(f) & O_PATH && command != F_GETFL ? -EBADF : control(f, command, argument);
    px_file_put(f);
    return result;
}

long px_sys_flock(int fd, int operation)
{
    int what = operation & ~LOCK_NB;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    px_file_put(f);
    if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
        return -EINVAL;
    return what == LOCK_UN ? 0 : -ENOLCK;
}
