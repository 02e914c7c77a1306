/* SPDX-License-Identifier: MIT */
/*
 * Files in memory: private and shared mappings, seen beside read and write; their ends; executing a
 * file; buffers that lie in mapped files. In the folder that the argument names (tests/system runs
 * it on disks), else in one of its own.
 */
#include "check.h"

#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGE  4096
#define PAGES 80
#define SIZE  ((size_t)PAGES * PAGE)

static uint8_t bytes[SIZE];

static void pattern(unsigned seed)
{
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(seed + i * 7 + (i >> 8) * 13);
}

static int make(const char *name, unsigned seed)
{
    int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0755);
    pattern(seed);
    CHECK(fd >= 0 && write(fd, bytes, SIZE) == SIZE);
    return fd;
}

static uint8_t *map(int fd, size_t size, int flags)
{
    uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void same_in_file(int fd)
{
    static uint8_t now[SIZE];
    CHECK(pread(fd, now, SIZE, 0) == SIZE);
    CHECK(!memcmp(now, bytes, SIZE));
}

static void private_maps(void)
{
    int fd = make("private", 1);
    uint8_t *p = map(fd, SIZE, MAP_PRIVATE);
    CHECK(!memcmp(p, bytes, SIZE));
    memset(p + PAGE, 0xee, 3 * PAGE);
    same_in_file(fd);
    bytes[5 * PAGE] ^= 1;
    CHECK(pwrite(fd, bytes + 5 * PAGE, 1, 5 * PAGE) == 1);
    CHECK(p[5 * PAGE] == bytes[5 * PAGE] && p[2 * PAGE] == 0xee);
    CHECK(!munmap(p, SIZE) && !close(fd));
}

static void shared_maps(void)
{
    int fd = make("shared", 2);
    uint8_t *p = map(fd, SIZE, MAP_SHARED), *q = map(fd, SIZE, MAP_SHARED);
    for (size_t at = 0; at < SIZE; at += 3 * PAGE + 5)
        p[at] = bytes[at] = (uint8_t)(at >> 4);
    same_in_file(fd);
    CHECK(!memcmp(q, bytes, SIZE));
    CHECK(!msync(p, SIZE, MS_SYNC) && !fsync(fd));
    p[77] = bytes[77] = 99; /* after the write-back it has to be asked for again */
    CHECK(pwrite(fd, "hello", 5, 9 * PAGE - 2) == 5);
    memcpy(bytes + 9 * PAGE - 2, "hello", 5);
    CHECK(!memcmp(q, bytes, SIZE));
    pid_t child = fork();
    if (!child) {
        p[11] = 111;
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child && q[11] == 111);
    bytes[11] = 111;
    CHECK(!munmap(p, SIZE) && !munmap(q, SIZE));
    same_in_file(fd);
    CHECK(!close(fd));
    fd = open("shared", O_RDONLY);
    same_in_file(fd);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, EACCES);
    CHECK_ERRNO(msync((void *)(16ul << 30), PAGE, MS_SYNC), ENOMEM);
    CHECK(!close(fd));
}

static sigjmp_buf back;

static void on_bus(int sig)
{
    siglongjmp(back, sig);
}

/* The signal that touching a byte brings; 0: none. */
static int touch(volatile uint8_t *p, bool write)
{
    int sig = sigsetjmp(back, 1);
    if (sig)
        return sig;
    if (write)
        *p = 1;
    else
        (void)*p;
    return 0;
}

static void ends(void)
{
    struct sigaction action = {.sa_handler = on_bus};
    CHECK(!sigaction(SIGBUS, &action, NULL));
    int fd = make("ends", 3);
    uint8_t *p = map(fd, SIZE + 4 * PAGE, MAP_SHARED);
    CHECK(touch(p + SIZE - 1, false) == 0);
    CHECK(touch(p + SIZE, false) == SIGBUS && touch(p + SIZE + PAGE, true) == SIGBUS);
    CHECK(!ftruncate(fd, 10 * PAGE + 100));
    CHECK(touch(p + 10 * PAGE + 99, true) == 0 && touch(p + 11 * PAGE, false) == SIGBUS);
    CHECK(p[10 * PAGE + 200] == 0 && touch(p + 40 * PAGE, true) == SIGBUS);
    CHECK(!ftruncate(fd, (off_t)SIZE + 2 * PAGE));
    for (size_t at = 10 * PAGE + 100; at < SIZE + 2 * PAGE; at += 501)
        CHECK(p[at] == 0);
    p[SIZE + PAGE] = 42;
    uint8_t byte = 0;
    CHECK(pread(fd, &byte, 1, (off_t)SIZE + PAGE) == 1 && byte == 42);
    CHECK(!munmap(p, SIZE + 4 * PAGE) && !close(fd));
}

