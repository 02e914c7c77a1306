/* SPDX-License-Identifier: MIT */
/*
 * The fs engine against Linux: random operations on names, data and attributes, done in both, with
 * the same result expected from both: the same errno, the same bytes, the same stat. The Linux side
 * is a tmpfs in a chroot of this process, so the test needs root (it says so and passes without).
 *
 *   fs_linux [SEED [OPERATIONS [check all open files after each]]]
 */
#include <sched.h>

#include "fs_client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0"; /* there is no /proc in the chroot; fs_unit looks for leaks */
}

static uint64_t state;
static char trace[64][256]; /* the last operations, for a failure's report */
static unsigned trace_at;

static uint32_t rnd(uint32_t n)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 20) % n;
}

static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(trace[trace_at++ % 64], sizeof trace[0], format, args);
    va_end(args);
}

static void fail(const char *what, int64_t ours, int64_t linuxs)
{
    for (unsigned i = trace_at > 64 ? trace_at - 64 : 0; i < trace_at; i++)
        fprintf(stderr, "  %s\n", trace[i % 64]);
    fprintf(stderr, "fs_linux: %s: ours %lld (%s), Linux %lld (%s)\n", what, (long long)ours,
            ours < 0 ? strerror((int)-ours) : "", (long long)linuxs,
            linuxs < 0 ? strerror((int)-linuxs) : "");
    exit(1);
}

static int64_t sys(int64_t n)
{
    return n < 0 ? -errno : n;
}

static void same(const char *what, int64_t ours, int64_t linuxs)
{
    if (ours != linuxs)
        fail(what, ours, linuxs);
}

/* ---- open files, in both ---- */

#define FILES 12
static struct {
    motor_handle h; /* 0: not open */
    int fd;
    uint32_t flags;
} files[FILES];

#define DIRS 4
static struct {
    motor_handle h;
    int fd;
} dirs[DIRS]; /* bases for relative paths; [0] is the root */

/* ---- names ---- */

static const char *some_path(char *buffer)
{
    static const char *names[] = {"a", "b", "c", "d", "e", "sub", "link", "x", ".", ".."};
    char *at = buffer;
    if (rnd(60) == 0)
        return "";
    if (rnd(80) == 0) {
        memset(buffer, 'n', 254 + rnd(3));
        buffer[254 + rnd(3)] = 0;
        buffer[256] = 0;
        return buffer;
    }
    if (rnd(3) == 0)
        *at++ = '/';
    for (unsigned n = rnd(8) ? 1 + rnd(3) : 1 + rnd(6); n; n--) {
        const char *name = names[rnd(rnd(4) ? 8 : 10)];
        at = stpcpy(at, name);
        if (n > 1 || rnd(12) == 0)
            *at++ = '/';
        if (rnd(40) == 0)
            *at++ = '/';
    }
    if (rnd(12) == 0)
        at = stpcpy(at, "/");
    *at = 0;
    return buffer;
}

/* ---- comparing ---- */

static void same_stat(const char *what, int64_t ours, const struct io_stat *o, int64_t linuxs,
                      const struct stat *l)
{
    same(what, ours, linuxs);
    if (ours < 0)
        return;
    same("st_mode", o->mode, l->st_mode);
    same("st_nlink", S_ISDIR(o->mode) ? 0 : o->nlink, S_ISDIR(o->mode) ? 0 : (int64_t)l->st_nlink);
    same("st_uid", o->uid, l->st_uid);
    same("st_gid", o->gid, l->st_gid);
    if (S_ISREG(o->mode) || S_ISLNK(o->mode))
        same("st_size", o->size, l->st_size);
    if (S_ISREG(o->mode))
        same("st_blocks", o->blocks, l->st_blocks);
    if (S_ISDIR(o->mode) && l->st_nlink >= 2)
        same("st_nlink of a directory", o->nlink, (int64_t)l->st_nlink);
}

