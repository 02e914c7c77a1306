/* SPDX-License-Identifier: MIT */
/* What both sides use, and main(). */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define STALL_SECONDS 120

bool wire_lossy;

void wire_failed(const char *file, int line, const char *format, ...)
{
    va_list args;
    int error = errno;
    va_start(args, format);
    fprintf(stderr, "FAILED: %s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fprintf(stderr, " (errno %d)\n", error);
    va_end(args);
    _exit(1);
}

unsigned wire_random(unsigned *random, unsigned n)
{
    *random = *random * 1664525 + 1013904223;
    return (*random >> 8) % n;
}

void wire_sleep(unsigned ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static void option(int fd, int level, int name, int value)
{
    CHECK(setsockopt(fd, level, name, &value, sizeof value) == 0);
}

void wire_keep_alive(int fd)
{
    if (!wire_lossy)
        return;
    option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 3);
    option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 2);
    option(fd, IPPROTO_TCP, TCP_KEEPCNT, 20);
}

void wire_prepare(int fd, unsigned *random)
{
    struct timeval stall = {STALL_SECONDS, 0};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof stall) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall) == 0);
    wire_keep_alive(fd);
    if (wire_random(random, 2))
        option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (wire_random(random, 4) == 0)
        option(fd, SOL_SOCKET, SO_RCVBUF, 2048 << wire_random(random, 6));
    if (wire_random(random, 4) == 0)
        option(fd, SOL_SOCKET, SO_SNDBUF, 2048 << wire_random(random, 6));
}

void wire_abort(int fd)
{
    struct linger reset = {1, 0};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    CHECK(close(fd) == 0);
}

/* n, or 0 if the peer has reset; anything else is a failure. */
static size_t done(ssize_t n, const char *what)
{
    if (n > 0)
        return (size_t)n;
    if (n < 0 && (errno == ECONNRESET || errno == EPIPE))
        return 0;
    FAILED("%s: %zd", what, n);
}

bool wire_send(int fd, const void *bytes, size_t size)
{
    for (size_t at = 0, n; at < size; at += n)
        if (!(n = done(send(fd, (const char *)bytes + at, size - at, MSG_NOSIGNAL), "send")))
            return false;
    return true;
}

bool wire_receive(int fd, void *bytes, size_t size)
{
    for (size_t at = 0, n; at < size; at += n)
        if (!(n = done(recv(fd, (char *)bytes + at, size - at, 0), "receive")))
            return false;
    return true;
}

/* ---- streams ---- */

static const unsigned sizes[] = {1,    2,    3,    7,    100,   536,   1447,  1448,  1449,  1460,
                                 4095, 4096, 4097, 9000, 16384, 65535, 65536, 70001, 100000};
#define SIZE_MAX_USED 100000

static uint32_t next_size(unsigned *random, uint32_t most)
{
    uint32_t n = sizes[wire_random(random, sizeof sizes / sizeof *sizes)];
    return n < most ? n : most;
}

/* Neighbours differ, and a shift by a page, a segment or a ring does, too. */
static uint8_t stream_byte(uint32_t n, uint32_t seed)
{
    return (uint8_t)((n * 2654435761u >> 13) + (n >> 12) * 7 + seed);
}

bool wire_send_stream(int fd, unsigned *random, uint32_t seed, uint32_t count)
{
    uint8_t *bytes = malloc(SIZE_MAX_USED);
    bool whole = true;
    CHECK(bytes);
    for (uint32_t at = 0, n; at < count && whole; at += n) {
        n = next_size(random, count - at);
        for (uint32_t i = 0; i < n; i++)
            bytes[i] = stream_byte(at + i, seed);
        whole = wire_send(fd, bytes, n);
    }
    free(bytes);
    return whole;
}

int64_t wire_receive_stream(int fd, unsigned *random, uint32_t seed, uint32_t count)
{
    uint8_t *bytes = malloc(SIZE_MAX_USED);
    uint32_t at = 0;
    ssize_t n = 0;
    CHECK(bytes);
    while (at < count) {
        n = recv(fd, bytes, next_size(random, count - at), 0);
        if (n <= 0)
            break;
        for (uint32_t i = 0; i < (uint32_t)n; i++)
            if (bytes[i] != stream_byte(at + i, seed))
                FAILED("byte %u of stream %u is %u, not %u", at + i, seed, bytes[i],
                       stream_byte(at + i, seed));
        at += (uint32_t)n;
    }
    free(bytes);
    if (n < 0) {
        done(n, "receive stream");
        return -1;
    }
    return at;
}

static struct in_addr host_of(const char *name)
{
    struct in_addr host;
    if (inet_pton(AF_INET, name, &host) != 1)
        FAILED("%s is not an address", name);
    return host;
}

static uint16_t own_port;

static void *serve(void *nothing)
{
    (void)nothing;
    wire_serve(own_port);
}

static void start_own_server(uint16_t port)
{
    pthread_t thread;
    own_port = port;
    errno = pthread_create(&thread, NULL, serve, NULL);
    CHECK(errno == 0);
}

struct plan {
    struct in_addr host;
    uint16_t port;
    unsigned seed, threads, rounds;
};

static void *drive_back(void *argument)
{
    struct plan *p = argument;
    wire_drive_back(p->host, p->port, p->seed, p->rounds, own_port);
    return NULL;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    if (argc > 1 && !strcmp(argv[argc - 1], "lossy")) {
        wire_lossy = true;
        argc--;
    }
    if (argc == 3 && !strcmp(argv[1], "serve"))
        wire_serve((uint16_t)atoi(argv[2]));
    if (argc != 8 || strcmp(argv[1], "drive")) {
        fprintf(stderr, "usage: wire serve PORT [lossy]\n"
                        "       wire drive HOST PORT SEED THREADS ROUNDS IDLE [lossy]\n");
        return 2;
    }
    struct plan p = {host_of(argv[2]), (uint16_t)atoi(argv[3]), (unsigned)atoi(argv[4]),
                     (unsigned)atoi(argv[5]), (unsigned)atoi(argv[6])};
    pthread_t back;
    start_own_server((uint16_t)(p.port + 1));
    wire_idle_open(p.host, p.port, (unsigned)atoi(argv[7]));
    errno = pthread_create(&back, NULL, drive_back, &p);
    CHECK(errno == 0);
    wire_drive(p.host, p.port, p.seed, p.threads, p.rounds);
    CHECK(pthread_join(back, NULL) == 0);
    wire_idle_close();
    wire_settle(p.host, p.port);
    struct in_addr own = {htonl(INADDR_LOOPBACK)};
    wire_settle(own, own_port);
    return 0;
}
