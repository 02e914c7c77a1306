/* SPDX-License-Identifier: MIT */
/* mmap and its family, brk, malloc, limits. */
#include "check.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE 4096

static sigjmp_buf jump;

static void leap(int sig)
{
    siglongjmp(jump, sig);
}

/* Whether a byte can be read, written. */
static int faults(volatile char *p, int write)
{
    int sig = sigsetjmp(jump, 1);
    if (sig)
        return sig;
    if (write)
        *p = *p;
    else
        (void)*p;
    return 0;
}

static char *map(size_t size, int prot, int flags)
{
    char *p = mmap(NULL, size, prot, MAP_ANONYMOUS | flags, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void test_anonymous(void)
{
    char *p = map(64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (int i = 0; i < 64 * PAGE; i++)
        CHECK(p[i] == 0);
    memset(p, 0x5a, 64 * PAGE);
    CHECK(munmap(p + PAGE, PAGE) == 0);
    CHECK(faults(p, 0) == 0 && faults(p + PAGE, 0) == SIGSEGV && faults(p + 2 * PAGE, 0) == 0);
    CHECK(munmap(p + PAGE, PAGE) == 0); /* nothing there: fine */
    CHECK(mprotect(p, PAGE, PROT_READ) == 0);
    CHECK(faults(p, 0) == 0 && faults(p, 1) == SIGSEGV);
    CHECK(mprotect(p, PAGE, PROT_NONE) == 0 && faults(p, 0) == SIGSEGV);
    CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0 && faults(p, 1) == 0 && p[5] == 0x5a);
    CHECK_ERRNO(mprotect(p, 2 * PAGE, PROT_READ), ENOMEM);
    CHECK_ERRNO(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL);
    CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(madvise(p + 2 * PAGE, 4 * PAGE, MADV_DONTNEED) == 0);
    CHECK(p[2 * PAGE] == 0 && p[6 * PAGE - 1] == 0 && p[6 * PAGE] == 0x5a);
    CHECK_ERRNO(madvise(p, PAGE, 9999), EINVAL);
    CHECK_ERRNO(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
    CHECK(munmap(p, 64 * PAGE) == 0);
    CHECK_ERRNO(munmap(p, 0), EINVAL);
    CHECK_ERRNO(munmap(p + 1, PAGE), EINVAL);
    CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0,
                EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0, EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED ? -1 : 0, EBADF);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1) == MAP_FAILED ? -1
                                                                                              : 0,
                EINVAL);
    CHECK_ERRNO(mmap(NULL, (size_t)1 << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                        MAP_FAILED
                    ? -1
                    : 0,
                ENOMEM);
}

static void test_fixed(void)
{
    char *p = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(p, 1, 8 * PAGE);
    CHECK(mmap(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 2 * PAGE);
    CHECK(p[2 * PAGE - 1] == 1 && p[2 * PAGE] == 0 && p[4 * PAGE - 1] == 0 && p[4 * PAGE] == 1);
    CHECK_ERRNO(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                     0) == MAP_FAILED
                    ? -1
                    : 0,
                EEXIST);
    CHECK(munmap(p + PAGE, PAGE) == 0);
    CHECK(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
               0) == p + PAGE);
    munmap(p, 8 * PAGE);
}

static void test_mremap(void)
{
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (int i = 0; i < 4; i++)
        p[i * PAGE] = (char)(i + 1);
    p = mremap(p, 4 * PAGE, 300 * PAGE, MREMAP_MAYMOVE);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < 4; i++)
        CHECK(p[i * PAGE] == i + 1);
    CHECK(p[4 * PAGE] == 0 && p[300 * PAGE - 1] == 0);
    p[299 * PAGE] = 9;
    CHECK(mremap(p, 300 * PAGE, 2 * PAGE, 0) == p);
    CHECK(p[PAGE] == 2 && faults(p + 2 * PAGE, 0) == SIGSEGV);
    char *q = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    CHECK(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + PAGE) == q + PAGE);
    CHECK(q[PAGE] == 1 && q[2 * PAGE] == 2 && faults(p, 0) == SIGSEGV);
    CHECK_ERRNO(mremap(q, PAGE, 0, 0) == MAP_FAILED ? -1 : 0, EINVAL);
    munmap(q, 8 * PAGE);
    CHECK_ERRNO(mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, EFAULT);
}

static void test_shared(void)
{
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    memset(p, 3, 4 * PAGE);
    CHECK(p[0] == 3 && p[4 * PAGE - 1] == 3);
    CHECK(msync(p, 4 * PAGE, MS_SYNC) == 0);
    CHECK_ERRNO(msync(p, PAGE, 0x100), EINVAL);
    unsigned char residency[4];
    CHECK(mincore(p, 4 * PAGE, residency) == 0 && (residency[0] & 1));
    CHECK(mlock(p, PAGE) == 0 && munlock(p, PAGE) == 0);
    munmap(p, 4 * PAGE);
}

