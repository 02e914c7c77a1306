/* SPDX-License-Identifier: MIT */
/*
 * poll, ppoll, select, pselect, epoll, signalfd and timerfd by their man pages: every error, masks
 * that hold for one call, and what is told of odd descriptors.
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static volatile int got;

static void handler(int sig)
{
    got = sig;
}

static sigset_t set_of(int sig)
{
    sigset_t set;
    sigemptyset(&set);
    if (sig)
        sigaddset(&set, sig);
    return set;
}

static void test_poll(void)
{
    int p[2];
    struct timespec bad = {0, 1000000000}, negative = {-1, 0}, zero = {0, 0};
    CHECK(pipe(p) == 0);
    struct pollfd f[3] = {{p[0], POLLIN, -1}, {-5, POLLIN, -1}, {1000, POLLIN, -1}};
    CHECK(poll(f, 3, -1) == 1); /* a descriptor that is none does not wait */
    CHECK(f[0].revents == 0 && f[1].revents == 0 && f[2].revents == POLLNVAL);
    CHECK(poll(f, 2, 0) == 0 && poll(NULL, 0, 1) == 0);
    CHECK_ERRNO(syscall(SYS_poll, (void *)8, 1, 0), EFAULT);
    CHECK_ERRNO(poll(f, 1u << 30, 0), EINVAL);
    CHECK_ERRNO(ppoll(f, 1, &bad, NULL), EINVAL);
    CHECK_ERRNO(ppoll(f, 1, &negative, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_ppoll, f, 1, (void *)8, NULL, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_ppoll, f, 1, &zero, (void *)8, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_ppoll, f, 1, &zero, &(sigset_t){0}, 4), EINVAL);
    CHECK(write(p[1], "x", 1) == 1);
    f[0].events = POLLIN | POLLOUT | POLLPRI;
    CHECK(ppoll(f, 1, NULL, NULL) == 1 && f[0].revents == POLLIN);
    f[0] = (struct pollfd){p[1], POLLIN | POLLOUT, 0};
    CHECK(poll(f, 1, 0) == 1 && f[0].revents == POLLOUT);
    close(p[0]);
    CHECK(poll(f, 1, 0) == 1 && (f[0].revents & POLLERR)); /* asked for or not */
    close(p[1]);
    int file = open("/dev/null", O_RDWR);
    f[0] = (struct pollfd){file, POLLIN | POLLOUT, 0};
    CHECK(poll(f, 1, 0) == 1 && f[0].revents == (POLLIN | POLLOUT));
    close(file);
}

static void test_select(void)
{
    int p[2];
    fd_set r, w;
    struct timeval bad = {0, -1}, zero = {0, 0};
    struct timespec bad_ns = {0, 1000000000};
    CHECK(pipe(p) == 0);
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    CHECK(select(p[1] + 1, &r, &w, NULL, NULL) == 1 && !FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w));
    CHECK_ERRNO(select(-1, NULL, NULL, NULL, &zero), EINVAL);
    CHECK_ERRNO(syscall(SYS_select, 1, NULL, NULL, NULL, &bad), EINVAL);
    CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &bad_ns, NULL), EINVAL);
    FD_ZERO(&r);
    int gone = dup(p[0]);
    close(gone);
    FD_SET(gone, &r);
    CHECK_ERRNO(select(gone + 1, &r, NULL, NULL, &zero), EBADF);
    CHECK_ERRNO(syscall(SYS_select, 10, (void *)8, NULL, NULL, &zero), EFAULT);
    CHECK_ERRNO(syscall(SYS_select, 0, NULL, NULL, NULL, (void *)8), EFAULT);
    CHECK(write(p[1], "x", 1) == 1);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    CHECK(pselect(p[0] + 1, &r, NULL, NULL, NULL, NULL) == 1 && FD_ISSET(p[0], &r));
    struct timeval left = {5, 0};
    FD_SET(p[0], &r);
    CHECK(select(p[0] + 1, &r, NULL, NULL, &left) == 1 && left.tv_sec <= 5);
    close(p[0]), close(p[1]);
}

/* A mask for the time of the call: a signal that waits ends it, and the old mask is back after. */
static void test_masks(void)
{
    sigset_t block = set_of(SIGUSR1), none = set_of(0), old, now;
    struct epoll_event e;
    int epoll = epoll_create1(0);
    signal(SIGUSR1, handler);
    sigprocmask(SIG_BLOCK, &block, &old);
    for (int i = 0; i < 4; i++) {
        raise(SIGUSR1);
        got = 0;
        errno = 0;
        int result = i == 0   ? ppoll(NULL, 0, NULL, &none)
                     : i == 1 ? pselect(0, NULL, NULL, NULL, NULL, &none)
                     : i == 2 ? epoll_pwait(epoll, &e, 1, -1, &none)
                              : sigsuspend(&none);
        CHECK(result == -1 && errno == EINTR && got == SIGUSR1);
        CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGUSR1));
    }
    /* what is ready counts more than a signal that waits */
    int p[2];
    CHECK(pipe(p) == 0 && write(p[1], "x", 1) == 1);
    struct pollfd f = {p[0], POLLIN, 0};
    raise(SIGUSR1);
    got = 0;
    CHECK(ppoll(&f, 1, NULL, &none) == 1 && f.revents == POLLIN);
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK(got == SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    close(p[0]), close(p[1]), close(epoll);
}

