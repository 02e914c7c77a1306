/* SPDX-License-Identifier: MIT */
/* The fs engine by hand: what a comparison with Linux's tmpfs does not show. */
#include "../../../sysio/tty/tty.h"
#include "fs_client.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/bundle.h>
#include <motor/start.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int failures;

#define EXPECT(got_, wanted_) \
    do { \
        int64_t got = (int64_t)(got_), wanted = (int64_t)(wanted_); \
        if (got != wanted) { \
            fprintf(stderr, "fs_unit.c:%d: %s: %lld, not %lld\n", __LINE__, #got_, (long long)got, \
                    (long long)wanted); \
            failures++; \
        } \
    } while (0)

/* ---- a bundle ---- */

static uint8_t *bundle;
static uint64_t bundle_size;

struct item {
    const char *path;
    uint32_t type, mode;
    const void *data;
    uint64_t size;
};

static void bundle_make(const struct item *items, unsigned count)
{
    struct motor_bundle_header h = {.magic = MOTOR_BUNDLE_MAGIC,
                                    .version = MOTOR_BUNDLE_VERSION,
                                    .entries = count,
                                    .entries_offset = 64};
    h.names_offset = 64 + count * sizeof(struct motor_bundle_entry);
    for (unsigned i = 0; i < count; i++)
        h.names_size += strlen(items[i].path) + 1;
    uint64_t at = (h.names_offset + h.names_size + 4095) & ~4095ull;
    bundle_size = at;
    for (unsigned i = 0; i < count; i++)
        bundle_size += (items[i].size + 4095) & ~4095ull;
    bundle = aligned_alloc(4096, bundle_size);
    memset(bundle, 0, bundle_size);
    struct motor_bundle_entry *e = (void *)(bundle + 64);
    uint32_t name = 0;
    for (unsigned i = 0; i < count; i++) {
        e[i] = (struct motor_bundle_entry){.name = name,
                                           .type = items[i].type,
                                           .mode = items[i].mode,
                                           .mtime = 1000 + i,
                                           .offset = at,
                                           .size = items[i].size,
                                           .hash = motor_bundle_hash(items[i].data, items[i].size)};
        strcpy((char *)bundle + h.names_offset + name, items[i].path);
        name += (uint32_t)strlen(items[i].path) + 1;
        if (items[i].size)
            memcpy(bundle + at, items[i].data, items[i].size);
        at += (items[i].size + 4095) & ~4095ull;
    }
    h.total_size = bundle_size;
    h.hash = motor_bundle_hash(bundle + 64, h.names_offset + h.names_size - 64);
    memcpy(bundle, &h, sizeof h);
}

static uint8_t big[10000];

static void bundle_setup(void)
{
    static const struct item items[] = {
        {"/etc/motd", MOTOR_BUNDLE_FILE, 0644, "hello\n", 6},
        {"/bin/prog", MOTOR_BUNDLE_FILE, 0755, big, sizeof big},
        {"/bin/sh", MOTOR_BUNDLE_SYMLINK, 0777, "prog", 4},
        {"/data", MOTOR_BUNDLE_DIRECTORY, 0700, NULL, 0},
        {"/empty", MOTOR_BUNDLE_FILE, 0600, NULL, 0},
        {"/etc/motd", MOTOR_BUNDLE_FILE, 0644, "later\n", 6}, /* replaces the first */
        {"/broken", MOTOR_BUNDLE_FILE, 0644, "broken", 6},
    };
    for (unsigned i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 31 + 7);
    bundle_make(items, sizeof items / sizeof *items);
    bundle[bundle_size - 4096] ^= 1; /* damage the last file */
}

/* ---- tests ---- */

static char text[8192];

static void test_bundle(void)
{
    motor_handle h;
    struct io_stat st;
    EXPECT(client_stat(client_root, "/etc/motd", 0, &st), 0);
    EXPECT(st.size, 6);
    EXPECT(st.mode, S_IFREG | 0644);
    EXPECT(st.mtime, 1005);
    EXPECT(client_open(client_root, "etc/motd", O_RDWR, 0, &h), 0);
    EXPECT(client_read(h, 0, text, 100), 6);
    EXPECT(memcmp(text, "later\n", 6), 0);
    EXPECT(client_write(h, 3, "XY", 2, 0), 2);
    EXPECT(client_read(h, 0, text, 100), 6);
    EXPECT(memcmp(text, "latXY\n", 6), 0);
    fake_close(h);
    EXPECT(client_open(client_root, "/broken", O_RDONLY, 0, &h), -EIO);
    EXPECT(client_open(client_root, "/bin/sh", O_RDONLY, 0, &h), 0);
    EXPECT(client_read(h, 5000, text, 100), 100);
    EXPECT(memcmp(text, big + 5000, 100), 0);
    fake_close(h);
    EXPECT(client_stat(client_root, "/data", 0, &st), 0);
    EXPECT(st.mode, S_IFDIR | 0700);
}

static motor_handle map(motor_handle file, uint64_t prot, int64_t expected)
{
    struct motor_msg m = {.op = IO_MAP, .word = {prot}};
    EXPECT(client_call(file, &m), expected);
    return m.status == 0 ? m.handle[0] : 0;
}

