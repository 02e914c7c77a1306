/* SPDX-License-Identifier: MIT */
/*
 * Connections wait in an epoll set until their request is there; each request has a thread. What
 * the client does wrong by design (resets) ends a connection; wrong bytes end the process.
 */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t connections;

struct work {
    int fd;
    struct request request;
    unsigned random;
};

/* false: aborted already */
static bool serve_echo(struct work *w)
{
    char bytes[30000];
    ssize_t n;
    while ((n = recv(w->fd, bytes, 1 + wire_random(&w->random, sizeof bytes), 0)) > 0)
        if (!wire_send(w->fd, bytes, (size_t)n))
            return true;
    if (n == 0)
        shutdown(w->fd, SHUT_WR);
    return true;
}

static bool serve_source(struct work *w)
{
    if (wire_send_stream(w->fd, &w->random, w->request.seed, w->request.count)) {
        shutdown(w->fd, SHUT_WR);
        wire_receive_stream(w->fd, &w->random, w->request.seed + 1, UINT32_MAX);
    }
    return true;
}

static bool serve_sink(struct work *w)
{
    const struct request *r = &w->request;
    wire_sleep(r->option);
    if (wire_receive_stream(w->fd, &w->random, r->seed + 1, 1) != 1)
        return true;
    wire_sleep(r->option);
    /* the rest of it, as a stream of its own */
    int64_t n = wire_receive_stream(w->fd, &w->random, r->seed, UINT32_MAX);
    if (n >= 0 && wire_send_stream(w->fd, &w->random, r->seed, (uint32_t)n))
        shutdown(w->fd, SHUT_WR);
    return true;
}

static bool serve_reset(struct work *w)
{
    const struct request *r = &w->request;
    struct pollfd p = {w->fd, POLLIN, 0};
    if (r->option == AFTER_READING)
        wire_receive_stream(w->fd, &w->random, r->seed, r->count);
    if (r->option == AFTER_WRITING)
        wire_send_stream(w->fd, &w->random, r->seed, r->count);
    if (r->option == UNREAD) {
        CHECK(poll(&p, 1, -1) == 1);
        return true; /* close() with something to read resets */
    }
    wire_abort(w->fd);
    return false;
}

/* Accepts all that are there; each sends a byte, unless it has been reset. */
static uint32_t accept_late(int listener, unsigned *random)
{
    struct pollfd p = {listener, POLLIN, 0};
    uint32_t alive = 0;
    while (poll(&p, 1, 0) == 1) {
        int fd = accept(listener, NULL, NULL);
        char byte;
        if (fd < 0) {
            CHECK(errno == ECONNABORTED);
            continue;
        }
        wire_prepare(fd, random);
        if (recv(fd, &byte, 1, 0) == 1 && byte == 'a') {
            alive++;
            wire_send(fd, "b", 1);
        }
        close(fd);
    }
    return alive;
}

static bool serve_backlog(struct work *w)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    uint32_t alive = 0;
    char go;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    if (w->request.option != 2)
        CHECK(listen(listener, (int)w->request.count) == 0);
    if (wire_send(w->fd, &address.sin_port, 2) && wire_receive(w->fd, &go, 1)) {
        if (w->request.option == 0)
            alive = accept_late(listener, &w->random);
        CHECK(close(listener) == 0);
        wire_send(w->fd, &alive, sizeof alive);
        return true;
    }
    CHECK(close(listener) == 0);
    return true;
}

static bool serve_urgent(struct work *w)
{
    char bytes[64];
    uint32_t at = 0;
    ssize_t n;
    while ((n = recv(w->fd, bytes + at, sizeof bytes - at, 0)) > 0)
        at += (uint32_t)n;
    if (n == 0)
        wire_send(w->fd, bytes, at);
    return true;
}

static bool serve_drive(struct work *w)
{
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    CHECK(getpeername(w->fd, (struct sockaddr *)&peer, &size) == 0);
    wire_drive(peer.sin_addr, (uint16_t)w->request.count, w->request.seed, 8, w->request.option);
    wire_send(w->fd, "+", 1);
    return true;
}

static bool serve_status(struct work *w)
{
    uint32_t n = __atomic_load_n(&connections, __ATOMIC_RELAXED);
    wire_send(w->fd, &n, sizeof n);
    return true;
}

static void *work(void *argument)
{
    static bool (*const operations[])(struct work *) = {serve_echo,  serve_source,  serve_sink,
                                                        serve_reset, serve_backlog, serve_urgent,
                                                        serve_drive, serve_status};
    struct work *w = argument;
    if (wire_receive(w->fd, &w->request, sizeof w->request)) {
        CHECK(w->request.operation < sizeof operations / sizeof *operations);
        w->random = w->request.seed * 31 + w->request.operation;
        wire_prepare(w->fd, &w->random);
        if (operations[w->request.operation](w))
            CHECK(close(w->fd) == 0);
    } else {
        CHECK(close(w->fd) == 0);
    }
    __atomic_fetch_sub(&connections, 1, __ATOMIC_RELAXED);
    free(w);
    return NULL;
}

static void start_work(int fd)
{
    struct work *w = calloc(1, sizeof *w);
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(w);
    w->fd = fd;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 128 << 10) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    errno = pthread_create(&thread, &attributes, work, w);
    CHECK(errno == 0);
}

static void take_connection(int poller, int listener)
{
    int fd = accept(listener, NULL, NULL);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0) {
        CHECK(errno == ECONNABORTED);
        return;
    }
    __atomic_fetch_add(&connections, 1, __ATOMIC_RELAXED);
    wire_keep_alive(fd);
    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) == 0);
}

/* There is a request, or the end of a connection that never made one. */
static void begin(int poller, int fd)
{
    char byte;
    CHECK(epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL) == 0);
    if (recv(fd, &byte, 1, MSG_PEEK) > 0) {
        start_work(fd);
        return;
    }
    CHECK(close(fd) == 0);
    __atomic_fetch_sub(&connections, 1, __ATOMIC_RELAXED);
}

_Noreturn void wire_serve(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event events[256], e = {.events = EPOLLIN};
    int one = 1, poller = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(poller >= 0 && listener >= 0);
    CHECK(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 1024) == 0);
    e.data.fd = listener;
    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e) == 0);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, events, 256, -1);
        CHECK(n >= 0 || errno == EINTR);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                take_connection(poller, listener);
            else
                begin(poller, events[i].data.fd);
        }
    }
}
