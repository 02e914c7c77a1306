/* SPDX-License-Identifier: MIT */
/*
 * httpload: a load of HTTP/1.1 GETs over many connections from one thread, for tests and
 * benchmarks.
 *
 *   httpload [-c CONNECTIONS] [-n REQUESTS] [-t SECONDS] [-1] [-g] [-i IDLE] [-s STALL_SECONDS]
 *            HOST:PORT/PATH
 *
 * -t begins no more requests after that time; without it -n is all that ends the load. -1 makes a
 * new connection for each request ("Connection: close"); -g opens the connections one after
 * another, before the load begins; -i opens that many idle connections first and checks at the end
 * that each still answers. Every body must be as long as Content-Length says and equal to the first
 * one (by hash). Prints one line of JSON; status 0 only if every request succeeded. A run in which
 * nothing happens for STALL_SECONDS (default 20) is a failure, not a slow success.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADER_MAX 8192

enum phase { CONNECTING, SENDING, HEADER, BODY };

struct connection {
    int fd;
    enum phase phase;
    double started;
    size_t sent;
    char header[HEADER_MAX];
    size_t header_fill;
    uint64_t body_left, body_size;
    uint64_t hash, word; /* of the body, by words of 8 bytes; the word that is not complete yet */
    unsigned word_fill;
    bool idle; /* one of -i: makes no requests until the end */
};

static struct sockaddr_in address;
static char request[1024];
static size_t request_size;
static unsigned connections = 1, idle_connections;
static uint64_t requests = 1, started_requests, done_requests, errors;
static bool one_request, gently;
static double stall_seconds = 20, load_seconds, load_end;
static int poller;
static float *latency;   /* seconds, by order of completion */
static double *finished; /* time of completion */
static bool have_first;
static uint64_t first_hash, first_size;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    if (errors++ < 5)
        fprintf(stderr, "httpload: request %llu: %s (%s)\n", (unsigned long long)done_requests,
                what, errno ? strerror(errno) : "protocol");
}

static void parse_target(const char *target)
{
    char host[64];
    unsigned port = 80;
    const char *path = strchr(target, '/');
    if (sscanf(target, "%63[^:/]:%u", host, &port) < 1 || !path ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "httpload: want IPV4:PORT/PATH, not '%s'\n", target);
        exit(2);
    }
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    request_size =
        (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path,
                         host, one_request ? "Connection: close\r\n" : "");
}

static void watch(struct connection *c, uint32_t events, int op)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(poller, op, c->fd, &e);
}

static bool open_connection(struct connection *c)
{
    int one = 1;
    errno = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->phase = CONNECTING;
    c->sent = c->header_fill = 0;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        close(c->fd);
        return false;
    }
    watch(c, EPOLLOUT, EPOLL_CTL_ADD);
    return true;
}

/* Begins a request if any is left to make; false if the connection has nothing more to do. */
static bool begin(struct connection *c)
{
    if (load_end > 0 && now() > load_end)
        requests = started_requests; /* these are the last ones */
    if (c->idle || started_requests >= requests)
        return false;
    started_requests++;
    c->started = now();
    c->phase = SENDING;
    c->sent = c->header_fill = 0;
    return true;
}

static void reopen(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
    if (started_requests < requests && !open_connection(c))
        fail("connect");
}

static void complete(struct connection *c)
{
    double t = now();
    if (!have_first) {
        have_first = true;
        first_hash = c->hash;
        first_size = c->body_size;
    } else if (c->hash != first_hash || c->body_size != first_size) {
        errno = 0;
        fail("the body differs from the first one");
    }
    latency[done_requests] = (float)(t - c->started);
    finished[done_requests++] = t;
    if (one_request) {
        reopen(c);
    } else if (begin(c)) {
        watch(c, EPOLLOUT, EPOLL_CTL_MOD);
    } else {
        watch(c, 0, EPOLL_CTL_MOD);
    }
}

