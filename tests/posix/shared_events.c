/* SPDX-License-Identifier: MIT */
/*
 * eventfds, timerfds and signalfds that several processes have: by fork, exec and SCM_RIGHTS. Who
 * changes one wakes who waits for it elsewhere. eventfd(2), timerfd_create(2), signalfd(2).
 */
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static uint64_t take(int fd)
{
    uint64_t value = 0;
    CHECK(read(fd, &value, 8) == 8);
    return value;
}

static void add(int fd, uint64_t value)
{
    CHECK(write(fd, &value, 8) == 8);
}

static int ready(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, ms);
    CHECK(n >= 0);
    return n ? p.revents : 0;
}

static void set_timer(int fd, long first_ms, long then_ms)
{
    struct itimerspec t = {{then_ms / 1000, then_ms % 1000 * 1000000},
                           {first_ms / 1000, first_ms % 1000 * 1000000}};
    CHECK(timerfd_settime(fd, 0, &t, NULL) == 0);
}

/* ---- fork ---- */

static void test_counter(void)
{
    int there = eventfd(5, 0), back = eventfd(0, EFD_SEMAPHORE);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(take(there) == 5); /* what was in it before */
        for (int i = 0; i < 200; i++) {
            CHECK(take(there) == (uint64_t)i + 1);
            add(back, 1);
        }
        _exit(0);
    }
    while (ready(there, 0))
        sleep_ms(1);
    for (int i = 0; i < 200; i++) {
        add(there, (uint64_t)i + 1);
        CHECK(take(back) == 1);
    }
    finish(pid);
    add(back, 3);
    CHECK(take(back) == 1 && take(back) == 1 && take(back) == 1 && !ready(back, 0));
    close(there);
    close(back);
}

/* A full counter makes writers wait for a reader elsewhere. */
static void test_full(void)
{
    int fd = eventfd(0, 0);
    add(fd, UINT64_MAX - 1);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&p, 1, 0) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        sleep_ms(30);
        CHECK(take(fd) == UINT64_MAX - 1);
        _exit(0);
    }
    add(fd, 7);
    CHECK(take(fd) == 7);
    finish(pid);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    uint64_t value = UINT64_MAX;
    CHECK_ERRNO(write(fd, &value, 8), EINVAL);
    CHECK_ERRNO(write(fd, &value, 7), EINVAL);
    CHECK_ERRNO(read(fd, &value, 7), EINVAL);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    add(fd, UINT64_MAX - 1);
    value = 1;
    CHECK_ERRNO(write(fd, &value, 8), EAGAIN);
    close(fd);
}

/* Those who wait already when another thread forks. */
static int shared_fd, other_fd;

static void *read_it(void *unused)
{
    (void)unused;
    CHECK(take(shared_fd) == 9);
    return NULL;
}

static void *poll_it(void *unused)
{
    (void)unused;
    CHECK(ready(other_fd, 10000) == POLLIN);
    return NULL;
}

static void test_waiting_before(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 77};
    pthread_t a, b;
    int watched = eventfd(0, 0), epoll = epoll_create1(0);
    shared_fd = eventfd(0, 0);
    other_fd = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, watched, &event) == 0);
    CHECK0(pthread_create(&a, NULL, read_it, NULL));
    CHECK0(pthread_create(&b, NULL, poll_it, NULL));
    sleep_ms(30);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        sleep_ms(30);
        add(shared_fd, 9);
        set_timer(other_fd, 1, 0);
        sleep_ms(30);
        add(watched, 1);
        _exit(0);
    }
    CHECK(epoll_wait(epoll, &event, 1, 10000) == 1 && event.data.u32 == 77);
    CHECK0(pthread_join(a, NULL));
    CHECK0(pthread_join(b, NULL));
    finish(pid);
    CHECK(take(other_fd) == 1 && take(watched) == 1);
    close(watched), close(epoll), close(shared_fd), close(other_fd);
}

/* The child waits by the epoll that it got. */
static void test_epoll_of_parent(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 1};
    int fd = eventfd(0, 0), ends[2], epoll = epoll_create1(0), done = eventfd(0, 0);
    CHECK(pipe(ends) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    event.data.u32 = 2;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char c;
        CHECK(epoll_wait(epoll, &event, 1, 10000) == 1 && event.data.u32 == 1);
        CHECK(take(fd) == 3);
        add(done, 1);
        CHECK(epoll_wait(epoll, &event, 1, 10000) == 1 && event.data.u32 == 2);
        CHECK(read(ends[0], &c, 1) == 1);
        _exit(0);
    }
    sleep_ms(30);
    add(fd, 3);
    take(done);
    sleep_ms(30);
    CHECK(write(ends[1], "x", 1) == 1);
    finish(pid);
    close(fd), close(ends[0]), close(ends[1]), close(epoll), close(done);
}

/* A reader that is killed takes nothing along. */
static void test_killed(void)
{
    int fd = eventfd(0, 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        take(fd);
        _exit(0);
    }
    sleep_ms(20);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    add(fd, 4);
    CHECK(take(fd) == 4);
    close(fd);
}

