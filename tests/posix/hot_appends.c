/* SPDX-License-Identifier: MIT */
/*
 * A file that is appended to again and again, which a system may do without asking anybody: bytes,
 * sizes, times and limits are as if it had asked, whoever looks, whatever others do to the file
 * meanwhile, and also when its writer is killed. hot_appends [FOLDER]
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define TIMES 60
#define LARGE 20000

static char path[200], bytes[2 << 20], from[1 << 17];
static int file;
static off_t size; /* what the file should have */

/* The byte that belongs to a place. */
static char at(off_t place)
{
    return (char)('a' + (place * 7 + place / 4096) % 26);
}

static void append(int fd, size_t n)
{
    for (size_t i = 0; i < n; i++)
        from[i] = at(size + (off_t)i);
    CHECK(write(fd, from, n) == (ssize_t)n);
    size += (off_t)n;
}

/* From any place to the end. */
static void expect_from(int fd, off_t place)
{
    size_t n = (size_t)(size - place);
    memset(bytes, '?', n + 1);
    CHECK(pread(fd, bytes, n + 1, place) == (ssize_t)n);
    for (size_t i = 0; i < n; i++)
        CHECK(bytes[i] == at(place + (off_t)i));
}

static off_t size_now(void)
{
    struct stat s;
    CHECK0(stat(path, &s));
    return s.st_size;
}

static void make(int flags)
{
    if (file > 0)
        close(file);
    unlink(path);
    size = 0;
    file = open(path, O_CREAT | O_EXCL | flags, 0644);
    CHECK(file >= 0);
    for (int i = 0; i < TIMES; i++)
        append(file, 10);
}

static void test_sizes(int flags)
{
    static const size_t sizes[] = {1, 4096, 10, 100, 4096, 5000, 1, 16384, 70000, 3, 16385, 4095};
    struct stat s;
    make(flags);
    int other = open(path, O_RDONLY);
    for (int i = 0; i < 2 * TIMES; i++) {
        append(file, sizes[i % 12]);
        if (i % 7 == 0)
            CHECK(fstat(file, &s) == 0 && s.st_size == size);
        if (i % 11 == 0)
            CHECK(size_now() == size);
        if (i % 5 == 0)
            expect_from(other, size > 20000 ? size - 20000 : 0);
        if (i % 13 == 0 && (flags & O_ACCMODE) == O_RDWR)
            expect_from(file, size > 5000 ? size - 5000 : 0);
        CHECK(lseek(file, 0, SEEK_CUR) == size);
        if (i % 17 == 0)
            CHECK(lseek(file, 0, SEEK_END) == size); /* 1.2 MB at last */
    }
    close(other);
    other = open(path, O_RDONLY);
    expect_from(other, 0);
    close(other);
}

static void test_vectors(void)
{
    make(O_RDWR);
    for (int i = 0; i < TIMES; i++) {
        char text[9];
        for (int k = 0; k < 9; k++)
            text[k] = at(size + k);
        struct iovec v[3] = {{text, 4}, {text + 4, 0}, {text + 4, 5}};
        CHECK((i % 2 ? writev(file, v, 3) : pwritev(file, v, 3, size)) == 9);
        size += 9;
        CHECK(lseek(file, size, SEEK_SET) == size);
    }
    expect_from(file, 0);
    /* not at the end: over it, and behind it */
    CHECK(pwrite(file, "zz", 2, size - 1) == 2 && size_now() == size + 1);
    CHECK(pwrite(file, "y", 1, size + 5000) == 1 && size_now() == size + 5001);
    CHECK(pread(file, bytes, 10, size - 1) == 10 && memcmp(bytes, "zz\0\0\0\0\0\0\0\0", 10) == 0);
}

static bool later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* Each way to look sees the time of the write, and not that of the look. */
static void test_times(void)
{
    struct stat before, now, again;
    struct timespec clock, old[2] = {{1000, 1}, {2000, 2}};
    make(O_RDWR);
    for (int i = 0; i < 4; i++) {
        CHECK0(fstat(file, &before));
        sleep_ms(20);
        for (int n = 0; n < 10; n++)
            append(file, 10);
        clock_gettime(CLOCK_REALTIME, &clock);
        sleep_ms(20);
        CHECK0(i % 2 ? stat(path, &now) : fstat(file, &now));
        CHECK(later(now.st_mtim, before.st_mtim) && later(now.st_ctim, before.st_ctim));
        CHECK(!later(now.st_mtim, clock));
        CHECK0(fstat(file, &again));
        CHECK(!later(again.st_mtim, now.st_mtim) && !later(now.st_mtim, again.st_mtim));
        for (int n = 0; n < TIMES; n++)
            append(file, 10);
    }
    CHECK0(futimens(file, old));
    CHECK(stat(path, &now) == 0 && now.st_mtim.tv_sec == 2000);
    append(file, 1);
    CHECK(stat(path, &now) == 0 && now.st_mtim.tv_sec > 2000 && now.st_atim.tv_sec == 1000);
}

