/* SPDX-License-Identifier: MIT */
/*
 * What one call has done, the next sees: once write(2) has returned, the other end is ready for
 * poll, select and epoll of anybody who does not wait, and once the bytes are read it is not;
 * whatever another thread has the server do meanwhile.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <termios.h>

#define ROUNDS 500

static volatile bool done;

/* Keeps the server busy, so that more than one call comes in each of its turns. */
static void *other_work(void *unused)
{
    char c;
    for (int p[2]; !done; close(p[0]), close(p[1]))
        if (pipe(p) < 0 || write(p[1], "y", 1) != 1 || read(p[0], &c, 1) != 1)
            return (void *)&done;
    return unused;
}

static bool selected(int fd)
{
    fd_set set;
    struct timeval none = {0, 0};
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, &none) == 1 && FD_ISSET(fd, &set);
}

static void check_pair(const char *what, int from, int to)
{
    struct epoll_event e = {.events = EPOLLIN}, out;
    uint64_t one = 1, got;
    int epoll = epoll_create1(EPOLL_CLOEXEC), late = 0, early = 0;
    CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, to, &e) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct pollfd p = {.fd = to, .events = POLLIN};
        early += epoll_wait(epoll, &out, 1, 0) != 0;
        CHECK(write(from, &one, sizeof one) == sizeof one);
        late += i % 3 == 0   ? epoll_wait(epoll, &out, 1, 0) != 1
                : i % 3 == 1 ? poll(&p, 1, 0) != 1
                             : !selected(to);
        CHECK(read(to, &got, sizeof got) == sizeof got && got == one);
    }
    if (late || early)
        fprintf(stderr, "%s: %d times not ready when written, %d times ready when read\n", what,
                late, early);
    CHECK(late == 0 && early == 0);
    close(epoll);
}

#ifdef __motor__ /* Linux moves a terminal's bytes in a kernel thread of its own */
static void test_terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
    struct termios raw;
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    CHECK((slave = open(ptsname(master), O_RDWR | O_NOCTTY)) >= 0 && tcgetattr(slave, &raw) == 0);
    cfmakeraw(&raw);
    CHECK(tcsetattr(slave, TCSANOW, &raw) == 0);
    check_pair("terminal", master, slave);
    check_pair("terminal's master", slave, master);
    close(master), close(slave);
}
#endif

int main(void)
{
    pthread_t other;
    int p[2], event = eventfd(0, 0);
    CHECK(pthread_create(&other, NULL, other_work, NULL) == 0);
    CHECK(pipe(p) == 0);
    check_pair("pipe", p[1], p[0]);
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; i++) {
        int s[2];
        CHECK(socketpair(AF_UNIX, types[i], 0, s) == 0);
        check_pair("socket", s[0], s[1]);
        close(s[0]), close(s[1]);
    }
    check_pair("eventfd", event, event);
#ifdef __motor__
    test_terminal();
#endif
    void *failed;
    done = true;
    CHECK(pthread_join(other, &failed) == 0 && !failed);
    puts("ok");
    return 0;
}
