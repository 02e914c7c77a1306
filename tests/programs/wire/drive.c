/* SPDX-License-Identifier: MIT */
/* Threads that make requests in random order, each of which ends as it must on any system. */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct driver {
    struct sockaddr_in server;
    unsigned random, rounds;
    pthread_t thread;
};

static int new_socket(struct driver *d)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    wire_prepare(fd, &d->random);
    return fd;
}

static int dial(struct driver *d)
{
    int fd = new_socket(d);
    CHECK(connect(fd, (struct sockaddr *)&d->server, sizeof d->server) == 0);
    return fd;
}

static int ask(struct driver *d, struct request r)
{
    int fd = dial(d);
    CHECK(wire_send(fd, &r, sizeof r));
    return fd;
}

/* The whole stream, and nothing more if count is all there is. */
static void expect_stream(struct driver *d, int fd, uint32_t seed, uint32_t most, uint32_t count)
{
    int64_t n = wire_receive_stream(fd, &d->random, seed, most);
    if (n != count)
        FAILED("%lld bytes of stream %u have come, not %u", (long long)n, seed, count);
}

static void expect_end(int fd)
{
    char byte;
    CHECK(recv(fd, &byte, 1, 0) == 0);
    CHECK(recv(fd, &byte, 1, 0) == 0); /* the end stays the end */
}

static void hang_up(int fd)
{
    CHECK(shutdown(fd, SHUT_WR) == 0);
}

static uint32_t some_size(struct driver *d, unsigned shift)
{
    return wire_random(&d->random, 1u << (1 + wire_random(&d->random, shift)));
}

/* ---- data ---- */

struct sender {
    int fd;
    unsigned random;
    uint32_t seed, count;
};

static void *send_all(void *argument)
{
    struct sender *s = argument;
    CHECK(wire_send_stream(s->fd, &s->random, s->seed, s->count));
    hang_up(s->fd);
    return NULL;
}

/* Both directions at once. */
static void drive_echo(struct driver *d)
{
    struct request r = {.operation = ECHO};
    struct sender s = {ask(d, r), d->random, d->random, some_size(d, 20)};
    pthread_t thread;
    errno = pthread_create(&thread, NULL, send_all, &s);
    CHECK(errno == 0);
    expect_stream(d, s.fd, s.seed, UINT32_MAX, s.count);
    CHECK(pthread_join(thread, NULL) == 0);
    expect_end(s.fd);
    CHECK(close(s.fd) == 0);
}

/* It ends first; what we send after that arrives, too. A reader that stops closes the window. */
static void drive_source(struct driver *d)
{
    struct request r = {SOURCE, d->random, some_size(d, 21), 0};
    uint32_t after = some_size(d, 16), stop = wire_random(&d->random, 4) ? 0 : 700;
    int fd = ask(d, r);
    wire_sleep(stop);
    expect_stream(d, fd, r.seed, r.count, r.count);
    expect_end(fd);
    wire_sleep(stop ? 30 : 0);
    CHECK(wire_send_stream(fd, &d->random, r.seed + 1, after));
    hang_up(fd);
    CHECK(close(fd) == 0);
}

/* We write as much as goes, while nobody reads; then it is read. */
static void drive_sink(struct driver *d)
{
    struct request r = {SINK, d->random, some_size(d, 21), 0};
    if (wire_random(&d->random, 3) == 0)
        r.option = 100 + wire_random(&d->random, 1200);
    int fd = ask(d, r);
    CHECK(wire_send_stream(fd, &d->random, r.seed + 1, 1));
    if (r.option) {
        struct pollfd p = {fd, POLLOUT, 0};
        static const char nothing;
        CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
        CHECK(poll(&p, 1, 100) >= 0);
        CHECK(send(fd, &nothing, 0, 0) >= 0 || errno == EAGAIN);
        CHECK(fcntl(fd, F_SETFL, 0) == 0);
    }
    CHECK(wire_send_stream(fd, &d->random, r.seed, r.count));
    hang_up(fd);
    expect_stream(d, fd, r.seed, UINT32_MAX, r.count);
    expect_end(fd);
    CHECK(close(fd) == 0);
}

