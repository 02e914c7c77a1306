/* SPDX-License-Identifier: MIT */
/* UNIX datagram sockets: unix(7), connect(2), send(2), recv(2). */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define HEAD offsetof(struct sockaddr_un, sun_path)

static char directory[] = "/tmp/unix-dgram-XXXXXX";

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

static int bound(const struct sockaddr_un *a, socklen_t length)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)a, length) == 0);
    return fd;
}

static int events(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void test_pair(void)
{
    int s[2], unread = -1;
    char bytes[16];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK_ERRNO(recv(s[0], bytes, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(send(s[0], "first", 5, 0) == 5 && send(s[0], "", 0, 0) == 0 &&
          send(s[0], "2", 1, 0) == 1);
    CHECK(ioctl(s[1], FIONREAD, &unread) == 0 && unread == 5);
    CHECK(recv(s[1], bytes, 2, MSG_PEEK) == 2);
    CHECK(recv(s[1], bytes, 2, MSG_TRUNC) == 5 && !memcmp(bytes, "fi", 2));
    CHECK(events(s[1]) == (POLLIN | POLLOUT) && read(s[1], bytes, 16) == 0);
    CHECK(read(s[1], bytes, 16) == 1);
    struct iovec v[2] = {{"ab", 2}, {"cd", 2}};
    CHECK(writev(s[1], v, 2) == 4 && recv(s[0], bytes, 16, 0) == 4 && !memcmp(bytes, "abcd", 4));
    CHECK_ERRNO(send(s[0], "x", 1, MSG_OOB), EOPNOTSUPP);
    CHECK_ERRNO(send(s[0], (void *)16, 1, 0), EFAULT);
    static char large[1 << 20];
    CHECK_ERRNO(send(s[0], large, sizeof large, 0), EMSGSIZE);
    CHECK(send(s[0], large, 60000, 0) == 60000 && recv(s[1], large, sizeof large, 0) == 60000);
    close(s[1]);
    CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), ECONNREFUSED);
    CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), ENOTCONN);
    close(s[0]);
}

static void test_addresses(void)
{
    struct sockaddr_un a, b, c, from;
    socklen_t la = path_name(&a, "a"), lb = abstract_name(&b, "b"), lc = path_name(&c, "c"), size;
    int sa = bound(&a, la), sb = bound(&b, lb), s = socket(AF_UNIX, SOCK_DGRAM, 0);
    char bytes[16];
    CHECK_ERRNO(send(s, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(sendto(s, "x", 1, 0, (struct sockaddr *)&c, lc), ENOENT);
    CHECK_ERRNO(sendto(s, "x", 1, 0, (struct sockaddr *)&a, 1), EINVAL);
    CHECK(sendto(s, "anon", 4, 0, (struct sockaddr *)&a, la) == 4);
    CHECK(sendto(sb, "b", 1, 0, (struct sockaddr *)&a, la) == 1);
    size = sizeof from;
    CHECK(recvfrom(sa, bytes, 16, 0, (struct sockaddr *)&from, &size) == 4 && size == 0);
    size = sizeof from;
    CHECK(recvfrom(sa, bytes, 16, 0, (struct sockaddr *)&from, &size) == 1 && size == lb);
    CHECK(!memcmp(&from, &b, lb));
    CHECK(sendto(sa, "back", 4, 0, (struct sockaddr *)&b, lb) == 4);
    struct iovec v = {bytes, sizeof bytes};
    struct msghdr m = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1};
    CHECK(recvmsg(sb, &m, 0) == 4 && m.msg_namelen == HEAD + strlen(a.sun_path) + 1);
    CHECK(!strcmp(from.sun_path, a.sun_path));
    /* a stream socket there is the wrong type */
    int stream = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(stream, (struct sockaddr *)&c, lc) == 0);
    CHECK_ERRNO(sendto(s, "x", 1, 0, (struct sockaddr *)&c, lc), EPROTOTYPE);
    CHECK_ERRNO(connect(s, (struct sockaddr *)&c, lc), EPROTOTYPE);
    close(stream);
    CHECK_ERRNO(sendto(s, "x", 1, 0, (struct sockaddr *)&c, lc), ECONNREFUSED);
    CHECK(unlink(c.sun_path) == 0);
    CHECK(unlink(a.sun_path) == 0);
    CHECK_ERRNO(sendto(s, "x", 1, 0, (struct sockaddr *)&a, la), ENOENT);
    close(sa);
    close(sb);
    close(s);
}

