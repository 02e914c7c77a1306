/* SPDX-License-Identifier: MIT */
/*
 * Two processes with a stream between them over which they have already said much to each other, so
 * that whatever a system does to make that cheap has begun. The test's own process is `near`; the
 * other one is `far`, and does what start() is told.
 */
#ifndef WARM_H
#define WARM_H

#include "child.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Pipes of both sorts, stream sockets of UNIX, and TCP over the loopback. */
enum kind { PIPES, FIFOS, PAIR, CONNECTION, UNIX_KINDS, TCP = UNIX_KINDS, KINDS };
static enum kind kind;

static inline bool is_socket(void)
{
    return kind >= PAIR;
}

struct link { /* of sockets both are the same */
    int in, out;
};
static struct link near, far;

static char directory[] = "/tmp/warm-streams-XXXXXX";
static volatile uint32_t *step; /* what both know of each other */
static volatile sig_atomic_t got;
static char block[300000];
static void *volatile nowhere = (void *)16;

static inline void on_signal(int signal)
{
    got = signal;
}

static inline void say(uint32_t n)
{
    __atomic_store_n(step, n, __ATOMIC_SEQ_CST);
}

static inline void await(uint32_t n)
{
    while (__atomic_load_n(step, __ATOMIC_SEQ_CST) < n)
        sleep_ms(1);
}

/* ---- two processes ---- */

static inline void fifo_pair(const char *leaf, int *in, int *out)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", directory, leaf);
    CHECK0(mkfifo(path, 0600));
    *in = open(path, O_RDONLY | O_NONBLOCK);
    *out = open(path, O_WRONLY);
    CHECK(*in >= 0 && *out >= 0 && fcntl(*in, F_SETFL, 0) == 0);
}

static inline void connection(int s[2])
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "warm-%d", getpid());
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    s[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&a, length) == 0 && listen(listener, 3) == 0);
    CHECK(connect(s[0], (struct sockaddr *)&a, length) == 0);
    s[1] = accept(listener, NULL, NULL);
    CHECK(s[1] >= 0);
    close(listener);
}

static inline void tcp_connection(int s[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 3) == 0);
    CHECK0(getsockname(listener, (struct sockaddr *)&a, &length));
    CHECK0(connect(s[0], (struct sockaddr *)&a, sizeof a));
    s[1] = accept(listener, NULL, NULL);
    CHECK(s[1] >= 0);
    close(listener);
}

static inline void make_links(void)
{
    int there[2], back[2];
    if (is_socket()) {
        if (kind == PAIR)
            CHECK0(socketpair(AF_UNIX, SOCK_STREAM, 0, there));
        else if (kind == TCP)
            tcp_connection(there);
        else
            connection(there);
        near.in = near.out = there[0];
        far.in = far.out = there[1];
        return;
    }
    if (kind == PIPES) {
        CHECK0(pipe(there));
        CHECK0(pipe(back));
    } else {
        fifo_pair("there", &there[0], &there[1]);
        fifo_pair("back", &back[0], &back[1]);
    }
    near = (struct link){back[0], there[1]};
    far = (struct link){there[0], back[1]};
}

static inline void close_link(struct link l)
{
    close(l.in);
    if (l.out != l.in)
        close(l.out);
}

#define WARM 40

static inline void warm(struct link l, bool first)
{
    for (int i = 0; i < WARM; i++) {
        char byte = (char)i;
        if (first)
            CHECK(write(l.out, &byte, 1) == 1);
        CHECK(read(l.in, &byte, 1) == 1 && byte == (char)i);
        if (!first)
            CHECK(write(l.out, &byte, 1) == 1);
    }
}

static inline void remove_fifo(const char *leaf)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", directory, leaf);
    unlink(path);
}

/* Starts the other process, which is `far` and ends with what `other` does. */
static inline pid_t start(void (*other)(void))
{
    *step = 0;
    make_links();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close_link(near);
        warm(far, false);
        other();
        _exit(0);
    }
    close_link(far);
    warm(near, true);
    return pid;
}

static inline void forget_link(void)
{
    close_link(near);
    remove_fifo("there");
    remove_fifo("back");
}

static inline void end(pid_t pid)
{
    finish(pid);
    forget_link();
}

static inline int unread(int fd)
{
    int n = -1;
    CHECK0(ioctl(fd, FIONREAD, &n));
    return n;
}

/* What was sent over TCP arrives soon. */
static inline bool has_come(int fd, int n)
{
    for (int i = 0; kind == TCP && i < 5000 && unread(fd) != n; i++)
        sleep_ms(1);
    return unread(fd) == n;
}

static inline int events(int fd, short wanted, int ms)
{
    struct pollfd p = {fd, wanted, 0};
    CHECK(poll(&p, 1, ms) >= 0);
    return p.revents;
}

static inline bool equal(const void *a, const char *text)
{
    return memcmp(a, text, strlen(text)) == 0;
}

static inline void prepare(void)
{
    CHECK(mkdtemp(directory));
    step = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(step != MAP_FAILED);
}

/* ---- descriptors in messages ---- */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static inline void send_fd(int to, const char *text, int fd)
{
    union control c = {0};
    struct iovec v = {(void *)text, strlen(text)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = sizeof c;
    c.header.cmsg_level = SOL_SOCKET;
    c.header.cmsg_type = SCM_RIGHTS;
    c.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&c.header), &fd, sizeof fd);
    CHECK(sendmsg(to, &m, 0) == (ssize_t)v.iov_len);
}

/* Bytes, and the descriptor that came with them or -1. */
static inline ssize_t receive_fd(int from, char *to, size_t room, int *fd)
{
    union control c = {0};
    struct iovec v = {to, room};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = sizeof c;
    ssize_t n = recvmsg(from, &m, 0);
    *fd = -1;
    if (CMSG_FIRSTHDR(&m))
        memcpy(fd, CMSG_DATA(&c.header), sizeof *fd);
    return n;
}

#endif