static void test_cuts(void)
{
    make(O_RDWR | O_APPEND);
    for (int i = 0; i < TIMES; i++) {
        append(file, 100);
        if (i % 4 == 0) {
            size = i % 8 ? 0 : size / 2;
            CHECK0(i % 3 ? ftruncate(file, size) : truncate(path, size));
        }
        if (i % 10 == 0)
            CHECK(size_now() == size);
    }
    expect_from(file, 0);
    int other = open(path, O_WRONLY | O_TRUNC);
    CHECK(other >= 0 && size_now() == 0);
    size = 0;
    append(file, 10);
    CHECK(size_now() == 10);
    close(other);
    for (int i = 0; i < TIMES; i++)
        append(file, 10);
    CHECK0(ftruncate(file, size + 100)); /* what comes to light is zero */
    CHECK(pread(file, bytes, 101, size) == 100);
    for (int i = 0; i < 100; i++)
        CHECK(bytes[i] == 0);
}

static void test_mapping(void)
{
    make(O_RDWR);
    append(file, 4090 - (size_t)size % 4096);
    char *p = mmap(NULL, 1 << 16, PROT_READ, MAP_SHARED, file, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < TIMES; i++) { /* seen as soon as it is written */
        append(file, 50);
        for (off_t k = size - 50; k < size; k++)
            CHECK(p[k] == at(k));
    }
    CHECK0(munmap(p, 1 << 16));
}

/* Two open files: each appends where the other has. */
static void test_others(void)
{
    make(O_RDWR | O_APPEND);
    int other = open(path, O_RDWR | O_APPEND);
    for (int i = 0; i < TIMES; i++) {
        append(i % 3 ? file : other, 100);
        expect_from(i % 3 ? other : file, size - 100);
    }
    close(other);
    for (int i = 0; i < TIMES; i++)
        append(file, 10);
    other = open(path, O_WRONLY | O_APPEND);
    append(other, 10);
    append(file, 10);
    close(other);
    expect_from(file, 0);
}

/* One open file in several processes, which append records without gaps and without mixing them. */
static void test_family(int flags)
{
    enum { CHILDREN = 3, RECORDS = 300, RECORD = 40 };
    int counts[CHILDREN] = {0}, status;
    make(flags);
    CHECK0(ftruncate(file, 0));
    CHECK(lseek(file, 0, SEEK_SET) == 0);
    for (int c = 0; c < CHILDREN; c++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid)
            continue;
        for (int i = 0; i < RECORDS; i++) {
            memset(from, '0' + c, RECORD - 1);
            from[RECORD - 1] = '\n';
            CHECK(write(file, from, RECORD) == RECORD);
        }
        _exit(0);
    }
    for (int c = 0; c < CHILDREN; c++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(size_now() == CHILDREN * RECORDS * RECORD);
    int other = open(path, O_RDONLY);
    CHECK(read(other, bytes, sizeof bytes) == CHILDREN * RECORDS * RECORD);
    for (int i = 0; i < CHILDREN * RECORDS; i++) {
        const char *r = bytes + i * RECORD;
        for (int k = 0; k < RECORD - 1; k++)
            CHECK(r[k] == r[0]);
        CHECK(r[RECORD - 1] == '\n' && r[0] >= '0' && r[0] < '0' + CHILDREN);
        counts[r[0] - '0']++;
    }
    for (int c = 0; c < CHILDREN; c++)
        CHECK(counts[c] == RECORDS);
    close(other);
}

/* What a killed process has written stays. */
static void test_killed(bool wait_for_it)
{
    volatile uint64_t *written =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    for (int i = 0; i < 6; i++) {
        make(O_WRONLY);
        CHECK0(close(file));
        file = 0;
        *written = 0;
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            file = open(path, O_WRONLY | O_APPEND);
            for (;;) {
                append(file, 100);
                *written = (uint64_t)size;
            }
        }
        while (*written < 5000)
            sched_yield();
        sleep_ms(i);
        CHECK0(kill(pid, SIGKILL));
        if (wait_for_it)
            CHECK(waitpid(pid, &status, 0) == pid);
        off_t least = (off_t)*written, now = size_now();
        CHECK(now >= least);
        if (!wait_for_it)
            CHECK(waitpid(pid, &status, 0) == pid);
        size = size_now();
        int other = open(path, O_RDONLY);
        expect_from(other, size > 500000 ? size - 500000 : 0);
        close(other);
    }
    munmap((void *)written, 4096);
}

/* The same open file, at a process that it was sent to. */
static void test_sent(void)
{
    int ends[2], status;
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte;
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK0(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    make(O_RDWR);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(file);
        close(ends[0]);
        CHECK(recvmsg(ends[1], &m, 0) == 1);
        int got = *(int *)CMSG_DATA(CMSG_FIRSTHDR(&m));
        while (read(ends[1], &size, sizeof size) == sizeof size) {
            append(got, 30);
            CHECK(write(ends[1], &size, sizeof size) == sizeof size);
        }
        _exit(0);
    }
    close(ends[1]);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(c), &file, sizeof file);
    CHECK(sendmsg(ends[0], &m, 0) == 1);
    for (int i = 0; i < TIMES; i++) {
        append(file, 20);
        CHECK(write(ends[0], &size, sizeof size) == sizeof size);
        CHECK(read(ends[0], &size, sizeof size) == sizeof size);
    }
    close(ends[0]);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    expect_from(file, 0);
}