static void test_connect(void)
{
    struct sockaddr_un a, b, from;
    socklen_t la = abstract_name(&a, "ca"), lb = abstract_name(&b, "cb"), size = sizeof from;
    int sa = bound(&a, la), sb = bound(&b, lb), s = socket(AF_UNIX, SOCK_DGRAM, 0);
    char bytes[16];
    CHECK(connect(s, (struct sockaddr *)&a, la) == 0 && send(s, "1", 1, 0) == 1);
    CHECK(getpeername(s, (struct sockaddr *)&from, &size) == 0 && size == la);
    CHECK(recv(sa, bytes, 16, 0) == 1);
    CHECK(connect(s, (struct sockaddr *)&b, lb) == 0 && write(s, "22", 2) == 2);
    CHECK(recv(sb, bytes, 16, 0) == 2);
    CHECK(sendto(s, "333", 3, 0, (struct sockaddr *)&a, la) == 3 && recv(sa, bytes, 16, 0) == 3);
    /* who is connected to one takes messages of no other */
    CHECK(connect(sa, (struct sockaddr *)&b, lb) == 0);
    CHECK_ERRNO(sendto(s, "x", 1, 0, (struct sockaddr *)&a, la), EPERM);
    CHECK_ERRNO(connect(s, (struct sockaddr *)&a, la), EPERM);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    CHECK(connect(s, &none, sizeof none) == 0);
    CHECK_ERRNO(send(s, "x", 1, 0), ENOTCONN);
    size = sizeof from;
    CHECK_ERRNO(getpeername(s, (struct sockaddr *)&from, &size), ENOTCONN);
    close(s);
    CHECK(send(sa, "y", 1, 0) == 1);
    close(sb);
    CHECK_ERRNO(send(sa, "y", 1, 0), ECONNREFUSED);
    close(sa);
}

static void test_shutdown(void)
{
    int s[2];
    char byte;
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK(shutdown(s[0], SHUT_WR) == 0);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(send(s[0], "x", 1, 0), EPIPE);
    CHECK(shutdown(s[1], SHUT_RD) == 0 && recv(s[1], &byte, 1, 0) == 0);
    close(s[0]);
    close(s[1]);
}

/* A full queue holds senders back; they go on when it is read. */
static void test_full(void)
{
    int s[2], n = 0, status;
    char block[1000] = "";
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    while (send(s[0], block, sizeof block, MSG_DONTWAIT) == sizeof block)
        n++;
    CHECK(errno == EAGAIN && n >= 5 && !(events(s[0]) & POLLOUT));
    struct timeval tv = {0, 30000};
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
    CHECK_ERRNO(send(s[0], block, sizeof block, 0), EAGAIN);
    tv.tv_usec = 0;
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(s[1]);
        for (int i = 0; i < 500; i++)
            CHECK(send(s[0], block, sizeof block, 0) == sizeof block);
        _exit(0);
    }
    for (int i = 0; i < 500 + n; i++)
        CHECK(recv(s[1], block, sizeof block, 0) == sizeof block);
    CHECK_ERRNO(recv(s[1], block, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(s[0]);
    close(s[1]);
}

static void test_many(void)
{
    int s[2];
    char in[4][8];
    struct iovec v[4] = {{"a", 1}, {"bb", 2}, {"ccc", 3}, {"dddd", 4}}, r[4];
    struct mmsghdr out[4] = {0}, got[4] = {0};
    struct timespec soon = {5, 0};
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    for (int i = 0; i < 4; i++) {
        r[i] = (struct iovec){in[i], sizeof in[i]};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
        got[i].msg_hdr = (struct msghdr){.msg_iov = &r[i], .msg_iovlen = 1};
    }
    CHECK(sendmmsg(s[0], out, 3, 0) == 3 && out[2].msg_len == 3);
    CHECK(recvmmsg(s[1], got, 4, MSG_WAITFORONE, &soon) == 3);
    CHECK(got[0].msg_len == 1 && got[1].msg_len == 2 && !memcmp(in[2], "ccc", 3));
    CHECK_ERRNO(recvmmsg(s[1], got, 4, MSG_DONTWAIT, NULL), EAGAIN);
    close(s[0]);
    close(s[1]);
}

/* What a log daemon's clients do (syslog(3)): nobody there, then somebody, then gone again. */
static void test_reconnect(void)
{
    struct sockaddr_un a;
    socklen_t length = path_name(&a, "log");
    int c = socket(AF_UNIX, SOCK_DGRAM, 0);
    char bytes[8];
    CHECK_ERRNO(connect(c, (struct sockaddr *)&a, length), ENOENT);
    int d = bound(&a, length);
    CHECK(connect(c, (struct sockaddr *)&a, length) == 0 && send(c, "one", 3, 0) == 3);
    close(d);
    CHECK_ERRNO(send(c, "two", 3, MSG_NOSIGNAL), ECONNREFUSED);
    CHECK_ERRNO(connect(c, (struct sockaddr *)&a, length), ECONNREFUSED);
    CHECK(unlink(a.sun_path) == 0);
    d = bound(&a, length);
    CHECK(connect(c, (struct sockaddr *)&a, length) == 0 && send(c, "three", 5, 0) == 5);
    CHECK(recv(d, bytes, 8, 0) == 5);
    CHECK(unlink(a.sun_path) == 0);
    close(c);
    close(d);
}

int main(void)
{
    CHECK(mkdtemp(directory));
    test_pair();
    test_addresses();
    test_connect();
    test_shutdown();
    test_full();
    test_many();
    test_reconnect();
    CHECK(rmdir(directory) == 0);
    return 0;
}
