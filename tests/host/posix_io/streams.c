/* SPDX-License-Identifier: MIT */
/*
 * Streams, epoll and poll under stress: clients that talk to servers of several kinds through a
 * capricious engine. Every byte is checked; a lost wake-up shows as a hang (the alarm), a leak in
 * the counts at the end.
 */
#include "host.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { CLIENTS = 4, ROUNDS = 60, PORTS = 3 };
static int listeners[PORTS];
static unsigned served;

static uint8_t byte_at(unsigned stream, uint32_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + stream);
}

static struct sockaddr_in address(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
}

/* Sends and receives `size` bytes at once, without blocking, waiting by poll. */
static void talk_polling(int fd, unsigned stream, uint32_t size, uint64_t *seed)
{
    uint8_t buf[20000];
    uint32_t sent = 0, got = 0;
    while (sent < size || got < size) {
        struct pollfd p = {fd, (short)((sent < size ? POLLOUT : 0) | POLLIN), 0};
        CHECK(px_sys_poll(&p, 1, 60000) == 1);
        if (p.revents & POLLOUT) {
            uint32_t n = 1 + (uint32_t)(next_random(seed) % sizeof buf);
            n = n < size - sent ? n : size - sent;
            for (uint32_t i = 0; i < n; i++)
                buf[i] = byte_at(stream, sent + i);
            long k = px_sys_sendto(fd, buf, n, MSG_DONTWAIT, NULL, 0);
            CHECK(k > 0 || k == -EAGAIN);
            sent += k > 0 ? (uint32_t)k : 0;
        }
        if (p.revents & POLLIN) {
            long k = px_sys_recvfrom(fd, buf, 1 + (uint32_t)(next_random(seed) % sizeof buf),
                                     MSG_DONTWAIT, NULL, NULL);
            CHECK(k > 0);
            for (long i = 0; i < k; i++)
                CHECK(buf[i] == byte_at(stream, got + (uint32_t)i));
            got += (uint32_t)k;
        }
    }
}

static void talk_blocking(int fd, unsigned stream, uint32_t size, uint64_t *seed)
{
    uint8_t buf[8000];
    for (uint32_t done = 0; done < size;) {
        uint32_t n = 1 + (uint32_t)(next_random(seed) % sizeof buf);
        n = n < size - done ? n : size - done;
        for (uint32_t i = 0; i < n; i++)
            buf[i] = byte_at(stream, done + i);
        CHECK(px_sys_write(fd, buf, n) == (long)n);
        memset(buf, 0, n);
        CHECK(px_sys_recvfrom(fd, buf, n, MSG_WAITALL, NULL, NULL) == (long)n);
        for (uint32_t i = 0; i < n; i++)
            CHECK(buf[i] == byte_at(stream, done + i));
        done += n;
    }
}

static void *client(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t seed = 1234567 + me * 7919;
    host_thread();
    for (unsigned r = 0; r < ROUNDS; r++) {
        struct sockaddr_in a = address(1 + (int)(next_random(&seed) % PORTS));
        int fd = (int)px_sys_socket(AF_INET, SOCK_STREAM, 0);
        CHECK(fd >= 0);
        long result = px_sys_connect(fd, &a, sizeof a);
        CHECK(result == 0);
        uint32_t size = (uint32_t)(next_random(&seed) % (next_random(&seed) % 4 ? 3000 : 200000));
        if (next_random(&seed) % 2)
            talk_polling(fd, me * 100 + r, size, &seed);
        else
            talk_blocking(fd, me * 100 + r, size, &seed);
        if (next_random(&seed) % 2) {
            uint8_t c;
            CHECK(px_sys_shutdown(fd, SHUT_WR) == 0);
            CHECK(px_sys_read(fd, &c, 1) == 0);
        }
        CHECK(px_sys_close(fd) == 0);
    }
    return NULL;
}

/* ---- servers: all echo ---- */

struct echo { /* a connection of an epoll server */
    int fd;
    uint8_t buf[5000];
    uint32_t from, to;
    bool ended;
};

