/* SPDX-License-Identifier: MIT */
/*
 * flock, and fcntl's record locks. The fs engine keeps them. Those of an open file belong to its
 * handle, and so to whoever has it; those of the process to its presence, which is asked for when
 * it is first needed.
 *
 * A process that closes any descriptor of a file loses its record locks there: the runtime tells,
 * since for the engine that handle may live on elsewhere.
 */
#include "filelock.h"
#include "internal.h"

/* ---- presence ---- */

long px_presence(motor_handle *out)
{
    struct px_process *p = px_proc();
    motor_handle known = __atomic_load_n(&p->presence, __ATOMIC_ACQUIRE);
    if (!known) {
        struct motor_msg msg = {.op = IO_PRESENCE, .deadline = MOTOR_NEVER};
        if (p->vfork) {
            msg.nhandles = 1;
            msg.handle[0] = px_vfork_embryo(p->vfork);
        }
        long error = px_call(p->root, &msg);
        if (error < 0)
            return error;
        if (__atomic_compare_exchange_n(&p->presence, &known, msg.handle[0], false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            known = msg.handle[0];
        else
            motor_handle_close(msg.handle[0]); /* another thread was first */
    }
    *out = known;
    return 0;
}

/* ---- record locks ---- */

static bool can_lock(const struct px_file *f)
{
    return px_is_fs(f) && (f->kind == PX_FILE || f->kind == PX_DIRECTORY);
}

void px_record_locks_close(struct px_file *f)
{
    struct px_process *p = px_proc();
    motor_handle presence = __atomic_load_n(&p->presence, __ATOMIC_ACQUIRE);
    if (!presence || !can_lock(f) || f->path_only)
        return;
    struct motor_msg msg = {.op = IO_LOCK,
                            .word = {IO_LOCK_CLOSE},
                            .nhandles = 1,
                            .handle = {presence},
                            .deadline = MOTOR_NEVER};
    px_call(f->handle, &msg);
}

static long fill_call(struct px_file *f, const struct linux_flock *l, uint64_t what,
                      struct motor_msg *msg)
{
    *msg = (struct motor_msg){.op = IO_LOCK, .deadline = MOTOR_NEVER};
    msg->word[0] = what;
    msg->word[1] = (uint64_t)(int64_t)l->type;
    msg->word[2] = l->whence == SEEK_END ? IO_LOCK_FROM_END : 0;
    msg->word[3] = (uint64_t)l->start;
    msg->word[4] = (uint64_t)l->length;
    if (l->whence == SEEK_CUR) {
        px_desc_lock(f->desc);
        msg->word[2] = px_position(f);
        px_desc_unlock(f->desc);
    }
    if ((what & IO_LOCK_KIND) != IO_LOCK_PROCESS)
        return 0;
    msg->nhandles = 1;
    return px_presence(&msg->handle[0]);
}

static long test_lock(struct motor_msg *msg, struct px_file *f, struct linux_flock *l, void *user)
{
    long error = px_call(f->handle, msg);
    if (error < 0)
        return error;
    l->type = (int16_t)msg->word[0];
    if (l->type != F_UNLCK) {
        l->whence = SEEK_SET;
        l->start = (int64_t)msg->word[1];
        l->length = (int64_t)msg->word[2];
        l->pid = (int32_t)msg->word[3];
    }
    return px_copy_out(user, l, sizeof *l);
}

long px_record_lock(int fd, struct px_file *f, int command, void *user)
{
    struct linux_flock l;
    struct motor_msg msg;
    bool open_file = command >= F_OFD_GETLK;
    bool test = command == F_GETLK || command == F_OFD_GETLK;
    bool wait = command == F_SETLKW || command == F_OFD_SETLKW;
    if (px_copy_in(&l, user, sizeof l) < 0)
        return -EFAULT;
    if (!can_lock(f) || l.whence < SEEK_SET || l.whence > SEEK_END || l.type < F_RDLCK ||
        l.type > F_UNLCK || (open_file && l.pid))
        return -EINVAL;
    long result = fill_call(f, &l,
                            (open_file ? IO_LOCK_OPEN_FILE : IO_LOCK_PROCESS) |
                                (test ? IO_LOCK_TEST : 0) | (wait ? IO_LOCK_WAIT : 0),
                            &msg);
    if (result < 0)
        return result;
    if (test)
        return test_lock(&msg, f, &l, user);
    if (open_file)
        px_file_not_kept(f);
    result = wait ? px_call_intr(f->handle, &msg) : px_call(f->handle, &msg);
    if (result == 0 && !open_file && l.type != F_UNLCK) {
        /* closed meanwhile by another thread, which could not know of this lock yet */
        struct px_file *now = px_fd_get(fd);
        if (now != f)
            px_record_locks_close(f);
        if (now)
            px_file_put(now);
    }
    return result;
}

/* ---- flock ---- */

long px_sys_flock(int fd, int operation)
{
    int what = operation & ~LOCK_NB;
    struct motor_msg msg = {.op = IO_LOCK,
                            .word = {IO_LOCK_WHOLE | (operation & LOCK_NB ? 0 : IO_LOCK_WAIT),
                                     what == LOCK_SH   ? F_RDLCK
                                     : what == LOCK_EX ? F_WRLCK
                                                       : F_UNLCK},
                            .deadline = MOTOR_NEVER};
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    long result = -EINVAL;
    if (can_lock(f) && (what == LOCK_SH || what == LOCK_EX || what == LOCK_UN)) {
        px_file_not_kept(f);
        result = px_call_intr(f->handle, &msg);
    }
    px_file_put(f);
    return result;
}
