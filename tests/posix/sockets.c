/* SPDX-License-Identifier: MIT */
/*
 * The socket calls over loopback, one property after the other: names, refusal, waiting, partial
 * transfers, ends, errors, options, signals, readiness, sendfile, datagrams. Stress is in
 * net_torture.c.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "check.h"

static struct sockaddr_in address;

static struct sockaddr *sa(void *a)
{
    return a;
}

static int listen_on(int backlog)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof address;
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
    CHECK(bind(fd, sa(&address), sizeof address) == 0 && listen(fd, backlog) == 0);
    CHECK(getsockname(fd, sa(&address), &size) == 0 && size == sizeof address && address.sin_port);
    return fd;
}

static void pair(int l, int *client, int *server)
{
    *client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(*client >= 0 && connect(*client, sa(&address), sizeof address) == 0);
    *server = accept(l, NULL, NULL);
    CHECK(*server >= 0);
}

static short poll_one(int fd, short events, int ms)
{
    struct pollfd p = {fd, events, 0};
    CHECK(poll(&p, 1, ms) >= 0);
    return p.revents;
}

static void nonblocking(int fd)
{
    CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

/* ---- beginnings ---- */

static void creation(void)
{
    struct stat st;
    struct sockaddr_in a = {.sin_family = AF_INET};
    int value;
    socklen_t size = sizeof value;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode));
    CHECK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) == 0 && value == SOCK_STREAM &&
          size == sizeof value);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value == 0);
    CHECK_ERRNO(lseek(fd, 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO(read(fd, &value, 1), ENOTCONN);
    CHECK_ERRNO(send(fd, &value, 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    CHECK_ERRNO(getpeername(fd, sa(&a), &size), ENOTCONN);
    CHECK(poll_one(fd, POLLIN | POLLOUT, 0) == (POLLOUT | POLLHUP));
    CHECK_ERRNO(shutdown(fd, SHUT_RD), ENOTCONN);
    close(fd);
    CHECK_ERRNO(socket(AF_INET, 77, 0), EINVAL);
    CHECK_ERRNO(socket(77, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    fd = open("/dev/null", O_RDWR);
    CHECK_ERRNO(listen(fd, 1), ENOTSOCK);
    CHECK_ERRNO(send(fd, &value, 1, 0), ENOTSOCK);
    CHECK_ERRNO(connect(-1, sa(&a), sizeof a), EBADF);
    close(fd);
}

static void names(void)
{
    int l = listen_on(5), c, s, value;
    struct sockaddr_in a, b;
    socklen_t size = sizeof a, bsize = sizeof b;
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(c, sa(&address), sizeof address) == 0);
    s = accept4(l, sa(&a), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(s >= 0 && size == sizeof a && a.sin_family == AF_INET &&
          a.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(fcntl(s, F_GETFL) & O_NONBLOCK && fcntl(s, F_GETFD) == FD_CLOEXEC);
    CHECK(getsockname(c, sa(&b), &bsize) == 0 && b.sin_port == a.sin_port &&
          b.sin_addr.s_addr == a.sin_addr.s_addr);
    CHECK(getpeername(c, sa(&b), &bsize) == 0 && b.sin_port == address.sin_port);
    CHECK(getpeername(s, sa(&b), &bsize) == 0 && b.sin_port == a.sin_port);
    CHECK(getsockname(s, sa(&b), &bsize) == 0 && b.sin_port == address.sin_port &&
          b.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    bsize = 3;
    CHECK(getsockname(s, sa(&b), &bsize) == 0 && bsize == sizeof b);
    CHECK_ERRNO(connect(c, sa(&address), sizeof address), EISCONN);
    size = sizeof value;
    CHECK(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value == 1);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(bind(other, sa(&address), sizeof address), EADDRINUSE);
    close(other);
    close(c);
    close(s);
    close(l);
}

static void refusal(void)
{
    int l = listen_on(1), error;
    socklen_t size = sizeof error;
    close(l);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(fd, sa(&address), sizeof address), ECONNREFUSED);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fd, sa(&address), sizeof address);
    CHECK(result == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    if (errno == EINPROGRESS) {
        short r = poll_one(fd, POLLIN | POLLOUT, 5000);
        CHECK(r & POLLERR && r & POLLHUP && r & POLLOUT);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0);
    }
    close(fd);
}

static void connecting(void)
{
    int l = listen_on(5), error;
    socklen_t size = sizeof error;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fd, sa(&address), sizeof address);
    CHECK(result == 0 || errno == EINPROGRESS);
    result = (int)write(fd, "", 1);
    CHECK(result == 1 || errno == EAGAIN);
    CHECK(poll_one(fd, POLLOUT, 5000) == POLLOUT);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0);
    nonblocking(l);
    CHECK(poll_one(l, POLLIN, 5000) == POLLIN);
    int s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
    CHECK(poll_one(l, POLLIN, 0) == 0);
    close(s);
    close(fd);
    close(l);
}

/* ---- data ---- */

static void transfers(int l)
{
    char buf[100];
    int c, s, n;
    pair(l, &c, &s);
    CHECK(write(c, "hello world", 11) == 11);
    CHECK(recv(s, buf, 5, MSG_PEEK) == 5 && !memcmp(buf, "hello", 5));
    CHECK(poll_one(s, POLLIN, 5000) == POLLIN);
    CHECK(read(s, buf, 5) == 5 && !memcmp(buf, "hello", 5));
    CHECK(ioctl(s, FIONREAD, &n) == 0 && n == 6);
    CHECK(recv(s, buf, 100, MSG_DONTWAIT) == 6 && !memcmp(buf, " world", 6));
    CHECK_ERRNO(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
    CHECK(poll_one(s, POLLIN, 0) == 0);
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cdef", 4}}, in[2] = {{buf, 3}, {buf + 50, 20}};
    CHECK(writev(s, out, 3) == 6);
    CHECK(recv(c, buf, 1, MSG_WAITALL) == 1);
    struct msghdr m = {.msg_iov = in, .msg_iovlen = 2};
    while (ioctl(c, FIONREAD, &n) == 0 && n < 5)
        sleep_ms(1);
    CHECK(recvmsg(c, &m, 0) == 5 && !memcmp(buf, "bcd", 3) && !memcmp(buf + 50, "ef", 2) &&
          m.msg_flags == 0 && m.msg_controllen == 0);
    m = (struct msghdr){.msg_iov = out, .msg_iovlen = 3};
    CHECK(sendmsg(c, &m, 0) == 6 && recv(s, buf, 6, MSG_WAITALL) == 6 && !memcmp(buf, "abcdef", 6));
    CHECK(send(c, "xyz", 3, 0) == 3 && recv(s, NULL, 2, MSG_TRUNC | MSG_WAITALL) == 2 &&
          read(s, buf, 9) == 1 && buf[0] == 'z');
    CHECK(write(c, "", 0) == 0);
    close(c);
    close(s);
}

static void ends(int l)
{
    char buf[10];
    int c, s;
    pair(l, &c, &s);
    CHECK(write(c, "last", 4) == 4 && shutdown(c, SHUT_WR) == 0);
    CHECK(poll_one(s, POLLIN | POLLRDHUP, 5000) & POLLIN);
    CHECK(recv(s, buf, 10, MSG_WAITALL) == 4 && read(s, buf, 10) == 0 && read(s, buf, 10) == 0);
    CHECK(poll_one(s, POLLIN | POLLOUT | POLLRDHUP, 0) == (POLLIN | POLLOUT | POLLRDHUP));
    CHECK_ERRNO(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(write(s, "back", 4) == 4 && read(c, buf, 10) == 4); /* the other half still works */
    close(s);
    CHECK(read(c, buf, 10) == 0);
    CHECK(poll_one(c, POLLIN | POLLOUT, 5000) == (POLLIN | POLLOUT | POLLHUP));
    close(c);
}

static volatile int signalled;
static void on_signal(int sig)
{
    signalled = sig;
}

static void resets(int l)
{
    char buf[10];
    int c, s;
    struct linger hard = {1, 0};
    pair(l, &c, &s);
    CHECK(setsockopt(s, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) == 0);
    close(s);
    CHECK(poll_one(c, POLLIN, 5000) & POLLERR);
    CHECK_ERRNO(read(c, buf, 10), ECONNRESET);
    CHECK(read(c, buf, 10) == 0);
    signal(SIGPIPE, on_signal);
    signalled = 0;
    CHECK_ERRNO(write(c, "x", 1), EPIPE);
    CHECK(signalled == SIGPIPE);
    signalled = 0;
    CHECK_ERRNO(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(!signalled);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(c, "x", 1), EPIPE);
    close(c);
}

static void full(int l)
{
    static char block[65536], back[65536];
    size_t sent = 0, got = 0;
    int c, s;
    ssize_t n;
    pair(l, &c, &s);
    nonblocking(c);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i * 7 + i / 251);
    while ((n = write(c, block + sent % sizeof block, sizeof block - sent % sizeof block)) > 0)
        sent += (size_t)n;
    CHECK(n == -1 && errno == EAGAIN && sent >= 4096);
    while (poll_one(c, POLLOUT, 300)) /* what the peer still takes, and acknowledges late */
        while ((n = write(c, block + sent % sizeof block, sizeof block - sent % sizeof block)) > 0)
            sent += (size_t)n;
    CHECK(poll_one(c, POLLOUT, 20) == 0);
    while (got < sent) {
        n = read(s, back, sizeof back);
        CHECK(n > 0);
        for (ssize_t i = 0; i < n; i++)
            CHECK(back[i] == block[(got + (size_t)i) % sizeof block]);
        got += (size_t)n;
    }
    CHECK(got == sent);
    CHECK(poll_one(c, POLLOUT, 5000) == POLLOUT);
    close(c);
    close(s);
}

/* ---- waiting ---- */

static void *write_later(void *fd)
{
    sleep_ms(30);
    CHECK(write((int)(intptr_t)fd, "!", 1) == 1);
    return NULL;
}

static void *read_all(void *fd)
{
    static char buf[50000];
    size_t sum = 0;
    sleep_ms(30);
    for (ssize_t n; (n = read((int)(intptr_t)fd, buf, sizeof buf)) > 0;)
        sum += (size_t)n;
    return (void *)sum;
}

static void *shut_later(void *fd)
{
    sleep_ms(30);
    CHECK(shutdown((int)(intptr_t)fd, SHUT_RDWR) == 0);
    return NULL;
}

static void *connect_later(void *unused)
{
    sleep_ms(30);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd, sa(&address), sizeof address) == 0);
    return unused ? NULL : (void *)(intptr_t)fd;
}

static void waiting(int l)
{
    enum { BIG = 8 << 20 };
    char c1, *big = calloc(1, BIG);
    int c, s;
    pthread_t t;
    void *sum;
    pair(l, &c, &s);
    CHECK0(pthread_create(&t, NULL, write_later, (void *)(intptr_t)c));
    CHECK(read(s, &c1, 1) == 1 && c1 == '!');
    pthread_join(t, NULL);
    CHECK0(pthread_create(&t, NULL, read_all, (void *)(intptr_t)s));
    CHECK(write(c, big, BIG) == BIG); /* blocks until all is taken */
    close(c);
    pthread_join(t, &sum);
    CHECK((size_t)sum == BIG);
    close(s);
    pair(l, &c, &s);
    CHECK0(pthread_create(&t, NULL, shut_later, (void *)(intptr_t)s));
    CHECK(read(s, &c1, 1) == 0); /* woken by the shutdown of its own socket */
    pthread_join(t, NULL);
    CHECK(read(c, &c1, 1) == 0);
    close(c);
    close(s);
    CHECK0(pthread_create(&t, NULL, connect_later, NULL));
    s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    pthread_join(t, &sum);
    close((int)(intptr_t)sum);
    close(s);
    free(big);
}

static void timeouts(int l)
{
    static char block[65536];
    struct timeval tv = {0, 30000}, back;
    socklen_t size = sizeof back;
    int c, s;
    pair(l, &c, &s);
    CHECK(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    CHECK(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &back, &size) == 0 && back.tv_sec == 0 &&
          back.tv_usec >= 30000 && back.tv_usec <= 40000);
    double start = seconds_now();
    CHECK_ERRNO(read(s, block, 1), EAGAIN);
    CHECK(seconds_now() - start >= 0.03);
    CHECK(setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
    ssize_t n;
    while ((n = write(c, block, sizeof block)) > 0)
        ;
    CHECK(n == -1 && errno == EAGAIN);
    CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
    tv.tv_usec = 0;
    CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    tv.tv_usec = 1000000;
    CHECK_ERRNO(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), EDOM);
    close(c);
    close(s);
}

static void interruptions(int l)
{
    char buf[10];
    int c, s;
    pthread_t t;
    struct sigaction act = {.sa_handler = on_signal};
    struct itimerval soon = {.it_value.tv_usec = 20000};
    pair(l, &c, &s);
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(read(s, buf, 1), EINTR);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(accept(l, NULL, NULL), EINTR);
    act.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &act, NULL);
    signalled = 0;
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL); /* not in the helper */
    CHECK0(pthread_create(&t, NULL, write_later, (void *)(intptr_t)c));
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    soon.it_value.tv_usec = 10000;
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK(read(s, buf, 1) == 1 && signalled == SIGALRM);
    pthread_join(t, NULL);
    close(c);
    close(s);
}