static bool echo_run(struct echo *e)
{
    for (;;) {
        while (e->from < e->to) {
            long k = px_sys_sendto(e->fd, e->buf + e->from, e->to - e->from,
                                   MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
            if (k == -EAGAIN)
                return true;
            if (k < 0)
                return false;
            e->from += (uint32_t)k;
        }
        if (e->ended)
            return false;
        long k = px_sys_recvfrom(e->fd, e->buf, sizeof e->buf, MSG_DONTWAIT, NULL, NULL);
        if (k == -EAGAIN)
            return true;
        if (k <= 0) {
            e->ended = true;
            return false;
        }
        e->from = 0;
        e->to = (uint32_t)k;
    }
}

static void *epoll_server(void *arg)
{
    bool edge = arg;
    host_thread();
    int ep = (int)px_sys_epoll_create1(0), l = listeners[edge];
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, out[16];
    CHECK(px_sys_epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) == 0);
    for (;;) {
        long n = px_sys_epoll_wait(ep, out, 16, -1);
        CHECK(n > 0);
        for (long i = 0; i < n; i++) {
            struct echo *c = out[i].data.ptr;
            if (!c) {
                long fd = px_sys_accept4(l, NULL, NULL, SOCK_NONBLOCK);
                if (fd == -EAGAIN)
                    continue;
                CHECK(fd >= 0);
                c = calloc(1, sizeof *c);
                c->fd = (int)fd;
                e = (struct epoll_event){.events = EPOLLIN | (edge ? EPOLLOUT | EPOLLET : 0),
                                         .data.ptr = c};
                CHECK(px_sys_epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) == 0);
                continue;
            }
            bool alive = echo_run(c);
            if (!alive) {
                CHECK(px_sys_close(c->fd) == 0);
                free(c);
                __atomic_fetch_add(&served, 1, __ATOMIC_RELAXED);
            } else if (!edge) {
                e = (struct epoll_event){.events = c->from < c->to ? EPOLLOUT : EPOLLIN,
                                         .data.ptr = c};
                CHECK(px_sys_epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e) == 0);
            }
        }
    }
    return NULL;
}

