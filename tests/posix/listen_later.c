/* SPDX-License-Identifier: MIT */
/*
 * A TCP socket that several processes have before it listens: whoever makes it listen does so for
 * all, its connections are for whoever accepts first, and those that nobody has taken yet stay when
 * one of the processes goes.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"

enum { CONNECTIONS = 8 };

static int bound(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof *address) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)address, &size) == 0);
    return fd;
}

static int client(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0);
    return fd;
}

static void say(int fd, char c)
{
    CHECK(write(fd, &c, 1) == 1);
}

static void hear(int fd, char c)
{
    char byte = 0;
    CHECK(read(fd, &byte, 1) == 1 && byte == c);
}

static void serve_one(int l)
{
    char c;
    int s = accept(l, NULL, NULL);
    CHECK(s >= 0 && read(s, &c, 1) == 1 && write(s, &c, 1) == 1);
    close(s);
}

static int is_listening(int fd)
{
    int value = -1;
    socklen_t size = sizeof value;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0);
    return value;
}

static void reap(pid_t pid)
{
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* The child listens, serves one, and goes; the parent, which listens as well, has the others. */
static void both_listen(int l, const struct sockaddr_in *address, const int talk[2])
{
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(listen(l, 64) == 0);
        say(talk[0], 'l');
        serve_one(l);
        say(talk[0], 's');
        hear(talk[0], 'e');
        _exit(0);
    }
    hear(talk[1], 'l');
    CHECK(listen(l, 64) == 0);
    int s[CONNECTIONS + 1];
    for (int i = 0; i <= CONNECTIONS; i++) {
        s[i] = client(address);
        say(s[i], (char)i);
    }
    hear(talk[1], 's');
    say(talk[1], 'e');
    reap(pid);
    for (int i = 0; i < CONNECTIONS; i++)
        serve_one(l);
    for (int i = 0; i <= CONNECTIONS; i++) {
        hear(s[i], (char)i);
        close(s[i]);
    }
}

static void with_fork(void)
{
    struct sockaddr_in address;
    int l = bound(&address), talk[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, talk) == 0);
    both_listen(l, &address, talk);
    close(talk[0]);
    close(talk[1]);
    close(l);
}

/* One listens; another, which never did, waits and accepts. */
static void other_accepts(int how)
{
    struct sockaddr_in address;
    int l = bound(&address), talk[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, talk) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(!is_listening(l));
        CHECK_ERRNO(accept(l, NULL, NULL), EINVAL);
        say(talk[0], 'a');
        hear(talk[0], 'l');
        CHECK(is_listening(l));
        struct pollfd p = {.fd = l, .events = POLLIN};
        struct epoll_event e = {.events = EPOLLIN};
        int ep = epoll_create1(0);
        if (how == 1)
            CHECK(poll(&p, 1, 10000) == 1 && p.revents == POLLIN);
        else if (how == 2)
            CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) == 0 && epoll_wait(ep, &e, 1, 10000) == 1 &&
                  e.events == EPOLLIN);
        serve_one(l);
        _exit(0);
    }
    hear(talk[1], 'a');
    CHECK(listen(l, 64) == 0);
    say(talk[1], 'l');
    int s = client(&address);
    say(s, 'x');
    hear(s, 'x');
    close(s);
    reap(pid);
    close(talk[0]);
    close(talk[1]);
    close(l);
}

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

static void send_descriptor(int through, int fd)
{
    union control c = {.header = {.cmsg_len = CMSG_LEN(sizeof fd),
                                  .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS}};
    struct iovec v = {"d", 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    memcpy(CMSG_DATA(&c.header), &fd, sizeof fd);
    CHECK(sendmsg(through, &m, 0) == 1);
}

static int receive_descriptor(int through)
{
    union control c;
    char byte;
    int fd;
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    CHECK(recvmsg(through, &m, 0) == 1 && c.header.cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&c.header), sizeof fd);
    return fd;
}

/* It comes in a message, and who sent it listens, serves one, and goes. */
static void with_message(bool sender_listens_first)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int talk[2], s[CONNECTIONS + 1];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, talk) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int l = bound(&address);
        send_descriptor(talk[0], l);
        if (sender_listens_first)
            CHECK(listen(l, 64) == 0);
        say(talk[0], 'l');
        hear(talk[0], 'r');
        CHECK(listen(l, 64) == 0);
        say(talk[0], 'l');
        serve_one(l);
        say(talk[0], 's');
        hear(talk[0], 'e');
        _exit(0);
    }
    int l = receive_descriptor(talk[1]);
    CHECK(getsockname(l, (struct sockaddr *)&address, &size) == 0);
    hear(talk[1], 'l');
    CHECK(listen(l, 64) == 0);
    say(talk[1], 'r');
    hear(talk[1], 'l');
    for (int i = 0; i <= CONNECTIONS; i++) {
        s[i] = client(&address);
        say(s[i], (char)i);
    }
    hear(talk[1], 's');
    say(talk[1], 'e');
    reap(pid);
    for (int i = 0; i < CONNECTIONS; i++)
        serve_one(l);
    for (int i = 0; i <= CONNECTIONS; i++) {
        hear(s[i], (char)i);
        close(s[i]);
    }
    close(l);
    close(talk[0]);
    close(talk[1]);
}

/* Who sent it is gone before it listens. */
static void sender_gone(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int talk[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, talk) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        send_descriptor(talk[0], bound(&address));
        _exit(0);
    }
    reap(pid);
    int l = receive_descriptor(talk[1]);
    CHECK(getsockname(l, (struct sockaddr *)&address, &size) == 0);
    CHECK(listen(l, 64) == 0);
    for (int i = 0; i < 3; i++) {
        int s = client(&address);
        say(s, 'g');
        serve_one(l);
        hear(s, 'g');
        close(s);
    }
    close(l);
    close(talk[0]);
    close(talk[1]);
}

int main(void)
{
    alarm(120);
    for (int i = 0; i < 10; i++) {
        with_fork();
        for (int how = 0; how < 3; how++)
            other_accepts(how);
        with_message(false);
        with_message(true);
        sender_gone();
    }
    return 0;
}
