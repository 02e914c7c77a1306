/* SPDX-License-Identifier: MIT */
/*
 * The descriptor table: lowest free, duplicates, limits, close_range, fcntl, many threads opening
 * and closing.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "child.h"

static int null(void)
{
    int fd = open("/dev/null", O_RDWR);
    CHECK(fd >= 0);
    return fd;
}

static void lowest(void)
{
    int first = null(), fds[70];
    for (int i = 0; i < 70; i++) {
        fds[i] = null();
        CHECK(fds[i] == first + 1 + i);
    }
    close(fds[10]);
    close(fds[5]);
    CHECK(null() == fds[5] && null() == fds[10] && null() == fds[69] + 1);
    close(fds[69] + 1);
    for (int i = 0; i < 70; i++)
        CHECK(close(fds[i]) == 0);
    CHECK(null() == first + 1);
    close(first + 1);
    close(first);
}

static void duplicates(void)
{
    int a = eventfd(7, EFD_CLOEXEC), b = dup(a);
    uint64_t n;
    CHECK(b == a + 1 && fcntl(a, F_GETFD) == FD_CLOEXEC && fcntl(b, F_GETFD) == 0);
    CHECK(dup2(a, 50) == 50 && dup2(a, 50) == 50 && dup2(a, a) == a);
    CHECK_ERRNO(dup2(a, -1), EBADF);
    CHECK_ERRNO(dup2(999, 999), EBADF);
    CHECK_ERRNO(dup3(a, a, 0), EINVAL);
    CHECK_ERRNO(dup3(a, 51, 1), EINVAL);
    CHECK(dup3(a, 51, O_CLOEXEC) == 51 && fcntl(51, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(a, F_DUPFD, 50) == 52 && fcntl(a, F_DUPFD_CLOEXEC, 50) == 53 &&
          fcntl(53, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(fcntl(a, F_DUPFD, 1 << 30), EINVAL);
    CHECK(close(a) == 0 && read(53, &n, 8) == 8 && n == 7);
    /* of the description */
    CHECK(fcntl(50, F_SETFL, O_NONBLOCK) == 0 && fcntl(52, F_GETFL) & O_NONBLOCK);
    /* of the descriptor */
    CHECK(fcntl(50, F_SETFD, FD_CLOEXEC) == 0 && fcntl(52, F_GETFD) == 0);
    int off = 0;
    CHECK(ioctl(52, FIONBIO, &off) == 0 && !(fcntl(50, F_GETFL) & O_NONBLOCK));
    CHECK(ioctl(52, FIOCLEX) == 0 && fcntl(52, F_GETFD) == FD_CLOEXEC && ioctl(52, FIONCLEX) == 0 &&
          fcntl(52, F_GETFD) == 0);
    CHECK_ERRNO(ioctl(998, FIONBIO, &off), EBADF);
    close(b);
    for (int fd = 50; fd <= 53; fd++)
        CHECK(close(fd) == 0);
    CHECK_ERRNO(fcntl(50, F_GETFD), EBADF);
    CHECK_ERRNO(dup(50), EBADF);
}

static void ranges(void)
{
#ifdef SYS_close_range
    for (int fd = 60; fd < 70; fd++)
        CHECK(dup2(0, fd) == fd || dup2(2, fd) == fd);
    if (syscall(SYS_close_range, 62, 64, 0) < 0 && errno == ENOSYS)
        return;
    for (int fd = 60; fd < 70; fd++)
        CHECK((fcntl(fd, F_GETFD) < 0) == (fd >= 62 && fd <= 64));
    CHECK(syscall(SYS_close_range, 65, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) == 0);
    CHECK(fcntl(61, F_GETFD) == 0 && fcntl(66, F_GETFD) == FD_CLOEXEC);
    CHECK(syscall(SYS_close_range, 60, ~0u, 0) == 0 && fcntl(69, F_GETFD) < 0);
    CHECK_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
#endif
}

static void limit(void)
{
    struct rlimit old, small;
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    int first = null();
    small = old;
    small.rlim_cur = (rlim_t)first + 5;
    CHECK(setrlimit(RLIMIT_NOFILE, &small) == 0);
    for (int i = 1; i < 5; i++)
        CHECK(null() == first + i);
    CHECK_ERRNO(open("/dev/null", O_RDWR), EMFILE);
    CHECK_ERRNO(dup(first), EMFILE);
    CHECK_ERRNO(open("/dev/null/none", O_RDWR), EMFILE);
    CHECK_ERRNO(dup2(first, first + 5), EBADF);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(null() == first + 5);
    for (int i = 0; i < 6; i++)
        close(first + i);
}

static void locks(void)
{
    char name[] = "/tmp/lockXXXXXX";
    int fd = mkstemp(name);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    CHECK(fd >= 0 && fcntl(fd, F_SETLK, &l) == 0);
    CHECK(fcntl(fd, F_GETLK, &l) == 0 && l.l_type == F_UNLCK); /* our own is not in our way */
    l.l_type = F_WRLCK;
    int ro = open(name, O_RDONLY);
    CHECK_ERRNO(fcntl(ro, F_SETLK, &l), EBADF);
    l.l_whence = 9;
    CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    close(ro);
    close(fd);
    unlink(name);
}

