/* SPDX-License-Identifier: MIT */
/*
 * What there is to know of a file, and changing it: stat, statfs, access, mode, owner, times, size.
 */
#include "names.h"

#define WHOLE_PATH_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)

/* ---- stat ---- */

static void fill_stat(const struct io_stat *st, struct linux_stat *out)
{
    *out = (struct linux_stat){
        .dev = st->dev,
        .ino = st->ino,
        .nlink = st->nlink,
        .mode = st->mode,
        .uid = st->uid,
        .gid = st->gid,
        .rdev = st->rdev,
        .size = st->size,
        .blksize = st->blksize,
        .blocks = st->blocks,
        .atime = st->atime,
        .atime_ns = st->atime_ns,
        .mtime = st->mtime,
        .mtime_ns = st->mtime_ns,
        .ctime = st->ctime,
        .ctime_ns = st->ctime_ns,
    };
}

static long give_stat(const struct io_stat *st, void *user)
{
    struct linux_stat out;
    fill_stat(st, &out);
    return px_copy_out(user, &out, sizeof out);
}

static long stat_fd(int fd, struct io_stat *st)
{
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -EBADF;
    long result = px_file_stat(f, st);
    px_file_put(f);
    return result;
}

/* /proc/self/fd/n itself, of a descriptor that no file server knows: it looks like a symlink. */
static void own_fd_stat(int fd, struct io_stat *st)
{
    *st = (struct io_stat){.dev = 4,
                           .ino = 0x10000u + (uint64_t)(unsigned)fd,
                           .mode = S_IFLNK | 0700,
                           .nlink = 1,
                           .size = 64,
                           .blksize = 1024,
                           .uid = px_proc()->euid,
                           .gid = px_proc()->egid};
}

long px_stat_at(int directory, const char *user, int flags, struct io_stat *st)
{
    struct px_path p;
    long result = px_path_get(&p, directory, user, flags & AT_EMPTY_PATH);
    if (result < 0)
        return result;
    bool follows = !(flags & AT_SYMLINK_NOFOLLOW);
    uint64_t changes = px_names_changes();
    if (p.from && !p.length) {
        result = px_file_stat(p.from, st);
    } else if (!follows || !px_name_stat(&p, st)) {
        struct motor_msg msg = {
            .op = IO_STAT, .out = st, .out_size = sizeof *st, .deadline = MOTOR_NEVER};
        msg.word[0] = (uint64_t)(unsigned)(flags & AT_SYMLINK_NOFOLLOW);
        msg.in = p.text;
        msg.in_size = p.length;
        result = px_call(p.base, &msg);
        if (result >= (long)IO_OWN_FD) {
            int own = (int)(result - (long)IO_OWN_FD);
            result = 0;
            if (!follows)
                own_fd_stat(own, st);
            else if ((result = stat_fd(own, st)) == -EBADF)
                result = -ENOENT; /* a name that leads nowhere */
        } else if (result == 0 && follows) {
            px_name_seen(&p, st, changes);
        }
    }
    px_path_put(&p);
    return PX_MIN(result, 0L);
}

static long stat_path(int directory, const char *path, void *user, int flags)
{
    struct io_stat st;
    long result = px_stat_at(directory, path, flags, &st);
    return result < 0 ? result : give_stat(&st, user);
}

long px_sys_stat(const char *path, void *stat)
{
    return stat_path(AT_FDCWD, path, stat, 0);
}

long px_sys_lstat(const char *path, void *stat)
{
    return stat_path(AT_FDCWD, path, stat, AT_SYMLINK_NOFOLLOW);
}

long px_sys_fstat(int fd, void *stat)
{
    struct io_stat st;
    long result = stat_fd(fd, &st);
    return result < 0 ? result : give_stat(&st, stat);
}

long px_sys_newfstatat(int directory, const char *path, void *stat, int flags)
{
    if (flags & ~WHOLE_PATH_FLAGS)
        return -EINVAL;
    return stat_path(directory, path, stat, flags);
}

static struct linux_statx_time statx_time(int64_t sec, uint32_t nsec)
{
    return (struct linux_statx_time){.sec = sec, .nsec = nsec};
}

static uint32_t dev_major(uint64_t dev)
{
    return (uint32_t)((dev >> 32 & 0xfffff000u) | (dev >> 8 & 0xfff));
}

static uint32_t dev_minor(uint64_t dev)
{
    return (uint32_t)((dev >> 12 & 0xffffff00u) | (dev & 0xff));
}

