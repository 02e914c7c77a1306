/* SPDX-License-Identifier: MIT */
/*
 * TCP under stress over loopback, client and server in one program: partial writes into full
 * windows, half-close, resets, refusal, many short connections, 10,000 idle connections beside
 * active ones. Every byte that arrives is checked against the sequence that was sent.
 */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define IDLE_PAIRS 10000
static unsigned idle_pairs = IDLE_PAIRS; /* fewer on a host whose limit of descriptors is small */

static struct sockaddr_in address; /* of the listener */
static int listener;

static void listener_open(void)
{
    socklen_t size = sizeof address;
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0);
    CHECK(bind(listener, (struct sockaddr *)&address, size) == 0);
    CHECK(listen(listener, 1024) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void pair_open(int pair[2])
{
    pair[0] = dial();
    pair[1] = accept(listener, NULL, NULL);
    CHECK(pair[1] >= 0);
}

static void pair_close(int pair[2])
{
    CHECK(close(pair[0]) == 0);
    CHECK(close(pair[1]) == 0);
}

/*
 * The n-th byte of a stream with a seed: neighbours differ, and a shift by a page or a ring does
 * too.
 */
static unsigned char stream_byte(uint64_t n, unsigned seed)
{
    return (unsigned char)((n * 2654435761u >> 13) + (n >> 12) * 7 + seed);
}

static void fill(unsigned char *bytes, size_t n, uint64_t at, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = stream_byte(at + i, seed);
}

static void verify(const unsigned char *bytes, size_t n, uint64_t at, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != stream_byte(at + i, seed))
            FAILED("byte %llu of stream %u is %u, not %u", (unsigned long long)(at + i), seed,
                   bytes[i], stream_byte(at + i, seed));
}

/* ---- bulk through a full window, odd sizes, both directions at once ---- */

#define BULK (6u << 20)

struct half {
    int fd;
    unsigned seed;
    unsigned step;
};

static void *bulk_send(void *argument)
{
    struct half *h = argument;
    static const size_t sizes[] = {1, 7, 1000, 4095, 4096, 4097, 70000, 13, 200000};
    unsigned char *bytes = malloc(200000);
    uint64_t at = 0;
    for (unsigned n = h->step; at < BULK; n++) {
        size_t want = sizes[n % (sizeof sizes / sizeof *sizes)];
        if (want > BULK - at)
            want = BULK - at;
        fill(bytes, want, at, h->seed);
        for (size_t sent = 0; sent < want;) {
            ssize_t k = send(h->fd, bytes + sent, want - sent, MSG_NOSIGNAL);
            CHECK(k > 0);
            sent += (size_t)k;
        }
        at += want;
    }
    CHECK(shutdown(h->fd, SHUT_WR) == 0);
    free(bytes);
    return NULL;
}

static void *bulk_receive(void *argument)
{
    struct half *h = argument;
    unsigned char *bytes = malloc(65536);
    uint64_t at = 0;
    for (unsigned n = 0;; n++) {
        ssize_t k = recv(h->fd, bytes, n % 3 == 0 ? 997 : 65536, 0);
        CHECK(k >= 0);
        if (k == 0)
            break;
        verify(bytes, (size_t)k, at, h->seed);
        at += (size_t)k;
        if (n == 20)
            sleep_ms(50); /* let the window fill */
    }
    CHECK(at == BULK);
    CHECK(recv(h->fd, bytes, 1, 0) == 0); /* the end stays the end */
    free(bytes);
    return NULL;
}

static void test_bulk(void)
{
    int pair[2];
    pthread_t thread[4];
    pair_open(pair);
    struct half half[4] = {{pair[0], 1, 0}, {pair[1], 1, 0}, {pair[1], 2, 4}, {pair[0], 2, 0}};
    for (int i = 0; i < 4; i++)
        CHECK0(pthread_create(&thread[i], NULL, i % 2 ? bulk_receive : bulk_send, &half[i]));
    for (int i = 0; i < 4; i++)
        CHECK0(pthread_join(thread[i], NULL));
    pair_close(pair);
}

/*
 * ---- non-blocking: EAGAIN when the window is full, partial writes, poll tells when there is room
 * ----
 */

