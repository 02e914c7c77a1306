/* SPDX-License-Identifier: MIT */
/* Pipes: two files of the tty engine, which serves them as it does terminals (tty.c). */
#include "file.h"

static struct px_file *end(motor_handle h, uint32_t flags)
{
    struct io_stat st = {.mode = S_IFIFO | 0600};
    return px_file_from_handle(h, MOTOR_FD_TTY, flags, &st);
}

static long make(uint32_t flags, struct px_file *ends[2])
{
    struct motor_msg msg = {.op = IO_PIPE, .deadline = MOTOR_NEVER};
    long error = px_proc()->tty ? px_call(px_proc()->tty, &msg) : -ENFILE;
    if (error < 0)
        return error;
    if (msg.nhandles != 2)
        return -EIO;
    uint32_t status = flags & (O_NONBLOCK | O_DIRECT);
    ends[0] = end(msg.handle[0], O_RDONLY | status);
    ends[1] = end(msg.handle[1], O_WRONLY | status);
    if (ends[0] && ends[1])
        return 0;
    for (int i = 0; i < 2; i++)
        if (ends[i])
            px_file_put(ends[i]);
    return -ENFILE;
}

long px_sys_pipe2(void *user, int flags)
{
    struct px_file *ends[2];
    int32_t fds[2];
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    long a = px_fd_reserve();
    if (a < 0)
        return a;
    long b = px_fd_reserve(), error = b < 0 ? b : make((uint32_t)flags, ends);
    if (error == 0) {
        fds[0] = (int32_t)a;
        fds[1] = (int32_t)b;
        error = px_copy_out(user, fds, sizeof fds);
        for (int i = 0; error < 0 && i < 2; i++)
            px_file_put(ends[i]);
    }
    if (error < 0) {
        px_fd_unreserve((int)a);
        if (b >= 0)
            px_fd_unreserve((int)b);
        return error;
    }
    px_fd_fill(fds[0], ends[0], flags & O_CLOEXEC);
    px_fd_fill(fds[1], ends[1], flags & O_CLOEXEC);
    return 0;
}

long px_sys_pipe(void *fds)
{
    return px_sys_pipe2(fds, 0);
}