static void test_map(void)
{
    motor_handle h, vmo;
    uint8_t bytes[100];
    EXPECT(client_open(client_root, "/bin/prog", O_RDONLY, 0, &h), 0);
    vmo = map(h, MOTOR_PROT_READ | MOTOR_PROT_EXEC, 0);
    EXPECT(fake_handle_rights(vmo), MOTOR_RIGHT_READ | MOTOR_RIGHT_DUP | MOTOR_RIGHT_EXEC);
    EXPECT(fake_vmo_size(vmo), 12288);
    EXPECT(fake_vmo_read(vmo, 9000, bytes, 100), 100);
    EXPECT(memcmp(bytes, big + 9000, 100), 0);
    fake_close(vmo);
    map(h, MOTOR_PROT_READ | MOTOR_PROT_WRITE, -EACCES);
    fake_close(h);
    EXPECT(client_open(client_root, "/etc/motd", O_RDWR, 0, &h), 0);
    fake_close(map(h, MOTOR_PROT_READ | MOTOR_PROT_EXEC, 0)); /* a library is no program */
    vmo = map(h, MOTOR_PROT_READ | MOTOR_PROT_WRITE, 0);
    EXPECT(fake_handle_rights(vmo), MOTOR_RIGHT_READ | MOTOR_RIGHT_DUP | MOTOR_RIGHT_WRITE);
    EXPECT(fake_vmo_write(vmo, 0, "map", 3), 3);
    EXPECT(fake_vmo_write(vmo, 4000, "dirt", 4), 4); /* behind the end */
    EXPECT(client_read(h, 0, text, 3), 3);
    EXPECT(memcmp(text, "map", 3), 0);
    /* grows: the dirt must not show, and the object ends with the file */
    EXPECT(client_write(h, 5000, "x", 1, 0), 1);
    EXPECT(fake_vmo_size(vmo), 8192);
    EXPECT(client_read(h, 4000, text, 4), 4);
    EXPECT(memcmp(text, "\0\0\0\0", 4), 0);
    EXPECT(client_path(h, IO_TRUNCATE, "", 0, 0, 0), 0);
    EXPECT(fake_vmo_size(vmo), 0);
    EXPECT(client_write(h, 0, "abc", 3, 0), 3);
    EXPECT(fake_vmo_size(vmo), 4096);
    fake_close(vmo);
    fake_close(h);
    EXPECT(client_open(client_root, "/dev/null", O_RDWR, 0, &h), 0);
    map(h, MOTOR_PROT_READ, -ENODEV);
    fake_close(h);
}

static void test_exec(void)
{
    struct io_stat st;
    struct motor_msg m = {
        .op = IO_EXEC, .in = "/bin/sh", .in_size = 7, .out = &st, .out_size = sizeof st};
    EXPECT(client_call(client_root, &m), 0);
    motor_handle h = m.handle[0];
    EXPECT(client_read(h, 0, text, 100), 100);
    EXPECT(client_write(h, 0, "x", 1, 0), -EBADF);
    fake_close(map(h, MOTOR_PROT_READ | MOTOR_PROT_EXEC, 0));
    fake_close(h);
    EXPECT(client_path(client_root, IO_EXEC, "/etc/motd", 0, 0, 0), -EACCES);
    EXPECT(client_path(client_root, IO_EXEC, "/data", 0, 0, 0), -EACCES);
    EXPECT(client_path(client_root, IO_EXEC, "/bin/sh", AT_SYMLINK_NOFOLLOW, 0, 0), -ELOOP);
    EXPECT(client_path(client_root, IO_EXEC, "/nothing", 0, 0, 0), -ENOENT);
}

/* ---- set-id programs ---- */

static uint64_t random_state = 1;

static uint32_t rnd(uint32_t n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33) % n;
}

static int64_t begin_set_id(motor_handle file, const void *block, uint64_t size, uint64_t *word)
{
    struct motor_msg m = {.op = IO_EXEC_SET_ID, .in = block, .in_size = size};
    int64_t status = client_call(file, &m);
    memcpy(word, m.word, sizeof m.word);
    return status;
}

struct start_block {
    struct motor_start start;
    struct motor_start_fd fd[4];
    char strings[64];
};

static struct start_block block_of(motor_handle file)
{
    static const char strings[] = "name\0one\0A=b\0/bin/sh";
    struct start_block b = {.start = {.magic = MOTOR_START_MAGIC,
                                      .argc = 2,
                                      .argv = offsetof(struct start_block, strings),
                                      .envc = 1,
                                      .envp = offsetof(struct start_block, strings) + 9,
                                      .exec_path = offsetof(struct start_block, strings) + 13,
                                      .cwd = client_root,
                                      .fds = 4,
                                      .fd_table = offsetof(struct start_block, fd)},
                            .fd = {{.fd = 0, .protocol = MOTOR_FD_FILE, .handle = file},
                                   {.fd = 1, .protocol = MOTOR_FD_TTY, .handle = file},
                                   {.fd = 2, .protocol = MOTOR_FD_FILE, .handle = file},
                                   {.fd = 2, .protocol = MOTOR_FD_FILE, .handle = client_root}}};
    memcpy(b.strings, strings, sizeof strings);
    return b;
}

