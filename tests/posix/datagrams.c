/* SPDX-License-Identifier: MIT */
/*
 * UDP sockets (udp(7), ip(7), ipv6(7)): what is sent comes before what is done next, a close
 * included; which form of address a socket takes; groups have members on the sender's machine, too;
 * and sockets that share a port share what comes to it.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "check.h"

static struct sockaddr_in v4(uint32_t address, in_port_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = port};
}

static void set(int fd, int level, int name, int value)
{
    CHECK(setsockopt(fd, level, name, &value, sizeof value) == 0);
}

/* A socket bound to 127.0.0.1, that waits no longer than ten seconds. */
static int receiver(struct sockaddr_in *at)
{
    struct timeval patience = {10, 0};
    socklen_t size = sizeof *at;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    *at = v4(INADDR_LOOPBACK, 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    CHECK(bind(fd, (struct sockaddr *)at, sizeof *at) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)at, &size) == 0);
    return fd;
}

static void say(int fd, const struct sockaddr_in *to, char what)
{
    CHECK(sendto(fd, &what, 1, 0, (const struct sockaddr *)to, to ? sizeof *to : 0) == 1);
}

static char hear(int fd)
{
    char byte = 0;
    CHECK(recv(fd, &byte, 1, 0) == 1);
    return byte;
}

static void sent_before_closed(void)
{
    struct sockaddr_in at;
    int to = receiver(&at);
    for (int i = 0; i < 200; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        for (int n = 0; n <= i % 3; n++)
            say(fd, &at, (char)(i + n));
        close(fd);
        for (int n = 0; n <= i % 3; n++)
            CHECK(hear(to) == (char)(i + n));
    }
    close(to);
}

/* What was sent while it had a peer goes there; it is no error that it has none any more. */
static void sent_before_disconnected(void)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct sockaddr_in a, b;
    int first = receiver(&a), second = receiver(&b), fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < 100; i++) {
        CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
        say(fd, NULL, 'a');
        CHECK(connect(fd, (struct sockaddr *)&b, sizeof b) == 0);
        say(fd, NULL, 'b');
        CHECK(connect(fd, &none, sizeof none) == 0);
        say(fd, &a, 'c');
        CHECK(hear(first) == 'a' && hear(first) == 'c' && hear(second) == 'b');
    }
    close(first);
    close(second);
    close(fd);
}

static int hear_ttl(int fd)
{
    char byte, control[64];
    struct iovec v = {&byte, 1};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int ttl;
    CHECK(recvmsg(fd, &h, 0) == 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    CHECK(c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL);
    memcpy(&ttl, CMSG_DATA(c), sizeof ttl);
    return ttl;
}

static void sent_before_options(void)
{
    struct sockaddr_in at;
    int to = receiver(&at), fd = socket(AF_INET, SOCK_DGRAM, 0);
    set(to, IPPROTO_IP, IP_RECVTTL, 1);
    for (int i = 1; i <= 100; i++) {
        set(fd, IPPROTO_IP, IP_TTL, i);
        say(fd, &at, 'x');
    }
    for (int i = 1; i <= 100; i++)
        CHECK(hear_ttl(to) == i);
    close(to);
    close(fd);
}

/* IPv4's form is for destinations of datagrams alone. */
static void forms_of_addresses(void)
{
    struct sockaddr_in at, own = v4(INADDR_LOOPBACK, 0);
    struct sockaddr_in6 longer = {.sin6_family = AF_INET};
    int to = receiver(&at);
    for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
        int fd = socket(AF_INET6, type, 0);
        if (fd < 0)
            continue; /* a Linux without IPv6 */
        memcpy(&longer, &own, sizeof own);
        CHECK_ERRNO(bind(fd, (struct sockaddr *)&own, sizeof own), EINVAL);
        CHECK_ERRNO(bind(fd, (struct sockaddr *)&longer, sizeof longer), EAFNOSUPPORT);
        if (type == SOCK_STREAM) {
            CHECK_ERRNO(connect(fd, (struct sockaddr *)&at, sizeof at), EINVAL);
            memcpy(&longer, &at, sizeof at);
            CHECK_ERRNO(connect(fd, (struct sockaddr *)&longer, sizeof longer), EAFNOSUPPORT);
        } else {
            say(fd, &at, '6');
            CHECK(hear(to) == '6');
            CHECK(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
            say(fd, NULL, '4');
            CHECK(hear(to) == '4');
        }
        close(fd);
    }
    close(to);
}

/* By whichever interface a group is reached: its members here have it, unless the sender says no.
 */
static void groups_have_members_here(void)
{
    struct ip_mreq m = {{htonl(0xefff0b01)}, {INADDR_ANY}};
    struct sockaddr_in at, to = v4(0xefff0b01, 0), any = v4(INADDR_ANY, 0);
    struct timeval patience = {10, 0};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), from = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    CHECK(bind(fd, (struct sockaddr *)&any, sizeof any) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    to.sin_port = at.sin_port;
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m) < 0) {
        CHECK(errno == ENODEV); /* no interface but lo */
    } else {
        say(from, &to, '1');
        CHECK(hear(fd) == '1');
        set(from, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
        say(from, &to, '2');
        set(from, IPPROTO_IP, IP_MULTICAST_LOOP, 1);
        say(from, &to, '3');
        CHECK(hear(fd) == '3');
    }
    close(fd);
    close(from);
}

enum { SHARERS = 4, SENDERS = 64 };

/* SO_REUSEPORT: each has some of the senders, and all that comes from them. */
static void shared_ports(void)
{
    struct sockaddr_in at = v4(INADDR_LOOPBACK, 0);
    socklen_t size = sizeof at;
    int s[SHARERS], from[SENDERS], heard[SHARERS][SENDERS] = {0};
    for (int i = 0; i < SHARERS; i++) {
        s[i] = socket(AF_INET, SOCK_DGRAM, 0);
        set(s[i], SOL_SOCKET, SO_REUSEPORT, 1);
        CHECK(bind(s[i], (struct sockaddr *)&at, sizeof at) == 0);
        CHECK(getsockname(s[i], (struct sockaddr *)&at, &size) == 0);
    }
    for (int i = 0; i < SENDERS; i++)
        from[i] = socket(AF_INET, SOCK_DGRAM, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SENDERS; i++)
            say(from[i], &at, (char)i);
        for (int left = SENDERS; left;) {
            for (int i = 0; i < SHARERS; i++) {
                unsigned char byte;
                while (left && recv(s[i], &byte, 1, MSG_DONTWAIT) == 1) {
                    heard[i][byte]++;
                    left--;
                }
            }
        }
    }
    for (int i = 0; i < SHARERS; i++) {
        int senders = 0;
        for (int n = 0; n < SENDERS; n++) {
            CHECK(heard[i][n] == 0 || heard[i][n] == 3);
            senders += heard[i][n] == 3;
        }
        CHECK(senders > 0);
        close(s[i]);
    }
    for (int i = 0; i < SENDERS; i++)
        close(from[i]);
}

int main(void)
{
    sent_before_closed();
    sent_before_disconnected();
    sent_before_options();
    forms_of_addresses();
    groups_have_members_here();
    shared_ports();
    return 0;
}