static void op_stat(void)
{
    char buffer[512];
    const char *path = some_path(buffer);
    uint32_t flags = rnd(2) ? AT_SYMLINK_NOFOLLOW : 0;
    unsigned d = rnd(DIRS);
    struct io_stat o;
    struct stat l;
    if (!*path)
        return;
    note("stat(%u, %.200s, %x)", d, path, flags);
    int64_t ours = client_stat(dirs[d].h, path, flags, &o);
    same_stat("stat", ours, &o, sys(fstatat(dirs[d].fd, path, &l, (int)flags)), &l);
}

static void check_file(unsigned f)
{
    struct io_stat o;
    struct stat l;
    if (!files[f].h)
        return;
    int64_t ours = client_stat(files[f].h, "", 0, &o);
    same_stat("fstat", ours, &o, sys(fstat(files[f].fd, &l)), &l);
}

static void op_fstat(void)
{
    unsigned f = rnd(FILES);
    note("fstat(%u)", f);
    check_file(f);
}

/* ---- operations on names ---- */

static void op_open(void)
{
    static const int accesses[] = {O_RDONLY, O_WRONLY, O_RDWR};
    static const int more[] = {O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW, O_DIRECTORY, O_PATH};
    char buffer[512];
    const char *path = some_path(buffer);
    unsigned f = rnd(FILES), d = rnd(DIRS);
    int flags = accesses[rnd(3)] | O_CLOEXEC | O_LARGEFILE;
    if (rnd(2))
        flags |= O_CREAT;
    if (rnd(3) == 0)
        flags |= more[rnd(6)];
    if (rnd(6) == 0)
        flags |= more[rnd(6)];
    if (rnd(30) == 0)
        flags = (flags & O_ACCMODE) | O_TMPFILE | O_CLOEXEC;
    uint32_t mode = rnd(2) ? 0644 : rnd(010000);
    if (!*path)
        return;
    if ((flags & O_CREAT) && (flags & O_DIRECTORY) && (flags & O_TMPFILE) != O_TMPFILE)
        return; /* kernels differ */
    struct stat l;
    if (fstatat(dirs[d].fd, path, &l, 0) == 0 && S_ISFIFO(l.st_mode))
        return; /* would block; not ours yet */
    if (files[f].h) {
        fake_close(files[f].h);
        close(files[f].fd);
        client_turn();
        files[f].h = 0;
    }
    note("open(%u, %.200s, %o, %o) -> %u", d, path, flags, mode, f);
    int64_t ours = client_open(dirs[d].h, path, (uint32_t)flags, mode, &files[f].h);
    int64_t linuxs = sys(files[f].fd = openat(dirs[d].fd, path, flags, mode));
    files[f].flags = (uint32_t)flags;
    if (ours == 0 && linuxs < 0)
        fake_close(files[f].h), files[f].h = 0;
    same("open", ours, linuxs < 0 ? linuxs : 0);
}

