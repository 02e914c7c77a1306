/* SPDX-License-Identifier: MIT */
/*
 * pidfd_open(2) and what takes pidfds. One is an object of the tty engine, which has a handle to
 * the process and therefore knows whether the number still is that process's. To send a signal, the
 * directory /proc/PID is as good: it is one process's, and the fs engine knows.
 */
#include "pidfd.h"
#include "event.h"
#include "file.h"

static long no_transfer(struct px_file *f, struct px_io *io, uint32_t flags)
{
    (void)f, (void)io, (void)flags;
    return -EINVAL;
}

static uint32_t pidfd_ready(struct px_file *f, uint32_t events, bool arm)
{
    return px_session_poll(f, &f->event_bit, events, arm);
}

static long pidfd_stat(struct px_file *f, struct io_stat *out)
{
    (void)f;
    *out = (struct io_stat){.dev = 14, .ino = 4, .mode = 0600, .nlink = 1, .blksize = 4096};
    return 0;
}

static long pidfd_pass(struct px_file *f, struct motor_start_fd *record)
{
    record->protocol = MOTOR_FD_EVENT;
    record->handle = f->handle;
    record->word[0] = IO_EVENT_PIDFD;
    return 0;
}

static void pidfd_release(struct px_file *f)
{
    px_session_unpoll(f->event_bit);
}

static const struct px_ops pidfd_ops = {.name = "pidfd",
                                        .read = no_transfer,
                                        .write = no_transfer,
                                        .ready = pidfd_ready,
                                        .stat = pidfd_stat,
                                        .pass = pidfd_pass,
                                        .release = pidfd_release};

struct px_file *px_pidfd_file(uint32_t flags, motor_handle object)
{
    struct px_file *f = px_file_new(&pidfd_ops, PX_PIDFD, flags, object);
    if (f) {
        f->protocol = MOTOR_FD_EVENT;
    }
    return f;
}

long px_sys_pidfd_open(int pid, unsigned flags)
{
    struct motor_msg msg = {.op = IO_PIDFD, .word = {(uint32_t)pid}, .deadline = MOTOR_NEVER};
    if (flags & ~O_NONBLOCK || pid <= 0) {
        return -EINVAL;
    }
    long error = px_call(px_proc()->tty, &msg);
    if (error < 0) {
        return error;
    }
    struct px_file *f = px_pidfd_file(O_RDWR | flags, msg.handle[0]);
    if (!f) {
        motor_handle_close(msg.handle[0]);
        return -ENFILE;
    }
    return px_fd_install(f, O_CLOEXEC);
}

long px_pidfd_pid(int fd, bool *nonblock)
{
    struct motor_msg msg = {.op = IO_PIDFD_PID, .deadline = MOTOR_NEVER};
    struct px_file *f = px_fd_get_io(fd);
    long result = !f || f->kind != PX_PIDFD ? -EBADF : px_call(f->handle, &msg);
    *nonblock = f && px_flags(f) & O_NONBLOCK;
    if (f) {
        px_file_put(f);
    }
    return result < 0 ? result : (long)(int32_t)msg.word[0];
}

#define PROC_MAGIC 0x9fa0u

/* The process whose directory in a /proc it is; -EBADF: it is none; -ESRCH: the process is no more.
 */
static long pid_of_directory(int fd)
{
    char path[64];
    struct io_statfs fs = {0};
    struct io_stat unused;
    struct motor_msg kind = {
        .op = IO_STATFS, .out = &fs, .out_size = sizeof(fs), .deadline = MOTOR_NEVER};
    struct motor_msg name = {
        .op = IO_PATH, .out = path, .out_size = sizeof(path), .deadline = MOTOR_NEVER};
    struct motor_msg look = {.op = IO_STAT,
                             .in = "stat",
                             .in_size = 4,
                             .out = &unused,
                             .out_size = sizeof(unused),
                             .deadline = MOTOR_NEVER};
    struct px_file *f = px_fd_get(fd);
    long length = -EBADF, pid = 0, scale = 1;
    if (f && f->kind == PX_DIRECTORY && px_call(f->handle, &kind) >= 0 && fs.type == PROC_MAGIC) {
        length = px_call(f->handle, &name);
    }
    bool gone = length >= 0 && px_call(f->handle, &look) < 0;
    if (f) {
        px_file_put(f);
    }
    long at = length;
    for (; at > 0 && path[at - 1] >= '0' && path[at - 1] <= '9' && scale < 1000000000; at--) {
        pid += (path[at - 1] - '0') * scale;
        scale *= 10;
    }
    bool task = at >= 6 && !memcmp(path + at - 6, "/task/", 6);
    return !pid || task || path[at - 1] != '/' ? -EBADF : gone ? -ESRCH : pid;
}

long px_sys_pidfd_send_signal(int fd, int sig, const void *info, unsigned flags)
{
    bool nonblock;
    int32_t signo;
    if (flags) {
        return -EINVAL;
    }
    long pid = px_pidfd_pid(fd, &nonblock);
    pid = pid == -EBADF ? pid_of_directory(fd) : pid;
    if (pid < 0 || !info) {
        return pid < 0 ? pid : px_sys_kill((int)pid, sig);
    }
    if (px_load32(info, (uint32_t *)&signo) < 0) {
        return -EFAULT;
    }
    return signo == sig ? px_sys_rt_sigqueueinfo((int)pid, sig, info) : -EINVAL;
}
