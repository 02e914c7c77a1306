/* SPDX-License-Identifier: MIT */
/*
 * Memory after fork: every side has its own from then on, whatever is done with the mappings and
 * however many generations share them; what is shared stays shared; advice about forks holds; and
 * nothing is lost that threads write, or the kernel writes for them, while another thread forks.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE 4096ul
#define MIB  (1ul << 20)

static void child_ends_well(pid_t pid)
{
    int status;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static unsigned long *page_at(char *base, unsigned long page)
{
    return (unsigned long *)(base + page * PAGE);
}

static char *anonymous(unsigned long size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void fill(char *base, unsigned long first, unsigned long last, unsigned long salt)
{
    for (unsigned long i = first; i < last; i++)
        page_at(base, i)[i % 512] = i * 31 + salt;
}

static void verify(char *base, unsigned long first, unsigned long last, unsigned long salt)
{
    for (unsigned long i = first; i < last; i++)
        if (page_at(base, i)[i % 512] != i * 31 + salt)
            FAILED("page %lu holds %lx, not %lx", i, page_at(base, i)[i % 512], i * 31 + salt);
}

/* A child that changes its mappings in every way, with a child of its own. */
static void change_everything(char *base, unsigned long pages)
{
    unsigned long part = pages / 8;
    fill(base, part, 2 * part, 2);
    CHECK0(munmap(base + 3 * part * PAGE, part * PAGE));
    CHECK0(mprotect(base + 4 * part * PAGE, part * PAGE, PROT_READ));
    char *moved = mremap(base + 5 * part * PAGE, part * PAGE, 2 * part * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED);
    CHECK0(madvise(base + 7 * part * PAGE, part * PAGE, MADV_DONTNEED));
    pid_t pid = fork();
    if (pid == 0) {
        verify(base, 0, part, 1);
        verify(base, part, 2 * part, 2);
        verify(base, 4 * part, 5 * part, 1);
        verify(moved - 5 * part * PAGE, 5 * part, 6 * part, 1);
        for (unsigned long i = 7 * part; i < 8 * part; i++)
            CHECK(page_at(base, i)[i % 512] == 0);
        fill(base, 0, 3 * part, 3);
        _exit(0);
    }
    child_ends_well(pid);
    verify(base, 0, part, 1);
    verify(base, part, 2 * part, 2);
    verify(moved - 5 * part * PAGE, 5 * part, 6 * part, 1);
    fill(moved, 0, 2 * part, 4);
    verify(moved, 0, 2 * part, 4);
}

static void test_generations(void)
{
    unsigned long pages = 24 * MIB / PAGE;
    char *base = anonymous(pages * PAGE);
    fill(base, 0, pages, 1);
    for (int round = 0; round < 3; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            change_everything(base, pages);
            _exit(0);
        }
        fill(base, pages / 2, pages, 9 + round); /* the child must not see this */
        child_ends_well(pid);
        verify(base, 0, pages / 2, 1);
        verify(base, pages / 2, pages, 9 + round);
        fill(base, pages / 2, pages, 1);
    }
    CHECK0(munmap(base, pages * PAGE));
}

/* A chain of parents that each change a little and end, while the last goes on. */
static void test_chain(void)
{
    char *base = anonymous(MIB);
    atomic_int *done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(done != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        for (unsigned long i = 0; i < 100; i++) {
            pid_t next = fork();
            CHECK(next >= 0);
            if (next)
                _exit(0);
            page_at(base, i)[i % 512] = i * 31 + 5;
        }
        verify(base, 0, 100, 5);
        *done = 1;
        _exit(0);
    }
    child_ends_well(pid);
    while (!*done)
        sleep_ms(1);
    CHECK0(munmap(done, PAGE));
    CHECK(page_at(base, 7)[7] == 0);
    CHECK0(munmap(base, MIB));
}

static void test_shared(void)
{
    char *base = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED);
    fill(base, 0, 100, 1);
    pid_t pid = fork();
    if (pid == 0) {
        verify(base, 0, 100, 1);
        fill(base, 100, 200, 2);
        pid_t inner = fork();
        if (inner == 0) {
            verify(base, 100, 200, 2);
            fill(base, 200, 256, 3);
            _exit(0);
        }
        child_ends_well(inner);
        CHECK0(munmap(base, MIB));
        _exit(0);
    }
    child_ends_well(pid);
    verify(base, 0, 100, 1);
    verify(base, 100, 200, 2);
    verify(base, 200, 256, 3);
    CHECK0(munmap(base, MIB));
}

