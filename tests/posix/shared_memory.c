/* SPDX-License-Identifier: MIT */
/*
 * Memory that processes share: anonymous mappings over fork, shm_open, memfd_create with seals,
 * mappings of files; what mprotect, mremap, munmap, msync and ftruncate do to it.
 */
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGE 4096u

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

static void finish(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        FAILED("child: status %x", status);
}

#define IN_CHILD(code) \
    do { \
        pid_t pid_ = fork(); \
        CHECK(pid_ >= 0); \
        if (pid_ == 0) { \
            code; \
            _exit(0); \
        } \
        finish(pid_); \
    } while (0)

/* ---- faults ---- */

static sigjmp_buf back;

static void on_fault(int sig)
{
    siglongjmp(back, sig);
}

/* The signal that a load or a store there brings; 0: none. */
static int touch(volatile char *at, int write)
{
    struct sigaction sa = {.sa_handler = on_fault}, old[2];
    sigaction(SIGSEGV, &sa, &old[0]);
    sigaction(SIGBUS, &sa, &old[1]);
    int sig = sigsetjmp(back, 1);
    if (!sig) {
        if (write)
            *at = 'w';
        else
            (void)*at;
    }
    sigaction(SIGSEGV, &old[0], NULL);
    sigaction(SIGBUS, &old[1], NULL);
    return sig;
}

/* ---- anonymous ---- */

static char *shared_pages(size_t n)
{
    char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void test_anonymous(void)
{
    char *p = shared_pages(4),
         *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(own != MAP_FAILED);
    p[0] = own[0] = 'a';
    IN_CHILD({
        CHECK(p[0] == 'a');
        p[0] = own[0] = 'b';
        p[3 * PAGE] = 'c'; /* touched here first */
        IN_CHILD(p[2 * PAGE] = 'd');
    });
    CHECK(p[0] == 'b' && own[0] == 'a' && p[PAGE] == 0 && p[2 * PAGE] == 'd' && p[3 * PAGE] == 'c');
    /* rights are each process's own */
    IN_CHILD({
        CHECK(mprotect(p, PAGE, PROT_READ) == 0);
        CHECK(touch(p, 0) == 0 && touch(p, 1) == SIGSEGV);
        CHECK(mprotect(p + PAGE, PAGE, PROT_NONE) == 0);
        CHECK(touch(p + PAGE, 0) == SIGSEGV);
        CHECK(munmap(p + 2 * PAGE, PAGE) == 0);
        CHECK(touch(p + 2 * PAGE, 0) == SIGSEGV && touch(p + 3 * PAGE, 1) == 0);
    });
    p[0] = 'e', p[PAGE] = 'f', p[2 * PAGE] = 'g';
    CHECK(p[3 * PAGE] == 'w');
    /* a part of it, moved and grown: it is the same memory still */
    IN_CHILD({
        char *q =
            mremap(p + PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 1024 * PAGE);
        CHECK(q == p + 1024 * PAGE && q[0] == 'f' && q[PAGE] == 'g');
        q[0] = 'h';
        CHECK(touch(p + PAGE, 0) == SIGSEGV);
        q = mremap(p, PAGE, PAGE, 0);
        CHECK(q == p);
        p[0] = 'i';
    });
    CHECK(p[0] == 'i' && p[PAGE] == 'h');
    /* beyond the object's end there is nothing */
    char *q = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q[0] == 'i');
    CHECK(touch(q + 3 * PAGE, 1) == 0 && touch(q + 4 * PAGE, 1) == SIGBUS);
    CHECK(madvise(q, PAGE, MADV_DONTNEED) == 0);
    CHECK(q[0] == 'i'); /* the pages are the object's */
    CHECK(munmap(q, 8 * PAGE) == 0 && munmap(own, PAGE) == 0);
}

/* A mapping outlives who made it. */
static void test_orphan(void)
{
    int down[2], up[2];
    char c;
    CHECK(pipe(down) == 0 && pipe(up) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *p = shared_pages(16);
        memset(p, 'x', 16 * PAGE);
        if (fork() == 0) {
            CHECK(read(down[0], &c, 1) == 1);
            for (int i = 0; i < 16; i++)
                CHECK(p[i * PAGE] == 'x');
            p[0] = 'y';
            CHECK(write(up[1], p, 1) == 1);
        }
        _exit(0);
    }
    finish(pid);
    CHECK(write(down[1], "g", 1) == 1);
    CHECK(read(up[0], &c, 1) == 1 && c == 'y');
    for (int i = 0; i < 2; i++)
        close(down[i]), close(up[i]);
}

