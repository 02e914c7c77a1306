/* SPDX-License-Identifier: MIT */
/* What goes beside the bytes of UNIX sockets: SCM_RIGHTS and SCM_CREDENTIALS; unix(7), cmsg(3). */
#include "check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define MANY 253

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * MANY) + CMSG_SPACE(sizeof(struct ucred))];
};

static long send_fds(int s, const void *bytes, size_t size, const int *fds, size_t n, int flags)
{
    union control c = {0};
    struct iovec v = {(void *)bytes, size};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
    c.header.cmsg_level = SOL_SOCKET;
    c.header.cmsg_type = SCM_RIGHTS;
    c.header.cmsg_len = CMSG_LEN(sizeof(int) * n);
    memcpy(CMSG_DATA(&c.header), fds, sizeof(int) * n);
    return sendmsg(s, &m, flags);
}

struct got {
    long bytes;
    int flags, fds[MANY];
    size_t count;
    struct ucred who; /* pid 0: nothing was told */
};

static struct got receive(int s, void *bytes, size_t size, size_t room, int flags)
{
    union control c = {0};
    struct iovec v = {bytes, size};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = room};
    static struct got g;
    memset(&g, 0, sizeof g);
    g.bytes = recvmsg(s, &m, flags);
    g.flags = m.msg_flags;
    if (g.bytes < 0)
        return g;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        CHECK(h->cmsg_level == SOL_SOCKET);
        if (h->cmsg_type == SCM_RIGHTS) {
            g.count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(g.fds, CMSG_DATA(h), g.count * sizeof(int));
        } else if (h->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&g.who, CMSG_DATA(h), sizeof g.who);
        }
    }
    return g;
}

static void pair(int type, int s[2])
{
    CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
}

static int open_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_file(int type)
{
    int s[2];
    char name[] = "/tmp/rights-XXXXXX", bytes[16];
    pair(type, s);
    int fd = mkstemp(name);
    CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10 && lseek(fd, 3, SEEK_SET) == 3);
    CHECK(send_fds(s[0], "f", 1, &fd, 1, 0) == 1);
    struct got g = receive(s[1], bytes, 16, sizeof(union control), MSG_CMSG_CLOEXEC);
    CHECK(g.bytes == 1 && g.count == 1 && g.fds[0] > fd);
    CHECK(fcntl(g.fds[0], F_GETFD) == FD_CLOEXEC &&
          (fcntl(g.fds[0], F_GETFL) & O_ACCMODE) == O_RDWR);
    struct stat a, b;
    CHECK(fstat(fd, &a) == 0 && fstat(g.fds[0], &b) == 0 && a.st_ino == b.st_ino);
    /* one open file: one position */
    CHECK(read(g.fds[0], bytes, 2) == 2 && !memcmp(bytes, "34", 2));
    CHECK(read(fd, bytes, 2) == 2 && !memcmp(bytes, "56", 2));
    close(fd);
    CHECK(read(g.fds[0], bytes, 16) == 3);
    close(g.fds[0]);
    CHECK(unlink(name) == 0);
    close(s[0]);
    close(s[1]);
}

/* Ends of pipes and sockets work on, when the sender's are closed, and from the queue of nobody. */
static void test_ends(void)
{
    int s[2], p[2], t[2];
    char bytes[16];
    pair(SOCK_STREAM, s);
    pair(SOCK_STREAM, t);
    CHECK(pipe(p) == 0);
    int both[2] = {p[0], t[1]};
    CHECK(send_fds(s[0], "x", 1, both, 2, 0) == 1);
    close(p[0]);
    close(t[1]);
    close(s[0]);
    CHECK(write(p[1], "pipe", 4) == 4 && write(t[0], "sock", 4) == 4);
    struct got g = receive(s[1], bytes, 16, sizeof(union control), 0);
    CHECK(g.bytes == 1 && g.count == 2);
    CHECK(read(g.fds[0], bytes, 16) == 4 && !memcmp(bytes, "pipe", 4));
    CHECK(read(g.fds[1], bytes, 16) == 4 && !memcmp(bytes, "sock", 4));
    CHECK(write(g.fds[1], "back", 4) == 4 && read(t[0], bytes, 16) == 4);
    close(g.fds[0]);
    close(g.fds[1]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
    CHECK(read(t[0], bytes, 1) == 0);
    close(p[1]);
    close(t[0]);
    close(s[1]);
}

static void test_inet(void)
{
    int s[2], status;
    char bytes[16];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    pair(SOCK_SEQPACKET, s);
    int l = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 5) == 0);
    CHECK(getsockname(l, (struct sockaddr *)&a, &length) == 0);
    int c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(c, (struct sockaddr *)&a, sizeof a) == 0);
    pid_t child = fork();
    if (child == 0) { /* takes the listener and a connection over */
        close(l);
        close(c);
        close(s[0]);
        struct got g = receive(s[1], bytes, 16, sizeof(union control), 0);
        CHECK(g.count == 2);
        int e = accept(g.fds[0], NULL, NULL);
        CHECK(e >= 0 && write(g.fds[1], "to server", 9) == 9);
        CHECK(read(e, bytes, 16) == 9);
        _exit(0);
    }
    CHECK(send_fds(s[0], "net", 3, (int[]){l, c}, 2, 0) == 3);
    close(l);
    close(c);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(s[0]);
    close(s[1]);
}

