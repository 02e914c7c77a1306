/* SPDX-License-Identifier: MIT */
/*
 * inotify: an instance is an object of the tty engine, where its events are read and waited for;
 * watches are set by calls to the fs engine, which sees what happens, with the instance in hand.
 */
#include "event.h"
#include "file.h"
#include "internal.h"

#define IN_DONT_FOLLOW 0x02000000u
#define IN_MASK_CREATE 0x10000000u
#define IN_MASK_ADD    0x20000000u
#define IN_ALL_EVENTS  0x00000fffu
#define IN_KNOWN       (IN_ALL_EVENTS | 0xf7000000u | 0x0000e000u) /* with what Linux takes silently */

/*
 * What was done before is in the queue: that a handle was closed, the fs engine is told by an
 * event, which nobody waits for but which it has before the next call.
 */
static void settle(void)
{
    struct io_stat unused;
    struct motor_msg msg = {
        .op = IO_STAT, .out = &unused, .out_size = sizeof(unused), .deadline = MOTOR_NEVER};
    px_call(px_proc()->root, &msg);
}

static long inotify_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    settle();
    struct motor_msg msg = {.op = IO_READ,
                            .out = io->vec->base,
                            .out_size = io->vec->length,
                            .word = {~0ull, px_nonblock(f, flags) ? O_NONBLOCK : 0},
                            .deadline = MOTOR_NEVER};
    long n = px_call_intr(f->handle, &msg);
    if (n > 0) {
        n = PX_MIN(n, (long)io->vec->length);
        px_io_skip(io, (size_t)n);
    }
    return n;
}

static uint32_t inotify_ready(struct px_file *f, uint32_t events, bool arm)
{
    settle();
    return px_session_poll(f, &f->event_bit, events, arm);
}

static long inotify_control(struct px_file *f, unsigned request, unsigned long argument)
{
    if (request != FIONREAD) {
        return -ENOTTY;
    }
    settle();
    return px_server_control(f, request, argument);
}

static long inotify_stat(struct px_file *f, struct io_stat *out)
{
    (void)f;
    *out = (struct io_stat){.dev = 14, .ino = 3, .mode = 0600, .nlink = 1, .blksize = 4096};
    return 0;
}

static long inotify_pass(struct px_file *f, struct motor_start_fd *record)
{
    record->protocol = MOTOR_FD_EVENT;
    record->handle = f->handle;
    record->word[0] = IO_EVENT_INOTIFY;
    return 0;
}

static void inotify_release(struct px_file *f)
{
    px_session_unpoll(f->event_bit);
}

static const struct px_ops inotify_ops = {.name = "inotify",
                                          .read = inotify_read,
                                          .ready = inotify_ready,
                                          .control = inotify_control,
                                          .stat = inotify_stat,
                                          .pass = inotify_pass,
                                          .release = inotify_release};

struct px_file *px_inotify_file(uint32_t flags, motor_handle object)
{
    struct px_file *f = px_file_new(&inotify_ops, PX_INOTIFY, flags, object);
    if (f) {
        f->protocol = MOTOR_FD_EVENT;
    }
    return f;
}

long px_sys_inotify_init1(int flags)
{
    struct motor_msg msg = {.op = IO_INOTIFY, .deadline = MOTOR_NEVER};
    if ((unsigned)flags & ~(O_CLOEXEC | O_NONBLOCK)) {
        return -EINVAL;
    }
    long error = px_call(px_proc()->tty, &msg);
    if (error < 0) {
        return error;
    }
    struct px_file *f = px_inotify_file((uint32_t)flags & O_NONBLOCK, msg.handle[0]);
    if (!f) {
        motor_handle_close(msg.handle[0]);
        return -ENFILE;
    }
    return px_fd_install(f, (unsigned)flags & O_CLOEXEC);
}

long px_sys_inotify_init(void)
{
    return px_sys_inotify_init1(0);
}

/* The instance; NULL, and *error: EBADF, EINVAL. */
static struct px_file *instance(int fd, long *error)
{
    struct px_file *f = px_fd_get(fd);
    *error = f ? -EINVAL : -EBADF;
    if (f && f->kind != PX_INOTIFY) {
        px_file_put(f);
        f = NULL;
    }
    return f;
}

static long add(struct px_file *f, const char *path, uint32_t mask)
{
    struct px_path p;
    struct motor_msg msg = {.op = IO_INOTIFY_ADD,
                            .word = {mask},
                            .nhandles = 1,
                            .handle = {f->handle},
                            .deadline = MOTOR_NEVER};
    long result = px_path_get(&p, AT_FDCWD, path, false);
    if (result < 0) {
        return result;
    }
    result = px_path_call(&p, &msg, NULL);
    px_path_put(&p);
    return result;
}

long px_sys_inotify_add_watch(int fd, const char *path, unsigned mask)
{
    long result;
    if (!(mask & IN_KNOWN)) {
        return -EINVAL;
    }
    struct px_file *f = instance(fd, &result);
    if (!f || (mask & IN_MASK_ADD && mask & IN_MASK_CREATE)) {
        if (f) {
            px_file_put(f);
        }
        return f ? -EINVAL : result;
    }
    result = add(f, path, mask);
    px_file_put(f);
    return result;
}

long px_sys_inotify_rm_watch(int fd, int watch)
{
    long result;
    struct px_file *f = instance(fd, &result);
    if (!f) {
        return result;
    }
    struct motor_msg msg = {.op = IO_INOTIFY_REMOVE,
                            .word = {(uint64_t)(int64_t)watch},
                            .nhandles = 1,
                            .handle = {f->handle},
                            .deadline = MOTOR_NEVER};
    result = px_call(px_proc()->root, &msg);
    px_file_put(f);
    return result;
}
