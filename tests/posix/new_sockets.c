/* SPDX-License-Identifier: MIT */
/*
 * What can be done with a socket of TCP that has done nothing yet, whatever comes first: socket(2),
 * connect(2), tcp(7), poll(2), fork(2), unix(7).
 */
#include "child.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

static struct sockaddr_in address;
static int listener;

static int new_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    return fd;
}

static int connect_here(int fd)
{
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

/* Connected, and good for a byte. */
static void works(int fd)
{
    char byte = 'x';
    CHECK0(connect_here(fd));
    int other = accept(listener, NULL, NULL);
    CHECK(other >= 0 && write(fd, &byte, 1) == 1 && read(other, &byte, 1) == 1);
    close(other);
    CHECK(read(fd, &byte, 1) == 0);
    close(fd);
}

static void test_first_calls(void)
{
    struct sockaddr_in name;
    struct stat st;
    char byte = 0;
    int value = -1, fd = new_socket();
    socklen_t size = sizeof name;
    CHECK0(getsockname(fd, (struct sockaddr *)&name, &size));
    CHECK(size == sizeof name && name.sin_family == AF_INET && !name.sin_port);
    works(fd);
    fd = new_socket();
    CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&name, &size), ENOTCONN);
    works(fd);
    fd = new_socket();
    CHECK_ERRNO(read(fd, &byte, 1), ENOTCONN);
    works(fd);
    fd = new_socket();
    CHECK_ERRNO(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
    works(fd);
    fd = new_socket();
    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    works(fd);
    fd = new_socket();
    CHECK_ERRNO(shutdown(fd, SHUT_WR), ENOTCONN);
    close(fd);
    fd = new_socket();
    size = sizeof value;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) == 0 && value == 0);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &size) == 0 && value == IPPROTO_TCP);
    works(fd);
    fd = new_socket();
    value = 1;
    CHECK0(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
    works(fd);
    fd = new_socket();
    CHECK(fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode));
    works(fd);
    fd = new_socket();
    CHECK_ERRNO(lseek(fd, 0, SEEK_CUR), ESPIPE);
    works(fd);
    close(new_socket());
    fd = new_socket();
    works(dup(fd));
    close(fd);
}

static void test_waits(void)
{
    int fd = new_socket(), e = epoll_create1(0);
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLOUT | POLLHUP));
    works(fd);
    fd = new_socket();
    struct epoll_event ev = {EPOLLIN | EPOLLET, {0}}, out;
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev) == 0);
    CHECK(epoll_wait(e, &out, 1, 0) == 1 && out.events == EPOLLHUP);
    CHECK0(connect_here(fd));
    int other = accept(listener, NULL, NULL);
    CHECK(write(other, "x", 1) == 1 && epoll_wait(e, &out, 1, 5000) == 1);
    CHECK(out.events & EPOLLIN);
    close(other), close(fd), close(e);
}

static void test_without_waiting(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(connect_here(fd) == 0 || errno == EINPROGRESS);
    struct pollfd p = {fd, POLLOUT, 0};
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLOUT);
    close(accept(listener, NULL, NULL));
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(connect_here(fd) == 0 || errno == EINPROGRESS);
    close(accept(listener, NULL, NULL));
    close(fd);
}

static void test_refused(void)
{
    struct sockaddr_in nobody = address;
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    int fd = new_socket(), bound = new_socket();
    socklen_t size = sizeof nobody;
    nobody.sin_port = 0;
    CHECK0(bind(bound, (struct sockaddr *)&nobody, sizeof nobody));
    CHECK0(getsockname(bound, (struct sockaddr *)&nobody, &size));
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&nobody, sizeof nobody), ECONNREFUSED);
    close(fd), close(bound);
    fd = new_socket();
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&address, 3), EINVAL);
    works(fd);
    fd = new_socket();
    CHECK_ERRNO(connect(fd, (struct sockaddr *)16, sizeof address), EFAULT);
    works(fd);
    fd = new_socket();
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&address, 4000), EINVAL);
    works(fd);
    fd = new_socket();
    CHECK0(connect(fd, &none, sizeof none));
    works(fd);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM | 0x100, 0), EINVAL);
}

static void test_children(void)
{
    int fd = new_socket(), other;
    char byte;
    IN_CHILD(works(fd));
    CHECK_ERRNO(connect_here(fd), EISCONN); /* it is one socket */
    close(fd);
    fd = new_socket();
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(read(fd, &byte, 1) == 1 && byte == 'y');
        _exit(0);
    }
    CHECK0(connect_here(fd));
    other = accept(listener, NULL, NULL);
    CHECK(write(other, "y", 1) == 1);
    finish(pid);
    close(fd), close(other);
}

static void test_passed(void)
{
    int s[2], fd = new_socket(), got = -1;
    char byte = 'p';
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } c = {0};
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = sizeof c;
    CHECK0(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    c.header.cmsg_level = SOL_SOCKET;
    c.header.cmsg_type = SCM_RIGHTS;
    c.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&c.header), &fd, sizeof fd);
    CHECK(sendmsg(s[0], &m, 0) == 1);
    close(fd);
    m.msg_controllen = sizeof c;
    CHECK(recvmsg(s[1], &m, 0) == 1 && CMSG_FIRSTHDR(&m));
    memcpy(&got, CMSG_DATA(&c.header), sizeof got);
    works(got);
    close(s[0]), close(s[1]);
}

#define THREADS 4

static void *connects(void *fd)
{
    return (void *)(long)(connect_here(*(int *)fd) == 0 ? 0 : errno);
}

/* One of several threads connects it. */
static void test_threads(void)
{
    for (int i = 0; i < 50; i++) {
        pthread_t t[THREADS];
        int fd = new_socket(), good = 0;
        for (int k = 0; k < THREADS; k++)
            CHECK0(pthread_create(&t[k], NULL, connects, &fd));
        for (int k = 0; k < THREADS; k++) {
            void *error;
            CHECK0(pthread_join(t[k], &error));
            CHECK(!error || (long)error == EISCONN || (long)error == EALREADY);
            good += !error;
        }
        CHECK(good >= 1);
        close(accept(listener, NULL, NULL));
        close(fd);
    }
}

int main(void)
{
    socklen_t size = sizeof address;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    listener = new_socket();
    CHECK0(bind(listener, (struct sockaddr *)&address, sizeof address));
    CHECK0(listen(listener, 16));
    CHECK0(getsockname(listener, (struct sockaddr *)&address, &size));
    test_first_calls();
    test_waits();
    test_without_waiting();
    test_refused();
    test_children();
    test_passed();
    test_threads();
    return 0;
}
