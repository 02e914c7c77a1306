/* SPDX-License-Identifier: MIT */
/* UNIX stream and seqpacket sockets: unix(7), socket(7), connect(2), accept(2), shutdown(2). */
#include "check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define HEAD offsetof(struct sockaddr_un, sun_path)

static volatile sig_atomic_t got;
static char directory[] = "/tmp/unix-stream-XXXXXX";

static void on_signal(int signal)
{
    got = signal;
}

static socklen_t path_name(struct sockaddr_un *a, const char *leaf)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    snprintf(a->sun_path, sizeof a->sun_path, "%s/%s", directory, leaf);
    return (socklen_t)sizeof *a;
}

static socklen_t abstract_name(struct sockaddr_un *a, const char *text)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "%s-%d", text, getpid());
    return (socklen_t)(HEAD + 1 + (size_t)n);
}

static int listener(const struct sockaddr_un *a, socklen_t length, int type, int backlog)
{
    int fd = socket(AF_UNIX, type, 0);
    CHECK(fd >= 0);
    CHECK(bind(fd, (const struct sockaddr *)a, length) == 0);
    CHECK(listen(fd, backlog) == 0);
    return fd;
}

static int connected(const struct sockaddr_un *a, socklen_t length, int type)
{
    int fd = socket(AF_UNIX, type, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)a, length) == 0);
    return fd;
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    CHECK(getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 && size == sizeof value);
    return value;
}