static void test_set_id(void)
{
    struct io_stat st;
    uint64_t word[MOTOR_MSG_WORDS];
    struct motor_msg m = {
        .op = IO_EXEC, .in = "/bin/sh", .in_size = 7, .out = &st, .out_size = sizeof st};
    struct start_block b, damaged;
    motor_handle plain;
    int64_t status;
    tty_engine.endpoint = (motor_handle)motor_endpoint_create();
    EXPECT(client_path(client_root, IO_CHMOD, "/bin/sh", 06755, 0, 0), 0);
    EXPECT(client_call(client_root, &m), 0);
    EXPECT(m.word[3], 0); /* root's, for root */
    fake_close(m.handle[0]);
    fake_close(m.handle[1]);
    client_uid = client_gid = 5;
    m.nhandles = 0;
    EXPECT(client_call(client_root, &m), 0);
    EXPECT(m.word[3], 1);
    motor_handle file = m.handle[0];
    fake_close(m.handle[1]);
    b = block_of(file);
    EXPECT(begin_set_id(file, &b, sizeof b, word), 0);
    EXPECT(word[0], 4096);
    EXPECT(word[1], 0);
    EXPECT(word[2], 0);
    EXPECT(client_open(client_root, "/bin/sh", O_RDONLY, 0, &plain), 0);
    EXPECT(begin_set_id(plain, &b, sizeof b, word), -EACCES);
    fake_close(plain);
    EXPECT(begin_set_id(file, &b, sizeof b.start - 1, word), -EINVAL);
    EXPECT(begin_set_id(file, &b, 17 << 20, word), -E2BIG);
    for (int i = 0; i < 20000; i++) {
        damaged = b;
        for (uint32_t n = 1 + rnd(4); n; n--)
            if (rnd(2))
                ((uint8_t *)&damaged)[rnd(sizeof damaged)] ^= (uint8_t)(1u << rnd(8));
            else
                ((uint32_t *)&damaged)[rnd(sizeof damaged / 4)] = rnd(400);
        uint64_t size = rnd(8) ? sizeof damaged : rnd(sizeof damaged);
        status = begin_set_id(file, &damaged, size, word);
        if (status && status != -EINVAL)
            EXPECT(status, 0);
    }
    client_uid = client_gid = 0;
    EXPECT(begin_set_id(file, &b, sizeof b, word), -EAGAIN); /* nothing to change for root */
    EXPECT(client_path(client_root, IO_CHMOD, "/bin/sh", 0700, 0, 0), 0);
    client_uid = client_gid = 5;
    EXPECT(begin_set_id(file, &b, sizeof b, word), -EACCES);
    client_uid = client_gid = 0;
    EXPECT(client_path(client_root, IO_CHMOD, "/bin/sh", 0755, 0, 0), 0);
    fake_close(file);
}

static int64_t read_file(const char *path)
{
    motor_handle h;
    int64_t status = client_open(client_root, path, O_RDONLY, 0, &h);
    if (status)
        return status;
    status = client_read(h, 0, text, sizeof text - 1);
    text[status > 0 ? status : 0] = 0;
    fake_close(h);
    return status;
}

static void test_devices(void)
{
    motor_handle h;
    struct io_stat st;
    EXPECT(client_open(client_root, "/dev/null", O_RDWR, 0, &h), 0);
    EXPECT(client_read(h, 0, text, 10), 0);
    EXPECT(client_write(h, UINT64_MAX, "abc", 3, O_APPEND), 3);
    EXPECT(client_stat(h, "", 0, &st), 0);
    EXPECT(st.mode, S_IFCHR | 0666);
    EXPECT(st.rdev, 1 << 8 | 3);
    struct motor_msg poll = {.op = IO_POLL, .word = {POLLIN | POLLOUT}};
    EXPECT(client_call(h, &poll), POLLIN | POLLOUT);
    struct motor_msg ioctl = {.op = IO_CONTROL, .word = {TCGETS}};
    EXPECT(client_call(h, &ioctl), -ENOTTY);
    fake_close(h);
    EXPECT(client_open(client_root, "/dev/zero", O_RDWR, 0, &h), 0);
    memset(text, 1, sizeof text);
    EXPECT(client_read(h, 0, text, sizeof text), sizeof text);
    EXPECT(text[0] | text[sizeof text - 1], 0);
    fake_close(h);
    EXPECT(client_open(client_root, "/dev/full", O_RDWR, 0, &h), 0);
    EXPECT(client_write(h, 0, "a", 1, 0), -ENOSPC);
    fake_close(h);
    EXPECT(read_file("/dev/urandom"), sizeof text - 1);
    EXPECT(client_open(client_root, "/dev/tty", O_RDWR, 0, &h), -ENXIO);
    /* pid 7 is not registered */
    EXPECT(client_open(client_root, "/dev/stdin", O_RDONLY, 0, &h), -ENOENT);
    EXPECT(client_open(client_root, "/dev/x", O_RDWR | O_CREAT, 0666, &h), -EPERM);
    EXPECT(client_path(client_root, IO_UNLINK, "/dev/null", 0, 0, 0), -EPERM);
    EXPECT(client_path(client_root, IO_UNLINK, "/dev", AT_REMOVEDIR, 0, 0), -EBUSY);
    EXPECT(client_two(client_root, IO_RENAME, "/dev", 0, "/dev2", 0), -EBUSY);
    EXPECT(client_two(client_root, IO_RENAME, "/etc/motd", 0, "/dev/motd", 0), -EXDEV);
    EXPECT(client_open(client_root, "/dev/shm/x", O_RDWR | O_CREAT, 0600, &h), 0);
    EXPECT(client_out(h, IO_PATH, "", 0, text, sizeof text), 10);
    EXPECT(memcmp(text, "/dev/shm/x", 10), 0);
    fake_close(h);
    EXPECT(client_path(client_root, IO_UNLINK, "/dev/shm/x", 0, 0, 0), 0);
}

