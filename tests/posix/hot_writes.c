/* SPDX-License-Identifier: MIT */
/*
 * A file that is written in place again and again, which a system may do without asking anybody:
 * bytes, times, set-id bits and limits are as if it had asked, whoever looks, and whatever others
 * do to the file meanwhile.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define NAME  "/tmp/hot-writes"
#define SIZE  20000
#define TIMES 40

static int file;
static char bytes[2 * SIZE];

static void put(int fd, char c, size_t size, off_t at)
{
    static char from[SIZE];
    memset(from, c, size);
    CHECK(pwrite(fd, from, size, at) == (ssize_t)size);
}

static void expect(int fd, char c, size_t size, off_t at)
{
    memset(bytes, '?', sizeof bytes);
    CHECK(pread(fd, bytes, size, at) == (ssize_t)size);
    for (size_t i = 0; i < size; i++)
        CHECK(bytes[i] == c);
}

static off_t size_of(void)
{
    struct stat s;
    CHECK0(stat(NAME, &s));
    return s.st_size;
}

/* The file anew, SIZE bytes of c, read and written so often that it is hot for both. */
static void make_hot(char c)
{
    if (file > 0)
        close(file);
    file = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(file >= 0);
    put(file, c, SIZE, 0);
    for (int i = 0; i < TIMES; i++) {
        put(file, c, SIZE, 0);
        expect(file, c, SIZE, 0);
    }
    CHECK(size_of() == SIZE); /* who looks ends it ... */
    for (int i = 0; i < TIMES; i++)
        put(file, c, 100, i * 100); /* ... for a while */
}

static void test_bytes(void)
{
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    make_hot('a');
    for (int i = 0; i < TIMES; i++) {
        put(file, 'b', 7000, 3000);
        expect(file, 'a', 3000, 0);
        expect(file, 'b', 7000, 3000);
        expect(file, 'a', 10000, 10000);
        put(file, 'a', 7000, 3000);
    }
    CHECK(lseek(file, 10, SEEK_SET) == 10);
    for (int i = 0; i < TIMES; i++)
        CHECK(write(file, "xyz", 3) == 3 && lseek(file, 0, SEEK_CUR) == 13 + i * 3);
    CHECK(pwritev(file, v, 3, 10) == 5 && pread(file, bytes, 7, 9) == 7);
    CHECK(memcmp(bytes, "aabcdez", 7) == 0);
    put(file, 'c', 100, SIZE - 50); /* over the end */
    CHECK(size_of() == SIZE + 50);
    expect(file, 'c', 100, SIZE - 50);
}

static bool later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, 20000000}, NULL);
}

/* Each way to look sees the time of the write, and not that of the look. */
static void test_times(void)
{
    struct stat before, now, again;
    struct timespec clock;
    make_hot('a');
    for (int i = 0; i < 6; i++) {
        CHECK0(fstat(file, &before));
        nap();
        for (int n = 0; n < TIMES; n++)
            put(file, 'b', 10, 0);
        clock_gettime(CLOCK_REALTIME, &clock);
        nap();
        CHECK0(i % 2 ? stat(NAME, &now) : fstat(file, &now));
        CHECK(later(now.st_mtim, before.st_mtim) && later(now.st_ctim, before.st_ctim));
        CHECK(!later(now.st_mtim, clock));
        nap();
        CHECK0(fstat(file, &again));
        CHECK(!later(again.st_mtim, now.st_mtim) && !later(now.st_mtim, again.st_mtim));
    }
}

static void test_set_times(void)
{
    struct stat s;
    struct timespec old[2] = {{1000, 1}, {2000, 2}};
    make_hot('a');
    CHECK0(futimens(file, old));
    CHECK(stat(NAME, &s) == 0 && s.st_mtim.tv_sec == 2000 && s.st_mtim.tv_nsec == 2);
    for (int i = 0; i < TIMES; i++)
        put(file, 'b', 10, 0);
    CHECK(fstat(file, &s) == 0 && s.st_mtim.tv_sec > 2000 && s.st_atim.tv_sec == 1000);
    put(file, 'b', 10, 0);
    expect(file, 'b', 10, 0); /* relatime: a read after a write is noted */
    CHECK(fstat(file, &s) == 0 && s.st_atim.tv_sec > 1000);
    put(file, 'c', 10, 0);
    CHECK0(futimens(file, old));
    CHECK(fstat(file, &s) == 0 && s.st_mtim.tv_sec == 2000);
}