static void holes(void)
{
    struct stat st;
    int fd = open("holes", O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(fd >= 0 && !ftruncate(fd, 8 << 20));
    uint8_t *p = map(fd, 8 << 20, MAP_SHARED);
    for (size_t at = 0; at < 8 << 20; at += 513 << 10)
        CHECK(p[at] == 0);
    p[(3 << 20) + 5] = 7;
    CHECK(!fsync(fd) && !fstat(fd, &st));
    CHECK(st.st_size == 8 << 20 && st.st_blocks > 0 && st.st_blocks < 4096);
    uint8_t got[3];
    CHECK(pread(fd, got, 3, (3 << 20) + 4) == 3 && got[0] == 0 && got[1] == 7 && got[2] == 0);
    CHECK(!munmap(p, 8 << 20) && !close(fd));
}

/* Buffers of calls that lie in pages that are not in memory yet. */
static void buffers(void)
{
    int from = make("from", 4), to = open("to", O_CREAT | O_TRUNC | O_RDWR, 0600), ends_of[2];
    CHECK(to >= 0 && !ftruncate(to, SIZE) && !pipe(ends_of));
    uint8_t *p = map(from, SIZE, MAP_SHARED), *q = map(to, SIZE, MAP_SHARED);
    struct stat st, *in_map = (struct stat *)(q + 60 * PAGE - 40);
    CHECK(pread(from, q, SIZE, 0) == SIZE);
    CHECK(!memcmp(q, bytes, SIZE));
    CHECK(pread(from, q + 70 * PAGE, 10, 5) == 10 && !memcmp(q + 70 * PAGE, bytes + 5, 10));
    CHECK(!fstat(from, in_map) && !fstat(from, &st) && in_map->st_ino == st.st_ino);
    CHECK(write(ends_of[1], p + 40 * PAGE, 5000) == 5000);
    CHECK(read(ends_of[0], q + 20 * PAGE - 9, 5000) == 5000);
    CHECK(!memcmp(q + 20 * PAGE - 9, bytes + 40 * PAGE, 5000));
    CHECK(pwrite(to, p, SIZE, 0) == SIZE);
    same_in_file(to);
    strcpy((char *)q + 30 * PAGE - 3, "from"); /* a path across two pages */
    CHECK(!munmap(q, SIZE));
    q = map(to, SIZE, MAP_PRIVATE);
    CHECK(!stat((char *)q + 30 * PAGE - 3, &st) && st.st_size == SIZE);
    CHECK(!munmap(p, SIZE) && !munmap(q, SIZE) && !close(from) && !close(to));
    CHECK(!close(ends_of[0]) && !close(ends_of[1]));
}

static void semaphores(void)
{
    int fd = open("semaphores", O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(fd >= 0 && !ftruncate(fd, 2 * PAGE));
    sem_t *ping = (sem_t *)map(fd, 2 * PAGE, MAP_SHARED), *pong = ping + 1;
    CHECK(!sem_init(ping, 1, 0) && !sem_init(pong, 1, 0) && !fsync(fd));
    pid_t child = fork();
    for (int i = 0; i < 100; i++) {
        CHECK(!sem_post(child ? ping : pong) && !sem_wait(child ? pong : ping));
        if (i % 20 == 0)
            CHECK(!fsync(fd));
    }
    if (!child)
        _exit(0);
    CHECK(waitpid(child, NULL, 0) == child && !munmap(ping, 2 * PAGE) && !close(fd));
}

/* A file that is mapped, and read so often that it may be read without calls, grows by writes. */
static void appended(void)
{
    uint8_t got[300];
    int fd = open("appended", O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1);
    uint8_t *p = map(fd, SIZE, MAP_SHARED);
    CHECK(p[0] == 'x');
    pattern(6);
    CHECK(pwrite(fd, bytes, 1, 0) == 1);
    for (size_t at = 1; at + 300 <= 20 * PAGE; at += 300) {
        CHECK(pwrite(fd, bytes + at, 300, (off_t)at) == 300);
        CHECK(pread(fd, got, 300, (off_t)at) == 300 && !memcmp(got, bytes + at, 300));
        CHECK(!memcmp(p + at, bytes + at, 300));
    }
    CHECK(pwrite(fd, bytes + 40 * PAGE, 3 * PAGE, 40 * PAGE) == 3 * PAGE);
    CHECK(p[30 * PAGE] == 0 && !memcmp(p + 40 * PAGE, bytes + 40 * PAGE, 3 * PAGE));
    CHECK(!munmap(p, SIZE) && !close(fd));
}

static void unlinked(void)
{
    int fd = make("unlinked", 5);
    uint8_t *p = map(fd, SIZE, MAP_SHARED);
    CHECK(!unlink("unlinked") && !close(fd));
    for (size_t at = 0; at < SIZE; at += 1000)
        p[at]++, bytes[at]++;
    CHECK(!memcmp(p, bytes, SIZE) && !munmap(p, SIZE));
}

static void copy_self(const char *to)
{
    static char part[65536];
    ssize_t n;
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    CHECK(in >= 0 && out >= 0);
    while ((n = read(in, part, sizeof part)) > 0)
        CHECK(write(out, part, (size_t)n) == n);
    CHECK(n == 0 && !close(in) && !close(out));
}

static void execute(void)
{
    copy_self("program");
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t child = fork();
        if (!child) {
            execl("./program", "program", "--child", i == 2 ? "unlink" : "stay", NULL);
            _exit(1);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    }
    CHECK_ERRNO(access("program", F_OK), ENOENT);
}

/* Functions of the program that were not called before its file went. */
static int run_as_child(const char *what)
{
    if (!strcmp(what, "unlink"))
        CHECK(!unlink("program"));
    pattern(9);
    CHECK(bytes[1] == 16);
    return 42;
}

/* Code in a file that cannot be executed as a program, as in a shared library. */
static void library(void)
{
    static const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
    int fd = open("library", O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(fd >= 0 && write(fd, code, sizeof code) == sizeof code);
    int (*f)(void) = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    CHECK(f != MAP_FAILED && f() == 42);
    CHECK(!munmap(f, PAGE) && !close(fd) && !unlink("library"));
}

int main(int argc, char **argv)
{
    char own[] = "/tmp/file_maps-XXXXXX";
    if (argc == 3 && !strcmp(argv[1], "--child"))
        return run_as_child(argv[2]);
    CHECK(!chdir(argc > 1 ? argv[1] : mkdtemp(own)));
    private_maps();
    shared_maps();
    ends();
    holes();
    buffers();
    semaphores();
    appended();
    unlinked();
    execute();
    library();
    return 0;
}