static void test_proc(void)
{
    static const char *const files[] = {"meminfo",
                                        "cpuinfo",
                                        "uptime",
                                        "loadavg",
                                        "stat",
                                        "version",
                                        "mounts",
                                        "filesystems",
                                        "motor/counters",
                                        "self/stat",
                                        "self/status",
                                        "self/cmdline",
                                        "self/comm",
                                        "7/statm",
                                        "sys/kernel/hostname",
                                        "sys/kernel/random/uuid",
                                        "sys/kernel/random/boot_id",
                                        "sys/vm/overcommit_memory",
                                        "sys/net/core/somaxconn",
                                        "sys/kernel/pid_max"};
    char path[64];
    motor_handle h;
    struct {
        struct motor_tcb tcb;
        struct motor_about about;
        char args[8];
    } memory = {.tcb.tid = 7, .args = "prog\0-x"};
    memory.about.arg_start = FAKE_PROCESS_BASE + offsetof(typeof(memory), args);
    memory.about.arg_end = memory.about.arg_start + sizeof memory.args;
    EXPECT(client_open(client_root, "/bin/prog", O_RDONLY, 0, &h), 0);
    memory.about.exec = h;
    fake_process = (struct motor_process_info){.pid = 7, .state = 1, .start_ns = 1, .name = "prog"};
    fake_process.about = FAKE_PROCESS_BASE + offsetof(typeof(memory), about);
    fake_process_memory = &memory;
    fake_process_size = sizeof memory;
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/proc/%s", files[i]);
        if (read_file(path) <= 0)
            fprintf(stderr, "%s is empty\n", path), failures++;
    }
    EXPECT(client_out(client_root, IO_READLINK, "/proc/self", 0, text, sizeof text), 1);
    EXPECT(text[0], '7');
    EXPECT(client_out(client_root, IO_READLINK, "/proc/self/exe", 0, text, sizeof text), 9);
    EXPECT(read_file("/proc/7/cmdline"), 8);
    EXPECT(memcmp(text, "prog\0-x", 8), 0);
    EXPECT(read_file("/proc/self/exe"), sizeof text - 1); /* opens the program itself */
    EXPECT(client_open(client_root, "/proc/self/fd/5", O_RDONLY, 0, &h), IO_OWN_FD + 5);
    EXPECT(client_open(client_root, "/dev/stdout", O_WRONLY, 0, &h), IO_OWN_FD + 1);
    EXPECT(client_out(client_root, IO_READLINK, "/proc/self/fd/0", 0, text, sizeof text),
           IO_OWN_FD);
    EXPECT(client_open(client_root, "/proc/self/fd", O_RDONLY, 0, &h), 0);
    EXPECT(client_out(h, IO_READDIR, "", 2, text, sizeof text), IO_OWN_FD);
    fake_close(h);
    for (int nice = -22; nice < 22; nice++) { /* one that is none gets no further */
        struct motor_msg m = {.op = IO_PROCESS_ADJUST,
                              .word = {IO_ADJUST_NICE | IO_ADJUST_SET, 7, (uint64_t)(int64_t)nice}};
        EXPECT(client_call(client_root, &m), nice < -20 || nice > 19 ? -EINVAL : -ESRCH);
    }
    EXPECT(client_path(client_root, IO_CHMOD, "/proc/meminfo", 0777, 0, 0), -EPERM);
    EXPECT(client_open(client_root, "/proc/nothing", O_RDONLY | O_CREAT, 0644, &h), -EPERM);
    EXPECT(client_open(client_root, "/proc/8", O_RDONLY, 0, &h), -ENOENT);
    EXPECT(read_file("/proc/uptime"), (int64_t)strlen(text));
    fake_close(memory.about.exec);
    fake_process.pid = 0;
    EXPECT(client_open(client_root, "/proc/7/stat", O_RDONLY, 0, &h), -ENOENT);
}

