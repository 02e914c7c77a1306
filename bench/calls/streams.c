/* SPDX-License-Identifier: MIT */
/*
 * Bytes between processes and threads: pipes, UNIX sockets, TCP over the loopback. A round trip is
 * one byte there and one back. Pipes and UNIX sockets are between two processes, TCP between two
 * threads.
 */
#include "calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* This side reads from [0] and writes to [1]; the other side is far[]. */
static int near[2] = {-1, -1}, far[2] = {-1, -1};
static pid_t child;
static bool polls; /* both wait in poll() for what they read */

static void close_ends(int ends[2])
{
    close(ends[0]);
    if (ends[1] != ends[0])
        close(ends[1]);
    ends[0] = ends[1] = -1;
}

static ssize_t read_byte(int fd, char *byte)
{
    struct pollfd p = {fd, POLLIN, 0};
    if (polls && poll(&p, 1, -1) != 1)
        return -1;
    return read(fd, byte, 1);
}

static void echo(void)
{
    char byte;
    for (;;) {
        ssize_t n = read_byte(far[0], &byte);
        if (n == 0 || (n < 0 && errno != EINTR) || (n == 1 && write(far[1], &byte, 1) != 1))
            return;
    }
}

static void fork_echo(void)
{
    child = must(fork(), "fork");
    if (child == 0) {
        close_ends(near);
        echo();
        _exit(0);
    }
    close_ends(far);
}

static void end_echo(void)
{
    if (child > 0) {
        close_ends(near);
        waitpid(child, NULL, 0);
    }
    child = 0;
    polls = false;
}

static void run_round_trip(uint64_t n)
{
    char byte = 'x';
    while (n--)
        if (write(near[1], &byte, 1) != 1 || read_byte(near[0], &byte) != 1)
            fail("round trip");
}

static void setup_pipe(void)
{
    int there[2], back[2];
    must(pipe(there), "pipe");
    must(pipe(back), "pipe");
    near[0] = back[0];
    near[1] = there[1];
    far[0] = there[0];
    far[1] = back[1];
    fork_echo();
}

static void setup_unix(void)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    near[0] = near[1] = pair[0];
    far[0] = far[1] = pair[1];
    fork_echo();
}

static void setup_unix_polled(void)
{
    polls = true;
    setup_unix();
}

/* ---- TCP ---- */

static struct sockaddr_in address;
static int listener = -1;

static void tcp_listen(void)
{
    socklen_t size = sizeof address;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    must(listen(listener, 128), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
}

static int tcp_connect(void)
{
    int fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    return fd;
}

static void tcp_pair(void)
{
    int one = 1;
    tcp_listen();
    near[0] = near[1] = tcp_connect();
    far[0] = far[1] = must(accept(listener, NULL, NULL), "accept");
    close(listener);
    setsockopt(near[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(far[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void *echo_thread(void *unused)
{
    echo();
    return unused;
}

static void setup_tcp(void)
{
    tcp_pair();
    thread_begin(echo_thread, NULL);
}

static void teardown_tcp(void)
{
    shutdown(near[0], SHUT_RDWR);
    thread_end();
    close_ends(near);
    close_ends(far);
}

/* Throughput: one operation is 64 KiB that another thread has read. */
#define PIECE 65536

static void *drain(void *unused)
{
    static char bytes[PIECE];
    while (read(far[0], bytes, sizeof bytes) > 0)
        ;
    return unused;
}

static void setup_throughput(void)
{
    tcp_pair();
    thread_begin(drain, NULL);
}

static void run_throughput(uint64_t n)
{
    static char bytes[PIECE];
    for (uint64_t left = n * PIECE; left;) {
        ssize_t sent = write(near[1], bytes, left < PIECE ? left : PIECE);
        if (sent <= 0)
            fail("write");
        left -= (uint64_t)sent;
    }
}

/* The reader ends each connection first, so that the connecting side's ports are free at once. */
static void run_connect(uint64_t n)
{
    char byte;
    while (n--) {
        int fd = tcp_connect(), accepted = must(accept(listener, NULL, NULL), "accept");
        close(accepted);
        if (read(fd, &byte, 1) != 0)
            fail("read");
        close(fd);
    }
}

static void teardown_connect(void)
{
    close(listener);
}

const struct row stream_rows[] = {
    {"pipe_round_trip", setup_pipe, run_round_trip, end_echo, 0},
    {"unix_round_trip", setup_unix, run_round_trip, end_echo, 0},
    {"unix_poll_round_trip", setup_unix_polled, run_round_trip, end_echo, 0},
    {"tcp_round_trip", setup_tcp, run_round_trip, teardown_tcp, 0},
    {"tcp_throughput_64k", setup_throughput, run_throughput, teardown_tcp, 0},
    {"tcp_connect_close", tcp_listen, run_connect, teardown_connect, 0},
    {0},
};