/* ---- options, readiness, sendfile ---- */

static void options(int l)
{
    int c, s, value = 1;
    socklen_t size = sizeof value;
    pair(l, &c, &s);
    CHECK(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value) == 0);
    value = 0;
    CHECK(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 && value);
    value = 1;
    CHECK(setsockopt(c, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value) == 0);
    CHECK(getsockopt(c, SOL_SOCKET, SO_RCVBUF, &value, &size) == 0 && value > 0);
    CHECK(getsockopt(c, SOL_SOCKET, SO_SNDBUF, &value, &size) == 0 && value > 0);
    CHECK_ERRNO(setsockopt(c, SOL_SOCKET, 9999, &value, sizeof value), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(c, IPPROTO_TCP, 9999, &value, &size), ENOPROTOOPT);
    struct linger linger;
    size = sizeof linger;
    CHECK(getsockopt(c, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 && !linger.l_onoff &&
          size == sizeof linger);
    close(c);
    close(s);
}

static void edges(int l)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, out[4];
    char buf[10];
    int c, s, ep = epoll_create1(0);
    pair(l, &c, &s);
    nonblocking(s);
    e.data.fd = s;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, s, &e) == 0);
    CHECK(epoll_wait(ep, out, 4, 1000) == 1 && out[0].events == EPOLLOUT && out[0].data.fd == s);
    CHECK(epoll_wait(ep, out, 4, 0) == 0);
    CHECK(write(c, "ab", 2) == 2);
    CHECK(epoll_wait(ep, out, 4, 5000) == 1 && out[0].events & EPOLLIN);
    CHECK(epoll_wait(ep, out, 4, 20) == 0);
    CHECK(read(s, buf, 1) == 1 && epoll_wait(ep, out, 4, 0) == 0); /* no new edge */
    CHECK(write(c, "c", 1) == 1 && epoll_wait(ep, out, 4, 5000) == 1 && out[0].events & EPOLLIN);
    CHECK(recv(s, buf, 2, MSG_WAITALL) == 2);
    CHECK(shutdown(c, SHUT_WR) == 0 && epoll_wait(ep, out, 4, 5000) == 1 &&
          out[0].events & EPOLLRDHUP && out[0].events & EPOLLIN);
    close(c);
    close(s);
    CHECK(epoll_wait(ep, out, 4, 0) == 0);
    /* The listener, by level. */
    e = (struct epoll_event){.events = EPOLLIN, .data.fd = l};
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) == 0 && epoll_wait(ep, out, 4, 0) == 0);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(c, sa(&address), sizeof address) == 0);
    CHECK(epoll_wait(ep, out, 4, 5000) == 1 && out[0].data.fd == l && out[0].events == EPOLLIN);
    CHECK(epoll_wait(ep, out, 4, 5000) == 1);
    s = accept(l, NULL, NULL);
    CHECK(s >= 0 && epoll_wait(ep, out, 4, 0) == 0);
    close(c);
    close(s);
    close(ep);
}