/* Reading a directory while its entries come and go: what stays is seen exactly once. */
static void test_readdir(void)
{
    static char seen[2000];
    char name[32];
    motor_handle h, dir;
    uint64_t cookie = 0;
    int64_t n;
    unsigned round = 0;
    client_path(client_root, IO_MKDIR, "/many", 0755, 0, 0);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "/many/f%u", i);
        client_open(client_root, name, O_CREAT | O_WRONLY, 0644, &h);
        fake_close(h);
    }
    client_open(client_root, "/many", O_RDONLY | O_DIRECTORY, 0, &dir);
    while ((n = client_out(dir, IO_READDIR, "", cookie, text, 1000)) > 0) {
        for (int64_t at = 0; at < n;) {
            uint16_t length;
            unsigned number;
            memcpy(&length, text + at + 16, 2);
            memcpy(&cookie, text + at + 8, 8);
            if (sscanf(text + at + 19, "f%u", &number) == 1 && number < 2000)
                seen[number]++;
            at += length;
        }
        for (unsigned i = 0; i < 7; i++) { /* odd ones go, strangers come */
            snprintf(name, sizeof name, "/many/f%u", (round * 7 + i) * 2 + 1);
            client_path(client_root, IO_UNLINK, name, 0, 0, 0);
            snprintf(name, sizeof name, "/many/new%u", round % 50 * 7 + i);
            client_path(client_root, IO_MKNOD, name, S_IFREG | 0644, 0, 0);
        }
        round++;
    }
    for (unsigned i = 0; i < 2000; i += 2)
        if (seen[i] != 1)
            fprintf(stderr, "f%u seen %d times\n", i, seen[i]), failures++;
    EXPECT(client_out(dir, IO_READDIR, "", 0, text, 10), -EINVAL);
    fake_close(dir);
}

static void test_limits(void)
{
    static uint8_t piece[1 << 16];
    motor_handle h;
    int64_t n;
    uint64_t at = 0;
    char path[5000];
    client_open(client_root, "/full", O_CREAT | O_RDWR, 0644, &h);
    memset(piece, 0x5a, sizeof piece);
    while ((n = client_write(h, at, piece, sizeof piece, 0)) > 0)
        at += (uint64_t)n;
    EXPECT(n, -ENOSPC);
    if (at < 127u << 20 || at > 128u << 20)
        fprintf(stderr, "wrote %llu bytes\n", (unsigned long long)at), failures++;
    EXPECT(client_write(h, 0, "still", 5, 0), 5); /* in place: no new page */
    EXPECT(client_path(h, IO_TRUNCATE, "", 4096, 0, 0), 0);
    EXPECT(client_write(h, 8192, "x", 1, 0), 1);
    struct io_statfs fs;
    EXPECT(client_out(client_root, IO_STATFS, "/", 0, &fs, sizeof fs), 0);
    if (fs.bfree + 64 < fs.blocks)
        fprintf(stderr, "%llu of %llu blocks free\n", (unsigned long long)fs.bfree,
                (unsigned long long)fs.blocks),
            failures++;
    EXPECT(client_path(h, IO_TRUNCATE, "", 1ull << 40, 0, 0), 0); /* sparse */
    EXPECT(client_write(h, (1ull << 40) - 3, "end", 3, 0), 3);
    EXPECT(client_path(h, IO_TRUNCATE, "", UINT64_MAX, 0, 0), -EINVAL);
    EXPECT(client_write(h, INT64_MAX, "x", 1, 0), -EFBIG);
    fake_close(h);
    client_path(client_root, IO_UNLINK, "/full", 0, 0, 0);
    memset(path, 'a', sizeof path);
    path[4095] = 0;
    EXPECT(client_path(client_root, IO_ACCESS, path, 0, 0, 0), -ENAMETOOLONG);
    path[4095] = 'a', path[4096] = 0;
    EXPECT(client_path(client_root, IO_ACCESS, path, 0, 0, 0), -ENAMETOOLONG);
    for (unsigned i = 0; i < 41; i++) {
        char from[16], to[16];
        snprintf(to, sizeof to, "l%u", i), snprintf(from, sizeof from, "l%u", i + 1);
        client_two(client_root, IO_SYMLINK, i ? to : "/etc", 0, from, 0);
    }
    EXPECT(client_path(client_root, IO_ACCESS, "/l40", 0, 0, 0), 0);
    EXPECT(client_path(client_root, IO_ACCESS, "/l41", 0, 0, 0), -ELOOP);
}

static void test_copy(void)
{
    motor_handle a, b;
    client_open(client_root, "/bin/prog", O_RDONLY, 0, &a);
    client_open(client_root, "/copy", O_CREAT | O_RDWR, 0755, &b);
    struct motor_msg m = {.op = IO_COPY, .word = {100, 50, 20000}, .nhandles = 1, .handle = {b}};
    EXPECT(client_call(a, &m), sizeof big - 100);
    EXPECT(client_read(b, 50, text, 5000), 5000);
    EXPECT(memcmp(text, big + 100, 5000), 0);
    EXPECT(client_read(b, 0, text, 50), 50);
    EXPECT(text[49], 0);
    fake_close(a);
    fake_close(b);
}

/* ---- hot files ---- */

/* The page of attributes of an open file, or NULL; the object of its bytes to *bytes. */
static const struct io_hot *hot_page(motor_handle h, motor_handle *bytes, uint64_t *how)
{
    static struct io_hot page;
    struct motor_msg m = {.op = IO_HOT, .deadline = MOTOR_NEVER};
    if (client_call(h, &m) < 0)
        return NULL;
    EXPECT(m.nhandles, 2);
    EXPECT(fake_handle_rights(m.handle[0]), MOTOR_RIGHT_READ);
    EXPECT(fake_handle_rights(m.handle[1]), MOTOR_RIGHT_READ);
    EXPECT(fake_vmo_read(m.handle[0], 0, &page, sizeof page), sizeof page);
    fake_close(m.handle[0]);
    *bytes = m.handle[1];
    *how = m.word[1];
    return &page;
}