/* ---- shm_open ---- */

static char name[64];

static void attach_by_name(int argument)
{
    int fd = shm_open(name, O_RDWR, 0);
    CHECK(fd >= 0);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(p[0] == 'm' && p[PAGE + 1] == 'n');
    p[0] = (char)argument;
    char buffer[2];
    CHECK(pread(fd, buffer, 2, 0) == 2 && buffer[0] == argument);
    CHECK(pwrite(fd, "z", 1, PAGE) == 1 && p[PAGE] == 'z');
}

static char *self;

static void test_shm(void)
{
    struct stat st;
    CHECK(stat("/dev/shm", &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 01777);
    snprintf(name, sizeof name, "/shared_memory.%d", (int)getpid());
    CHECK_ERRNO(shm_open(name, O_RDWR, 0), ENOENT);
    CHECK_ERRNO(shm_open("/", O_RDWR | O_CREAT, 0600), EINVAL);
    CHECK_ERRNO(shm_unlink(name), ENOENT);
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0 && (st.st_mode & 0777) == 0600);
    char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(touch(p, 0) == SIGBUS); /* there is no byte yet */
    CHECK(ftruncate(fd, PAGE + 100) == 0);
    CHECK(p[0] == 0 && touch(p + PAGE + 200, 1) == 0); /* up to the page's end */
    CHECK(touch(p + 2 * PAGE, 0) == SIGBUS);
    p[0] = 'm', p[PAGE + 1] = 'n';
    IN_CHILD(attach_by_name('1'));
    CHECK(p[0] == '1' && p[PAGE] == 'z');
    p[0] = 'm';
    IN_CHILD({ /* a program that only knows the name */
               execl(self, self, name, (char *)NULL);
               FAILED("exec");
    });
    CHECK(p[0] == '2');
    /* cut, and grown again: zeros */
    CHECK(ftruncate(fd, 10) == 0);
    CHECK(p[0] == '2' && p[9] == 0 && touch(p + PAGE, 0) == SIGBUS);
    CHECK(ftruncate(fd, 2 * PAGE) == 0);
    CHECK(p[PAGE + 1] == 0 && p[PAGE + 200] == 0);
    CHECK(msync(p, 2 * PAGE, MS_SYNC) == 0 && msync(p, PAGE, MS_ASYNC) == 0 &&
          msync(p, PAGE, MS_INVALIDATE) == 0);
    CHECK_ERRNO(msync(p + 1, PAGE, MS_SYNC), EINVAL);
    CHECK_ERRNO(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_ERRNO(msync(p, PAGE, 64), EINVAL);
    CHECK(munmap(p + 2 * PAGE, 2 * PAGE) == 0);
    CHECK_ERRNO(msync(p, 3 * PAGE, MS_SYNC), ENOMEM);
    CHECK(shm_unlink(name) == 0);
    p[0] = 'q';
    IN_CHILD(CHECK(p[0] == 'q'));
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
    CHECK(munmap(p, 2 * PAGE) == 0);
    close(fd);
}

/* ---- mappings of files: errors and rights ---- */

static void test_rights(void)
{
    char path[] = "/tmp/shared_memory.XXXXXX";
    int rw = mkstemp(path);
    CHECK(rw >= 0 && write(rw, "hello", 5) == 5);
    int r = open(path, O_RDONLY), w = open(path, O_WRONLY);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, w, 0), EACCES);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, w, 0), EACCES);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r, 0), EACCES);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, -1, 0), EBADF);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, 0, rw, 0), EINVAL);
    CHECK_ERRNO((long)mmap(NULL, 0, PROT_READ, MAP_SHARED, rw, 0), EINVAL);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rw, 1), EINVAL);
    char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rw, 0);
    CHECK(p != MAP_FAILED && !memcmp(p, "hello", 6));
    CHECK(touch(p, 1) == SIGSEGV);
    CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0); /* the file is open for it */
    p[0] = 'j';
    char bytes[6] = "";
    CHECK(pread(r, bytes, 5, 0) == 5 && !strcmp(bytes, "jello"));
    CHECK(munmap(p, PAGE) == 0);
    p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
    char *q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, r, 0);
    CHECK(q != MAP_FAILED);
    q[0] = 'c';
    CHECK(p[0] == 'j');
    CHECK(pwrite(rw, "m", 1, 4) == 1 && p[4] == 'm');
    close(r), close(w), close(rw); /* mappings stay */
    CHECK(p[0] == 'j');
    CHECK(munmap(p, PAGE) == 0 && munmap(q, PAGE) == 0);
    unlink(path);
}

/* ---- memfd ---- */