static void test_many(void)
{
    int s[2], fds[MANY + 1], before = open_fds();
    char bytes[4];
    pair(SOCK_STREAM, s);
    for (int i = 0; i <= MANY; i++)
        fds[i] = s[i & 1];
    CHECK_ERRNO(send_fds(s[0], "x", 1, fds, MANY + 1, 0), EINVAL);
    CHECK(send_fds(s[0], "x", 1, fds, MANY, 0) == 1);
    struct got g = receive(s[1], bytes, 4, sizeof(union control), 0);
    CHECK(g.count == MANY && !(g.flags & MSG_CTRUNC));
    CHECK(write(g.fds[0], "y", 1) == 1 && read(g.fds[1], bytes, 4) == 1);
    for (int i = 0; i < MANY; i++)
        close(g.fds[i]);
    CHECK_ERRNO(send_fds(s[0], "x", 1, (int[]){s[0], 999}, 2, 0), EBADF);
    close(s[0]);
    close(s[1]);
    CHECK(open_fds() == before);
}

/* No room for them: what does not fit is closed. */
static void test_truncated(void)
{
    int s[2], p[2], before;
    char bytes[4];
    pair(SOCK_STREAM, s);
    CHECK(pipe(p) == 0);
    before = open_fds();
    int three[3] = {p[1], p[1], p[1]};
    CHECK(send_fds(s[0], "a", 1, three, 3, 0) == 1 && send_fds(s[0], "b", 1, three, 3, 0) == 1 &&
          send_fds(s[0], "c", 1, three, 3, 0) == 1);
    struct got g = receive(s[1], bytes, 1, CMSG_LEN(sizeof(int)), 0);
    CHECK(g.bytes == 1 && g.count == 1 && g.flags & MSG_CTRUNC);
    close(g.fds[0]);
    g = receive(s[1], bytes, 1, 0, 0);
    CHECK(g.bytes == 1 && g.count == 0 && g.flags & MSG_CTRUNC);
    CHECK(read(s[1], bytes, 4) == 1); /* nor has read() */
    CHECK(open_fds() == before);
    close(p[1]);
    CHECK(read(p[0], bytes, 1) == 0); /* nobody has it any more */
    close(p[0]);
    close(s[0]);
    close(s[1]);
}

/* They come with the first byte of what they were sent with, which ends there. */
static void test_places(void)
{
    int s[2], p[2];
    char bytes[16];
    pair(SOCK_STREAM, s);
    CHECK(pipe(p) == 0);
    CHECK(write(s[0], "aa", 2) == 2 && send_fds(s[0], "bb", 2, p, 1, 0) == 2 &&
          write(s[0], "cc", 2) == 2 && send_fds(s[0], "dd", 2, p, 2, 0) == 2);
    struct got g = receive(s[1], bytes, 16, sizeof(union control), MSG_PEEK);
    CHECK(g.bytes == 4 && g.count == 1);
    close(g.fds[0]);
    g = receive(s[1], bytes, 16, sizeof(union control), 0);
    CHECK(g.bytes == 4 && g.count == 1 && !memcmp(bytes, "aabb", 4));
    close(g.fds[0]);
    g = receive(s[1], bytes, 3, sizeof(union control), 0);
    CHECK(g.bytes == 3 && g.count == 2);
    close(g.fds[0]);
    close(g.fds[1]);
    g = receive(s[1], bytes, 16, sizeof(union control), 0);
    CHECK(g.bytes == 1 && g.count == 0 && bytes[0] == 'd');
    close(p[0]);
    close(p[1]);
    close(s[0]);
    close(s[1]);
}