static void hot_same(motor_handle h, const struct io_hot *page)
{
    struct io_stat st;
    EXPECT(client_stat(h, "", 0, &st), 0);
    EXPECT(memcmp(&st, (const void *)&page->stat, sizeof st), 0);
    EXPECT(page->seq % 2, 0);
}

static void test_hot(void)
{
    motor_handle h, bytes;
    uint64_t how;
    char buffer[8];
    const struct io_hot *p;
    EXPECT(client_open(client_root, "/hot", O_RDWR | O_CREAT, 0644, &h), 0);
    EXPECT(!hot_page(h, &bytes, &how), 1); /* empty */
    EXPECT(client_write(h, 0, "abcdefgh", 8, 0), 8);
    p = hot_page(h, &bytes, &how);
    EXPECT(p && p->valid && p->read_calls && !how, 1);
    hot_same(h, p);
    fake_close(bytes);
    EXPECT(client_read(h, 0, buffer, 8), 8);
    p = hot_page(h, &bytes, &how);
    EXPECT(p->valid && !p->read_calls, 1); /* the access is noted */
    hot_same(h, p);
    fake_close(bytes);

    /* each change is seen in the page */
    EXPECT(client_path(h, IO_CHMOD, "", 0600, 0, 0), 0);
    p = hot_page(h, &bytes, &how);
    EXPECT(p->stat.mode & 07777, 0600);
    hot_same(h, p);
    fake_close(bytes);
    EXPECT(client_two(client_root, IO_LINK, "/hot", client_root, "/hot2", 0), 0);
    p = hot_page(h, &bytes, &how);
    EXPECT(p->stat.nlink, 2);
    hot_same(h, p);
    fake_close(bytes);
    EXPECT(client_path(client_root, IO_UNLINK, "/hot2", 0, 0, 0), 0);
    EXPECT(client_write(h, 8, "ij", 2, 0), 2);
    p = hot_page(h, &bytes, &how);
    EXPECT(p->stat.nlink, 1);
    EXPECT(p->stat.size, 10);
    EXPECT(p->read_calls, 1);
    hot_same(h, p);
    EXPECT(fake_vmo_read(bytes, 0, buffer, 8), 8);
    EXPECT(memcmp(buffer, "abcdefgh", 8), 0);
    fake_close(bytes);

    /* given up: a page that somebody has says so when the bytes move, and when somebody may map */
    struct motor_msg m = {.op = IO_HOT, .deadline = MOTOR_NEVER};
    struct io_hot old;
    EXPECT(client_call(h, &m), 0);
    EXPECT(client_path(h, IO_TRUNCATE, "", 0, 0, 0), 0);
    EXPECT(fake_vmo_read(m.handle[0], 0, &old, sizeof old), sizeof old);
    EXPECT(old.valid, 0);
    fake_close(m.handle[0]);
    fake_close(m.handle[1]);
    fake_close(h);
    EXPECT(client_path(client_root, IO_UNLINK, "/hot", 0, 0, 0), 0);

    /* no more than HOT_MAX */
    motor_handle files[HOT_MAX + 1], first = 0;
    for (unsigned i = 0; i <= HOT_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "/h%u", i);
        m = (struct motor_msg){.op = IO_HOT, .deadline = MOTOR_NEVER};
        EXPECT(client_open(client_root, name, O_RDWR | O_CREAT, 0644, &files[i]), 0);
        EXPECT(client_write(files[i], 0, "x", 1, 0), 1);
        EXPECT(client_call(files[i], &m), 0);
        fake_close(m.handle[1]);
        if (i)
            fake_close(m.handle[0]);
        else
            first = m.handle[0];
        EXPECT(fake_vmo_read(first, 0, &old, sizeof old), sizeof old);
        EXPECT(old.valid, i < HOT_MAX);
        EXPECT(client_path(client_root, IO_UNLINK, name, 0, 0, 0), 0);
    }
    fake_close(first);
    for (unsigned i = 0; i <= HOT_MAX; i++)
        fake_close(files[i]);

    /* who may not read, and what is no file */
    EXPECT(client_open(client_root, "/hot", O_WRONLY | O_CREAT, 0644, &h), 0);
    m = (struct motor_msg){.op = IO_HOT, .deadline = MOTOR_NEVER};
    EXPECT(client_call(h, &m), -EBADF);
    fake_close(h);
    EXPECT(client_call(client_root, &m) < 0, 1);
    EXPECT(client_path(client_root, IO_UNLINK, "/hot", 0, 0, 0), 0);
}

/* ---- appends without calls ---- */

static motor_handle ring_of(motor_handle h, int64_t status)
{
    struct motor_msg m = {.op = IO_HOT, .word = {IO_HOT_RING}, .deadline = MOTOR_NEVER};
    EXPECT(client_call(h, &m), status);
    if (status < 0)
        return 0;
    EXPECT(m.nhandles, 1);
    EXPECT(fake_handle_rights(m.handle[0]), MOTOR_RIGHT_READ | MOTOR_RIGHT_WRITE);
    return m.handle[0];
}