static void test_limit(void)
{
    struct rlimit old, small;
    make(O_RDWR | O_APPEND);
    CHECK0(getrlimit(RLIMIT_FSIZE, &old));
    small = (struct rlimit){.rlim_cur = (rlim_t)size + 50, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    append(file, 10);
    CHECK0(setrlimit(RLIMIT_FSIZE, &small));
    append(file, 30);
    CHECK(write(file, from, 30) == 10);
    CHECK_ERRNO(write(file, from, 1), EFBIG);
    CHECK0(setrlimit(RLIMIT_FSIZE, &old));
    CHECK(size_now() == size + 10);
}

static void test_bad_buffers(void)
{
    make(O_RDWR);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED && mprotect(p + 4096, 4096, PROT_NONE) == 0);
    CHECK_ERRNO(write(file, p + 4096, 100), EFAULT);
    CHECK(size_now() == size);
    ssize_t n = write(file, p + 3096, 3000); /* 1,000 bytes are there */
    CHECK((n == -1 && errno == EFAULT && size_now() == size) ||
          (n >= 0 && n <= 1000 && size_now() == size + n));
    munmap(p, 8192);
}

/* Each write that says so has found its place, until there is none. */
static void test_full(void)
{
    static char folder[220], name[240];
    snprintf(folder, sizeof folder, "%s.mount", path);
    snprintf(name, sizeof name, "%s/file", folder);
    CHECK0(mkdir(folder, 0755));
    if (mount("none", folder, "tmpfs", 0, "size=8m") == 0) {
        int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0644);
        off_t written = 0;
        ssize_t n;
        struct stat s;
        CHECK(fd >= 0);
        while ((n = write(fd, from, 3000)) > 0)
            written += n;
        CHECK(n == -1 && errno == ENOSPC && written > 7 << 20 && written <= 8 << 20);
        CHECK(stat(name, &s) == 0 && s.st_size == written);
        close(fd);
        CHECK0(umount(folder));
    }
    CHECK0(rmdir(folder));
}

/* A write by anybody but root takes the set-id bits. */
static void test_set_id(void)
{
    struct stat s;
    int status, ready[2], go[2];
    char byte = 'x';
    if (geteuid() != 0)
        return;
    make(O_RDWR);
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(setgid(1000) == 0 && setuid(1000) == 0);
        for (int i = 0; i < TIMES; i++)
            append(file, 10);
        CHECK(write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1);
        append(file, 10);
        _exit(0);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK0(chmod(path, 06755));
    CHECK(write(go[1], &byte, 1) == 1);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(stat(path, &s) == 0 && (s.st_mode & 07777) == 0755);
    close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
}

/* A thread that looks all the time, while others let the writer's right end again and again. */
static int stop;

static void *looker(void *arg)
{
    struct stat s;
    char byte;
    off_t seen = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        CHECK(fstat(file, &s) == 0 && s.st_size >= seen);
        seen = s.st_size;
        CHECK(pread(file, &byte, 1, seen - 1) == 1 && byte == at(seen - 1));
    }
    return arg;
}

static void test_threads(void)
{
    pthread_t thread;
    make(O_RDWR);
    CHECK0(pthread_create(&thread, NULL, looker, NULL));
    for (int i = 0; i < 100; i++) {
        for (int k = 0; k < 20; k++)
            append(file, 10);
        CHECK(size_now() == size);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    CHECK0(pthread_join(thread, NULL));
    expect_from(file, 0);
}

static void test_sync(void)
{
    make(O_RDWR);
    CHECK0(fsync(file));
    append(file, 10);
    CHECK0(fdatasync(file));
    CHECK0(rename(path, strcat(strcpy(bytes, path), ".new")));
    append(file, 10);
    CHECK0(rename(bytes, path));
    CHECK(size_now() == size);
    CHECK0(unlink(path));
    for (int i = 0; i < TIMES; i++)
        append(file, 1000);
    expect_from(file, 0);
}

int main(int argc, char **argv)
{
    snprintf(path, sizeof path, "%s/hot-appends", argc > 1 ? argv[1] : "/tmp");
    test_sizes(O_RDWR);
    test_sizes(O_RDWR | O_APPEND);
    test_sizes(O_WRONLY | O_APPEND);
    test_vectors();
    test_times();
    test_cuts();
    test_mapping();
    test_others();
    test_family(O_RDWR);
    test_family(O_WRONLY | O_APPEND);
    test_killed(true);
    test_killed(false);
    test_sent();
    test_limit();
    test_bad_buffers();
    test_full();
    test_set_id();
    test_threads();
    test_sync();
    if (argc > 1) { /* for who looks at the disk */
        make(O_WRONLY | O_APPEND);
        for (int i = 0; i < TIMES; i++)
            append(file, 1000);
    }
    return 0;
}