/* Linux leaves the urgent byte out of the stream; a system without urgent data leaves it in. */
static void drive_urgent(struct driver *d)
{
    struct request r = {.operation = URGENT};
    char bytes[16] = {0};
    size_t at = 0;
    ssize_t n;
    int fd = ask(d, r);
    CHECK(wire_send(fd, "abc", 3));
    if (send(fd, "d", 1, MSG_OOB) != 1) {
        CHECK(errno == EOPNOTSUPP);
        CHECK(wire_send(fd, "d", 1));
    }
    CHECK(wire_send(fd, "ef", 2));
    hang_up(fd);
    while ((n = recv(fd, bytes + at, sizeof bytes - 1 - at, 0)) > 0)
        at += (size_t)n;
    CHECK(n == 0);
    if (strcmp(bytes, "abcef") && strcmp(bytes, "abcdef"))
        FAILED("urgent data: %s", bytes);
    CHECK(close(fd) == 0);
}

/* ---- resets ---- */

static void expect_reset(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    if (n >= 0 || errno != ECONNRESET)
        FAILED("a reset is seen as %zd", n);
    CHECK(recv(fd, &byte, 1, 0) == 0);
    CHECK(send(fd, &byte, 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
}

static void drive_server_resets(struct driver *d)
{
    struct request r = {RESET, d->random, some_size(d, 18), wire_random(&d->random, RESET_STAGES)};
    int fd = ask(d, r);
    if (r.option == AFTER_READING && !wire_send_stream(fd, &d->random, r.seed, r.count))
        FAILED("reset before all was read");
    if (r.option == UNREAD)
        CHECK(wire_send(fd, "x", 1));
    if (r.option == AFTER_WRITING) {
        int64_t n = wire_receive_stream(fd, &d->random, r.seed, r.count);
        if (n < 0) {
            CHECK(close(fd) == 0);
            return; /* told so already */
        }
        CHECK(n == r.count);
    }
    expect_reset(fd);
    CHECK(close(fd) == 0);
}

static void drive_we_reset(struct driver *d)
{
    struct request r = {SOURCE, d->random, 100000 + some_size(d, 20), 0};
    int fd;
    switch (wire_random(&d->random, 7)) {
    case 0: /* connecting */
        fd = new_socket(d);
        CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
        if (connect(fd, (struct sockaddr *)&d->server, sizeof d->server) < 0)
            CHECK(errno == EINPROGRESS);
        wire_sleep(wire_random(&d->random, 3));
        wire_abort(fd);
        return;
    case 1: /* nothing sent */
        wire_abort(dial(d));
        return;
    case 2: /* half a request */
        fd = dial(d);
        CHECK(wire_send(fd, &r, sizeof r / 2));
        wire_abort(fd);
        return;
    case 3: /* while it sends */
        fd = ask(d, r);
        CHECK(wire_receive_stream(fd, &d->random, r.seed, some_size(d, 16)) >= 0);
        wire_abort(fd);
        return;
    case 4: /* closed with data unread */
        fd = ask(d, r);
        CHECK(wire_receive_stream(fd, &d->random, r.seed, 1) == 1);
        CHECK(close(fd) == 0);
        return;
    case 5: /* after the end of our side */
        r.operation = ECHO;
        fd = ask(d, r);
        CHECK(wire_send_stream(fd, &d->random, r.seed, 10000));
        hang_up(fd);
        wire_sleep(wire_random(&d->random, 3));
        wire_abort(fd);
        return;
    default: /* while it reads */
        r.operation = ECHO;
        fd = ask(d, r);
        CHECK(wire_send_stream(fd, &d->random, r.seed, some_size(d, 16)));
        wire_abort(fd);
    }
}

/* ---- listeners ---- */

struct attempt {
    int fd;
    bool asked;
};

/* Sends its byte once connected, and reads the answer. true: it is over. */
static bool attempt_step(struct attempt *a, uint32_t *answered)
{
    struct pollfd p = {a->fd, a->asked ? POLLIN : POLLOUT, 0};
    char byte;
    ssize_t n;
    CHECK(poll(&p, 1, 0) >= 0);
    if (!p.revents)
        return false;
    if (!a->asked) {
        n = send(a->fd, "a", 1, MSG_NOSIGNAL);
        a->asked = true;
        if (n == 1)
            return false;
        CHECK(errno == ECONNREFUSED || errno == ECONNRESET || errno == EPIPE);
        return true;
    }
    n = recv(a->fd, &byte, 1, 0);
    if (n == 1) {
        CHECK(byte == 'b');
        ++*answered;
    } else if (n == 0 || errno != ECONNRESET) {
        FAILED("a connection in the backlog ends with %zd", n);
    }
    return true;
}

/* More connections than the backlog holds, some given up before they are accepted. */
static void drive_backlog(struct driver *d)
{
    enum { MOST = 24 };
    struct request r = {BACKLOG, d->random, 1 + wire_random(&d->random, 8),
                        wire_random(&d->random, 3)};
    struct attempt attempts[MOST];
    struct sockaddr_in listener = d->server;
    uint32_t answered = 0, alive, open = 0;
    int control = ask(d, r);
    CHECK(wire_receive(control, &listener.sin_port, 2));
    for (uint32_t i = 0; i < MOST; i++) {
        attempts[i] = (struct attempt){new_socket(d), false};
        CHECK(fcntl(attempts[i].fd, F_SETFL, O_NONBLOCK) == 0);
        if (connect(attempts[i].fd, (struct sockaddr *)&listener, sizeof listener) < 0)
            CHECK(errno == EINPROGRESS || errno == ECONNREFUSED); /* told so already */
    }
    wire_sleep(20);
    for (uint32_t i = 0; i < MOST; i++) {
        if (wire_random(&d->random, 4) == 0)
            wire_abort(attempts[i].fd);
        else
            attempts[open++] = attempts[i];
    }
    CHECK(wire_send(control, "g", 1));
    while (open) {
        for (uint32_t i = 0; i < open; i++) {
            if (attempt_step(&attempts[i], &answered)) {
                CHECK(close(attempts[i].fd) == 0);
                attempts[i--] = attempts[--open];
            }
        }
        wire_sleep(1);
    }
    CHECK(wire_receive(control, &alive, sizeof alive));
    if (alive != answered)
        FAILED("%u were accepted, %u were answered", alive, answered);
    expect_end(control);
    CHECK(close(control) == 0);
}

/* ---- everything ---- */

static void *drive(void *argument)
{
    static void (*const scenarios[])(struct driver *) = {
        drive_echo,    drive_source,        drive_sink,     drive_urgent,
        drive_backlog, drive_server_resets, drive_we_reset, drive_we_reset};
    struct driver *d = argument;
    for (unsigned i = 0; i < d->rounds; i++)
        scenarios[wire_random(&d->random, sizeof scenarios / sizeof *scenarios)](d);
    return NULL;
}

static struct driver new_driver(struct in_addr host, uint16_t port, unsigned seed, unsigned rounds)
{
    return (struct driver){
        .server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host},
        .random = seed,
        .rounds = rounds};
}

void wire_drive(struct in_addr host, uint16_t port, unsigned seed, unsigned threads,
                unsigned rounds)
{
    struct driver *drivers = calloc(threads, sizeof *drivers);
    CHECK(drivers);
    for (unsigned i = 0; i < threads; i++) {
        drivers[i] = new_driver(host, port, seed * 1000 + i, rounds);
        errno = pthread_create(&drivers[i].thread, NULL, drive, &drivers[i]);
        CHECK(errno == 0);
    }
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_join(drivers[i].thread, NULL) == 0);
    free(drivers);
}