static uint64_t ring_get(motor_handle ring, size_t field)
{
    uint64_t value = 0;
    EXPECT(fake_vmo_read(ring, field, &value, sizeof value), sizeof value);
    return value;
}

static void ring_put(motor_handle ring, size_t field, uint64_t value)
{
    EXPECT(fake_vmo_write(ring, field, &value, sizeof value), sizeof value);
}

#define RING_END   offsetof(struct io_append, end)
#define RING_TAKEN offsetof(struct io_append, taken)

/* As the runtime does. */
static void ring_append(motor_handle ring, const char *text)
{
    uint64_t end = ring_get(ring, RING_END), n = strlen(text);
    size_t at = offsetof(struct io_append, bytes) + end % IO_APPEND_ROOM;
    EXPECT(fake_vmo_write(ring, at, text, n), (int64_t)n);
    ring_put(ring, RING_END, end + n);
}

static uint64_t size_of(motor_handle h)
{
    struct io_stat st;
    EXPECT(client_stat(h, "", 0, &st), 0);
    return (uint64_t)st.size;
}

static void test_append_rings(void)
{
    motor_handle h, other, ring;
    char buffer[64];
    EXPECT(client_open(client_root, "/log", O_WRONLY | O_CREAT, 0644, &h), 0);
    EXPECT(client_write(h, 0, "begin", 5, 0), 5);
    ring = ring_of(h, 0);
    EXPECT(ring_get(ring, RING_END), 5);

    /* taken at any message; and a write by a call comes behind it */
    ring_append(ring, " and more");
    EXPECT(size_of(client_root) > 0, 1);
    EXPECT(ring_get(ring, RING_TAKEN), 14);
    EXPECT(size_of(h), 14);
    ring_append(ring, "!");
    EXPECT(client_write(h, UINT64_MAX, "?", 1, O_APPEND), 1);
    EXPECT(ring_get(ring, RING_END), 16);
    ring_append(ring, "z");

    /* who reads ends it, and sees all */
    EXPECT(client_open(client_root, "/log", O_RDONLY, 0, &other), 0);
    EXPECT(client_read(other, 0, buffer, sizeof buffer), 17);
    EXPECT(memcmp(buffer, "begin and more!?z", 17), 0);
    EXPECT(ring_get(ring, RING_END), IO_APPEND_GONE);
    fake_close(ring);

    /* ends that make no sense, and one that has seen all of the room */
    static const uint64_t nonsense[] = {
        0, 16, 17 + IO_APPEND_ROOM + 1, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2, 1ull << 63};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        ring = ring_of(h, 0);
        ring_put(ring, RING_END, nonsense[i]);
        EXPECT(size_of(h), 17);
        EXPECT(ring_get(ring, RING_END), IO_APPEND_GONE);
        fake_close(ring);
    }
    ring = ring_of(h, 0);
    ring_put(ring, RING_END, 17 + IO_APPEND_ROOM);
    EXPECT(size_of(h), 17 + IO_APPEND_ROOM);
    EXPECT(client_path(h, IO_TRUNCATE, "", 3, 0, 0), 0);
    EXPECT(ring_get(ring, RING_END), IO_APPEND_GONE);
    EXPECT(size_of(h), 3);
    fake_close(ring);

    /* another writer: for nobody; a mapping: never again */
    fake_close(other);
    EXPECT(client_open(client_root, "/log", O_RDWR, 0, &other), 0);
    ring_of(h, -EOPNOTSUPP);
    fake_close(other);
    client_turn();
    ring = ring_of(h, 0);
    ring_append(ring, "x");
    EXPECT(client_open(client_root, "/log", O_RDONLY, 0, &other), 0);
    ring_append(ring, "y");
    struct motor_msg m = {.op = IO_MAP, .word = {MOTOR_PROT_READ}, .deadline = MOTOR_NEVER};
    EXPECT(client_call(other, &m), 0);
    EXPECT(ring_get(ring, RING_END), IO_APPEND_GONE);
    EXPECT(size_of(other), 5);
    ring_of(h, -EOPNOTSUPP);
    fake_close(m.handle[0]);
    fake_close(ring);
    fake_close(other);
    fake_close(h);
    EXPECT(client_path(client_root, IO_UNLINK, "/log", 0, 0, 0), 0);

    /* what a process leaves behind */
    EXPECT(client_open(client_root, "/log", O_WRONLY | O_CREAT, 0644, &h), 0);
    ring = ring_of(h, 0);
    ring_append(ring, "last words");
    fake_close(h);
    client_turn();
    EXPECT(ring_get(ring, RING_END), IO_APPEND_GONE);
    fake_close(ring);
    struct io_stat st;
    EXPECT(client_stat(client_root, "/log", 0, &st), 0);
    EXPECT(st.size, 10);
    EXPECT(client_open(client_root, "/log", O_RDONLY, 0, &h), 0);
    ring_of(h, -EOPNOTSUPP);
    ring_of(client_root, -EOPNOTSUPP);
    fake_close(h);
    EXPECT(client_path(client_root, IO_UNLINK, "/log", 0, 0, 0), 0);
    client_turn();
}