static void lost(struct connection *c, const char *what)
{
    fail(what);
    if (c->phase != CONNECTING) { /* its request will not be answered: account for it */
        latency[done_requests] = (float)(now() - c->started);
        finished[done_requests++] = now();
    }
    reopen(c);
}

static void hash_word(struct connection *c, uint64_t word)
{
    c->hash = (c->hash ^ word) * 0x9e3779b97f4a7c15ull;
    c->hash ^= c->hash >> 29;
}

/* The hash is of the body's words, wherever its bytes were cut when they came. */
static void body_bytes(struct connection *c, const char *bytes, size_t n)
{
    const char *end = bytes + n;
    c->body_left -= n;
    while (bytes < end) {
        if (c->word_fill == 0 && end - bytes >= 8) {
            uint64_t word;
            memcpy(&word, bytes, 8);
            hash_word(c, word);
            bytes += 8;
            continue;
        }
        c->word |= (uint64_t)(unsigned char)*bytes++ << 8 * c->word_fill;
        if (++c->word_fill == 8) {
            hash_word(c, c->word);
            c->word = c->word_fill = 0;
        }
    }
    if (c->body_left == 0)
        hash_word(c, c->word);
}

/* The header is complete in c->header; `end` is its length. */
static bool header_done(struct connection *c, size_t end)
{
    c->header[end - 1] = 0;
    const char *length = strcasestr(c->header, "\ncontent-length:");
    if (strncmp(c->header, "HTTP/1.", 7) != 0 || strncmp(c->header + 8, " 200", 4) != 0 || !length)
        return false;
    c->body_size = c->body_left = strtoull(length + 16, NULL, 10);
    c->hash = c->word = c->word_fill = 0;
    size_t extra = c->header_fill - end;
    if (extra > c->body_left)
        return false;
    c->phase = BODY;
    body_bytes(c, c->header + end, extra);
    return true;
}

static void receive(struct connection *c)
{
    static char bytes[256 * 1024];
    errno = 0;
    if (c->phase == BODY) {
        ssize_t n = read(c->fd, bytes, c->body_left < sizeof bytes ? c->body_left : sizeof bytes);
        if (n <= 0) {
            if (n == 0 || (errno != EAGAIN && errno != EINTR))
                lost(c, "connection ended inside a body");
            return;
        }
        body_bytes(c, bytes, (size_t)n);
    } else {
        ssize_t n = read(c->fd, c->header + c->header_fill, HEADER_MAX - c->header_fill);
        if (n <= 0) {
            if (n == 0 || (errno != EAGAIN && errno != EINTR))
                lost(c, "connection ended before a response");
            return;
        }
        c->header_fill += (size_t)n;
        char *end = memmem(c->header, c->header_fill, "\r\n\r\n", 4);
        if (end ? !header_done(c, (size_t)(end - c->header) + 4) : c->header_fill == HEADER_MAX) {
            errno = 0;
            lost(c, "not a 200 response with a length");
            return;
        }
    }
    if (c->phase == BODY && c->body_left == 0)
        complete(c);
}

static void transmit(struct connection *c)
{
    if (c->phase == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            errno = error;
            lost(c, "connect");
            return;
        }
        if (!begin(c)) {
            watch(c, 0, EPOLL_CTL_MOD);
            return;
        }
    }
    ssize_t n = write(c->fd, request + c->sent, request_size - c->sent);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lost(c, "write");
        return;
    }
    c->sent += n > 0 ? (size_t)n : 0;
    if (c->sent == request_size) {
        c->phase = HEADER;
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
    }
}