static void test_credentials(int type)
{
    int s[2], one = 1, status;
    char bytes[8];
    union control c = {0};
    struct iovec v = {"me", 2};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    pair(type, s);
    CHECK(write(s[0], "no", 2) == 2);
    struct got g = receive(s[1], bytes, 8, sizeof(union control), 0);
    CHECK(g.bytes == 2 && g.who.pid == 0);
    CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one) == 0);
    CHECK(write(s[0], "yes", 3) == 3);
    pid_t child = fork();
    if (child == 0) {
        CHECK(write(s[0], "child", 5) == 5);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    g = receive(s[1], bytes, 8, sizeof(union control), 0);
    CHECK(g.bytes == 3 && g.who.pid == getpid() && g.who.uid == getuid() && g.who.gid == getgid());
    g = receive(s[1], bytes, 8, sizeof(union control), 0);
    CHECK(g.bytes == 5 && g.who.pid == child);
    struct ucred who = {getpid(), getuid(), getgid()};
    m.msg_controllen = CMSG_SPACE(sizeof who);
    c.header.cmsg_level = SOL_SOCKET;
    c.header.cmsg_type = SCM_CREDENTIALS;
    c.header.cmsg_len = CMSG_LEN(sizeof who);
    memcpy(CMSG_DATA(&c.header), &who, sizeof who);
    CHECK(sendmsg(s[0], &m, 0) == 2);
    g = receive(s[1], bytes, 8, sizeof(union control), 0);
    CHECK(g.bytes == 2 && g.who.pid == getpid());
    if (geteuid() == 0) {
        child = fork();
        if (child == 0) {
            CHECK(setgid(99) == 0 && setuid(99) == 0);
            CHECK_ERRNO(sendmsg(s[0], &m, 0), EPERM);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    c.header.cmsg_type = 77;
    CHECK_ERRNO(sendmsg(s[0], &m, 0), EINVAL);
    c.header.cmsg_len = 3;
    CHECK_ERRNO(sendmsg(s[0], &m, 0), EINVAL);
    close(s[0]);
    close(s[1]);
}

/* Sockets in each other's queues, which nobody can reach: they go. */
static void test_circles(void)
{
    int others[2], watch[2];
    struct pollfd gone;
    for (int i = 0; i < 200; i++) {
        int a[2], b[2];
        pair(SOCK_STREAM, a);
        pair(SOCK_DGRAM, b);
        CHECK(pipe(watch) == 0);
        CHECK(send_fds(a[0], "x", 1, (int[]){b[0], watch[1]}, 2, 0) == 1);
        CHECK(send_fds(b[1], "x", 1, (int[]){a[1], b[1]}, 2, 0) == 1);
        CHECK(send_fds(a[1], "x", 1, a, 2, 0) == 1);
        close(a[0]);
        close(a[1]);
        close(b[0]);
        close(b[1]);
        close(watch[1]);
        gone = (struct pollfd){watch[0], POLLIN, 0};
        for (int tries = 0; tries < 100 && poll(&gone, 1, 20) == 0; tries++) {
            pair(SOCK_STREAM, others); /* Linux looks for them when sockets are closed */
            close(others[0]);
            close(others[1]);
        }
        CHECK(gone.revents == POLLHUP);
        close(watch[0]);
    }
}

/* The receiver dies with messages in its queue: what is in them is closed. */
static void test_death(void)
{
    int s[2], p[2], status;
    char byte;
    pair(SOCK_STREAM, s);
    CHECK(pipe(p) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(s[0]);
        close(p[0]);
        close(p[1]);
        pause();
    }
    close(s[1]);
    CHECK(send_fds(s[0], "x", 1, &p[1], 1, 0) == 1);
    close(p[1]);
    struct pollfd f = {p[0], POLLIN, 0};
    CHECK(poll(&f, 1, 20) == 0);
    kill(child, SIGKILL);
    CHECK(read(p[0], &byte, 1) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    close(p[0]);
    close(s[0]);
}

/* A lock goes with the last descriptor of the open file, wherever that is, and no later. */
static void test_lock(bool message)
{
    int s[2], status;
    char name[] = "/tmp/rights-XXXXXX", byte, number[12];
    close(mkstemp(name));
    for (int i = 0; i < 60; i++) /* a name that is opened again and again */
        close(open(name, O_RDONLY));
    pair(SOCK_STREAM, s);
    int fd = open(name, O_RDONLY);
    if (message) {
        CHECK(send_fds(s[0], "x", 1, &fd, 1, 0) == 1);
        close(fd);
        struct got g = receive(s[1], &byte, 1, sizeof(union control), 0);
        CHECK(g.count == 1 && flock(g.fds[0], LOCK_EX) == 0);
        close(g.fds[0]);
    } else {
        pid_t pid = vfork();
        if (pid == 0) {
            snprintf(number, sizeof number, "%d", fd);
            execl("/proc/self/exe", "unix_rights", number, NULL);
            _exit(127);
        }
        close(fd);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(flock(open(name, O_RDONLY), LOCK_EX | LOCK_NB) == 0);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    unlink(name);
    close(s[0]), close(s[1]);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return flock(atoi(argv[1]), LOCK_EX) != 0;
    test_lock(true);
    test_lock(false);
    test_file(SOCK_STREAM);
    test_file(SOCK_DGRAM);
    test_ends();
    test_inet();
    test_many();
    test_truncated();
    test_places();
    test_credentials(SOCK_STREAM);
    test_credentials(SOCK_DGRAM);
    test_circles();
    test_death();
    return 0;
}