static void *blocking_connection(void *arg)
{
    uint8_t buf[3000];
    int fd = (int)(intptr_t)arg;
    host_thread();
    for (long k; (k = px_sys_read(fd, buf, sizeof buf)) > 0;)
        CHECK(px_sys_write(fd, buf, (size_t)k) == k || host_signal);
    CHECK(px_sys_close(fd) == 0);
    __atomic_fetch_add(&served, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void *blocking_server(void *arg)
{
    host_thread();
    for (;;) {
        pthread_t t;
        long fd = px_sys_accept4(listeners[2], NULL, NULL, 0);
        CHECK(fd >= 0);
        CHECK(pthread_create(&t, NULL, blocking_connection, (void *)(intptr_t)fd) == 0);
        pthread_detach(t);
    }
    return arg;
}

/* Timers and eventfds in the same loop of waiters. */
static void *ticker(void *arg)
{
    host_thread();
    int timer = (int)px_sys_timerfd_create(CLOCK_MONOTONIC, 0), ep = (int)px_sys_epoll_create1(0);
    struct itimerspec t = {.it_interval.tv_nsec = 300000, .it_value.tv_nsec = 300000};
    struct epoll_event e = {.events = EPOLLIN};
    CHECK(px_sys_timerfd_settime(timer, 0, &t, NULL) == 0 &&
          px_sys_epoll_ctl(ep, EPOLL_CTL_ADD, timer, &e) == 0);
    for (int i = 0; i < 300; i++) {
        uint64_t n;
        CHECK(px_sys_epoll_wait(ep, &e, 1, 60000) == 1);
        CHECK(px_sys_read(timer, &n, 8) == 8 && n > 0);
    }
    CHECK(px_sys_close(timer) == 0 && px_sys_close(ep) == 0);
    return arg;
}

/*
 * A writer that blocks, while others watch the same socket, and the peer disturbs with bytes of its
 * own: signals that are not about space must not swallow the wish for space.
 */
static int bulk[2];
enum { BULK = 1 << 20 };

static void *bulk_writer(void *arg)
{
    static uint8_t block[30000];
    host_thread();
    for (uint32_t done = 0, n; done < BULK; done += n) {
        n = BULK - done < sizeof block ? BULK - done : sizeof block;
        CHECK(px_sys_write(bulk[0], block, n) == (long)n);
    }
    CHECK(px_sys_shutdown(bulk[0], SHUT_WR) == 0);
    return arg;
}

static void *bulk_watcher(void *arg)
{
    host_thread();
    for (;;) {
        uint8_t buf[100];
        struct pollfd p = {bulk[0], (short)(arg ? POLLIN | POLLOUT : POLLIN), 0};
        CHECK(px_sys_poll(&p, 1, 60000) == 1);
        if (p.revents & POLLIN) {
            long k = px_sys_recvfrom(bulk[0], buf, sizeof buf, MSG_DONTWAIT, NULL, NULL);
            CHECK(k >= 0 || k == -EAGAIN);
            if (k == 0)
                return arg;
        }
    }
}

static void *bulk_pair(void *arg)
{
    pthread_t t[3];
    host_thread();
    struct sockaddr_in a = address(PORTS + 1);
    int l = (int)px_sys_socket(AF_INET, SOCK_STREAM, 0);
    CHECK(l >= 0 && px_sys_bind(l, &a, sizeof a) == 0 && px_sys_listen(l, 10) == 0);
    for (int round = 0; round < 3; round++) {
        bulk[0] = (int)px_sys_socket(AF_INET, SOCK_STREAM, 0);
        CHECK(px_sys_connect(bulk[0], &a, sizeof a) == 0);
        bulk[1] = (int)px_sys_accept4(l, NULL, NULL, 0);
        CHECK(bulk[1] >= 0);
        for (intptr_t i = 0; i < 3; i++)
            CHECK(pthread_create(&t[i], NULL, i ? bulk_watcher : bulk_writer, (void *)(i - 1)) ==
                  0);
        static uint8_t buf[7000];
        uint32_t sum = 0, turn = 0;
        for (long k; (k = px_sys_read(bulk[1], buf, sizeof buf)) > 0; sum += (uint32_t)k)
            if (turn++ % 3 == 0)
                CHECK(px_sys_write(bulk[1], "!", 1) == 1);
        CHECK(sum == BULK);
        CHECK(px_sys_shutdown(bulk[1], SHUT_WR) == 0);
        for (int i = 0; i < 3; i++)
            pthread_join(t[i], NULL);
        CHECK(px_sys_close(bulk[0]) == 0 && px_sys_close(bulk[1]) == 0);
    }
    CHECK(px_sys_close(l) == 0);
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t bulk_thread;
    pthread_t clients[CLIENTS], tick, t;
    alarm(240);
    engine_delay_us = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
    kernel_pause_us = 2000;
    host_start();
    engine_start(true);
    for (int i = 0; i < PORTS; i++) {
        struct sockaddr_in a = address(1 + i);
        listeners[i] = (int)px_sys_socket(AF_INET, SOCK_STREAM | (i < 2 ? SOCK_NONBLOCK : 0), 0);
        CHECK(listeners[i] >= 0 && px_sys_bind(listeners[i], &a, sizeof a) == 0 &&
              px_sys_listen(listeners[i], 10) == 0);
    }
    for (intptr_t i = 0; i < 2; i++)
        CHECK(pthread_create(&t, NULL, epoll_server, (void *)i) == 0);
    CHECK(pthread_create(&t, NULL, blocking_server, NULL) == 0);
    usleep(20000);
    unsigned handles = kernel_handles;
    CHECK(pthread_create(&tick, NULL, ticker, NULL) == 0);
    CHECK(pthread_create(&bulk_thread, NULL, bulk_pair, NULL) == 0);
    for (uintptr_t i = 0; i < CLIENTS; i++)
        CHECK(pthread_create(&clients[i], NULL, client, (void *)i) == 0);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    pthread_join(tick, NULL);
    pthread_join(bulk_thread, NULL);
    while (__atomic_load_n(&served, __ATOMIC_RELAXED) < CLIENTS * ROUNDS)
        usleep(1000);
    CHECK(__atomic_load_n(&kernel_handles, __ATOMIC_RELAXED) == handles);
    _exit(0);
}