static void test_file(void)
{
    char name[] = "/tmp/fork_memory.XXXXXX", byte = 'x';
    int fd = mkstemp(name);
    CHECK(fd >= 0 && ftruncate(fd, 16 * PAGE) == 0 && pwrite(fd, &byte, 1, 5 * PAGE) == 1);
    char *private = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(private != MAP_FAILED && private[5 * PAGE] == 'x');
    private[6 * PAGE] = 'p';
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(private[5 * PAGE] == 'x' && private[6 * PAGE] == 'p' && private[7 * PAGE] == 0);
        private[5 * PAGE] = private[6 * PAGE] = private[7 * PAGE] = 'c';
        CHECK(pread(fd, &byte, 1, 5 * PAGE) == 1 && byte == 'x');
        _exit(0);
    }
    child_ends_well(pid);
    CHECK(private[5 * PAGE] == 'x' && private[6 * PAGE] == 'p' && private[7 * PAGE] == 0);
    CHECK0(munmap(private, 16 * PAGE));
    CHECK0(close(fd));
    CHECK0(unlink(name));
}

static void test_advice(void)
{
    char *base = anonymous(8 * PAGE);
    fill(base, 0, 8, 1);
    CHECK0(madvise(base + 2 * PAGE, 2 * PAGE, MADV_DONTFORK));
    CHECK0(madvise(base + 4 * PAGE, 2 * PAGE, MADV_WIPEONFORK));
    pid_t pid = fork();
    if (pid == 0) {
        verify(base, 0, 2, 1);
        verify(base, 6, 8, 1);
        CHECK(page_at(base, 4)[4] == 0 && page_at(base, 5)[5] == 0);
        CHECK_ERRNO(mprotect(base + 2 * PAGE, PAGE, PROT_READ), ENOMEM); /* not mapped */
        CHECK_ERRNO(mprotect(base + 3 * PAGE, PAGE, PROT_READ), ENOMEM);
        _exit(0);
    }
    child_ends_well(pid);
    verify(base, 0, 8, 1);
    CHECK0(madvise(base + 2 * PAGE, 2 * PAGE, MADV_DOFORK));
    CHECK0(madvise(base + 4 * PAGE, 2 * PAGE, MADV_KEEPONFORK));
    pid = fork();
    if (pid == 0) {
        verify(base, 0, 8, 1);
        _exit(0);
    }
    child_ends_well(pid);
    CHECK0(munmap(base, 8 * PAGE));
    base = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED);
    CHECK_ERRNO(madvise(base, PAGE, MADV_WIPEONFORK), EINVAL);
    CHECK0(munmap(base, PAGE));
}

/* ---- threads that write meanwhile ---- */

#define WRITER_PAGES 600ul
static atomic_bool stop;

/* Two words of each page, the first before the second; what it wrote is there when it comes back.
 */
static void *writes(void *argument)
{
    char *base = argument;
    for (unsigned long n = 1; !stop; n++)
        for (unsigned long i = 0; i < WRITER_PAGES; i++) {
            volatile unsigned long *page = page_at(base, i);
            if (page[0] != n - 1 || page[511] != n - 1)
                FAILED("page %lu holds %lu and %lu, not %lu", i, page[0], page[511], n - 1);
            page[0] = n;
            page[511] = n;
        }
    return NULL;
}

/* The kernel and the I/O server write into the buffer. */
static void *reads(void *argument)
{
    static char buffer[8 * PAGE];
    int fd = *(int *)argument;
    for (unsigned char n = 0; !stop; n++) {
        memset(buffer, n, sizeof buffer);
        CHECK(pread(fd, buffer, sizeof buffer, 0) == (ssize_t)sizeof buffer);
        for (size_t i = 0; i < sizeof buffer; i++)
            if (buffer[i] != (char)(i * 7))
                FAILED("byte %zu is %d", i, buffer[i]);
    }
    return NULL;
}

static void test_threads(void)
{
    static char content[8 * PAGE];
    char name[] = "/tmp/fork_memory.XXXXXX";
    char *base = anonymous(WRITER_PAGES * PAGE);
    pthread_t writer, reader;
    int fd = mkstemp(name);
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i * 7);
    CHECK(fd >= 0 && write(fd, content, sizeof content) == (ssize_t)sizeof content);
    CHECK0(pthread_create(&writer, NULL, writes, base));
    CHECK0(pthread_create(&reader, NULL, reads, &fd));
    for (int i = 0; i < 60; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (unsigned long k = 0; k < WRITER_PAGES; k++) {
                volatile unsigned long *page = page_at(base, k);
                unsigned long first = page[0], last = page[511];
                if (first != last && first != last + 1)
                    FAILED("page %lu came with %lu and %lu", k, first, last);
                page[0] = page[511] = ~0ul;
            }
            _exit(0);
        }
        child_ends_well(pid);
    }
    stop = true;
    CHECK0(pthread_join(writer, NULL));
    CHECK0(pthread_join(reader, NULL));
    CHECK0(munmap(base, WRITER_PAGES * PAGE));
    CHECK0(close(fd));
    CHECK0(unlink(name));
}

int main(void)
{
    test_generations();
    test_chain();
    test_shared();
    test_file();
    test_advice();
    test_threads();
    return 0;
}