static void *drain(void *fd)
{
    char *all = malloc(4 << 20);
    size_t sum = 0;
    for (ssize_t n; (n = read((int)(intptr_t)fd, all + sum, (4 << 20) - sum)) > 0;)
        sum += (size_t)n;
    for (size_t i = 0; i < sum; i++)
        CHECK(all[i] == (char)(i * 3 + i / 1000));
    free(all);
    return (void *)sum;
}

static void files(int l)
{
    enum { SIZE = 3000000 };
    char name[] = "/tmp/sendXXXXXX", *data = malloc(SIZE);
    int c, s, fd = mkstemp(name);
    pthread_t t;
    void *sum;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 3 + i / 1000);
    CHECK(fd >= 0 && write(fd, data, SIZE) == SIZE);
    pair(l, &c, &s);
    CHECK0(pthread_create(&t, NULL, drain, (void *)(intptr_t)c));
    off_t at = 10;
    CHECK(write(s, data, 10) == 10);
    while (at < SIZE)
        CHECK(sendfile(s, fd, &at, SIZE) > 0);
    CHECK(at == SIZE && sendfile(s, fd, &at, SIZE) == 0);
    close(s);
    pthread_join(t, &sum);
    CHECK((size_t)sum == SIZE);
    close(c);
    pair(l, &c, &s);
    nonblocking(s);
    size_t sent = 0;
    ssize_t n;
    at = 0;
    while ((n = sendfile(s, fd, &at, SIZE)) > 0)
        sent += (size_t)n;
    CHECK((n == 0 && sent == SIZE) || errno == EAGAIN);
    CHECK((size_t)at == sent);
    close(s);
    close(c);
    close(fd);
    unlink(name);
    free(data);
}