static void *churn(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < 3000; i++) {
        int fd = i % 3 ? eventfd(i, EFD_NONBLOCK) : open("/dev/null", O_RDWR);
        CHECK(fd >= 0);
        int copy = fcntl(fd, F_DUPFD, 100 + rand_r(&seed) % 50);
        CHECK(copy >= 100);
        if (i % 3) {
            uint64_t n = 0;
            CHECK(close(fd) == 0);
            CHECK(i == 0 || (read(copy, &n, 8) == 8 && n == (uint64_t)i));
        } else {
            CHECK(write(copy, "x", 1) == 1 && close(fd) == 0);
        }
        CHECK(close(copy) == 0);
    }
    return NULL;
}

/*
 * Reads and polls of descriptors that others close and reuse: any result, but no crash and no wrong
 * type.
 */
static volatile int stop;
static void *disturb(void *arg)
{
    (void)arg;
    char c;
    struct stat st;
    for (int i = 0; !stop; i++) {
        int fd = 100 + i % 60;
        ssize_t n = read(fd, &c, 1);
        CHECK(n == 0 || (n < 0 && (errno == EBADF || errno == EINVAL)));
        CHECK(fstat(fd, &st) == 0 || errno == EBADF);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t t[6], d;
    CHECK0(pthread_create(&d, NULL, disturb, NULL));
    for (uintptr_t i = 0; i < 6; i++)
        CHECK0(pthread_create(&t[i], NULL, churn, (void *)i));
    for (int i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
    stop = 1;
    pthread_join(d, NULL);
    CHECK(fcntl(100, F_GETFD) < 0);
}

/* Who gets SIGIO, said in both ways. */
static void test_owner(void)
{
    struct f_owner_ex o = {F_OWNER_PID, getpid()};
    int fds[2];
    CHECK(pipe(fds) == 0);
    CHECK(fcntl(fds[0], F_GETOWN) == 0);
    CHECK(fcntl(fds[0], F_SETOWN_EX, &o) == 0 && fcntl(fds[0], F_GETOWN) == getpid());
    o = (struct f_owner_ex){F_OWNER_PGRP, getpgrp()};
    CHECK(fcntl(fds[0], F_SETOWN_EX, &o) == 0);
    o = (struct f_owner_ex){0, 0};
    CHECK(fcntl(fds[0], F_GETOWN_EX, &o) == 0 && o.type == F_OWNER_PGRP && o.pid == getpgrp());
    CHECK(fcntl(fds[0], F_SETOWN, getpid()) == 0 && fcntl(fds[0], F_GETOWN_EX, &o) == 0);
    CHECK(o.type == F_OWNER_PID && o.pid == getpid());
    CHECK(fcntl(fds[0], F_SETOWN, 0) == 0 && fcntl(fds[0], F_GETOWN) == 0);
    o = (struct f_owner_ex){77, getpid()};
    CHECK_ERRNO(fcntl(fds[0], F_SETOWN_EX, &o), EINVAL);
    o = (struct f_owner_ex){F_OWNER_PID, gone_pid()};
    CHECK_ERRNO(fcntl(fds[0], F_SETOWN_EX, &o), ESRCH);
    CHECK_ERRNO(fcntl(fds[0], F_SETOWN, gone_pid()), ESRCH);
    CHECK_ERRNO(fcntl(fds[0], F_SETOWN, INT32_MIN), EINVAL);
    CHECK_ERRNO(fcntl(fds[0], F_SETOWN_EX, (void *)8), EFAULT);
    CHECK_ERRNO(fcntl(fds[0], F_GETOWN_EX, (void *)8), EFAULT);
    close(fds[0]);
    close(fds[1]);
}

/*
 * A program that reads a byte too much, beyond the last of its pages, overwrites at most what is
 * its own: what the system keeps for descriptors is not there.
 */
static void beyond_the_end(void)
{
    int fds[100], pipe_ends[2], flags;
    char *pages[100];
    struct stat st;
    CHECK(pipe(pipe_ends) == 0);
    for (int i = 0; i < 100; i++) {
        fds[i] = open("/dev/zero", O_RDWR);
        pages[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(fds[i] >= 0 && pages[i] != MAP_FAILED);
        CHECK(write(pipe_ends[1], "\1\2", 2) == 2);
        ssize_t n = read(pipe_ends[0], pages[i] + 4095, 2);
        CHECK(n == 1 || n == 2 || (n == -1 && errno == EFAULT));
        fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
        while (read(pipe_ends[0], pages[i], 2) > 0)
            ;
    }
    for (int i = 0; i < 100; i++) {
        CHECK(fstat(fds[i], &st) == 0 && S_ISCHR(st.st_mode));
        CHECK((flags = fcntl(fds[i], F_GETFL)) >= 0 && (flags & O_ACCMODE) == O_RDWR);
        CHECK(write(fds[i], "x", 1) == 1 && close(fds[i]) == 0 && munmap(pages[i], 4096) == 0);
    }
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* O_ASYNC where nothing would ever be told is taken, and forgotten. */
static void forgotten_flag(void)
{
    int fds[] = {open("/dev/null", O_RDWR), open("/tmp", O_RDONLY | O_DIRECTORY), eventfd(0, 0),
                 epoll_create1(0)};
    for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++) {
        CHECK(fcntl(fds[i], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
        CHECK((fcntl(fds[i], F_GETFL) & (O_ASYNC | O_NONBLOCK)) == O_NONBLOCK);
        close(fds[i]);
    }
}

int main(void)
{
    for (int fd = 3; fd < 1000; fd++)
        close(fd);    /* what we were started with */
    beyond_the_end(); /* first: no descriptor was closed yet */
    lowest();
    duplicates();
    ranges();
    limit();
    locks();
    threads();
    test_owner();
    forgotten_flag();
    return 0;
}