static int events(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void test_pair(void)
{
    int s[2], unread = -1;
    char bytes[32];
    struct stat st;
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM | 0x10, 0, s), EINVAL);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 77, s), EPROTONOSUPPORT);
    CHECK_ERRNO(socketpair(AF_UNIX, 9, 0, s), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, 9, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s) == 0);
    CHECK(fcntl(s[0], F_GETFD) == FD_CLOEXEC && fcntl(s[1], F_GETFL) & O_NONBLOCK);
    CHECK(fstat(s[0], &st) == 0 && S_ISSOCK(st.st_mode));
    CHECK(option(s[0], SO_TYPE) == SOCK_STREAM && option(s[0], SO_DOMAIN) == AF_UNIX);
    CHECK(option(s[0], SO_PROTOCOL) == 0 && option(s[0], SO_ACCEPTCONN) == 0);
    CHECK_ERRNO(recv(s[0], bytes, 1, 0), EAGAIN);
    CHECK(events(s[0]) == POLLOUT);
    CHECK(write(s[0], "hello", 5) == 5 && ioctl(s[1], FIONREAD, &unread) == 0 && unread == 5);
    CHECK(events(s[1]) == (POLLIN | POLLOUT));
    CHECK(ioctl(s[0], TIOCOUTQ, &unread) == 0 && unread >= 5);
    CHECK(recv(s[1], bytes, 3, MSG_PEEK) == 3 && !memcmp(bytes, "hel", 3));
    CHECK(write(s[0], " world", 6) == 6);
    CHECK(recv(s[1], bytes, sizeof bytes, 0) == 11 && !memcmp(bytes, "hello world", 11));
    CHECK(ioctl(s[0], TIOCOUTQ, &unread) == 0 && unread == 0);
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}}, r[2] = {{bytes, 1}, {bytes + 8, 8}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 3}, in = {.msg_iov = r, .msg_iovlen = 2};
    CHECK(sendmsg(s[1], &m, 0) == 5 && recvmsg(s[0], &in, 0) == 5);
    CHECK(bytes[0] == 'a' && !memcmp(bytes + 8, "bcde", 4) && in.msg_flags == 0);
    CHECK_ERRNO(lseek(s[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO(send(s[0], (void *)16, 5, 0), EFAULT);
    CHECK(send(s[0], "xyz", 3, 0) == 3);
    CHECK_ERRNO(recv(s[1], (void *)16, 5, 0), EFAULT);
    CHECK(recv(s[1], bytes, 5, 0) == 3);
    CHECK(send(s[0], "", 0, 0) == 0);
    CHECK_ERRNO(recv(s[1], bytes, 5, 0), EAGAIN);
    close(s[0]);
    close(s[1]);
}

static void test_names(void)
{
    struct sockaddr_un a, b;
    socklen_t length = path_name(&a, "name"), size = sizeof b;
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr *pa = (struct sockaddr *)&a, *pb = (struct sockaddr *)&b;
    CHECK(getsockname(fd, pb, &size) == 0 && size == HEAD && b.sun_family == AF_UNIX);
    CHECK_ERRNO(getpeername(fd, pb, &size), ENOTCONN);
    CHECK_ERRNO(connect(fd, pa, length), ENOENT);
    CHECK_ERRNO(bind(fd, pa, 1), EINVAL);
    CHECK_ERRNO(bind(fd, pa, sizeof a + 1), EINVAL);
    CHECK_ERRNO(bind(fd, (void *)16, length), EFAULT);
    a.sun_family = AF_INET;
    CHECK_ERRNO(bind(fd, pa, length), EINVAL);
    CHECK_ERRNO(connect(fd, pa, length), EINVAL);
    a.sun_family = AF_UNIX;
    CHECK_ERRNO(listen(fd, 5), EINVAL);
    umask(027);
    CHECK(bind(fd, pa, length) == 0);
    umask(022);
    CHECK(stat(a.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0750);
    CHECK_ERRNO(bind(other, pa, length), EADDRINUSE);
    CHECK_ERRNO(open(a.sun_path, O_RDWR), ENXIO);
    size = sizeof b;
    CHECK(getsockname(fd, pb, &size) == 0 && size == HEAD + strlen(a.sun_path) + 1);
    CHECK(!strcmp(b.sun_path, a.sun_path));
    size = 4; /* cut, and the true length is told */
    CHECK(getsockname(fd, pb, &size) == 0 && size == HEAD + strlen(a.sun_path) + 1);
    CHECK_ERRNO(connect(other, pa, length), ECONNREFUSED);
    length = path_name(&a, "other");
    CHECK_ERRNO(bind(fd, pa, length), EINVAL);
    length = path_name(&a, "no/such");
    CHECK_ERRNO(bind(other, pa, length), ENOENT);
    length = path_name(&a, "name/below");
    CHECK_ERRNO(bind(other, pa, length), ENOTDIR);
    close(fd);
    length = path_name(&a, "name");
    CHECK_ERRNO(connect(other, pa, length), ECONNREFUSED);
    CHECK(unlink(a.sun_path) == 0);
    length = path_name(&a, "file");
    close(open(a.sun_path, O_CREAT | O_WRONLY, 0600));
    CHECK_ERRNO(connect(other, pa, length), ECONNREFUSED);
    CHECK_ERRNO(bind(other, pa, length), EADDRINUSE);
    CHECK(unlink(a.sun_path) == 0);
    close(other);
}

static void test_abstract(void)
{
    struct sockaddr_un a, b = {.sun_family = AF_UNIX};
    socklen_t length = abstract_name(&a, "stream"), size = sizeof b;
    struct sockaddr *pa = (struct sockaddr *)&a, *pb = (struct sockaddr *)&b;
    int fd = listener(&a, length, SOCK_STREAM, 5), other = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(bind(other, pa, length), EADDRINUSE);
    CHECK_ERRNO(connect(other, pa, length - 1), ECONNREFUSED);
    CHECK(getsockname(fd, pb, &size) == 0 && size == length && !memcmp(&a, &b, length));
    int c = connected(&a, length, SOCK_STREAM), s = accept(fd, pb, &size);
    CHECK(s >= 0 && size == HEAD);
    size = sizeof b;
    CHECK(getpeername(c, pb, &size) == 0 && size == length && !memcmp(&a, &b, length));
    size = sizeof b;
    CHECK(getsockname(s, pb, &size) == 0 && size == length);
    size = sizeof b;
    CHECK(getpeername(s, pb, &size) == 0 && size == HEAD);
    close(fd);
    CHECK_ERRNO(connect(other, pa, length), ECONNREFUSED);
    CHECK(write(c, "still", 5) == 5);
    /* autobind: five hexadecimal digits */
    b = (struct sockaddr_un){.sun_family = AF_UNIX};
    CHECK(bind(other, pb, HEAD) == 0);
    size = sizeof b;
    CHECK(getsockname(other, pb, &size) == 0 && size == HEAD + 6 && !b.sun_path[0]);
    close(other);
    close(c);
    close(s);
}

static void test_listening(void)
{
    struct sockaddr_un a, b;
    socklen_t length = abstract_name(&a, "listen"), size = sizeof b;
    struct sockaddr *pa = (struct sockaddr *)&a;
    int fd = listener(&a, length, SOCK_STREAM, 1), c[4], made = 0;
    CHECK(option(fd, SO_ACCEPTCONN) == 1 && events(fd) == 0);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    CHECK_ERRNO(accept(fd, NULL, NULL), EAGAIN);
    CHECK_ERRNO(accept4(fd, NULL, NULL, 1), EINVAL);
    CHECK_ERRNO(connect(fd, pa, length), EINVAL);
    for (; made < 4; made++) {
        c[made] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(c[made], pa, length) < 0)
            break;
    }
    CHECK(made == 2 && errno == EAGAIN);
    CHECK(events(fd) == POLLIN);
    CHECK(write(c[0], "early", 5) == 5); /* before it is accepted */
    int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    char bytes[8];
    CHECK(s >= 0 && fcntl(s, F_GETFD) == FD_CLOEXEC && fcntl(s, F_GETFL) & O_NONBLOCK);
    CHECK(read(s, bytes, 8) == 5);
    CHECK_ERRNO(connect(c[0], pa, length), EISCONN);
    CHECK(connect(c[2], pa, length) == 0);
    close(s);
    /* connections that wait when the listener goes are reset */
    close(fd);
    CHECK_ERRNO(read(c[1], bytes, 1), ECONNRESET);
    CHECK(read(c[1], bytes, 1) == 0);
    for (int i = 0; i < 3; i++)
        close(c[i]);
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_ERRNO(listen(fd, 1), EOPNOTSUPP);
    CHECK_ERRNO(accept(fd, (struct sockaddr *)&b, &size), EOPNOTSUPP);
    CHECK_ERRNO(connect(fd, pa, length), ECONNREFUSED);
    close(fd);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    CHECK_ERRNO(recv(fd, bytes, 1, 0), EINVAL);
    CHECK_ERRNO(send(fd, bytes, 1, 0), ENOTCONN);
    CHECK_ERRNO(sendto(fd, bytes, 1, 0, pa, length), EOPNOTSUPP);
    CHECK((events(fd) & (POLLHUP | POLLOUT)) == (POLLHUP | POLLOUT));
    close(fd);
}

/* Blocking: connect waits for room in the backlog, accept for a connection. */
static void test_waiting(void)
{
    struct sockaddr_un a;
    socklen_t length = abstract_name(&a, "wait");
    int fd = listener(&a, length, SOCK_STREAM, 0), status;
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 20; i++) {
            int c = connected(&a, length, SOCK_STREAM);
            char byte = (char)i;
            CHECK(write(c, &byte, 1) == 1 && read(c, &byte, 1) == 1 && byte == (char)(i + 1));
            close(c);
        }
        _exit(0);
    }
    for (int i = 0; i < 20; i++) {
        char byte;
        int s = accept(fd, NULL, NULL);
        CHECK(s >= 0 && read(s, &byte, 1) == 1 && byte == (char)i);
        byte++;
        CHECK(write(s, &byte, 1) == 1);
        CHECK(read(s, &byte, 1) == 0);
        close(s);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    struct timeval tv = {0, 50000};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    CHECK_ERRNO(accept(fd, NULL, NULL), EAGAIN);
    close(fd);
}

static void test_ends(int type)
{
    int s[2];
    char bytes[8];
    CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
    signal(SIGPIPE, on_signal);
    CHECK(shutdown(s[0], SHUT_WR) == 0);
    CHECK_ERRNO(shutdown(s[0], 3), EINVAL);
    CHECK(read(s[1], bytes, 8) == 0 && events(s[1]) == (POLLIN | POLLOUT | POLLRDHUP));
    CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(write(s[1], "back", 4) == 4 && read(s[0], bytes, 8) == 4);
    CHECK(shutdown(s[0], SHUT_RD) == 0);
    CHECK_ERRNO(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(events(s[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
    close(s[0]);
    close(s[1]);
    /* the other one goes: what it sent can be read; then the end */
    CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
    CHECK(write(s[0], "last", 4) == 4);
    close(s[0]);
    CHECK(events(s[1]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
    CHECK(read(s[1], bytes, 8) == 4 && read(s[1], bytes, 8) == 0);
    got = 0;
    CHECK_ERRNO(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(!got);
    if (type == SOCK_STREAM) {
        CHECK_ERRNO(write(s[1], "x", 1), EPIPE);
        CHECK(got == SIGPIPE);
    }
    close(s[1]);
    /* it goes without having read: a reset */
    CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
    CHECK(write(s[1], "unread", 6) == 6);
    close(s[0]);
    CHECK(events(s[1]) & POLLERR);
    CHECK_ERRNO(read(s[1], bytes, 8), ECONNRESET);
    CHECK(read(s[1], bytes, 8) == 0 && option(s[1], SO_ERROR) == 0);
    close(s[1]);
    signal(SIGPIPE, SIG_DFL);
}

static void test_full(void)
{
    int s[2], size = 8192;
    static char block[65536];
    long sent = 0, n;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    CHECK(option(s[0], SO_SNDBUF) == 16384);
    size = 1;
    CHECK(setsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    CHECK(option(s[1], SO_SNDBUF) >= 2048);
    while ((n = send(s[0], block, sizeof block, MSG_DONTWAIT)) > 0)
        sent += n;
    CHECK(n == -1 && errno == EAGAIN && sent >= 4096 && sent <= 65536);
    CHECK(!(events(s[0]) & POLLOUT));
    struct timeval tv = {0, 50000};
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
    CHECK_ERRNO(send(s[0], block, 1, 0), EAGAIN);
    for (long left = sent; left > 0; left -= n)
        CHECK((n = recv(s[1], block, sizeof block, 0)) > 0);
    CHECK(events(s[0]) == POLLOUT);
    tv.tv_usec = 50000;
    CHECK(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    double begin = seconds_now();
    CHECK_ERRNO(recv(s[1], block, 1, 0), EAGAIN);
    CHECK(seconds_now() - begin >= 0.045);
    close(s[0]);
    close(s[1]);
}

/* A megabyte to a child that reads as it likes, with MSG_WAITALL at the end. */
static void test_bulk(void)
{
    enum { TOTAL = 1 << 20 };
    int s[2], status;
    static unsigned char block[50000];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(s[0]);
        unsigned position = 0;
        while (position < TOTAL - 40000) {
            long n = read(s[1], block, 1 + position % 7777);
            CHECK(n > 0);
            for (long i = 0; i < n; i++, position++)
                CHECK(block[i] == (unsigned char)(position * 7 + position / 256));
        }
        unsigned left = TOTAL - position;
        CHECK(recv(s[1], block, left, MSG_WAITALL) == (long)left);
        CHECK(read(s[1], block, 1) == 0);
        _exit(0);
    }
    close(s[1]);
    for (unsigned position = 0; position < TOTAL;) {
        unsigned n = sizeof block < TOTAL - position ? sizeof block : TOTAL - position;
        for (unsigned i = 0; i < n; i++)
            block[i] = (unsigned char)((position + i) * 7 + (position + i) / 256);
        CHECK(write(s[0], block, n) == (long)n);
        position += n;
    }
    close(s[0]);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void test_seqpacket(void)
{
    int s[2];
    char bytes[16];
    struct sockaddr_un a;
    socklen_t length = abstract_name(&a, "seq");
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
    CHECK(send(s[0], "one", 3, 0) == 3 && send(s[0], "second", 6, 0) == 6);
    CHECK(recv(s[1], bytes, 16, 0) == 3);
    struct iovec v = {bytes, 2};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK(recvmsg(s[1], &m, 0) == 2 && m.msg_flags & MSG_TRUNC);
    CHECK_ERRNO(recv(s[1], bytes, 16, MSG_DONTWAIT), EAGAIN);
    close(s[0]);
    close(s[1]);
    int fd = listener(&a, length, SOCK_SEQPACKET, 1), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(c, (struct sockaddr *)&a, length), ECONNREFUSED); /* other names */
    CHECK(bind(c, (struct sockaddr *)&a, length) == 0);
    close(c);
    c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK_ERRNO(recv(c, bytes, 1, 0), ENOTCONN);
    CHECK_ERRNO(send(c, bytes, 1, 0), ENOTCONN);
    CHECK(connect(c, (struct sockaddr *)&a, length) == 0);
    int e = accept(fd, NULL, NULL);
    CHECK(send(e, "ab", 2, 0) == 2 && recv(c, bytes, 9, 0) == 2);
    static char large[1 << 20];
    CHECK_ERRNO(send(e, large, sizeof large, 0), EMSGSIZE);
    close(c);
    close(e);
    close(fd);
}

static void test_epoll(void)
{
    int s[2], e = epoll_create1(0);
    struct epoll_event ev = {EPOLLIN | EPOLLET | EPOLLRDHUP, {.u32 = 7}}, out;
    char bytes[8];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, s[0], &ev) == 0);
    CHECK(epoll_wait(e, &out, 1, 0) == 0);
    CHECK(write(s[1], "a", 1) == 1);
    CHECK(epoll_wait(e, &out, 1, 5000) == 1 && out.events == EPOLLIN && out.data.u32 == 7);
    CHECK(epoll_wait(e, &out, 1, 0) == 0);
    CHECK(write(s[1], "b", 1) == 1 && epoll_wait(e, &out, 1, 5000) == 1);
    ev.events = EPOLLIN | EPOLLONESHOT;
    CHECK(epoll_ctl(e, EPOLL_CTL_MOD, s[0], &ev) == 0);
    CHECK(epoll_wait(e, &out, 1, 5000) == 1 && epoll_wait(e, &out, 1, 0) == 0);
    CHECK(read(s[0], bytes, 8) == 2);
    ev.events = EPOLLIN | EPOLLRDHUP;
    CHECK(epoll_ctl(e, EPOLL_CTL_MOD, s[0], &ev) == 0 && epoll_wait(e, &out, 1, 0) == 0);
    pid_t child = fork();
    if (child == 0) {
        sleep_ms(30);
        shutdown(s[1], SHUT_WR);
        _exit(0);
    }
    CHECK(epoll_wait(e, &out, 1, 5000) == 1 && out.events == (EPOLLIN | EPOLLRDHUP));
    waitpid(child, NULL, 0);
    close(s[0]);
    close(s[1]);
    close(e);
}

static void test_credentials(void)
{
    struct sockaddr_un a;
    socklen_t length = abstract_name(&a, "cred"), size;
    struct ucred who;
    int s[2], fd, c, e, status;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    size = sizeof who;
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && size == sizeof who);
    CHECK(who.pid == getpid() && who.uid == geteuid() && who.gid == getegid());
    fd = listener(&a, length, SOCK_STREAM, 3);
    pid_t child = fork();
    if (child == 0) {
        c = connected(&a, length, SOCK_STREAM);
        size = sizeof who;
        CHECK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == getppid());
        char byte;
        CHECK(read(c, &byte, 1) == 0);
        _exit(0);
    }
    e = accept(fd, NULL, NULL);
    size = sizeof who;
    CHECK(getsockopt(e, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == child);
    close(e);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    size = sizeof who;
    CHECK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == 0);
    CHECK(who.uid == (uid_t)-1);
    CHECK_ERRNO(getsockopt(c, SOL_SOCKET, 9999, &who, &size), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(c, SOL_SOCKET, SO_TYPE, &who, (void *)16), EFAULT);
    int one = 1;
    CHECK_ERRNO(setsockopt(c, SOL_SOCKET, SO_TYPE, &one, sizeof one), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(c, SOL_SOCKET, SO_PASSCRED, &one, 1), EINVAL);
    CHECK_ERRNO(setsockopt(c, IPPROTO_TCP, 1, &one, sizeof one), EOPNOTSUPP);
    CHECK(setsockopt(c, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
    CHECK(option(c, SO_REUSEADDR) == 1);
    close(c);
    close(fd);
    close(s[0]);
    close(s[1]);
}

/* Others than root may not connect to what they may not write. */
static void test_permission(void)
{
    struct sockaddr_un a;
    socklen_t length = path_name(&a, "mine");
    int fd = listener(&a, length, SOCK_STREAM, 3), status;
    if (geteuid() == 0) {
        CHECK(chmod(directory, 0755) == 0 && chmod(a.sun_path, 0600) == 0);
        pid_t child = fork();
        if (child == 0) {
            CHECK(setgid(99) == 0 && setuid(99) == 0);
            int c = socket(AF_UNIX, SOCK_STREAM, 0);
            CHECK_ERRNO(connect(c, (struct sockaddr *)&a, length), EACCES);
            CHECK_ERRNO(bind(c, (struct sockaddr *)&a, length), EADDRINUSE);
            path_name(&a, "theirs");
            CHECK_ERRNO(bind(c, (struct sockaddr *)&a, length), EACCES);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        path_name(&a, "mine");
    }
    CHECK(unlink(a.sun_path) == 0);
    close(fd);
}

static void test_async(void)
{
    int s[2], on = 1;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    signal(SIGIO, on_signal);
    got = 0;
    CHECK(ioctl(s[0], FIOASYNC, &on) == 0 && fcntl(s[0], F_SETOWN, getpid()) == 0);
    CHECK(fcntl(s[0], F_GETOWN) == getpid());
    CHECK(write(s[1], "x", 1) == 1);
    for (int i = 0; i < 1000 && !got; i++)
        sleep_ms(2);
    CHECK(got == SIGIO);
    close(s[0]);
    close(s[1]);
    signal(SIGIO, SIG_DFL);
}

/* Interrupted waits. */
static void test_signals(void)
{
    int s[2];
    char byte;
    struct sigaction act = {.sa_handler = on_signal};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    sigaction(SIGALRM, &act, NULL);
    ualarm(30000, 0);
    CHECK_ERRNO(read(s[0], &byte, 1), EINTR);
    act.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &act, NULL);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        sleep_ms(20);
        kill(parent, SIGALRM);
        sleep_ms(50);
        CHECK(write(s[1], "x", 1) == 1);
        _exit(0);
    }
    got = 0;
    CHECK(read(s[0], &byte, 1) == 1 && got == SIGALRM);
    waitpid(child, NULL, 0);
    close(s[0]);
    close(s[1]);
}

static int peek_offset(int s)
{
    int value = 99;
    socklen_t size = sizeof value;
    CHECK(getsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &value, &size) == 0 && size == sizeof value);
    return value;
}

static void set_peek_offset(int s, int value)
{
    CHECK(setsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value) == 0);
    CHECK(peek_offset(s) == value);
}

/* recv(s, n, flags) gives these bytes. */
static void receives(int s, size_t n, int flags, const char *wanted)
{
    char got[64];
    CHECK(recv(s, got, n, flags) == (ssize_t)strlen(wanted) &&
          !memcmp(got, wanted, strlen(wanted)));
}

/* Looks follow each other, and what is taken comes off in front of them. */
static void test_peek_offset(void)
{
    int s[2];
    char byte;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    for (int i = 0; i < 40; i++) /* so that bytes move without a call */
        CHECK(write(s[0], "x", 1) == 1 && read(s[1], &byte, 1) == 1);
    CHECK(peek_offset(s[1]) == -1);
    CHECK(write(s[0], "abcde", 5) == 5 && write(s[0], "fghij", 5) == 5);
    receives(s[1], 3, MSG_PEEK, "abc");
    receives(s[1], 3, MSG_PEEK, "abc");
    set_peek_offset(s[1], 2);
    receives(s[1], 2, MSG_PEEK, "cd");
    receives(s[1], 3, MSG_PEEK, "efg");
    CHECK(peek_offset(s[1]) == 7);
    receives(s[1], 3, 0, "abc");
    CHECK(peek_offset(s[1]) == 4);
    receives(s[1], 20, MSG_PEEK, "hij");
    CHECK_ERRNO(recv(s[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
    CHECK(write(s[0], "k", 1) == 1);
    receives(s[1], 20, MSG_PEEK, "k");
    receives(s[1], 20, 0, "defghijk");
    CHECK(peek_offset(s[1]) == 0);
    CHECK(write(s[0], "lm", 2) == 2);
    receives(s[1], 1, MSG_PEEK, "l");
    receives(s[1], 2, 0, "lm"); /* more than was looked at */
    CHECK(peek_offset(s[1]) == 0);
    CHECK(write(s[0], "n", 1) == 1);
    receives(s[1], 1, MSG_PEEK, "n");
    CHECK(close(s[0]) == 0 && recv(s[1], &byte, 1, MSG_PEEK) == 0);
    set_peek_offset(s[1], -1);
    receives(s[1], 1, MSG_PEEK, "n");
    close(s[1]);

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
    CHECK(send(s[0], "abcd", 4, 0) == 4 && send(s[0], "efg", 3, 0) == 3);
    set_peek_offset(s[1], 1);
    receives(s[1], 2, MSG_PEEK, "bc");
    receives(s[1], 20, MSG_PEEK, "d");
    CHECK(recv(s[1], &byte, 1, MSG_PEEK | MSG_TRUNC) == 3 && byte == 'e' && peek_offset(s[1]) == 5);
    receives(s[1], 2, 0, "ab"); /* and the rest of that packet is gone */
    CHECK(peek_offset(s[1]) == 1);
    receives(s[1], 20, MSG_PEEK, "fg");
    CHECK_ERRNO(recv(s[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
    close(s[0]);
    close(s[1]);
}

static void test_exec(const char *self)
{
    int s[2], status;
    char bytes[8], fd[16];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(s[0]);
        snprintf(fd, sizeof fd, "%d", s[1]);
        execl(self, self, "exec", fd, (char *)NULL);
        _exit(127);
    }
    close(s[1]);
    CHECK(write(s[0], "ping", 4) == 4 && read(s[0], bytes, 8) == 4 && !memcmp(bytes, "pong", 4));
    CHECK(read(s[0], bytes, 8) == 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(s[0]);
}

static int execed(int fd)
{
    char bytes[8];
    int type = option(fd, SO_TYPE);
    CHECK(type == SOCK_STREAM && read(fd, bytes, 8) == 4 && !memcmp(bytes, "ping", 4));
    CHECK(write(fd, "pong", 4) == 4);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return execed(atoi(argv[2]));
    CHECK(mkdtemp(directory));
    test_pair();
    test_names();
    test_abstract();
    test_listening();
    test_waiting();
    test_ends(SOCK_STREAM);
    test_ends(SOCK_SEQPACKET);
    test_full();
    test_bulk();
    test_seqpacket();
    test_epoll();
    test_credentials();
    test_permission();
    test_async();
    test_peek_offset();
    test_signals();
    test_exec("/proc/self/exe");
    CHECK(rmdir(directory) == 0);
    return 0;
}
