/* SPDX-License-Identifier: MIT */
/* poll and epoll with 1,000 descriptors, the ends of 500 TCP connections, of which one is ready. */
#include "calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT 1000

static struct pollfd watched[COUNT];
static int watched_used;
static int poller = -1;

static void setup_descriptors(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    must(listen(listener, 128), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
    watched_used = 0;
    while (watched_used < COUNT) {
        int fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
        watched[watched_used++] = (struct pollfd){.fd = fd, .events = POLLIN};
        must(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
        watched[watched_used++] =
            (struct pollfd){.fd = must(accept(listener, NULL, NULL), "accept"), .events = POLLIN};
    }
    close(listener);
    if (write(watched[COUNT / 2].fd, "x", 1) != 1) /* its peer is ready from now on */
        fail("write");
    must(poll(watched, COUNT, -1), "poll");
}

static void teardown_descriptors(void)
{
    while (watched_used)
        close(watched[--watched_used].fd);
}

static void run_poll(uint64_t n)
{
    while (n--)
        if (poll(watched, COUNT, -1) != 1)
            fail("poll");
}

static void setup_epoll(void)
{
    setup_descriptors();
    poller = must(epoll_create1(0), "epoll_create1");
    for (int i = 0; i < COUNT; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = watched[i].fd};
        must(epoll_ctl(poller, EPOLL_CTL_ADD, watched[i].fd, &e), "epoll_ctl");
    }
}

static void run_epoll(uint64_t n)
{
    struct epoll_event events[16];
    while (n--)
        if (epoll_wait(poller, events, 16, -1) != 1)
            fail("epoll_wait");
}

static void teardown_epoll(void)
{
    close(poller);
    teardown_descriptors();
}

const struct row event_rows[] = {
    {"poll_1000", setup_descriptors, run_poll, teardown_descriptors, 0},
    {"epoll_1000", setup_epoll, run_epoll, teardown_epoll, 0},
    {0},
};