static void op_directory(void)
{
    char buffer[512];
    const char *path = some_path(buffer);
    unsigned d = 1 + rnd(DIRS - 1);
    motor_handle h;
    if (!*path)
        return;
    note("opendir(0, %.200s) -> dir %u", path, d);
    int64_t ours = client_open(dirs[0].h, path, O_PATH | O_DIRECTORY, 0, &h);
    int fd = openat(dirs[0].fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    same("opendir", ours, sys(fd) < 0 ? sys(fd) : 0);
    if (ours == 0) {
        fake_close(dirs[d].h);
        close(dirs[d].fd);
        dirs[d].h = h;
        dirs[d].fd = fd;
    }
}

static void op_make(void)
{
    char buffer[512], target[512];
    const char *path = some_path(buffer);
    unsigned d = rnd(DIRS);
    uint32_t mode = rnd(2) ? 0755 : rnd(010000);
    if (!*path)
        return;
    switch (rnd(4)) {
    case 0:
    case 1:
        note("mkdir(%u, %.200s, %o)", d, path, mode);
        same("mkdir", client_path(dirs[d].h, IO_MKDIR, path, mode, 0, 0),
             sys(mkdirat(dirs[d].fd, path, mode)));
        break;
    case 2: {
        const char *to = some_path(target);
        note("symlink(%.100s, %u, %.100s)", to, d, path);
        same("symlink", client_two(dirs[d].h, IO_SYMLINK, to, 0, path, 0),
             sys(symlinkat(to, dirs[d].fd, path)));
        break;
    }
    case 3:
        mode = (mode & 0777) | (rnd(2) ? S_IFIFO : rnd(2) ? S_IFREG : rnd(2) ? S_IFSOCK : 0);
        note("mknod(%u, %.200s, %o)", d, path, mode);
        same("mknod", client_path(dirs[d].h, IO_MKNOD, path, mode, 0, 0),
             sys(mknodat(dirs[d].fd, path, mode, 0)));
    }
}

static void op_unlink(void)
{
    char buffer[512];
    const char *path = some_path(buffer);
    unsigned d = rnd(DIRS);
    int flags = rnd(3) == 0 ? AT_REMOVEDIR : 0;
    if (!*path)
        return;
    note("unlink(%u, %.200s, %x)", d, path, flags);
    same("unlink", client_path(dirs[d].h, IO_UNLINK, path, (uint64_t)flags, 0, 0),
         sys(unlinkat(dirs[d].fd, path, flags)));
}

static void op_rename(void)
{
    char buffer[512], other[512];
    const char *path = some_path(buffer), *to = some_path(other);
    unsigned d = rnd(DIRS), e = rnd(DIRS);
    uint32_t flags = rnd(3) ? 0 : rnd(4);
    if (!*path || !*to)
        return;
    note("rename(%u, %.100s, %u, %.100s, %u)", d, path, e, to, flags);
    same("rename", client_two(dirs[d].h, IO_RENAME, path, dirs[e].h, to, flags),
         sys(syscall(SYS_renameat2, dirs[d].fd, path, dirs[e].fd, to, flags)));
}

static void op_link(void)
{
    char buffer[512], other[512];
    const char *path = some_path(buffer), *to = some_path(other);
    unsigned d = rnd(DIRS), e = rnd(DIRS);
    int flags = rnd(3) ? 0 : AT_SYMLINK_FOLLOW;
    if (!*path || !*to)
        return;
    note("link(%u, %.100s, %u, %.100s, %x)", d, path, e, to, flags);
    same("link", client_two(dirs[d].h, IO_LINK, path, dirs[e].h, to, (uint32_t)flags),
         sys(linkat(dirs[d].fd, path, dirs[e].fd, to, flags)));
}

static void op_readlink(void)
{
    char buffer[512], ours[4096], linuxs[4096];
    const char *path = some_path(buffer);
    unsigned d = rnd(DIRS);
    if (!*path)
        return;
    note("readlink(%u, %.200s)", d, path);
    int64_t n = client_out(dirs[d].h, IO_READLINK, path, 0, ours, sizeof ours);
    same("readlink", n, sys(readlinkat(dirs[d].fd, path, linuxs, sizeof linuxs)));
    if (n > 0 && memcmp(ours, linuxs, (size_t)n))
        fail("readlink's text", 0, 0);
}

static void op_attribute(void)
{
    char buffer[512];
    const char *path = some_path(buffer);
    unsigned d = rnd(DIRS);
    uint32_t mode = rnd(2) ? 0755 : rnd(010000), uid = rnd(3) ? rnd(3) * 100 : UINT32_MAX,
             gid = rnd(3) ? rnd(3) * 100 : UINT32_MAX;
    if (!*path)
        return;
    switch (rnd(4)) {
    case 0:
        note("chmod(%u, %.200s, %o)", d, path, mode);
        same("chmod", client_path(dirs[d].h, IO_CHMOD, path, mode, 0, 0),
             sys(fchmodat(dirs[d].fd, path, mode, 0)));
        break;
    case 1: {
        int flags = rnd(2) ? AT_SYMLINK_NOFOLLOW : 0;
        note("chown(%u, %.200s, %d, %d, %x)", d, path, (int)uid, (int)gid, flags);
        same("chown", client_path(dirs[d].h, IO_CHOWN, path, uid, gid, (uint64_t)flags),
             sys(fchownat(dirs[d].fd, path, uid, gid, flags)));
        break;
    }
    case 2: {
        int want = (int)rnd(8);
        note("access(%u, %.200s, %d)", d, path, want);
        same("access", client_path(dirs[d].h, IO_ACCESS, path, (uint64_t)want, AT_EACCESS, 0),
             sys(syscall(439 /* faccessat2 */, dirs[d].fd, path, want, AT_EACCESS)));
        break;
    }
    case 3: {
        uint64_t size = rnd(3) ? rnd(20000) : 0;
        if (d)
            return; /* Linux has no truncateat */
        if (path[0] != '/')
            return;
        note("truncate(%.200s, %llu)", path, (unsigned long long)size);
        same("truncate", client_path(dirs[d].h, IO_TRUNCATE, path, size, 0, 0),
             sys(truncate(path, (off_t)size)));
    }
    }
}

/* ---- operations on data ---- */

static uint8_t data[70000], got[2][70000];

static void op_write(void)
{
    unsigned f = rnd(FILES);
    uint64_t offset = rnd(3)   ? rnd(30000)
                      : rnd(4) ? rnd(9) * 4096
                               : rnd(1u << 22),
             size = rnd(4) ? rnd(5000) : rnd(sizeof data);
    uint8_t seed = (uint8_t)rnd(256);
    if (!files[f].h)
        return;
    struct stat l;
    if (fstat(files[f].fd, &l) || !S_ISREG(l.st_mode))
        return;
    for (uint64_t i = 0; i < size; i++)
        data[i] = (uint8_t)(seed + i * 7 + (i >> 8));
    note("write(%u, %llu, %llu)", f, (unsigned long long)offset, (unsigned long long)size);
    same("write", client_write(files[f].h, offset, data, size, 0),
         sys(pwrite(files[f].fd, data, size, (off_t)offset)));
}

static void op_append(void)
{
    unsigned f = rnd(FILES);
    uint64_t size = rnd(5000);
    struct stat l;
    if (!files[f].h || fstat(files[f].fd, &l) || !S_ISREG(l.st_mode) || l.st_size > 1 << 22)
        return;
    memset(data, (int)rnd(256), size);
    note("append(%u, %llu)", f, (unsigned long long)size);
    same("append", client_write(files[f].h, UINT64_MAX, data, size, 0),
         sys(pwrite(files[f].fd, data, size, l.st_size)));
}

static void op_read(void)
{
    unsigned f = rnd(FILES);
    uint64_t offset = rnd(3) ? rnd(30000) : rnd(1u << 22),
             size = rnd(4) ? rnd(5000) : rnd(sizeof data);
    struct stat l;
    if (!files[f].h || fstat(files[f].fd, &l))
        return;
    if (S_ISFIFO(l.st_mode))
        return;
    note("read(%u, %llu, %llu)", f, (unsigned long long)offset, (unsigned long long)size);
    int64_t n = client_read(files[f].h, offset, got[0], size);
    same("read", n, sys(pread(files[f].fd, got[1], size, (off_t)offset)));
    if (n > 0 && memcmp(got[0], got[1], (size_t)n))
        fail("read's bytes", 0, 0);
}

static void op_ftruncate(void)
{
    unsigned f = rnd(FILES);
    uint64_t size = rnd(2) ? rnd(30000) : rnd(9) * 4096;
    if (!files[f].h)
        return;
    note("ftruncate(%u, %llu)", f, (unsigned long long)size);
    same("ftruncate", client_path(files[f].h, IO_TRUNCATE, "", size, 0, 0),
         sys(ftruncate(files[f].fd, (off_t)size)));
}

static void op_allocate(void)
{
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_PUNCH_HOLE};
    unsigned f = rnd(FILES);
    uint64_t offset = rnd(30000), size = rnd(20000);
    int mode = modes[rnd(4)];
    struct stat l;
    if (!files[f].h || fstat(files[f].fd, &l) || !S_ISREG(l.st_mode))
        return;
    if ((mode & FALLOC_FL_KEEP_SIZE) && !(mode & FALLOC_FL_PUNCH_HOLE) &&
        (int64_t)(offset + size) > l.st_size)
        return; /* ours keeps no pages behind the end */
    note("fallocate(%u, %x, %llu, %llu) of %lld bytes, %lld blocks", f, mode,
         (unsigned long long)offset, (unsigned long long)size, (long long)l.st_size,
         (long long)l.st_blocks);
    same("fallocate", client_path(files[f].h, IO_ALLOCATE, "", offset, size, (uint64_t)mode),
         sys(fallocate(files[f].fd, mode, (off_t)offset, (off_t)size)));
}

