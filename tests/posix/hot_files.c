/* SPDX-License-Identifier: MIT */
/*
 * Files that are read again and again, which a system may serve without asking anybody: whatever
 * happens to them meanwhile, by the same or another descriptor, is seen by the next read and fstat.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NAME  "/tmp/hot"
#define TIMES 40

static int file, other;

/* The file is `size` bytes of c, seen in all ways, so often that it is hot afterwards. */
static void expect(char c, off_t size)
{
    static char bytes[20001];
    for (int i = 0; i < TIMES; i++) {
        struct stat s;
        memset(bytes, '?', sizeof bytes);
        CHECK(pread(file, bytes, sizeof bytes, 0) == size);
        for (off_t at = 0; at < size; at++)
            CHECK(bytes[at] == c);
        CHECK(bytes[size] == '?');
        CHECK(pread(file, bytes, 10, size) == 0);
        CHECK(fstat(file, &s) == 0 && s.st_size == size && S_ISREG(s.st_mode));
        CHECK(lseek(file, 0, SEEK_END) == size);
    }
}

static void fill(int fd, char c, size_t size)
{
    static char bytes[20000];
    memset(bytes, c, size);
    CHECK(pwrite(fd, bytes, size, 0) == (ssize_t)size);
}

static void test_changes(void)
{
    file = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0644);
    other = open(NAME, O_RDWR);
    CHECK(file >= 0 && other >= 0);
    fill(other, 'a', 100);
    expect('a', 100);
    fill(other, 'b', 9000); /* larger */
    expect('b', 9000);
    fill(file, 'c', 9000); /* by the same descriptor */
    expect('c', 9000);
    CHECK(ftruncate(other, 5000) == 0);
    expect('c', 5000);
    CHECK(ftruncate(other, 0) == 0);
    expect('c', 0);
    fill(other, 'd', 12000);
    expect('d', 12000);
    close(other);
    other = open(NAME, O_RDWR | O_TRUNC);
    expect('d', 0);
    fill(other, 'e', 4096);
    expect('e', 4096);
}

static void test_attributes(void)
{
    struct stat s;
    expect('e', 4096);
    CHECK(fchmod(other, 0600) == 0 && fstat(file, &s) == 0 && (s.st_mode & 07777) == 0600);
    CHECK(link(NAME, NAME "2") == 0 && fstat(file, &s) == 0 && s.st_nlink == 2);
    CHECK(unlink(NAME "2") == 0 && fstat(file, &s) == 0 && s.st_nlink == 1);
    struct timespec times[2] = {{1000, 1}, {2000, 2}};
    CHECK(futimens(other, times) == 0 && fstat(file, &s) == 0);
    CHECK(s.st_mtim.tv_sec == 2000 && s.st_mtim.tv_nsec == 2 && s.st_atim.tv_sec == 1000);
    expect('e', 4096);
    CHECK(fstat(file, &s) == 0 && s.st_atim.tv_sec != 1000); /* relatime */
    time_t before = s.st_mtim.tv_sec;
    fill(other, 'f', 4096);
    CHECK(fstat(file, &s) == 0 && s.st_mtim.tv_sec > before);
    expect('f', 4096);
}

static void test_mappings(void)
{
    expect('f', 4096);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 'g', 4096);
    expect('g', 4096);
    memset(p, 'h', 4096);
    expect('h', 4096);
    CHECK(munmap(p, 4096) == 0);
}

static void test_fork(void)
{
    fill(other, 'i', 3000);
    CHECK(ftruncate(other, 3000) == 0);
    expect('i', 3000);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        expect('i', 3000);
        fill(other, 'j', 3000);
        expect('j', 3000);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    expect('j', 3000);
}

static void test_bad_buffers(void)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED && mprotect(p + 4096, 4096, PROT_NONE) == 0);
    expect('j', 3000);
    CHECK_ERRNO(pread(file, p + 4096, 3000, 0), EFAULT);
    ssize_t n = pread(file, p + 3096, 3000, 0); /* 1,000 bytes fit */
    CHECK((n == -1 && errno == EFAULT) || n == 1000);
    expect('j', 3000);
    munmap(p, 8192);
}

/* Somebody cuts and fills the file while others read it: bytes are 'k', or 0 where it was cut. */
static int stop;

static void *cutter(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        CHECK(ftruncate(other, 10) == 0);
        fill(other, 'k', 20000);
    }
    return unused;
}

static void test_race(void)
{
    static char bytes[20000];
    pthread_t thread;
    fill(other, 'k', 20000);
    CHECK0(pthread_create(&thread, NULL, cutter, NULL));
    for (int i = 0; i < 3000; i++) {
        ssize_t n = pread(file, bytes, sizeof bytes, 0);
        CHECK(n >= 10);
        for (ssize_t at = 0; at < n; at++)
            CHECK(bytes[at] == 'k' || bytes[at] == 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    CHECK0(pthread_join(thread, NULL));
    expect('k', 20000);
}

/* A file that came with the system, read by one descriptor and then written by another. */
static void test_of_the_system(void)
{
    char first[64], now[64];
    int reader = open("/etc/hosts", O_RDONLY);
    if (reader < 0)
        return;
    ssize_t n = pread(reader, first, sizeof first, 0);
    CHECK(n > 8);
    for (int i = 0; i < TIMES; i++)
        CHECK(pread(reader, now, sizeof now, 0) == n && memcmp(first, now, (size_t)n) == 0);
    int writer = access("/proc/motor/counters", F_OK) == 0 ? open("/etc/hosts", O_WRONLY) : -1;
    if (writer >= 0) {
        CHECK(pwrite(writer, "#changed", 8, 0) == 8);
        for (int i = 0; i < TIMES; i++)
            CHECK(pread(reader, now, sizeof now, 0) == n && memcmp("#changed", now, 8) == 0);
        CHECK(pwrite(writer, first, 8, 0) == 8);
    }
    close(reader);
    close(writer);
}

int main(void)
{
    test_changes();
    test_attributes();
    test_mappings();
    test_fork();
    test_bad_buffers();
    test_race();
    CHECK(unlink(NAME) == 0);
    expect('k', 20000);
    test_of_the_system();
    return 0;
}
