/* SPDX-License-Identifier: MIT */
/* open, and the working directory. */
#include "names.h"

#define KNOWN_FLAGS \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | \
     O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | \
     O_SYNC | O_PATH | O_TMPFILE_BIT)

/*
 * Opened through /proc/self/fd or /dev/fd: a terminal or pipe is opened anew; what has no file
 * behind it cannot be.
 */
static long reopen_own(int fd, uint32_t status, struct px_file **out)
{
    struct io_stat st = {0};
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -ENOENT;
    bool pipe = f->kind == PX_PIPE && (px_flags(f) & O_ACCMODE) == (status & O_ACCMODE);
    uint32_t protocol = f->protocol;
    int64_t h = f->kind == PX_TTY || pipe
                    ? motor_handle_dup(f->handle, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP)
                    : -MOTOR_ETYPE;
    px_file_put(f);
    if (h < 0)
        return h == -MOTOR_ETYPE ? -ENXIO : px_errno(h);
    *out = px_file_from_handle((motor_handle)h, protocol, status, &st);
    return *out ? 0 : -ENFILE;
}

/* plain: nothing but O_RDONLY, as far as the server is concerned */
static long open_by_call(struct px_path *p, unsigned flags, unsigned mode, uint32_t status,
                         bool plain, struct px_file **out)
{
    struct io_stat st;
    struct motor_msg msg = {
        .op = IO_OPEN, .out = &st, .out_size = sizeof st, .deadline = MOTOR_NEVER};
    int own = -1;
    uint64_t changes = px_names_changes();
    msg.word[0] = flags & ~(O_CLOEXEC | O_NONBLOCK | O_LARGEFILE);
    msg.word[1] = mode & 07777 & ~__atomic_load_n(&px_proc()->umask, __ATOMIC_RELAXED);
    long result = px_path_call(p, &msg, &own);
    if (result == -PX_OWN_FD_ONLY)
        return reopen_own(own, status, out);
    if (result < 0)
        return result;
    if (msg.nhandles == 2 && msg.word[0] == MOTOR_FD_FIFO)
        return px_fifo_open(msg.handle, status, out);
    if (msg.nhandles != 1)
        return -EIO;
    *out = px_file_from_handle(msg.handle[0], (uint32_t)msg.word[0], status, &st);
    if (*out && plain)
        px_name_opened(*out, p, &st, changes);
    return *out ? 0 : -ENFILE;
}

static long open_at(int directory, const char *path, unsigned flags, unsigned mode)
{
    struct px_path p;
    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    long fd = px_path_get(&p, directory, path, false);
    if (fd < 0)
        return fd;
    fd = px_fd_reserve(); /* before a file is made or cut */
    if (fd < 0) {
        px_path_put(&p);
        return fd;
    }
    uint32_t status = (flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)) |
                      (flags & O_PATH ? 0 : O_LARGEFILE);
    bool plain = !(flags & ~(O_CLOEXEC | O_NONBLOCK | O_LARGEFILE | O_NOCTTY));
    struct px_file *f = plain ? px_name_open(&p, status) : NULL;
    long result = 0;
    if (!f)
        result = open_by_call(&p, flags, mode, status, plain, &f);
    px_path_put(&p);
    if (!f) {
        px_fd_unreserve((int)fd);
        return result;
    }
    px_fd_fill((int)fd, f, flags & O_CLOEXEC);
    return fd;
}

long px_sys_open(const char *path, int flags, unsigned mode)
{
    return open_at(AT_FDCWD, path, (unsigned)flags & KNOWN_FLAGS, mode);
}

long px_sys_openat(int directory, const char *path, int flags, unsigned mode)
{
    return open_at(directory, path, (unsigned)flags & KNOWN_FLAGS, mode);
}

long px_sys_creat(const char *path, unsigned mode)
{
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

struct linux_open_how {
    uint64_t flags, mode, resolve;
};

long px_sys_openat2(int directory, const char *path, const void *how, size_t size)
{
    struct linux_open_how h;
    if (size < sizeof h)
        return -EINVAL;
    if (size > 4096)
        return -E2BIG;
    if (px_copy_in(&h, how, sizeof h) < 0)
        return -EFAULT;
    for (size_t i = sizeof h; i < size; i += 8) {
        uint64_t more = 0;
        if (px_copy_in(&more, (const uint8_t *)how + i, PX_MIN(size - i, sizeof more)) < 0)
            return -EFAULT;
        if (more)
            return -E2BIG;
    }
    if (h.flags & ~(uint64_t)KNOWN_FLAGS || h.mode & ~07777ull ||
        (h.mode && !(h.flags & (O_CREAT | O_TMPFILE_BIT))))
        return -EINVAL;
    if (h.resolve) /* the fs engine cannot limit a walk yet: never do less than was asked */
        return h.resolve & ~0x3full ? -EINVAL : -EOPNOTSUPP;
    return open_at(directory, path, (unsigned)h.flags, (unsigned)h.mode);
}

/* ---- the working directory ---- */

static long change_directory(struct px_path *p)
{
    struct motor_msg msg = {.op = IO_CHECK_DIR, .deadline = MOTOR_NEVER};
    struct io_stat st = {.mode = S_IFDIR};
    int own;
    long result = px_path_call(p, &msg, &own);
    if (result == -PX_OWN_FD_ONLY)
        return -ENOTDIR;
    if (result < 0)
        return result;
    if (msg.nhandles != 1)
        return -EIO;
    struct px_file *f =
        px_file_from_handle(msg.handle[0], MOTOR_FD_FILE, O_PATH | O_DIRECTORY, &st);
    if (!f)
        return -ENOMEM;
    px_cwd_set(f);
    return 0;
}

long px_sys_chdir(const char *path)
{
    struct px_path p;
    long result = px_path_get(&p, AT_FDCWD, path, false);
    if (result < 0)
        return result;
    result = change_directory(&p);
    px_path_put(&p);
    return result;
}

long px_sys_fchdir(int fd)
{
    struct px_path p;
    long result = px_path_get(&p, fd, NULL, true);
    if (result < 0)
        return result;
    result = px_is_fs(p.from) ? change_directory(&p) : -ENOTDIR;
    px_path_put(&p);
    return result;
}

long px_sys_getcwd(void *buffer, size_t size)
{
    struct px_file *cwd = px_cwd_get();
    struct motor_msg msg = {
        .op = IO_PATH, .out = buffer, .out_size = size, .deadline = MOTOR_NEVER};
    long length = px_call(cwd->handle, &msg);
    px_file_put(cwd);
    if (length < 0)
        return length == -ENAMETOOLONG ? -ERANGE : length;
    if ((size_t)length + 1 > size)
        return -ERANGE;
    return px_zero_out((uint8_t *)buffer + length, 1) < 0 ? -EFAULT : length + 1;
}

long px_sys_umask(unsigned mask)
{
    return (long)__atomic_exchange_n(&px_proc()->umask, mask & 0777, __ATOMIC_RELAXED);
}

/*
 * The root belongs to the process as the kernel knows it, and the fs engine looks there. What this
 * process remembers of names is not true any more.
 */
long px_sys_chroot(const char *path)
{
    long result = px_path_simple(AT_FDCWD, path, false, IO_CHROOT, 0, 0, 0);
    if (result == 0)
        px_names_drop();
    return result;
}