/* Until all of `requests` are done, which -t may make fewer meanwhile. */
static bool run(void)
{
    struct epoll_event events[256];
    double last = now();
    uint64_t seen = done_requests;
    while (done_requests < requests) {
        int n = epoll_wait(poller, events, 256, 1000);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                transmit(c);
            else
                receive(c);
        }
        if (done_requests != seen) {
            seen = done_requests;
            last = now();
        } else if (now() - last > stall_seconds) {
            errno = 0;
            fail("stalled");
            return false;
        }
        if (errors > 1000)
            return false;
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of the first n requests, the load: those that idle connections made at the end are only a check.
 */
static void report(double start, uint64_t n)
{
    uint64_t tenth = n / 10 ? n / 10 : 1;
    double seconds = n ? finished[n - 1] - start : 0;
    double first = n ? (double)tenth / (finished[tenth - 1] - start) : 0;
    double last = n > tenth ? (double)tenth / (finished[n - 1] - finished[n - 1 - tenth]) : first;
    qsort(latency, n, sizeof *latency, by_value);
    printf(
        "{\"requests\": %llu, \"errors\": %llu, \"seconds\": %.3f, \"rate\": %.1f, \"first_tenth_rate\": %.1f, "
        "\"last_tenth_rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"body\": %llu, "
        "\"mb_per_s\": %.2f}\n",
        (unsigned long long)n, (unsigned long long)errors, seconds,
        seconds > 0 ? (double)n / seconds : 0, first, last, n ? latency[n / 2] * 1e3 : 0,
        n ? latency[n - 1 - n / 100] * 1e3 : 0, n ? latency[n - 1] * 1e3 : 0,
        (unsigned long long)first_size,
        seconds > 0 ? (double)n * (double)first_size / seconds / 1e6 : 0);
}

/* Connected, and time for a server with a short backlog to take it from there. */
static void wait_connected(struct connection *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    while (poll(&p, 1, (int)(stall_seconds * 1000)) < 0 && errno == EINTR)
        ;
    usleep(5000);
}

static struct connection *open_all(unsigned count, bool idle)
{
    struct connection *all = calloc(count ? count : 1, sizeof *all);
    for (unsigned i = 0; i < count; i++) {
        all[i].idle = idle;
        if (!open_connection(&all[i])) {
            fail("connect");
            exit(1);
        }
        if (gently)
            wait_connected(&all[i]);
    }
    return all;
}

/* Each idle connection makes one request: it must have stayed usable. */
static void wake_idle(struct connection *idle)
{
    load_end = 0;
    requests += idle_connections;
    for (unsigned i = 0; i < idle_connections; i++) {
        idle[i].idle = false;
        if (begin(&idle[i]))
            watch(&idle[i], EPOLLOUT, EPOLL_CTL_MOD);
    }
    run();
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "c:n:t:1gi:s:")) != -1) {
        switch (option) {
        case 'c':
            connections = (unsigned)atoi(optarg);
            break;
        case 'n':
            requests = strtoull(optarg, NULL, 10);
            break;
        case 't':
            load_seconds = atof(optarg);
            break;
        case '1':
            one_request = true;
            break;
        case 'g':
            gently = true;
            break;
        case 'i':
            idle_connections = (unsigned)atoi(optarg);
            break;
        case 's':
            stall_seconds = atof(optarg);
            break;
        default:
            return 2;
        }
    }
    if (optind + 1 != argc || !connections || !requests) {
        fprintf(
            stderr,
            "usage: httpload [-c N] [-n N] [-t SECONDS] [-1] [-g] [-i N] [-s SECONDS] IPV4:PORT/PATH\n");
        return 2;
    }
    parse_target(argv[optind]);
    latency = calloc(requests + idle_connections + connections, sizeof *latency);
    finished = calloc(requests + idle_connections + connections, sizeof *finished);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct connection *idle = open_all(idle_connections, true);
    double start = now();
    open_all(connections < requests ? connections : (unsigned)requests, false);
    if (gently)
        start = now();
    load_end = load_seconds > 0 ? start + load_seconds : 0;
    bool complete = run();
    uint64_t load = done_requests;
    if (complete && idle_connections)
        wake_idle(idle);
    report(start, load);
    return errors || done_requests < requests;
}
