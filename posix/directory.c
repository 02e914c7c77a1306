/* SPDX-License-Identifier: MIT */
/* Names: making, removing, renaming and linking them, and reading directories and symlinks. */
#include "file.h"

/* ---- one path ---- */

static unsigned create_mode(unsigned mode, unsigned keep)
{
    return mode & keep & ~__atomic_load_n(&px_proc()->umask, __ATOMIC_RELAXED);
}

long px_sys_mkdirat(int directory, const char *path, unsigned mode)
{
    return px_path_simple(directory, path, false, IO_MKDIR, create_mode(mode, 01777), 0, 0);
}

long px_sys_mkdir(const char *path, unsigned mode)
{
    return px_sys_mkdirat(AT_FDCWD, path, mode);
}

long px_sys_mknodat(int directory, const char *path, unsigned mode, unsigned long device)
{
    unsigned type = mode & S_IFMT;
    if (type == S_IFDIR)
        return -EPERM;
    if (type != 0 && type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO &&
        type != S_IFSOCK)
        return -EINVAL;
    return px_path_simple(directory, path, false, IO_MKNOD,
                          (type ? type : S_IFREG) | create_mode(mode, 07777), device, 0);
}

long px_sys_mknod(const char *path, unsigned mode, unsigned long device)
{
    return px_sys_mknodat(AT_FDCWD, path, mode, device);
}

long px_sys_unlinkat(int directory, const char *path, int flags)
{
    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    return px_path_simple(directory, path, false, IO_UNLINK, (uint64_t)(unsigned)flags, 0, 0);
}

long px_sys_unlink(const char *path)
{
    return px_sys_unlinkat(AT_FDCWD, path, 0);
}