void wire_drive_back(struct in_addr host, uint16_t port, unsigned seed, unsigned rounds,
                     uint16_t own_port)
{
    struct driver d = new_driver(host, port, seed, 0);
    char answer;
    int fd = ask(&d, (struct request){DRIVE, seed, own_port, rounds});
    struct timeval forever = {0};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever) == 0);
    CHECK(wire_receive(fd, &answer, 1) && answer == '+');
    CHECK(close(fd) == 0);
}

void wire_settle(struct in_addr host, uint16_t port)
{
    struct driver d = new_driver(host, port, 1, 0);
    uint32_t left = 0;
    for (int i = 0; i < 600; i++) {
        int fd = ask(&d, (struct request){.operation = STATUS});
        CHECK(wire_receive(fd, &left, sizeof left));
        CHECK(close(fd) == 0);
        if (left == 1) /* this one */
            return;
        wire_sleep(200);
    }
    FAILED("%u connections are left over", left - 1);
}

/* ---- connections that wait ---- */

static int *idle;
static unsigned idle_count;

void wire_idle_open(struct in_addr host, uint16_t port, unsigned count)
{
    struct driver d = new_driver(host, port, 1, 0);
    idle = calloc(count + 1, sizeof *idle);
    CHECK(idle);
    for (; idle_count < count; idle_count++)
        idle[idle_count] = dial(&d);
}

void wire_idle_close(void)
{
    unsigned random = 1;
    for (unsigned i = 0; i < idle_count; i++) {
        if (i % 97 == 0) { /* it still works */
            struct request r = {.operation = ECHO};
            CHECK(wire_send(idle[i], &r, sizeof r));
            CHECK(wire_send_stream(idle[i], &random, i, 10000));
            CHECK(wire_receive_stream(idle[i], &random, i, 10000) == 10000);
        }
        if (i % 3 == 0 && !wire_lossy)
            wire_abort(idle[i]);
        else
            CHECK(close(idle[i]) == 0);
    }
}
