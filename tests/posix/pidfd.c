/* SPDX-License-Identifier: MIT */
/*
 * pidfd_open(2), pidfd_send_signal(2), waitid(2) with P_PIDFD, clone(2) with CLONE_PIDFD: what is
 * ready when, whom a signal reaches, descriptors that are passed on, and every error.
 */
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define P_PIDFD_       3
#define CLONE_PIDFD_   0x1000
#define SYS_SEND       424
#define SYS_OPEN_PIDFD 434

static int pidfd_of(pid_t pid, unsigned flags)
{
    return (int)syscall(SYS_OPEN_PIDFD, pid, flags);
}

static int signal_by(int fd, int signal, siginfo_t *info, unsigned flags)
{
    return (int)syscall(SYS_SEND, fd, signal, info, flags);
}

static pid_t sleeper(void)
{
    pid_t pid = fork();
    if (!pid)
        for (;;)
            pause();
    CHECK(pid > 0);
    return pid;
}

static bool is_ready(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    int n = poll(&p, 1, ms);
    CHECK(n == 0 || (n == 1 && (p.revents & ~POLLHUP) == POLLIN));
    return n;
}

static void test_errors(void)
{
    int file = open("/dev/null", O_RDONLY);
    char byte;
    siginfo_t info = {.si_signo = SIGTERM};
    CHECK_ERRNO(pidfd_of(0, 0), EINVAL);
    CHECK_ERRNO(pidfd_of(-1, 0), EINVAL);
    CHECK_ERRNO(pidfd_of(getpid(), 0x1000000), EINVAL);
    CHECK_ERRNO(pidfd_of(4000000, 0), ESRCH);
    int own = pidfd_of(getpid(), 0);
    CHECK(own >= 0 && fcntl(own, F_GETFD) == FD_CLOEXEC);
    CHECK((fcntl(own, F_GETFL) & O_ACCMODE) == O_RDWR);
    CHECK_ERRNO(read(own, &byte, 1), EINVAL);
    CHECK_ERRNO(write(own, &byte, 1), EINVAL);
    CHECK_ERRNO(lseek(own, 0, SEEK_SET), ESPIPE);
    CHECK(!is_ready(own, 0));
    CHECK(signal_by(own, 0, NULL, 0) == 0);
    CHECK_ERRNO(signal_by(own, 0, NULL, 1u << 31), EINVAL);
    CHECK_ERRNO(signal_by(own, 99, NULL, 0), EINVAL);
    CHECK_ERRNO(signal_by(own, SIGINT, &info, 0), EINVAL);
    CHECK_ERRNO(signal_by(file, 0, NULL, 0), EBADF);
    CHECK_ERRNO(signal_by(999, 0, NULL, 0), EBADF);
    CHECK_ERRNO(waitid(P_PIDFD_, (id_t)own, &info, WEXITED), ECHILD);
    CHECK_ERRNO(waitid(P_PIDFD_, (id_t)file, &info, WEXITED), EBADF);
    CHECK_ERRNO(waitid(P_PIDFD_, 999, &info, WEXITED), EBADF);
    close(own);
    close(file);
}

static void test_end(void)
{
    siginfo_t info;
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = 7}, out;
    pid_t pid = sleeper();
    int fd = pidfd_of(pid, 0), other = pidfd_of(pid, 0), epoll = epoll_create1(0);
    CHECK(fd >= 0 && other >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0);
    CHECK(!is_ready(fd, 5) && epoll_wait(epoll, &out, 1, 5) == 0);
    CHECK(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
    CHECK(signal_by(fd, SIGUSR1, NULL, 0) == 0);
    CHECK(epoll_wait(epoll, &out, 1, 5000) == 1 && out.data.u32 == 7 && out.events & EPOLLIN);
    CHECK(is_ready(fd, 5000) && is_ready(other, 5000));
    CHECK(signal_by(fd, 0, NULL, 0) == 0); /* nobody has waited for it */
    int late = pidfd_of(pid, 0);
    CHECK(late >= 0 && is_ready(late, 5000));
    CHECK(waitid(P_PIDFD_, (id_t)other, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == pid);
    CHECK(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED) == 0);
    CHECK(info.si_pid == pid && info.si_code == CLD_KILLED && info.si_status == SIGUSR1);
    CHECK_ERRNO(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED), ECHILD);
    CHECK_ERRNO(signal_by(fd, 0, NULL, 0), ESRCH);
    CHECK_ERRNO(pidfd_of(pid, 0), ESRCH);
    CHECK(is_ready(fd, 5000) && is_ready(late, 5000));
    CHECK(close(fd) == 0 && close(other) == 0 && close(late) == 0 && close(epoll) == 0);
}