static uint64_t names_changes(const char *path, int64_t status)
{
    struct io_names names = {0};
    struct motor_msg m = {
        .op = IO_HOT, .in = path, .in_size = strlen(path), .deadline = MOTOR_NEVER};
    EXPECT(client_call(client_root, &m), status);
    if (status < 0)
        return 0;
    EXPECT(fake_vmo_read(m.handle[1], 0, &names, sizeof names), sizeof names);
    EXPECT(names.changes, m.word[0]);
    fake_close(m.handle[0]);
    fake_close(m.handle[1]);
    return names.changes;
}

static void test_hot_names(void)
{
    motor_handle h;
    EXPECT(client_open(client_root, "/named", O_RDWR | O_CREAT, 0644, &h), 0);
    uint64_t n = names_changes("/named", 0);
    EXPECT(n > 0, 1);
    EXPECT(client_write(h, 0, "x", 1, 0), 1); /* no name */
    EXPECT(names_changes("/named", 0), n);
    EXPECT(client_two(client_root, IO_LINK, "/named", client_root, "/named2", 0), 0);
    EXPECT(names_changes("/named", 0) > n, 1);
    n = names_changes("/named", 0);
    EXPECT(client_path(client_root, IO_UNLINK, "/named2", 0, 0, 0), 0);
    EXPECT(names_changes("/named", 0) > n, 1);
    n = names_changes("/", 0);
    EXPECT(client_path(client_root, IO_CHMOD, "/", 0755, 0, 0), 0);
    EXPECT(names_changes("/named", 0) > n, 1);
    names_changes("named", -EOPNOTSUPP);         /* relative */
    names_changes("/proc/meminfo", -EOPNOTSUPP); /* changes by itself */
    names_changes("/none", -ENOENT);
    EXPECT(client_path(client_root, IO_UNLINK, "/named", 0, 0, 0), 0);
    fake_close(h);
    client_turn();
}

static void test_times(void)
{
    struct io_stat st;
    struct motor_msg m = {.op = IO_UTIMENS, .word = {5, 6, 7, 8}, .in = "/copy", .in_size = 5};
    EXPECT(client_call(client_root, &m), 0);
    client_stat(client_root, "/copy", 0, &st);
    EXPECT(st.atime, 5);
    EXPECT(st.atime_ns, 6);
    EXPECT(st.mtime, 7);
    EXPECT(st.mtime_ns, 8);
    read_file("/copy"); /* relatime: atime is older than mtime */
    client_stat(client_root, "/copy", 0, &st);
    if (st.atime < 1000000)
        fprintf(stderr, "atime did not move\n"), failures++;
    m = (struct motor_msg){
        .op = IO_UTIMENS, .word = {5, 1000000000, 7, 8}, .in = "/copy", .in_size = 5};
    EXPECT(client_call(client_root, &m), -EINVAL);
}

/* A chain of removed directories, and its end: no recursion, nothing left. */
static void test_removed_chain(void)
{
    enum { DEPTH = 20000 };
    motor_handle at = client_root, first = 0, h;
    unsigned before = fake_live_objects();
    static motor_handle chain[DEPTH];
    for (unsigned i = 0; i < DEPTH; i++) {
        client_path(at, IO_MKDIR, "d", 0755, 0, 0);
        client_open(at, "d", O_PATH | O_DIRECTORY, 0, &h);
        chain[i] = at = h;
    }
    for (unsigned i = DEPTH - 1; i; i--)
        EXPECT(client_path(chain[i - 1], IO_UNLINK, "d", AT_REMOVEDIR, 0, 0), 0);
    EXPECT(client_path(client_root, IO_UNLINK, "d", AT_REMOVEDIR, 0, 0), 0);
    (void)first;
    for (unsigned i = 0; i + 1 < DEPTH; i++)
        fake_close(chain[i]);
    for (unsigned i = 0; i < DEPTH / 16; i++)
        client_turn();
    EXPECT(client_out(at, IO_PATH, "", 0, text, sizeof text), -ENAMETOOLONG);
    EXPECT(client_path(at, IO_ACCESS, "..", 0, 0, 0), 0);
    fake_close(at);
    client_turn();
    EXPECT(fake_live_objects(), before);
}

/* No page can be had: the right errno, and everything still works. */
static void test_no_memory(void)
{
    motor_handle h;
    client_open(client_root, "/nomem", O_CREAT | O_RDWR, 0644, &h);
    fake_memory_limit = 0;
    EXPECT(client_write(h, 0, "x", 1, 0), -ENOSPC);
    fake_memory_limit = UINT64_MAX;
    EXPECT(client_write(h, 0, "x", 1, 0), 1);
    fake_close(h);
}

int main(void)
{
    bundle_setup();
    EXPECT(client_start_bundle(bundle, bundle_size) > 0, 1);
    test_bundle();
    test_map();
    test_exec();
    test_set_id();
    test_devices();
    test_proc();
    test_readdir();
    test_limits();
    test_copy();
    test_times();
    test_hot();
    test_hot_names();
    test_append_rings();
    test_removed_chain();
    test_no_memory();
    printf("fs_unit: %d failures\n", failures);
    return failures != 0;
}