static void test_timer(void)
{
    struct itimerspec t;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    set_timer(fd, 400, 0);
    IN_CHILD({
        CHECK(timerfd_gettime(fd, &t) == 0 && !t.it_value.tv_sec && t.it_value.tv_nsec > 0);
        CHECK(ready(fd, 10000) == POLLIN && take(fd) == 1);
    });
    uint64_t value;
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    CHECK(timerfd_gettime(fd, &t) == 0 && !t.it_value.tv_sec && !t.it_value.tv_nsec);
    IN_CHILD(set_timer(fd, 20, 10));
    for (int i = 0; i < 3; i++) {
        CHECK(ready(fd, 10000) == POLLIN);
        CHECK(take(fd) >= 1);
    }
    CHECK(timerfd_gettime(fd, &t) == 0 && t.it_interval.tv_nsec == 10000000);
    sleep_ms(100);
    CHECK(take(fd) >= 5);
    set_timer(fd, 0, 0);
    CHECK(!ready(fd, 50));
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    t = (struct itimerspec){{0, 0}, {now.tv_sec, now.tv_nsec}};
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(ready(fd, 10000) == POLLIN && take(fd) == 1);
    close(fd);
}

/* A signalfd tells each process its own signals. */
static void test_signals(void)
{
    struct signalfd_siginfo info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    sigdelset(&set, SIGUSR2);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    kill(getpid(), SIGUSR1);
    IN_CHILD({
        CHECK_ERRNO(read(fd, &info, sizeof info), EAGAIN);
        kill(getpid(), SIGUSR2);
        CHECK(!ready(fd, 0));
        sigaddset(&set, SIGUSR2);
        CHECK(signalfd(fd, &set, 0) == fd); /* everybody's */
        CHECK(ready(fd, 10000) == POLLIN);
        CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR2);
    });
    CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
    kill(getpid(), SIGUSR2);
    CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR2);
    close(fd);
}

/* ---- exec and messages ---- */

static void test_exec(void)
{
    char numbers[3][12];
    int fds[] = {eventfd(6, EFD_SEMAPHORE), timerfd_create(CLOCK_REALTIME, 0),
                 eventfd(0, EFD_CLOEXEC)};
    set_timer(fds[1], 20, 0);
    for (int i = 0; i < 3; i++)
        snprintf(numbers[i], sizeof numbers[i], "%d", fds[i]);
    pid_t pid = vfork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "shared_events", numbers[0], numbers[1], numbers[2], NULL);
        _exit(127);
    }
    for (int i = 0; i < 3; i++)
        add(fds[0], 1);
    finish(pid);
    CHECK(take(fds[0]) == 1); /* it took eight of nine */
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static int executed(char **argv)
{
    int fd = atoi(argv[1]);
    for (int i = 0; i < 8; i++)
        CHECK(take(fd) == 1);
    CHECK(take(atoi(argv[2])) == 1);
    CHECK_ERRNO(fcntl(atoi(argv[3]), F_GETFD), EBADF);
    return 0;
}

static void send_fds(int socket, const int *fds, size_t n)
{
    char control[CMSG_SPACE(8 * sizeof(int))] = {0};
    struct iovec io = {"x", 1};
    struct msghdr m = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    CHECK(sendmsg(socket, &m, 0) == 1);
}

static void receive_fds(int socket, int *fds, size_t n)
{
    char control[CMSG_SPACE(8 * sizeof(int))], byte;
    struct iovec io = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK(recvmsg(socket, &m, 0) == 1 && !(m.msg_flags & MSG_CTRUNC));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    CHECK(c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(n * sizeof(int)));
    memcpy(fds, CMSG_DATA(c), n * sizeof(int));
}

static void test_messages(void)
{
    struct signalfd_siginfo info;
    sigset_t set;
    int pair[2], got[3];
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    pid_t pid = fork(); /* before there is anything to inherit */
    CHECK(pid >= 0);
    if (pid == 0) {
        receive_fds(pair[1], got, 3);
        CHECK(take(got[0]) == 2);
        CHECK(ready(got[1], 10000) == POLLIN && take(got[1]) == 1);
        kill(getpid(), SIGUSR1);
        CHECK(read(got[2], &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
        CHECK(fcntl(got[2], F_GETFL) & O_NONBLOCK);
        add(got[0], 8);
        _exit(0);
    }
    int fds[] = {eventfd(0, 0), timerfd_create(CLOCK_MONOTONIC, 0),
                 signalfd(-1, &set, SFD_NONBLOCK)};
    set_timer(fds[1], 20, 0);
    send_fds(pair[0], fds, 3);
    sleep_ms(20);
    add(fds[0], 2);
    finish(pid);
    CHECK(take(fds[0]) == 8);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(pair[0]), close(pair[1]);
}

/* One that is kept only by a message is whole when it comes. */
static void test_only_in_flight(void)
{
    int pair[2], fd = eventfd(3, 0), got;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    send_fds(pair[0], &fd, 1);
    close(fd);
    receive_fds(pair[1], &got, 1);
    CHECK(take(got) == 3);
    close(got), close(pair[0]), close(pair[1]);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return executed(argv);
    alarm(60);
    test_counter();
    test_full();
    test_waiting_before();
    test_epoll_of_parent();
    test_killed();
    test_timer();
    test_signals();
    test_exec();
    test_messages();
    test_only_in_flight();
    return 0;
}