/* ---- lists ---- */

#define NAMES 400
struct list {
    char names[NAMES][260];
    unsigned count;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int64_t list_records(struct list *l, const uint8_t *records, int64_t n, uint64_t *cookie)
{
    for (int64_t at = 0; at < n;) {
        struct dirent64 d;
        memcpy(&d, records + at, sizeof d < (size_t)(n - at) ? sizeof d : (size_t)(n - at));
        snprintf(l->names[l->count++ % NAMES], 260, "%s/%d", (const char *)records + at + 19,
                 d.d_type);
        *cookie = (uint64_t)d.d_off;
        at += d.d_reclen;
    }
    return n;
}

static void op_list(void)
{
    static struct list ours, linuxs;
    char buffer[512];
    const char *path = some_path(buffer);
    motor_handle h;
    uint64_t cookie = 0, ignored;
    int64_t n;
    uint32_t room = 300 + rnd(3000);
    if (!*path)
        return;
    note("list(%.200s)", path);
    int64_t status = client_open(dirs[0].h, path, O_RDONLY | O_DIRECTORY, 0, &h);
    int fd = openat(dirs[0].fd, path, O_RDONLY | O_DIRECTORY);
    same("open for list", status, fd < 0 ? -errno : 0);
    if (status)
        return;
    ours.count = linuxs.count = 0;
    while ((n = client_out(h, IO_READDIR, "", cookie, got[0], room)) > 0)
        list_records(&ours, got[0], n, &cookie);
    int64_t end = n;
    while ((n = sys(syscall(SYS_getdents64, fd, got[1], sizeof got[1]))) > 0)
        list_records(&linuxs, got[1], n, &ignored);
    same("readdir", end, n);
    qsort(ours.names, ours.count, sizeof ours.names[0], compare_names);
    qsort(linuxs.names, linuxs.count, sizeof linuxs.names[0], compare_names);
    same("number of names", ours.count, linuxs.count);
    for (unsigned i = 0; i < ours.count; i++)
        if (strcmp(ours.names[i], linuxs.names[i]))
            fail(ours.names[i], 0, 0);
    fake_close(h);
    close(fd);
}

static void op_cwd(void)
{
    unsigned d = rnd(DIRS);
    char ours[5000], linuxs[5000], link[64];
    note("path of dir %u", d);
    int64_t n = client_out(dirs[d].h, IO_PATH, "", 1, ours, sizeof ours);
    if (n < 0)
        fail("path", n, 0);
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirs[d].fd);
    (void)linuxs, (void)link; /* /proc is not in the chroot: look it up by name instead */
    if (n > 10 && !memcmp(ours + n - 10, " (deleted)", 10))
        return;
    ours[n] = 0;
    struct stat a, b;
    if (stat(ours, &a) == 0 && (fstat(dirs[d].fd, &b) || a.st_ino != b.st_ino))
        fail(ours, 0, 0);
}