long px_sys_statx(int directory, const char *path, int flags, unsigned mask, void *buffer)
{
    enum { BASIC = 0x7ff, BTIME = 0x800, RESERVED = 1u << 31 };
    struct io_stat st;
    if (flags & ~(WHOLE_PATH_FLAGS | AT_STATX_SYNC_TYPE) ||
        (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || mask & (unsigned)RESERVED)
        return -EINVAL;
    long result = px_stat_at(directory, path, flags, &st);
    if (result < 0)
        return result;
    struct linux_statx x = {
        .mask = BASIC | BTIME,
        .blksize = st.blksize,
        .nlink = st.nlink,
        .uid = st.uid,
        .gid = st.gid,
        .mode = (uint16_t)st.mode,
        .ino = st.ino,
        .size = (uint64_t)st.size,
        .blocks = (uint64_t)st.blocks,
        .atime = statx_time(st.atime, st.atime_ns),
        .btime = statx_time(st.btime, st.btime_ns),
        .ctime = statx_time(st.ctime, st.ctime_ns),
        .mtime = statx_time(st.mtime, st.mtime_ns),
        .rdev_major = dev_major(st.rdev),
        .rdev_minor = dev_minor(st.rdev),
        .dev_major = dev_major(st.dev),
        .dev_minor = dev_minor(st.dev),
    };
    return px_copy_out(buffer, &x, sizeof x);
}

/* ---- statfs ---- */

static long give_statfs(const struct io_statfs *s, void *user)
{
    struct linux_statfs out = {
        .type = s->type,
        .bsize = s->bsize,
        .blocks = s->blocks,
        .bfree = s->bfree,
        .bavail = s->bavail,
        .files = s->files,
        .ffree = s->ffree,
        .fsid = {(uint32_t)s->fsid, (uint32_t)(s->fsid >> 32)},
        .namelen = s->namelen,
        .frsize = s->bsize,
        .flags = s->flags | 0x20 /* ST_VALID */,
    };
    return px_copy_out(user, &out, sizeof out);
}

long px_sys_statfs(const char *path, void *buffer)
{
    struct px_path p;
    struct io_statfs s;
    struct motor_msg msg = {
        .op = IO_STATFS, .out = &s, .out_size = sizeof s, .deadline = MOTOR_NEVER};
    long result = px_path_get(&p, AT_FDCWD, path, false);
    if (result < 0)
        return result;
    result = px_path_call(&p, &msg, NULL);
    px_path_put(&p);
    return result < 0 ? result : give_statfs(&s, buffer);
}

long px_sys_fstatfs(int fd, void *buffer)
{
    struct io_statfs s = {.type = 0x534f434b /* sockfs */, .bsize = 4096, .namelen = 255};
    struct motor_msg msg = {
        .op = IO_STATFS, .out = &s, .out_size = sizeof s, .deadline = MOTOR_NEVER};
    struct px_file *f = px_fd_get(fd);
    if (!f)
        return -EBADF;
    long result = px_is_fs(f) ? px_call(f->handle, &msg) : 0;
    px_file_put(f);
    return result < 0 ? result : give_statfs(&s, buffer);
}

/* ---- access ---- */

static long access_at(int directory, const char *path, int mode, int flags)
{
    if (mode & ~(R_OK | W_OK | X_OK) || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    const struct px_process *p = px_proc();
    return px_path_simple(directory, path, flags & AT_EMPTY_PATH, IO_ACCESS,
                          (uint64_t)(unsigned)mode,
                          (uint64_t)(unsigned)(flags & (AT_EACCESS | AT_SYMLINK_NOFOLLOW)),
                          p->uid != p->euid || p->gid != p->egid || px_self()->has_fs_ids);
}

long px_sys_access(const char *path, int mode)
{
    return access_at(AT_FDCWD, path, mode, 0);
}

long px_sys_faccessat(int directory, const char *path, int mode)
{
    return access_at(directory, path, mode, 0);
}

long px_sys_faccessat2(int directory, const char *path, int mode, int flags)
{
    return access_at(directory, path, mode, flags);
}

/* ---- mode and owner ---- */

/* A call on an open file itself. */
static long on_fd(int fd, uint32_t op, uint64_t w0, uint64_t w1)
{
    struct motor_msg msg = {.op = op, .deadline = MOTOR_NEVER};
    msg.word[0] = w0;
    msg.word[1] = w1;
    struct px_file *f = px_fd_get_io(fd);
    if (!f)
        return -EBADF;
    long result = px_inode_call(f, &msg);
    px_file_put(f);
    return PX_MIN(result, 0L);
}

static long chmod_at(int directory, const char *path, unsigned mode, int flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return px_path_simple(directory, path, flags & AT_EMPTY_PATH, IO_CHMOD, mode & 07777,
                          (uint64_t)(flags & AT_SYMLINK_NOFOLLOW), 0);
}

long px_sys_chmod(const char *path, unsigned mode)
{
    return chmod_at(AT_FDCWD, path, mode, 0);
}

long px_sys_fchmodat(int directory, const char *path, unsigned mode)
{
    return chmod_at(directory, path, mode, 0);
}

long px_sys_fchmodat2(int directory, const char *path, unsigned mode, int flags)
{
    return chmod_at(directory, path, mode, flags);
}

long px_sys_fchmod(int fd, unsigned mode)
{
    return on_fd(fd, IO_CHMOD, mode & 07777, 0);
}

static long chown_at(int directory, const char *path, unsigned uid, unsigned gid, int flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return px_path_simple(directory, path, flags & AT_EMPTY_PATH, IO_CHOWN, uid, gid,
                          (uint64_t)(flags & AT_SYMLINK_NOFOLLOW));
}

long px_sys_chown(const char *path, unsigned uid, unsigned gid)
{
    return chown_at(AT_FDCWD, path, uid, gid, 0);
}

long px_sys_lchown(const char *path, unsigned uid, unsigned gid)
{
    return chown_at(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long px_sys_fchownat(int directory, const char *path, unsigned uid, unsigned gid, int flags)
{
    return chown_at(directory, path, uid, gid, flags);
}

long px_sys_fchown(int fd, unsigned uid, unsigned gid)
{
    return on_fd(fd, IO_CHOWN, uid, gid);
}

/* ---- times ---- */

static long set_times(int directory, const char *path, const struct px_timespec t[2], int flags)
{
    struct px_path p;
    struct motor_msg msg = {.op = IO_UTIMENS, .deadline = MOTOR_NEVER};
    for (int i = 0; i < 2; i++) {
        if (t[i].nsec != UTIME_NOW && t[i].nsec != UTIME_OMIT &&
            (t[i].nsec < 0 || t[i].nsec >= 1000000000))
            return -EINVAL;
        msg.word[2 * i] = (uint64_t)t[i].sec;
        msg.word[2 * i + 1] = (uint64_t)t[i].nsec;
    }
    msg.word[4] = (uint64_t)(flags & AT_SYMLINK_NOFOLLOW);
    if (t[0].nsec == UTIME_OMIT && t[1].nsec == UTIME_OMIT)
        return 0;
    /* A NULL path means the descriptor itself (futimens). */
    bool empty_ok = flags & AT_EMPTY_PATH || (!path && directory != AT_FDCWD);
    if (!path && !empty_ok)
        return -EFAULT;
    long result = px_path_get(&p, directory, path, empty_ok);
    if (result < 0)
        return result;
    if (p.from && !p.length && !px_is_fs(p.from))
        result = px_is_of_tty_engine(p.from) ? px_inode_call(p.from, &msg) : 0;
    else
        result = px_path_call(&p, &msg, NULL);
    px_path_put(&p);
    return PX_MIN(result, 0L);
}

long px_sys_utimensat(int directory, const char *path, const void *times, int flags)
{
    struct px_timespec t[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (times && px_copy_in(t, times, sizeof t) < 0)
        return -EFAULT;
    return set_times(directory, path, t, flags);
}

long px_sys_futimesat(int directory, const char *path, const void *times)
{
    struct px_timespec t[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    if (times) {
        if (px_copy_in(t, times, sizeof t) < 0)
            return -EFAULT;
        for (int i = 0; i < 2; i++) {
            if (t[i].nsec < 0 || t[i].nsec >= 1000000)
                return -EINVAL;
            t[i].nsec *= 1000;
        }
    }
    return set_times(directory, path, t, 0);
}

long px_sys_utimes(const char *path, const void *times)
{
    return px_sys_futimesat(AT_FDCWD, path, times);
}

long px_sys_utime(const char *path, const void *times)
{
    struct px_timespec t[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    int64_t seconds[2];
    if (times) {
        if (px_copy_in(seconds, times, sizeof seconds) < 0)
            return -EFAULT;
        t[0] = (struct px_timespec){seconds[0], 0};
        t[1] = (struct px_timespec){seconds[1], 0};
    }
    return set_times(AT_FDCWD, path, t, 0);
}

/* ---- size ---- */

long px_sys_truncate(const char *path, long length)
{
    if (length < 0)
        return -EINVAL;
    if ((uint64_t)length > px_limit(RLIMIT_FSIZE)) {
        px_signal_self(SIGXFSZ, 0);
        return -EFBIG;
    }
    return px_path_simple(AT_FDCWD, path, false, IO_TRUNCATE, (uint64_t)length, 0, 0);
}