static void test_others(void)
{
    make_hot('a');
    int other = open(NAME, O_RDWR);
    CHECK(other >= 0);
    for (int i = 0; i < TIMES; i++) {
        put(file, 'b', 5000, 0);
        expect(other, 'b', 5000, 0);
        put(other, 'c', 5000, 0);
        expect(file, 'c', 5000, 0);
    }
    close(other);
    other = open(NAME, O_RDONLY);
    for (int i = 0; i < TIMES; i++) {
        put(file, (char)('A' + i % 26), 5000, 0);
        expect(other, (char)('A' + i % 26), 5000, 0);
    }
    for (int i = 0; i < TIMES; i++)
        put(file, 'd', 5000, 0);
    for (int i = 0; i < TIMES; i++)
        expect(other, 'd', 5000, 0);
    close(other);
}

static void test_cuts(void)
{
    make_hot('a');
    CHECK0(ftruncate(file, 5000));
    for (int i = 0; i < TIMES; i++)
        put(file, 'b', 100, 4900);
    CHECK(size_of() == 5000);
    CHECK0(ftruncate(file, 9000)); /* what comes to light is zero */
    expect(file, 'b', 100, 4900);
    expect(file, 0, 4000, 5000);
    CHECK0(ftruncate(file, 0));
    put(file, 'c', 100, 4000);
    CHECK(size_of() == 4100);
    expect(file, 0, 4000, 0);
    make_hot('a');
    int other = open(NAME, O_WRONLY | O_TRUNC);
    CHECK(other >= 0 && size_of() == 0);
    put(file, 'd', 10, 0);
    CHECK(size_of() == 10);
    close(other);
    CHECK0(unlink(NAME));
    for (int i = 0; i < TIMES; i++) {
        put(file, 'e', 10, 0);
        expect(file, 'e', 10, 0);
    }
}

static void test_holes(void)
{
    struct stat s;
    make_hot('a');
    if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192) != 0)
        return; /* of that file system, on other systems */
    expect(file, 0, 8192, 4096);
    CHECK0(fstat(file, &s));
    blkcnt_t blocks = s.st_blocks;
    put(file, 'b', 4096, 4096);
    CHECK(fstat(file, &s) == 0 && s.st_blocks > blocks);
    expect(file, 'b', 4096, 4096);
    expect(file, 0, 4096, 8192);
}

static void test_mappings(void)
{
    make_hot('a');
    char *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < TIMES; i++) {
        put(file, (char)('a' + i % 26), 100, 4090);
        CHECK(p[4090] == 'a' + i % 26 && p[4189] == 'a' + i % 26);
    }
    CHECK0(munmap(p, SIZE));
    p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < TIMES; i++) {
        p[0] = (char)i;
        put(file, 'z', 10, 1);
        CHECK(p[1] == 'z');
        expect(file, (char)i, 1, 0);
    }
    CHECK0(munmap(p, SIZE));
}

/* One open file in two processes: positions and bytes are shared. */
static void test_fork(void)
{
    int status;
    make_hot('a');
    CHECK(lseek(file, 0, SEEK_SET) == 0);
    for (int i = 0; i < TIMES; i++)
        CHECK(write(file, "p", 1) == 1);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < TIMES; i++)
            CHECK(write(file, "c", 1) == 1);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(write(file, "p", 1) == 1 && lseek(file, 0, SEEK_CUR) == 2 * TIMES + 1);
    expect(file, 'p', TIMES, 0);
    expect(file, 'c', TIMES, TIMES);
    expect(file, 'p', 1, 2 * TIMES);
}