long px_sys_rmdir(const char *path)
{
    return px_sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

/* ---- two paths ---- */

static long join(struct px_path *a, struct px_path *b, struct motor_msg *msg, bool second_base)
{
    size_t size = a->length + b->length;
    char *both = px_alloc(size + 1);
    if (!both)
        return -ENOMEM;
    memcpy(both, a->text, a->length);
    memcpy(both + a->length, b->text, b->length);
    msg->deadline = MOTOR_NEVER;
    msg->in = both;
    msg->in_size = size;
    msg->word[0] = a->length;
    msg->nhandles = second_base && a->base != b->base;
    msg->handle[0] = b->base;
    long result = px_call(a->base, msg);
    px_free(both);
    return result >= (long)IO_OWN_FD ? -EXDEV : PX_MIN(result, 0L);
}

static long two_paths(uint32_t op, int old_directory, const char *old, bool old_empty,
                      int new_directory, const char *new, uint64_t w1)
{
    struct px_path a, b;
    struct motor_msg msg = {.op = op};
    long result = px_path_get(&a, old_directory, old, old_empty);
    if (result < 0)
        return result;
    result = px_path_get(&b, new_directory, new, false);
    if (result == 0) {
        msg.word[1] = w1;
        result = a.from && !px_is_fs(a.from) ? -EXDEV : join(&a, &b, &msg, true);
        px_path_put(&b);
    }
    px_path_put(&a);
    return result;
}

long px_sys_renameat2(int old_directory, const char *old, int new_directory, const char *new,
                      unsigned flags)
{
    enum { NOREPLACE = 1, EXCHANGE = 2, WHITEOUT = 4 };
    if (flags & ~7u || (flags & EXCHANGE && flags & (NOREPLACE | WHITEOUT)))
        return -EINVAL;
    return two_paths(IO_RENAME, old_directory, old, false, new_directory, new, flags);
}

long px_sys_renameat(int old_directory, const char *old, int new_directory, const char *new)
{
    return px_sys_renameat2(old_directory, old, new_directory, new, 0);
}

long px_sys_rename(const char *old, const char *new)
{
    return px_sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}

long px_sys_linkat(int old_directory, const char *old, int new_directory, const char *new,
                   int flags)
{
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return two_paths(IO_LINK, old_directory, old, flags & AT_EMPTY_PATH, new_directory, new,
                     (uint64_t)(unsigned)flags);
}

long px_sys_link(const char *old, const char *new)
{
    return px_sys_linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

long px_sys_symlinkat(const char *target, int directory, const char *path)
{
    struct px_path a, b;
    struct motor_msg msg = {.op = IO_SYMLINK};
    long result = px_path_get(&b, directory, path, false);
    if (result < 0)
        return result;
    result = px_path_get(&a, AT_FDCWD, target, false);
    if (result == 0) { /* the target is only text; the call goes to the new name's directory */
        motor_handle base = a.base;
        a.base = b.base;
        result = join(&a, &b, &msg, false);
        a.base = base;
        px_path_put(&a);
    }
    px_path_put(&b);
    return result;
}

long px_sys_symlink(const char *target, const char *path)
{
    return px_sys_symlinkat(target, AT_FDCWD, path);
}

/* ---- reading symlinks ---- */

/* What /proc/self/fd/n points to. */
static long own_fd_path(int fd, char *text, size_t size)
{
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -ENOENT;
    struct motor_msg msg = {.op = IO_PATH, .out = text, .out_size = size, .deadline = MOTOR_NEVER};
    msg.word[0] = 1;
    long length;
    if (px_is_fs(f) || px_is_of_tty_engine(f))
        length = px_call(f->handle, &msg);
    else if (f->ops->socket)
        length = (long)px_format(text, size, "socket:[%lu]",
                                 1 + (unsigned long)(f->desc - px_file_pool()->descs));
    else
        length = (long)px_format(text, size, "anon_inode:[%s]", f->ops->name);
    px_file_put(f);
    return length;
}

long px_sys_readlinkat(int directory, const char *path, void *buffer, size_t size)
{
    struct px_path p;
    struct motor_msg msg = {
        .op = IO_READLINK, .out = buffer, .out_size = size, .deadline = MOTOR_NEVER};
    char text[300];
    if ((int)size <= 0)
        return -EINVAL;
    long result = px_path_get(&p, directory, path, true);
    if (result < 0)
        return result;
    if (!p.length && (!p.from || directory == AT_FDCWD)) {
        px_path_put(&p);
        return -ENOENT;
    }
    msg.in = p.text;
    msg.in_size = p.length;
    result = px_is_fs_base(&p) ? px_call(p.base, &msg) : -ENOTDIR;
    px_path_put(&p);
    if (result < (long)IO_OWN_FD)
        return PX_MIN(result, (long)size);
    result = own_fd_path((int)(result - (long)IO_OWN_FD), text, sizeof text);
    if (result < 0)
        return result;
    result = PX_MIN(PX_MIN(result, (long)sizeof text), (long)size);
    return px_copy_out(buffer, text, (size_t)result) < 0 ? -EFAULT : result;
}

long px_sys_readlink(const char *path, void *buffer, size_t size)
{
    return px_sys_readlinkat(AT_FDCWD, path, buffer, size);
}

/* ---- reading directories ---- */

struct listing { /* the program's buffer being filled */
    uint8_t *to;
    size_t room;
    uint64_t cookie;
    bool old_form; /* struct linux_dirent of getdents */
    long error;
};

/* false: no room. */
static bool list_entry(struct listing *l, uint64_t ino, uint64_t next, uint8_t type,
                       const char *name, size_t length)
{
    uint8_t record[288] = {0};
    size_t size = l->old_form ? (18 + length + 2 + 7) & ~7ul : (19 + length + 1 + 7) & ~7ul;
    uint16_t reclen = (uint16_t)size;
    if (length > 255 || size > l->room)
        return false;
    memcpy(record, &ino, 8);
    memcpy(record + 8, &next, 8);
    memcpy(record + 16, &reclen, 2);
    memcpy(record + (l->old_form ? 18 : 19), name, length);
    record[l->old_form ? size - 1 : 18] = type;
    if (px_copy_out(l->to, record, size) < 0) {
        l->error = -EFAULT;
        return false;
    }
    l->to += size;
    l->room -= size;
    l->cookie = next;
    return true;
}

/*
 * /proc/self/fd: our own table. Cookie: entries already told; 2 + n: next is descriptor n or later.
 */
static void list_own_fds(struct listing *l)
{
    if (l->cookie == 0 && !list_entry(l, 1, 1, DT_DIR, ".", 1))
        return;
    if (l->cookie == 1 && !list_entry(l, 1, 2, DT_DIR, "..", 2))
        return;
    for (int fd; l->cookie - 2 < PX_FD_MAX && (fd = px_fd_next((int)(l->cookie - 2))) >= 0;) {
        char name[12];
        size_t length = px_format(name, sizeof name, "%d", fd);
        if (!list_entry(l, 0x10000u + (uint64_t)fd, 3 + (uint64_t)fd, DT_LNK, name, length))
            return;
    }
}

/* Takes apart what the server listed in our own buffer. */
static void list_records(struct listing *l, const uint8_t *from, size_t size)
{
    while (size >= 20) {
        uint64_t ino, next;
        uint16_t reclen;
        memcpy(&ino, from, 8);
        memcpy(&next, from + 8, 8);
        memcpy(&reclen, from + 16, 2);
        if (reclen < 20 || reclen > size)
            return;
        size_t length = 0;
        while (length < reclen - 19u && from[19 + length])
            length++;
        if (!list_entry(l, ino, next, from[18], (const char *)from + 19, length))
            return;
        from += reclen;
        size -= reclen;
    }
}

#define LIST_SIZE 8192u

static long list_directory(struct px_file *f, struct listing *l)
{
    uint8_t *list = px_alloc(LIST_SIZE);
    long result = list ? 0 : -ENOMEM;
    px_desc_lock(f->desc);
    size_t room = l->room;
    for (bool more = list; more;) {
        size_t before = l->room;
        struct motor_msg msg = {
            .op = IO_READDIR, .out = list, .out_size = LIST_SIZE, .deadline = MOTOR_NEVER};
        l->cookie = f->desc->offset;
        msg.word[0] = l->cookie;
        result = px_call(f->handle, &msg);
        if (result == (long)IO_OWN_FD)
            list_own_fds(l);
        else if (result > 0)
            list_records(l, list, PX_MIN((size_t)result, (size_t)LIST_SIZE));
        if (result > 0 && l->room == before && before == room)
            result = l->error ? l->error : -EINVAL; /* not even one entry */
        f->desc->offset = l->cookie;
        more = result > 0 && result != (long)IO_OWN_FD && l->room != before && l->room >= 280;
    }
    px_desc_unlock(f->desc);
    px_free(list);
    if (l->room != room)
        return (long)(room - l->room);
    return result >= (long)IO_OWN_FD ? 0 : PX_MIN(result, 0L);
}

/*
 * getdents64: the server's records are those that the program wants, and go straight to its buffer.
 * IO_OWN_FD, before anything: the directory is our own table.
 */
static long list_in_place(struct px_file *f, struct listing *l)
{
    long result = 0;
    size_t room = l->room;
    px_desc_lock(f->desc);
    do {
        struct motor_msg msg = {
            .op = IO_READDIR, .out = l->to, .out_size = l->room, .deadline = MOTOR_NEVER};
        msg.word[0] = f->desc->offset;
        result = px_call(f->handle, &msg);
        if (result <= 0 || (size_t)result > l->room)
            break;
        l->to += result;
        l->room -= (size_t)result;
        f->desc->offset = msg.word[0];
    } while (l->room >= 280);
    px_desc_unlock(f->desc);
    return l->room != room ? (long)(room - l->room) : result;
}

static long get_entries(int fd, void *entries, unsigned count, bool old_form)
{
    struct listing l = {.to = entries, .room = count, .old_form = old_form};
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    long result = f->kind != PX_DIRECTORY ? -ENOTDIR : old_form ? IO_OWN_FD : list_in_place(f, &l);
    if (result == (long)IO_OWN_FD)
        result = list_directory(f, &l);
    px_file_put(f);
    return result;
}

long px_sys_getdents64(int fd, void *entries, unsigned count)
{
    return get_entries(fd, entries, count, false);
}

long px_sys_getdents(int fd, void *entries, unsigned count)
{
    return get_entries(fd, entries, count, true);
}
