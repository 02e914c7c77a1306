/* SPDX-License-Identifier: MIT */
/* signalfd: blocked signals read as bytes, polled, with details; over fork. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>

static sigset_t set;

static void test_errors(void)
{
    CHECK_ERRNO(signalfd(99, &set, 0), EBADF);
    CHECK_ERRNO(signalfd(0, &set, 0), EINVAL);
    CHECK_ERRNO(signalfd(-1, &set, 0x40), EINVAL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    char small[127];
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(read(fd, small, sizeof small), EINVAL);
    CHECK_ERRNO(write(fd, small, 8), EINVAL);
    struct signalfd_siginfo info;
    CHECK_ERRNO(read(fd, &info, sizeof info), EAGAIN);
    CHECK(close(fd) == 0);
}

static void test_read(void)
{
    struct signalfd_siginfo info[4];
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK(fd >= 0 && poll(&p, 1, 0) == 0);
    union sigval v = {.sival_int = 42};
    CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0);
    CHECK(sigqueue(getpid(), SIGRTMIN + 3, v) == 0);
    v.sival_int = 43;
    CHECK(sigqueue(getpid(), SIGRTMIN + 3, v) == 0);
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    CHECK(read(fd, info, sizeof info) == 3 * (ssize_t)sizeof info[0]);
    CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_pid == (uint32_t)getpid());
    CHECK(info[1].ssi_signo == (uint32_t)SIGRTMIN + 3 && info[1].ssi_code == SI_QUEUE);
    CHECK(info[1].ssi_int == 42 && info[2].ssi_int == 43 && info[2].ssi_uid == getuid());
    CHECK(poll(&p, 1, 0) == 0);
    /* another mask: what it does not name is not read */
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    CHECK(signalfd(fd, &one, 0) == fd);
    CHECK(raise(SIGUSR1) == 0);
    CHECK_ERRNO(read(fd, info, sizeof info), EAGAIN);
    CHECK(signalfd(fd, &set, 0) == fd);
    CHECK(read(fd, info, sizeof info[0]) == sizeof info[0] && info[0].ssi_signo == SIGUSR1);
    close(fd);
}

static void *send_soon(void *argument)
{
    usleep(20000);
    CHECK(kill(getpid(), SIGUSR2) == 0);
    return argument;
}

/* Waiting: in read, in poll, in epoll; for a thread, a child, a timer. */
static void test_waits(void)
{
    struct signalfd_siginfo info;
    int fd = signalfd(-1, &set, 0), ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = 5};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    pthread_t t;
    CHECK(fd >= 0 && ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
    for (int how = 0; how < 3; how++) {
        CHECK0(pthread_create(&t, NULL, send_soon, NULL));
        if (how == 1)
            CHECK(poll(&p, 1, 10000) == 1 && p.revents == POLLIN);
        if (how == 2)
            CHECK(epoll_wait(ep, &e, 1, 10000) == 1 && e.data.u32 == 5);
        CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR2);
        CHECK0(pthread_join(t, NULL));
    }
    pid_t pid = fork();
    if (pid == 0) {
        usleep(10000);
        _exit(9);
    }
    CHECK(poll(&p, 1, 10000) == 1);
    CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGCHLD);
    CHECK(info.ssi_pid == (uint32_t)pid && info.ssi_status == 9 && info.ssi_code == CLD_EXITED);
    CHECK(waitpid(pid, NULL, 0) == pid);
    struct itimerval timer = {{0, 0}, {0, 10000}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    CHECK(epoll_wait(ep, &e, 1, 10000) == 1);
    CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGALRM);
    /* a child reads its own signals */
    pid = fork();
    if (pid == 0) {
        CHECK(raise(SIGUSR1) == 0);
        CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
        CHECK(info.ssi_pid == (uint32_t)getpid());
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGCHLD);
    close(ep);
    close(fd);
}

int main(void)
{
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGALRM);
    sigaddset(&set, SIGRTMIN + 3);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    test_errors();
    test_read();
    test_waits();
    return 0;
}