static void test_bad_buffers(void)
{
    make_hot('a');
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED && mprotect(p + 4096, 4096, PROT_NONE) == 0);
    memset(p, 'b', 4096);
    CHECK_ERRNO(pwrite(file, p + 4096, 100, 0), EFAULT);
    expect(file, 'a', 100, 0);
    ssize_t n = pwrite(file, p + 3096, 3000, 0); /* 1,000 bytes are there */
    CHECK((n == -1 && errno == EFAULT) || (n >= 0 && n <= 1000));
    expect(file, 'a', 1000, 1000);
    CHECK_ERRNO(pwrite(file, p, 10, -1), EINVAL);
    munmap(p, 8192);
}

static void test_limit(void)
{
    struct rlimit old, small = {.rlim_cur = 5000};
    make_hot('a');
    CHECK0(getrlimit(RLIMIT_FSIZE, &old));
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    CHECK0(setrlimit(RLIMIT_FSIZE, &small));
    memset(bytes, 'b', 200);
    CHECK(pwrite(file, bytes, 200, 4900) == 100);
    CHECK_ERRNO(pwrite(file, bytes, 1, 5000), EFBIG);
    CHECK0(setrlimit(RLIMIT_FSIZE, &old));
    expect(file, 'b', 100, 4900);
    expect(file, 'a', 100, 5000);
}

static void test_append(void)
{
    make_hot('a');
    int flags = fcntl(file, F_GETFL);
    CHECK0(fcntl(file, F_SETFL, flags | O_APPEND));
    CHECK(lseek(file, 0, SEEK_SET) == 0 && write(file, "bb", 2) == 2);
    CHECK(lseek(file, 0, SEEK_CUR) == SIZE + 2 && size_of() == SIZE + 2);
    expect(file, 'a', SIZE, 0);
    expect(file, 'b', 2, SIZE);
    CHECK0(fcntl(file, F_SETFL, flags));
}

/* A write by anybody but root takes the set-id bits. */
static void test_set_id(void)
{
    struct stat s;
    int status;
    if (geteuid() != 0)
        return;
    make_hot('a');
    CHECK0(fchmod(file, 06755));
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(setgid(1000) == 0 && setuid(1000) == 0);
        put(file, 'b', 10, 0);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(stat(NAME, &s) == 0 && (s.st_mode & 07777) == 0755);
}

/* Writes to the same place do not mix. */
static int stop;

static void *writer(void *c)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        static __thread char from[SIZE];
        memset(from, *(char *)c, SIZE);
        CHECK(pwrite(file, from, SIZE, 0) == SIZE);
    }
    return c;
}

static void test_threads(void)
{
    pthread_t threads[2];
    make_hot('a');
    for (int i = 0; i < 2; i++)
        CHECK0(pthread_create(&threads[i], NULL, writer, &"xy"[i]));
    for (int i = 0; i < 200; i++)
        usleep(100);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        CHECK0(pthread_join(threads[i], NULL));
    CHECK(pread(file, bytes, SIZE, 0) == SIZE && (bytes[0] == 'x' || bytes[0] == 'y'));
    expect(file, bytes[0], SIZE, 0);
}

static void test_sync(void)
{
    make_hot('a');
    CHECK0(fsync(file));
    CHECK0(fdatasync(file));
    CHECK_ERRNO(fsync(-1), EBADF);
    int directory = open("/tmp", O_RDONLY | O_DIRECTORY), path = open(NAME, O_PATH), ends[2];
    CHECK0(fsync(directory));
    CHECK_ERRNO(fsync(path), EBADF);
    CHECK0(pipe(ends));
    CHECK_ERRNO(fsync(ends[1]), EINVAL);
    int other = open(NAME, O_RDWR | O_SYNC);
    put(other, 'b', 10, 0);
    expect(file, 'b', 10, 0);
    close(directory);
    close(path);
    close(other);
}

int main(void)
{
    test_bytes();
    test_times();
    test_set_times();
    test_others();
    test_cuts();
    test_holes();
    test_mappings();
    test_fork();
    test_bad_buffers();
    test_limit();
    test_append();
    test_set_id();
    test_threads();
    test_sync();
    CHECK(unlink(NAME) == 0);
    return 0;
}