static void test_full_window(void)
{
    int pair[2];
    unsigned char *bytes = malloc(1 << 20);
    uint64_t sent = 0, received = 0;
    pair_open(pair);
    CHECK(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
    CHECK_ERRNO(recv(pair[1], bytes, 1, 0), EAGAIN);
    for (;;) {
        fill(bytes, 100001, sent, 3);
        ssize_t k = send(pair[0], bytes, 100001, 0);
        if (k < 0) {
            CHECK(errno == EAGAIN);
            struct pollfd p = {pair[0], POLLOUT, 0};
            if (poll(&p, 1, 200) == 0)
                break; /* really full, not just busy */
            continue;
        }
        CHECK(k > 0 && k <= 100001);
        sent += (uint64_t)k;
        CHECK(sent < 256u << 20);
    }
    while (received < sent) {
        struct pollfd p = {pair[1], POLLIN, 0};
        CHECK(poll(&p, 1, 10000) == 1);
        ssize_t k = recv(pair[1], bytes, 1 << 20, 0);
        CHECK(k > 0);
        verify(bytes, (size_t)k, received, 3);
        received += (uint64_t)k;
    }
    struct pollfd p = {pair[0], POLLOUT, 0};
    CHECK(poll(&p, 1, 10000) == 1 && p.revents == POLLOUT);
    pair_close(pair);
    free(bytes);
}

/* ---- half-close, reset, refusal ---- */

static void test_half_close(void)
{
    int pair[2];
    char bytes[16];
    pair_open(pair);
    CHECK(send(pair[0], "question", 8, 0) == 8);
    CHECK(shutdown(pair[0], SHUT_WR) == 0);
    CHECK_ERRNO(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(recv(pair[1], bytes, 8, MSG_WAITALL) == 8 && !memcmp(bytes, "question", 8));
    CHECK(recv(pair[1], bytes, 8, 0) == 0);
    struct pollfd p = {pair[1], POLLIN | POLLRDHUP | POLLOUT, 0};
    CHECK(poll(&p, 1, 1000) == 1 && p.revents == (POLLIN | POLLRDHUP | POLLOUT));
    sleep_ms(20);
    CHECK(send(pair[1], "answer", 6, 0) == 6);
    CHECK(recv(pair[0], bytes, 6, MSG_WAITALL) == 6 && !memcmp(bytes, "answer", 6));
    CHECK(shutdown(pair[1], SHUT_WR) == 0);
    CHECK(recv(pair[0], bytes, 8, 0) == 0);
    p = (struct pollfd){pair[0], POLLIN, 0};
    CHECK(poll(&p, 1, 1000) == 1 && (p.revents & POLLHUP));
    pair_close(pair);
}

static void test_reset(void)
{
    int pair[2];
    char bytes[16];
    struct linger abort_on_close = {1, 0};
    pair_open(pair);
    CHECK(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &abort_on_close, sizeof abort_on_close) == 0);
    CHECK(send(pair[0], "lost", 4, 0) == 4);
    CHECK(close(pair[0]) == 0);
    struct pollfd p = {pair[1], POLLIN, 0};
    CHECK(poll(&p, 1, 5000) == 1);
    while (!(p.revents & POLLERR)) /* the data may be seen before the reset */
        CHECK(poll(&p, 1, 5000) == 1);
    CHECK(p.revents & POLLHUP);
    /* what had arrived is read first, as on Linux */
    CHECK(recv(pair[1], bytes, sizeof bytes, 0) == 4);
    CHECK_ERRNO(recv(pair[1], bytes, sizeof bytes, 0), ECONNRESET);
    CHECK(recv(pair[1], bytes, sizeof bytes, 0) == 0); /* the error is told once */
    CHECK_ERRNO(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(close(pair[1]) == 0);

    pair_open(pair); /* closing with unread data resets, too */
    CHECK(send(pair[1], "unread", 6, 0) == 6);
    p = (struct pollfd){pair[0], POLLIN, 0};
    CHECK(poll(&p, 1, 5000) == 1);
    CHECK(close(pair[0]) == 0);
    CHECK_ERRNO(recv(pair[1], bytes, sizeof bytes, 0), ECONNRESET);
    CHECK(close(pair[1]) == 0);
}

static void test_refused(void)
{
    int error = 0;
    socklen_t size = sizeof address;
    struct sockaddr_in nobody = address;
    /* bound but not listening: nobody else has the port */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    nobody.sin_port = 0;
    CHECK(bind(fd, (struct sockaddr *)&nobody, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&nobody, &size) == 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(client, (struct sockaddr *)&nobody, size), ECONNREFUSED);
    CHECK(close(client) == 0);
    client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(client, (struct sockaddr *)&nobody, size) < 0 && errno == EINPROGRESS) {
        struct pollfd p = {client, POLLOUT, 0};
        CHECK(poll(&p, 1, 5000) == 1);
        size = sizeof error;
        CHECK(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
              error == ECONNREFUSED);
        CHECK(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0);
    } else {
        CHECK(errno == ECONNREFUSED);
    }
    CHECK(close(client) == 0);
    CHECK(close(fd) == 0);
}

/* Connections that wait to be accepted when the listener closes are reset; others stay. */
static void test_listener_closes(void)
{
    struct sockaddr_in kept = address;
    int kept_listener = listener, client[3], server;
    char byte;
    listener_open();
    for (int i = 0; i < 3; i++)
        client[i] = dial();
    server = accept(listener, NULL, NULL);
    CHECK(server >= 0);
    CHECK(close(listener) == 0);
    for (int i = 1; i < 3; i++) {
        CHECK_ERRNO(recv(client[i], &byte, 1, 0), ECONNRESET);
        CHECK(close(client[i]) == 0);
    }
    CHECK(send(server, "x", 1, 0) == 1);
    CHECK(recv(client[0], &byte, 1, 0) == 1 && byte == 'x');
    CHECK(close(client[0]) == 0 && close(server) == 0);
    address = kept;
    listener = kept_listener;
}

/* ---- many short connections from several threads, an echo of one line each ---- */

#define SHORT_THREADS 4
#define SHORT_EACH    400

static void *short_client(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (unsigned i = 0; i < SHORT_EACH; i++) {
        unsigned char out[100], in[100];
        int fd = dial();
        fill(out, sizeof out, i, seed);
        CHECK(send(fd, out, sizeof out, 0) == sizeof out);
        CHECK(recv(fd, in, sizeof in, MSG_WAITALL) == sizeof in);
        CHECK(!memcmp(in, out, sizeof in));
        CHECK(recv(fd, in, 1, 0) == 0);
        CHECK(close(fd) == 0);
    }
    return NULL;
}

static void *short_server(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < SHORT_EACH * SHORT_THREADS / 2; i++) {
        unsigned char bytes[100];
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        CHECK(recv(fd, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes);
        CHECK(send(fd, bytes, sizeof bytes, 0) == sizeof bytes);
        CHECK(close(fd) == 0);
    }
    return NULL;
}

static void test_short(void)
{
    pthread_t client[SHORT_THREADS], server[2];
    for (int i = 0; i < 2; i++)
        CHECK0(pthread_create(&server[i], NULL, short_server, NULL));
    for (uintptr_t i = 0; i < SHORT_THREADS; i++)
        CHECK0(pthread_create(&client[i], NULL, short_client, (void *)i));
    for (int i = 0; i < SHORT_THREADS; i++)
        CHECK0(pthread_join(client[i], NULL));
    for (int i = 0; i < 2; i++)
        CHECK0(pthread_join(server[i], NULL));
}

/* ---- ten thousand idle connections beside active ones ---- */

static void active_rounds(int poller, int pairs[][2], unsigned count, unsigned rounds)
{
    struct epoll_event events[64];
    for (unsigned r = 0; r < rounds; r++) {
        unsigned seen = 0;
        for (unsigned i = 0; i < count; i++)
            CHECK(send(pairs[i][0], &(char){(char)(r + i)}, 1, 0) == 1);
        while (seen < count) {
            int n = epoll_wait(poller, events, 64, 10000);
            CHECK(n > 0);
            for (int k = 0; k < n; k++) {
                char byte;
                unsigned i = events[k].data.u32;
                CHECK(i < count && events[k].events == EPOLLIN);
                CHECK(recv(pairs[i][1], &byte, 1, 0) == 1 && byte == (char)(r + i));
                seen++;
            }
        }
    }
    CHECK(epoll_wait(poller, events, 64, 0) == 0);
}

static void test_idle(void)
{
    static int pairs[IDLE_PAIRS][2];
    int poller = epoll_create1(EPOLL_CLOEXEC);
    CHECK(poller >= 0);
    for (unsigned i = 0; i < idle_pairs; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        pair_open(pairs[i]);
        CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, pairs[i][1], &e) == 0);
    }
    active_rounds(poller, pairs, 16, 200);
    for (unsigned i = 0; i < idle_pairs; i += 97) { /* the idle ones still work */
        struct epoll_event e;
        char byte;
        CHECK(send(pairs[i][0], "!", 1, 0) == 1);
        CHECK(epoll_wait(poller, &e, 1, 10000) == 1 && e.data.u32 == i);
        CHECK(recv(pairs[i][1], &byte, 1, 0) == 1 && byte == '!');
    }
    for (unsigned i = 0; i < idle_pairs; i++)
        pair_close(pairs[i]);
    CHECK(close(poller) == 0);
}

int main(void)
{
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_cur < 2 * IDLE_PAIRS + 64)
        idle_pairs = (unsigned)(files.rlim_cur - 64) / 2;
    CHECK(idle_pairs > 100);
    signal(SIGPIPE, SIG_IGN);
    listener_open();
    test_half_close();
    test_refused();
    test_reset();
    test_listener_closes();
    test_full_window();
    test_bulk();
    test_short();
    test_idle();
    CHECK(close(listener) == 0);
    return 0;
}