static void test_memfd(void)
{
    char link[64], target[64] = "", long_name[300];
    struct stat st;
    memset(long_name, 'n', sizeof long_name);
    long_name[250] = 0;
    CHECK_ERRNO(memfd_create(long_name, 0), EINVAL);
    long_name[249] = 0;
    int fd = memfd_create(long_name, 0);
    CHECK(fd >= 0);
    close(fd);
    CHECK_ERRNO(memfd_create("x", 0x40000000), EINVAL);
    CHECK_ERRNO(memfd_create((char *)8, 0), EFAULT);
    fd = memfd_create("of mine", MFD_CLOEXEC);
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && st.st_nlink == 0);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    CHECK(readlink(link, target, sizeof target - 1) > 0);
    CHECK(!strcmp(target, "/memfd:of mine (deleted)"));
    CHECK(ftruncate(fd, 3 * PAGE) == 0);
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(pwrite(fd, "abc", 3, PAGE) == 3 && !strcmp(p + PAGE, "abc"));
    IN_CHILD(strcpy(p, "child"));
    CHECK(!strcmp(p, "child"));
    int again = open(link, O_RDONLY); /* the file by its descriptor, anew */
    CHECK(again >= 0 && pread(again, target, 5, 0) == 5 && !memcmp(target, "child", 5));
    CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL); /* it was not to be sealed */
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK(munmap(p, 3 * PAGE) == 0);
    close(again), close(fd);
}

static void test_seals(void)
{
    int fd = memfd_create("sealed", MFD_ALLOW_SEALING), ro, null = open("/dev/null", O_RDWR);
    char link[64];
    CHECK(fd >= 0 && fcntl(fd, F_GET_SEALS) == 0);
    CHECK_ERRNO(fcntl(null, F_GET_SEALS), EINVAL);
    CHECK_ERRNO(fcntl(null, F_ADD_SEALS, F_SEAL_GROW), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0x1000), EINVAL);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    CHECK((ro = open(link, O_RDONLY)) >= 0);
    CHECK_ERRNO(fcntl(ro, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK(fcntl(ro, F_GET_SEALS) == 0);
    CHECK(write(fd, "0123456789", 10) == 10);
    /* the size */
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK_ERRNO(ftruncate(fd, 9), EPERM);
    CHECK(ftruncate(fd, 10) == 0 && ftruncate(fd, 20) == 0);
    CHECK_ERRNO(open(link, O_RDWR | O_TRUNC), EPERM);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
    CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW));
    CHECK_ERRNO(ftruncate(fd, 21), EPERM);
    CHECK_ERRNO(pwrite(fd, "x", 1, 20), EPERM);
    CHECK_ERRNO(fallocate(fd, 0, 0, 100), EPERM);
    CHECK(pwrite(fd, "xyz", 3, 5) == 3);
    /* the bytes: not while somebody could write */
    char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *q;
    CHECK(p != MAP_FAILED);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK(munmap(p, PAGE) == 0);
    p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    p[0] = 'p';
    CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10), EPERM);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    CHECK(q != MAP_FAILED && !memcmp(q, "01234xyz89", 11) && p[0] == 'p');
    CHECK_ERRNO(mprotect(q, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(munmap(q, PAGE) == 0 && munmap(p, PAGE) == 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) == 0);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), EPERM);
    close(fd), close(ro), close(null);

    /* who has it mapped goes on, but nobody else begins */
    fd = memfd_create("future", MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
    p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
    p[0] = 'a';
    IN_CHILD(p[1] = 'b');
    CHECK(p[1] == 'b');
    CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(q != MAP_FAILED && q[0] == 'a' && q[1] == 'b');
    CHECK_ERRNO(mprotect(q, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(munmap(q, PAGE) == 0 && munmap(p, PAGE) == 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    close(fd);

    /* sealed against writing alone, it may still be cut and grown: with zeros */
    fd = memfd_create("cut", MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    char bytes[10];
    CHECK(ftruncate(fd, 3) == 0 && ftruncate(fd, 10) == 0);
    CHECK(pread(fd, bytes, 10, 0) == 10 && !memcmp(bytes, "012\0\0\0\0\0\0", 10));
    close(fd);
}

int main(int argc, char **argv)
{
    static char exe[256];
    if (argc > 1) {
        snprintf(name, sizeof name, "%s", argv[1]);
        attach_by_name('2');
        return 0;
    }
    CHECK(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    self = exe;
    test_anonymous();
    test_orphan();
    test_shm();
    test_rights();
    test_memfd();
    test_seals();
    puts("ok");
    return 0;
}