/* ---- users ---- */

static void op_user(void)
{
    if (rnd(4) == 0) {
        client_uid = rnd(3) * 100;
        client_gid = rnd(3) * 100;
    } else {
        client_uid = client_gid = 0;
    }
    uint32_t groups[2] = {rnd(3) * 100, rnd(3) * 100}, count = client_uid ? rnd(3) : 0;
    note("user %u:%u, groups %u: %u %u", client_uid, client_gid, count, groups[0], groups[1]);
    setfsuid(0);
    setgroups(count, groups);
    fake_set_groups(groups, count);
    setfsgid(client_gid);
    setfsuid(client_uid);
}

static void (*const operations[])(void) = {
    op_stat,      op_stat,      op_stat,      op_fstat,     op_fstat,  op_open,   op_open,
    op_open,      op_open,      op_open,      op_directory, op_make,   op_make,   op_make,
    op_unlink,    op_unlink,    op_rename,    op_rename,    op_rename, op_link,   op_readlink,
    op_attribute, op_attribute, op_write,     op_write,     op_write,  op_append, op_read,
    op_read,      op_read,      op_ftruncate, op_allocate,  op_list,   op_cwd,    op_user,
};

/* A tmpfs of our own, in a mount namespace of our own. */
static bool enter_chroot(void)
{
    char dir[] = "/tmp/fs_linux.XXXXXX";
    if (geteuid() || !mkdtemp(dir))
        return false;
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", dir, "tmpfs", 0, "mode=755,huge=never") || chroot(dir) || chdir("/")) {
        rmdir(dir);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static const char *base[] = {"/dev", "/proc", "/etc", "/root", "/tmp", "/run", "/var"};
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    bool every = argc > 3;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 200000;
    if (!enter_chroot()) {
        printf("fs_linux: needs root for its chroot: not run\n");
        return 0;
    }
    state = seed * 0x9e3779b97f4a7c15ull + 1;
    umask(0);
    client_start();
    unsigned before = fake_live_objects();
    (void)base;
    /* work in a root of our own: see chroot below */
    client_path(client_root, IO_MKDIR, "/w", 0755, 0, 0);
    for (unsigned i = 0; i < DIRS; i++) {
        client_open(client_root, "/", O_PATH | O_DIRECTORY, 0, &dirs[i].h);
        dirs[i].fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    /* both roots alike: what the engine makes by itself goes, but for its mounts */
    client_path(client_root, IO_UNLINK, "/w", AT_REMOVEDIR, 0, 0);
    client_path(client_root, IO_UNLINK, "/var/tmp", AT_REMOVEDIR, 0, 0);
    client_path(client_root, IO_UNLINK, "/etc/resolv.conf", 0, 0, 0);
    for (unsigned i = 2; i < sizeof base / sizeof *base; i++)
        client_path(client_root, IO_UNLINK, base[i], AT_REMOVEDIR, 0, 0);
    mkdir("/dev", 0755);
    mkdir("/proc", 0555);
    for (uint64_t i = 0; i < count; i++) {
        operations[rnd(sizeof operations / sizeof *operations)]();
        for (unsigned f = 0; f < FILES && (i % 64 == 0 || every); f++)
            check_file(f); /* to catch a difference where it begins */
    }
    client_uid = client_gid = 0;
    for (unsigned i = 0; i < FILES; i++)
        if (files[i].h)
            fake_close(files[i].h);
    for (unsigned i = 0; i < DIRS; i++)
        fake_close(dirs[i].h);
    client_turn();
    printf(
        "fs_linux: seed %llu: %llu operations, same results as Linux (%u objects before, %u after)\n",
        (unsigned long long)seed, (unsigned long long)count, before, fake_live_objects());
    return 0;
}
