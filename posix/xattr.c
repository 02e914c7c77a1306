/* SPDX-License-Identifier: MIT */
/* Extended attributes: the fs engine keeps them; a call with a path opens what it names first. */
#include "file.h"
#include "internal.h"

#define NAME_ROOM 256u
#define VALUE_MAX 65536u

#define XATTR_CREATE  1
#define XATTR_REPLACE 2

/* ---- the four, on an open file ---- */

struct attribute {
    uint32_t op; /* IO_XATTR_* */
    const char *name;
    void *value; /* the program's: to set, or where it goes */
    size_t size;
    int flags;
};

static long call(motor_handle handle, const struct attribute *a, const char *in, size_t name_size)
{
    bool sets = a->op == IO_XATTR_SET, gets = a->op == IO_XATTR_GET || a->op == IO_XATTR_LIST;
    struct motor_msg msg = {.op = IO_XATTR,
                            .word = {a->op, name_size, (uint64_t)(unsigned)a->flags},
                            .in = in,
                            .in_size = name_size + (sets ? a->size : 0),
                            .out = a->value,
                            .out_size = gets ? PX_MIN(a->size, (size_t)VALUE_MAX) : 0,
                            .deadline = MOTOR_NEVER};
    return px_call(handle, &msg);
}

/* Name and value as they go along. */
static long take(const struct attribute *a, char *in)
{
    long n = a->name ? px_copy_string(in, a->name, NAME_ROOM) : -EFAULT;
    if (n < 0)
        return n == -ENAMETOOLONG ? -ERANGE : n;
    if (!n)
        return -ERANGE;
    if (a->op == IO_XATTR_SET && a->size && px_copy_in(in + n, a->value, a->size) < 0)
        return -EFAULT;
    return n;
}

enum way { PATH, LINK, DESCRIPTOR }; /* LINK: a symlink at its end is meant itself */

/* What a path or a descriptor leads to: a handle, to be closed if there is no *file. */
static long reach(enum way way, const char *path, int fd, struct px_file **file)
{
    struct px_path p;
    struct motor_msg msg = {
        .op = IO_OPEN, .word = {O_PATH | (way == LINK ? O_NOFOLLOW : 0)}, .deadline = MOTOR_NEVER};
    int own;
    *file = NULL;
    if (way == DESCRIPTOR) {
        if (!(*file = px_fd_get_io(fd)))
            return -EBADF;
        return px_is_fs(*file) ? (long)(*file)->handle : -EOPNOTSUPP;
    }
    long result = px_path_get(&p, AT_FDCWD, path, false);
    if (result < 0)
        return result;
    result = px_path_call(&p, &msg, &own);
    px_path_put(&p);
    return result == -PX_OWN_FD_ONLY ? -EOPNOTSUPP : result < 0 ? result : (long)msg.handle[0];
}

static long act(enum way way, const char *path, int fd, const struct attribute *a)
{
    struct px_file *file = NULL;
    if (a->op == IO_XATTR_SET && (a->flags & ~(XATTR_CREATE | XATTR_REPLACE)))
        return -EINVAL;
    if (a->op == IO_XATTR_SET && a->size > VALUE_MAX)
        return -E2BIG;
    char *in =
        a->op == IO_XATTR_LIST ? NULL : px_alloc(NAME_ROOM + (a->op == IO_XATTR_SET ? a->size : 0));
    if (!in && a->op != IO_XATTR_LIST)
        return -ENOMEM;
    long size = in ? take(a, in) : 0;
    long handle = size < 0 ? size : reach(way, path, fd, &file), result = handle;
    if (handle >= 0)
        result = call((motor_handle)handle, a, in, (size_t)size);
    if (handle >= 0 && !file)
        motor_handle_close((motor_handle)handle);
    if (file)
        px_file_put(file);
    px_free(in);
    return result;
}

/* ---- the calls ---- */

static long set(enum way way, const char *path, int fd, const char *name, const void *value,
                size_t size, int flags)
{
    return act(way, path, fd, &(struct attribute){IO_XATTR_SET, name, (void *)value, size, flags});
}

long px_sys_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    return set(PATH, path, -1, name, value, size, flags);
}

long px_sys_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    return set(LINK, path, -1, name, value, size, flags);
}

long px_sys_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    return set(DESCRIPTOR, NULL, fd, name, value, size, flags);
}

static long get(enum way way, const char *path, int fd, const char *name, void *value, size_t size)
{
    return act(way, path, fd, &(struct attribute){IO_XATTR_GET, name, value, size, 0});
}

long px_sys_getxattr(const char *path, const char *name, void *value, size_t size)
{
    return get(PATH, path, -1, name, value, size);
}

long px_sys_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
    return get(LINK, path, -1, name, value, size);
}

long px_sys_fgetxattr(int fd, const char *name, void *value, size_t size)
{
    return get(DESCRIPTOR, NULL, fd, name, value, size);
}

static long list(enum way way, const char *path, int fd, void *names, size_t size)
{
    return act(way, path, fd, &(struct attribute){IO_XATTR_LIST, NULL, names, size, 0});
}

long px_sys_listxattr(const char *path, void *names, size_t size)
{
    return list(PATH, path, -1, names, size);
}

long px_sys_llistxattr(const char *path, void *names, size_t size)
{
    return list(LINK, path, -1, names, size);
}

long px_sys_flistxattr(int fd, void *names, size_t size)
{
    return list(DESCRIPTOR, NULL, fd, names, size);
}

static long remove(enum way way, const char *path, int fd, const char *name)
{
    return act(way, path, fd, &(struct attribute){IO_XATTR_REMOVE, name, NULL, 0, 0});
}

long px_sys_removexattr(const char *path, const char *name)
{
    return remove(PATH, path, -1, name);
}

long px_sys_lremovexattr(const char *path, const char *name)
{
    return remove(LINK, path, -1, name);
}

long px_sys_fremovexattr(int fd, const char *name)
{
    return remove(DESCRIPTOR, NULL, fd, name);
}