static void test_nonblock(void)
{
    siginfo_t info;
    pid_t pid = sleeper();
    int fd = pidfd_of(pid, O_NONBLOCK);
    CHECK(fd >= 0 && fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_ERRNO(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED), EAGAIN);
    CHECK(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED | WNOHANG) == 0);
    CHECK(kill(pid, SIGKILL) == 0 && is_ready(fd, 5000));
    CHECK(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED) == 0 && info.si_pid == pid);
    close(fd);
}

static int got;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)context;
    got = signal == SIGUSR2 && info->si_code == SI_QUEUE ? info->si_value.sival_int : -1;
}

static void test_info(void)
{
    int own = pidfd_of(getpid(), 0);
    siginfo_t info = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_value.sival_int = 4711;
    sigaction(SIGUSR2, &(struct sigaction){.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO},
              NULL);
    CHECK(signal_by(own, SIGUSR2, &info, 0) == 0 && got == 4711);
    pid_t pid = sleeper();
    int fd = pidfd_of(pid, 0);
    info.si_code = SI_USER; /* another's word about who sends is not taken */
    CHECK_ERRNO(signal_by(fd, SIGUSR2, &info, 0), EPERM);
    CHECK(signal_by(fd, SIGKILL, NULL, 0) == 0 && waitpid(pid, NULL, 0) == pid);
    close(fd);
    close(own);
}

/* The process that is meant stays the same one, wherever the descriptor goes. */
static void test_passing(void)
{
    int pair[2], status, fd;
    pid_t pid = sleeper();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && (fd = pidfd_of(pid, 0)) >= 0);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof fd)];
    } control = {
        {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    struct iovec v = {"x", 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK(sendmsg(pair[0], &m, 0) == 1);
    pid_t child = fork();
    if (!child) {
        char byte;
        close(fd);
        v.iov_base = &byte;
        CHECK(recvmsg(pair[1], &m, 0) == 1 && m.msg_controllen);
        memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
        CHECK(!is_ready(fd, 0) && signal_by(fd, SIGTERM, NULL, 0) == 0 && is_ready(fd, 5000));
        siginfo_t info;
        CHECK_ERRNO(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED), ECHILD); /* not his child */
        _exit(42);
    }
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 42);
    CHECK(is_ready(fd, 5000) && waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGTERM);
    close(fd);
    close(pair[0]);
    close(pair[1]);
}

static void test_clone(void)
{
    siginfo_t info;
    int fd = -1;
    long pid = syscall(SYS_clone, CLONE_PIDFD_ | SIGCHLD, NULL, &fd, NULL, 0);
    if (!pid)
        _exit(11);
    CHECK(pid > 0 && fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && is_ready(fd, 5000));
    CHECK(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED) == 0 && info.si_status == 11);
    CHECK(info.si_pid == pid && close(fd) == 0);
    CHECK_ERRNO(
        syscall(SYS_clone, CLONE_PIDFD_ | CLONE_PARENT_SETTID | SIGCHLD, NULL, &fd, NULL, 0),
        EINVAL);
}

/* The directory of a process is as good, to send a signal. */
static void test_directory(void)
{
    char path[40];
    siginfo_t info;
    pid_t pid = sleeper();
    snprintf(path, sizeof path, "/proc/%d", pid);
    int fd = open(path, O_RDONLY | O_DIRECTORY), proc = open("/proc", O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    int other = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && other >= 0 && proc >= 0);
    CHECK_ERRNO(signal_by(proc, 0, NULL, 0), EBADF);
    CHECK_ERRNO(signal_by(other, 0, NULL, 0), EBADF);
    CHECK(signal_by(fd, 0, NULL, 0) == 0 && signal_by(fd, SIGTERM, NULL, 0) == 0);
    CHECK_ERRNO(waitid(P_PIDFD_, (id_t)fd, &info, WEXITED), EBADF);
    CHECK(waitpid(pid, NULL, 0) == pid);
    CHECK_ERRNO(signal_by(fd, 0, NULL, 0), ESRCH);
    close(fd), close(other), close(proc);
}

/* More than the kernel would notify by itself. */
static void test_many(void)
{
    int fds[100];
    pid_t pid = sleeper();
    for (int i = 0; i < 100; i++)
        CHECK((fds[i] = pidfd_of(pid, 0)) >= 0);
    CHECK(kill(pid, SIGKILL) == 0);
    for (int i = 0; i < 100; i++)
        CHECK(is_ready(fds[i], 5000) && close(fds[i]) == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

int main(void)
{
    test_errors();
    test_end();
    test_nonblock();
    test_info();
    test_passing();
    test_clone();
    test_directory();
    test_many();
    return 0;
}