static void test_epoll(void)
{
    int p[2], epoll = epoll_create1(EPOLL_CLOEXEC), other = epoll_create1(0), file;
    char path[] = "/tmp/poll_calls.XXXXXX";
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 77}, out[4];
    CHECK(pipe(p) == 0 && epoll >= 0 && fcntl(epoll, F_GETFD) == FD_CLOEXEC);
    CHECK((file = mkstemp(path)) >= 0);
    unlink(path);
    CHECK_ERRNO(epoll_create(0), EINVAL);
    CHECK_ERRNO(epoll_create1(1), EINVAL);
    CHECK_ERRNO(epoll_ctl(-1, EPOLL_CTL_ADD, p[0], &e), EBADF);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, 1000, &e), EBADF);
    CHECK_ERRNO(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &e), EPERM);
    CHECK_ERRNO(epoll_ctl(epoll, 9, p[0], &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, p[0], &e), ENOENT);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, p[0], &e), ENOENT);
    CHECK_ERRNO(syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, p[0], (void *)8), EFAULT);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &e) == 0);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &e), EEXIST);
    CHECK(epoll_ctl(other, EPOLL_CTL_ADD, epoll, &e) == 0);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &e), ELOOP);
    CHECK_ERRNO(epoll_wait(epoll, out, 0, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(epoll, out, -1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(p[0], out, 1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(-1, out, 1, 0), EBADF);
    CHECK(epoll_wait(epoll, out, 4, 0) == 0 && write(p[1], "x", 1) == 1);
    CHECK_ERRNO(syscall(SYS_epoll_wait, epoll, (void *)8, 1, 0), EFAULT);
    CHECK(epoll_wait(other, out, 4, -1) == 1 && out[0].data.u64 == 77);
    CHECK(epoll_wait(epoll, out, 4, -1) == 1 && out[0].events == EPOLLIN);
    e.events = EPOLLIN | EPOLLONESHOT;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, p[0], &e) == 0);
    CHECK(epoll_wait(epoll, out, 4, 0) == 1 && epoll_wait(epoll, out, 4, 0) == 0);
    e.events = EPOLLIN | EPOLLEXCLUSIVE;
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, p[0], &e), EINVAL);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, p[0], NULL) == 0);
    CHECK(epoll_wait(epoll, out, 4, 0) == 0);
    close(epoll), close(other), close(p[0]), close(p[1]), close(file);
}

static void test_descriptors(void)
{
    sigset_t set = set_of(SIGUSR1), old;
    struct signalfd_siginfo info;
    struct itimerspec t = {{0, 0}, {0, 1000000}}, was;
    uint64_t n;
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 8, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, (void *)8, 8, 0), EFAULT);
    CHECK_ERRNO(signalfd(1000, &set, 0), EBADF);
    int event = eventfd(3, EFD_NONBLOCK);
    CHECK_ERRNO(signalfd(event, &set, 0), EINVAL);
    CHECK_ERRNO(eventfd(0, 2), EINVAL);
    CHECK_ERRNO(read(event, &n, 7), EINVAL);
    CHECK_ERRNO(write(event, &n, 7), EINVAL);
    n = UINT64_MAX;
    CHECK_ERRNO(write(event, &n, 8), EINVAL);
    n = UINT64_MAX - 1;
    CHECK_ERRNO(write(event, &n, 8), EAGAIN);
    CHECK(read(event, &n, 8) == 8 && n == 3);
    CHECK_ERRNO(read(event, &n, 8), EAGAIN);
    close(event);
    sigprocmask(SIG_BLOCK, &set, &old);
    int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(signals >= 0 && fcntl(signals, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(read(signals, &info, sizeof info), EAGAIN);
    CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 9}) == 0);
    CHECK_ERRNO(read(signals, &info, sizeof info - 1), EINVAL);
    CHECK(read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1 &&
          info.ssi_int == 9 && info.ssi_pid == (uint32_t)getpid() && info.ssi_code == SI_QUEUE);
    sigprocmask(SIG_SETMASK, &old, NULL);
    close(signals);
    CHECK_ERRNO(timerfd_create(77, 0), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    CHECK(timer >= 0);
    CHECK_ERRNO(timerfd_settime(-1, 0, &t, NULL), EBADF);
    CHECK_ERRNO(timerfd_settime(0, 0, &t, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(timer, 16, &t, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timerfd_settime, timer, 0, (void *)8, NULL), EFAULT);
    t.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(timerfd_settime(timer, 0, &t, NULL), EINVAL);
    t.it_value.tv_nsec = 1000000;
    CHECK_ERRNO(timerfd_gettime(0, &was), EINVAL);
    CHECK_ERRNO(read(timer, &n, 8), EAGAIN);
    CHECK(timerfd_settime(timer, 0, &t, NULL) == 0);
    CHECK_ERRNO(read(timer, &n, 7), EINVAL);
    struct pollfd f = {timer, POLLIN, 0};
    CHECK(poll(&f, 1, -1) == 1 && read(timer, &n, 8) == 8 && n == 1);
    t.it_value.tv_sec = 1000;
    CHECK(timerfd_settime(timer, 0, &t, NULL) == 0);
    CHECK(timerfd_gettime(timer, &was) == 0 && was.it_value.tv_sec >= 990 &&
          was.it_interval.tv_sec == 0);
    close(timer);
}

int main(void)
{
    test_poll();
    test_select();
    test_masks();
    test_epoll();
    test_descriptors();
    puts("ok");
    return 0;
}