/* ---- datagrams ---- */

static void datagrams(void)
{
    char buf[2000];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from;
    socklen_t size = sizeof a, from_size = sizeof from;
    int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0), n;
    CHECK(bind(r, sa(&a), sizeof a) == 0 && getsockname(r, sa(&a), &size) == 0);
    CHECK_ERRNO(send(s, "x", 1, 0), EDESTADDRREQ);
    CHECK_ERRNO(recv(r, buf, 10, MSG_DONTWAIT), EAGAIN);
    CHECK(poll_one(r, POLLIN | POLLOUT, 0) == POLLOUT);
    CHECK(sendto(s, "first", 5, 0, sa(&a), sizeof a) == 5 &&
          sendto(s, "", 0, 0, sa(&a), sizeof a) == 0 &&
          sendto(s, "third!", 6, 0, sa(&a), sizeof a) == 6);
    CHECK(poll_one(r, POLLIN, 5000) == POLLIN && ioctl(r, FIONREAD, &n) == 0 && n == 5);
    CHECK(recv(r, buf, 3, MSG_PEEK) == 3 && recvfrom(r, buf, 3, 0, sa(&from), &from_size) == 3 &&
          from_size == sizeof from && from.sin_port);
    CHECK(read(r, buf, 10) == 0);
    struct iovec iov = {buf, 4};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};
    CHECK(recvmsg(r, &m, 0) == 4 && m.msg_flags & MSG_TRUNC && m.msg_namelen == sizeof from);
    CHECK(connect(s, sa(&a), sizeof a) == 0 && write(s, "connected", 9) == 9 &&
          read(r, buf, 100) == 9);
    CHECK(sendto(r, "reply", 5, 0, sa(&from), sizeof from) == 5 && read(s, buf, 100) == 5);
    CHECK(send(s, "longer than it", 14, 0) == 14 && recv(r, buf, 2, MSG_TRUNC) == 14);
    struct mmsghdr many[3] = {0};
    struct iovec vecs[3] = {{buf, 3}, {buf + 10, 4}, {buf + 20, 5}};
    memcpy(buf, "aaa", 3);
    memcpy(buf + 10, "bbbb", 4);
    memcpy(buf + 20, "ccccc", 5);
    for (int i = 0; i < 3; i++)
        many[i].msg_hdr = (struct msghdr){.msg_iov = &vecs[i], .msg_iovlen = 1};
    CHECK(sendmmsg(s, many, 3, 0) == 3 && many[2].msg_len == 5);
    for (int i = 0; i < 3; i++)
        vecs[i] = (struct iovec){buf + 100 * i, 100};
    sleep_ms(20);
    CHECK(recvmmsg(r, many, 3, MSG_WAITFORONE, NULL) == 3 && many[0].msg_len == 3 &&
          many[2].msg_len == 5 && !memcmp(buf + 200, "ccccc", 5));
    static char huge[70000];
    CHECK_ERRNO(send(s, huge, sizeof huge, 0), EMSGSIZE);
    CHECK(send(s, huge, 9000, 0) == 9000 && recv(r, huge, sizeof huge, 0) == 9000);
    struct timeval tv = {0, 20000};
    CHECK(setsockopt(r, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    CHECK_ERRNO(recv(r, buf, 1, 0), EAGAIN);
    CHECK_ERRNO(listen(r, 1), EOPNOTSUPP);
    close(r);
    close(s);
}

static void version6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any}, peer;
    socklen_t size = sizeof a;
    char buf[8];
    int l = socket(AF_INET6, SOCK_STREAM, 0), off = 0;
    if (l < 0)
        return; /* a host without it */
    CHECK(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0);
    CHECK(bind(l, sa(&a), sizeof a) == 0 && listen(l, 5) == 0 &&
          getsockname(l, sa(&a), &size) == 0 && size == sizeof a);
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = a.sin6_port};
    int c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(c, sa(&v4), sizeof v4) == 0);
    size = sizeof peer;
    int s = accept(l, sa(&peer), &size);
    CHECK(s >= 0 && peer.sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr) &&
          size == sizeof peer);
    CHECK(write(c, "v4", 2) == 2 && read(s, buf, 8) == 2);
    close(c);
    close(s);
    c = socket(AF_INET6, SOCK_STREAM, 0);
    a.sin6_addr = in6addr_loopback;
    CHECK(connect(c, sa(&a), sizeof a) == 0);
    s = accept(l, sa(&peer), &size);
    CHECK(s >= 0 && IN6_IS_ADDR_LOOPBACK(&peer.sin6_addr));
    close(c);
    close(s);
    close(l);
}

/* Un-accepted connections die with the listener. */
static void abandoned(void)
{
    char c1;
    int l = listen_on(5), c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(c, sa(&address), sizeof address) == 0);
    close(l);
    ssize_t n = read(c, &c1, 1);
    CHECK(n == 0 || errno == ECONNRESET);
    close(c);
}

int main(void)
{
    creation();
    names();
    refusal();
    connecting();
    int l = listen_on(16);
    transfers(l);
    ends(l);
    resets(l);
    full(l);
    waiting(l);
    timeouts(l);
    interruptions(l);
    options(l);
    edges(l);
    files(l);
    close(l);
    datagrams();
    version6();
    abandoned();
    return 0;
}