static void test_large(void)
{
    size_t size = (size_t)32 << 20;
    char *p = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (size_t i = 0; i < size; i += PAGE)
        p[i] = (char)(i >> 12);
    for (size_t i = 0; i < size; i += PAGE)
        CHECK(p[i] == (char)(i >> 12));
    CHECK(madvise(p, size, MADV_DONTNEED) == 0 && p[size / 2] == 0);
    CHECK(munmap(p, size) == 0);
    /* address space is not memory */
    p = map((size_t)1 << 36, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
    CHECK(mprotect(p + ((size_t)1 << 35), PAGE, PROT_READ | PROT_WRITE) == 0);
    p[(size_t)1 << 35] = 1;
    CHECK(munmap(p, (size_t)1 << 36) == 0);
}

static void test_brk(void)
{
    char *start = (char *)syscall(SYS_brk, 0);
    CHECK((char *)syscall(SYS_brk, start + 100000) == start + 100000);
    memset(start, 7, 100000);
    CHECK((char *)syscall(SYS_brk, start + 10) == start + 10);
    CHECK((char *)syscall(SYS_brk, start + 100000) == start + 100000);
    CHECK(start[0] == 7 && start[50000] == 0);
    CHECK((char *)syscall(SYS_brk, 0) == start + 100000);
    CHECK((char *)syscall(SYS_brk, 1) == start + 100000);
    CHECK((char *)syscall(SYS_brk, start) == start);
}

static void *churn(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    static _Thread_local char *slot[256];
    static _Thread_local size_t length[256];
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned k = seed >> 16 & 255;
        if (slot[k]) {
            CHECK(slot[k][0] == (char)k && slot[k][length[k] - 1] == (char)k);
            free(slot[k]);
        }
        length[k] = 1 + (seed >> 8) % (i % 100 == 0 ? 300000 : 2000);
        slot[k] = malloc(length[k]);
        CHECK(slot[k]);
        slot[k][0] = slot[k][length[k] - 1] = (char)k;
    }
    for (int k = 0; k < 256; k++)
        free(slot[k]);
    return NULL;
}

static void test_malloc(void)
{
    pthread_t t[4];
    for (uintptr_t i = 0; i < 4; i++)
        CHECK0(pthread_create(&t[i], NULL, churn, (void *)(i + 1)));
    for (int i = 0; i < 4; i++)
        CHECK0(pthread_join(t[i], NULL));
    char *p = calloc(1000, 1000);
    for (int i = 0; i < 1000000; i += 999)
        CHECK(p[i] == 0);
    p = realloc(p, 5000000);
    CHECK(p && p[999999] == 0);
    free(p);
    void *aligned;
    CHECK0(posix_memalign(&aligned, 65536, 100000));
    CHECK((uintptr_t)aligned % 65536 == 0);
    free(aligned);
}

static void test_file(void)
{
    char name[] = "/tmp/memory-test-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    char block[PAGE];
    for (int i = 0; i < 3; i++) {
        memset(block, 'a' + i, sizeof block);
        CHECK(write(fd, block, sizeof block) == PAGE);
    }
    CHECK(write(fd, "tail", 4) == 4);
    char *p = mmap(NULL, 3 * PAGE + 4, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && p[0] == 'a' && p[PAGE] == 'b' && p[3 * PAGE + 3] == 'l' &&
          p[3 * PAGE + 4] == 0);
    char *w = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
    CHECK(w != MAP_FAILED && w[0] == 'b');
    w[0] = 'X';
    CHECK(p[PAGE] == 'b'); /* private */
    char *s = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(s != MAP_FAILED);
    s[1] = 'S';
    CHECK(p[1] == 'S');
    CHECK(pread(fd, block, 2, 0) == 2 && block[1] == 'S');
    CHECK(pwrite(fd, "P", 1, 2) == 1 && s[2] == 'P');
    CHECK(msync(s, 4 * PAGE, MS_SYNC) == 0);
    close(fd);
    CHECK(p[0] == 'a'); /* the mapping keeps the file */
    munmap(p, 3 * PAGE + 4);
    munmap(w, 2 * PAGE);
    munmap(s, 4 * PAGE);
    fd = open(name, O_RDONLY);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0,
                EACCES);
    /* beyond the last page of the file */
    p = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && faults(p + 5 * PAGE, 0) == SIGBUS);
    munmap(p, 8 * PAGE);
    close(fd);
    unlink(name);
}

static void test_limits(void)
{
    struct rlimit r, old;
    CHECK(getrlimit(RLIMIT_AS, &old) == 0);
    r = old;
    r.rlim_cur = (rlim_t)600 << 20;
    if (old.rlim_max >= r.rlim_cur) {
        CHECK(setrlimit(RLIMIT_AS, &r) == 0);
        CHECK_ERRNO(mmap(NULL, (size_t)700 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                            MAP_FAILED
                        ? -1
                        : 0,
                    ENOMEM);
        CHECK(setrlimit(RLIMIT_AS, &old) == 0);
    }
    r = (struct rlimit){10, 5};
    CHECK_ERRNO(setrlimit(RLIMIT_CORE, &r), EINVAL);
    CHECK_ERRNO(getrlimit(99, &r), EINVAL);
}

int main(void)
{
    struct sigaction a = {.sa_handler = leap};
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
    test_anonymous();
    test_fixed();
    test_mremap();
    test_shared();
    test_large();
    test_brk();
    test_malloc();
    test_file();
    test_limits();
    return 0;
}
