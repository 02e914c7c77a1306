/* SPDX-License-Identifier: MIT */
/* Socket options (socket(7), ip(7), ipv6(7), tcp(7)): what is set is told, and what it does. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"

struct option {
    int level, name, set, told, error;
};

static int get(int fd, int level, int name)
{
    int value = -12345;
    socklen_t size = sizeof value;
    CHECK(getsockopt(fd, level, name, &value, &size) == 0 && size == sizeof value);
    return value;
}

static long set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

static void are_told(int fd, const struct option *o, size_t count)
{
    for (size_t i = 0; i < count; i++, o++) {
        errno = 0;
        long result = set(fd, o->level, o->name, o->set);
        if ((o->error ? result != -1 || errno != o->error : result != 0) ||
            get(fd, o->level, o->name) != o->told)
            FAILED("level %d, option %d, %d: %ld, then %d", o->level, o->name, o->set, result,
                   get(fd, o->level, o->name));
    }
}
#define ARE_TOLD(fd, list) are_told(fd, list, sizeof list / sizeof *list)

static void values(void)
{
    static const struct option both[] = {
        {SOL_SOCKET, SO_DONTROUTE, 5, 1, 0},    {SOL_SOCKET, SO_DONTROUTE, 0, 0, 0},
        {SOL_SOCKET, SO_OOBINLINE, 1, 1, 0},    {SOL_SOCKET, SO_NO_CHECK, 1, 1, 0},
        {SOL_SOCKET, SO_PRIORITY, 6, 6, 0},     {SOL_SOCKET, SO_INCOMING_CPU, 0, 0, 0},
        {IPPROTO_IP, IP_MTU_DISCOVER, 2, 2, 0}, {IPPROTO_IP, IP_MTU_DISCOVER, 6, 2, EINVAL},
        {IPPROTO_IP, IP_RECVERR, 1, 1, 0},      {IPPROTO_IP, IP_RECVERR, 0, 0, 0},
        {IPPROTO_IP, IP_FREEBIND, 1, 1, 0},     {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, 1, 0},
    };
    static const struct option datagram[] = {
        {IPPROTO_IP, IP_MULTICAST_ALL, 0, 0, 0},
        {IPPROTO_IP, IP_MULTICAST_ALL, 2, 0, EINVAL},
        {IPPROTO_IP, IP_RECVTOS, 1, 1, 0},
    };
    static const struct option stream[] = {
        {IPPROTO_TCP, TCP_SYNCNT, 3, 3, 0},
        {IPPROTO_TCP, TCP_SYNCNT, 0, 3, EINVAL},
        {IPPROTO_TCP, TCP_SYNCNT, 128, 3, EINVAL},
        {IPPROTO_TCP, TCP_WINDOW_CLAMP, 8192, 8192, 0},
        {IPPROTO_TCP, TCP_WINDOW_CLAMP, 10, 1152, 0},
        {IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, 0, 0},
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384, 16384, 0},
        {IPPROTO_TCP, TCP_QUICKACK, 0, 0, 0},
        {IPPROTO_TCP, TCP_QUICKACK, 1, 1, 0},
    };
    static const struct option six[] = {
        {IPPROTO_IPV6, IPV6_MTU_DISCOVER, 3, 3, 0},
        {IPPROTO_IPV6, IPV6_MTU_DISCOVER, 9, 3, EINVAL},
        {IPPROTO_IPV6, IPV6_RECVERR, 1, 1, 0},
        {IPPROTO_IPV6, IPV6_MULTICAST_IF, 77, 0, ENODEV},
        {IPPROTO_IPV6, IPV6_RECVTCLASS, 1, 1, 0},
    };
    int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0),
        udp6 = socket(AF_INET6, SOCK_DGRAM, 0);
    CHECK(get(tcp, IPPROTO_TCP, TCP_SYNCNT) == 6 && get(udp, IPPROTO_IP, IP_MULTICAST_ALL) == 1);
    ARE_TOLD(tcp, both);
    ARE_TOLD(udp, both);
    ARE_TOLD(udp, datagram);
    ARE_TOLD(tcp, stream);
    ARE_TOLD(udp6, six);
    CHECK_ERRNO(set(tcp, IPPROTO_TCP, 12345, 1), ENOPROTOOPT);
    CHECK_ERRNO(set(udp, IPPROTO_TCP, TCP_QUICKACK, 1), ENOPROTOOPT);
    close(tcp);
    close(udp);
    close(udp6);
}

/* What needs root. */
static void privileges(void)
{
    if (geteuid() != 0)
        return;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), status;
    if (set(fd, SOL_SOCKET, SO_MARK, 9) < 0) { /* root, but in a container */
        CHECK(errno == EPERM);
    } else {
        CHECK(get(fd, SOL_SOCKET, SO_MARK) == 9);
        CHECK(set(fd, SOL_SOCKET, SO_PRIORITY, 100) == 0 &&
              get(fd, SOL_SOCKET, SO_PRIORITY) == 100);
        CHECK(set(fd, SOL_SOCKET, SO_DEBUG, 1) == 0 && get(fd, SOL_SOCKET, SO_DEBUG) == 1);
    }
    close(fd);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        CHECK_ERRNO(set(fd, SOL_SOCKET, SO_MARK, 9), EPERM);
        CHECK_ERRNO(set(fd, SOL_SOCKET, SO_PRIORITY, 7), EPERM);
        CHECK_ERRNO(set(fd, SOL_SOCKET, SO_DEBUG, 1), EACCES);
        CHECK(set(fd, SOL_SOCKET, SO_PRIORITY, 6) == 0);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* An address that is nobody's can be bound to all the same. */
static void free_bind(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336401)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof a), EADDRNOTAVAIL);
    CHECK(set(fd, IPPROTO_IP, IP_FREEBIND, 1) == 0);
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
    close(fd);
}

/* Without a router only what is near is reached. 198.51.100.1 is documentation's (RFC 5737). */
static void dont_route(void)
{
    struct sockaddr_in far = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336401), .sin_port = htons(9)};
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof self;
    int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(l, (struct sockaddr *)&self, sizeof self) == 0 && listen(l, 1) == 0);
    CHECK(getsockname(l, (struct sockaddr *)&self, &size) == 0);
    CHECK(set(fd, SOL_SOCKET, SO_DONTROUTE, 1) == 0);
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&far, sizeof far), ENETUNREACH);
    CHECK(connect(fd, (struct sockaddr *)&self, sizeof self) == 0);
    close(fd);
    close(l);
}

static long membership(int fd, int name, uint32_t group)
{
    struct ip_mreq m = {{htonl(group)}, {htonl(INADDR_LOOPBACK)}};
    return setsockopt(fd, IPPROTO_IP, name, &m, sizeof m);
}

/* Groups are a socket's own, and left when it goes. */
static void groups(void)
{
    uint32_t group = 0xefff0a01; /* 239.255.10.1 */
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), n = 0;
    CHECK_ERRNO(membership(a, IP_DROP_MEMBERSHIP, group), EADDRNOTAVAIL);
    CHECK_ERRNO(membership(a, IP_ADD_MEMBERSHIP, 0x0a000001), EINVAL);
    CHECK(membership(a, IP_ADD_MEMBERSHIP, group) == 0);
    CHECK_ERRNO(membership(a, IP_ADD_MEMBERSHIP, group), EADDRINUSE);
    CHECK_ERRNO(membership(b, IP_DROP_MEMBERSHIP, group), EADDRNOTAVAIL);
    CHECK(membership(b, IP_ADD_MEMBERSHIP, group) == 0);
    CHECK(membership(a, IP_DROP_MEMBERSHIP, group) == 0);
    CHECK_ERRNO(membership(a, IP_DROP_MEMBERSHIP, group), EADDRNOTAVAIL);
    close(b);
    while (membership(a, IP_ADD_MEMBERSHIP, group + (uint32_t)n) == 0)
        n++;
    CHECK(errno == ENOBUFS && n == 20);
    close(a);
}

/* IP_MULTICAST_ALL: a socket that has joined nothing gets what others have joined, or does not. */
static void groups_of_others(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xefff0a02)};
    socklen_t size = sizeof to;
    struct in_addr lo = {htonl(INADDR_LOOPBACK)};
    char byte;
    int member = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0),
        from = socket(AF_INET, SOCK_DGRAM, 0);
    struct timeval patience = {10, 0};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    CHECK(membership(member, IP_ADD_MEMBERSHIP, 0xefff0a02) == 0);
    CHECK(bind(fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET},
               sizeof(struct sockaddr_in)) == 0);
    struct sockaddr_in bound;
    CHECK(getsockname(fd, (struct sockaddr *)&bound, &size) == 0);
    to.sin_port = bound.sin_port;
    CHECK(setsockopt(from, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo) == 0);
    CHECK(sendto(from, "1", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
    CHECK(recv(fd, &byte, 1, 0) == 1 && byte == '1');
    CHECK(set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) == 0);
    CHECK(sendto(from, "2", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
    struct sockaddr_in self = bound; /* what comes to it alone, later */
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(sendto(from, "4", 1, 0, (struct sockaddr *)&self, sizeof self) == 1);
    CHECK(recv(fd, &byte, 1, 0) == 1 && byte == '4');
    CHECK(membership(fd, IP_ADD_MEMBERSHIP, 0xefff0a02) == 0);
    CHECK(sendto(from, "3", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
    CHECK(recv(fd, &byte, 1, 0) == 1 && byte == '3');
    close(member);
    close(fd);
    close(from);
}

static bool has(int fd, char wanted)
{
    char byte = 0;
    return recv(fd, &byte, 1, 0) == 1 && byte == wanted;
}

/* A datagram to a group reaches all that are bound to its port and may have it. */
static void groups_have_many(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xefff0a03)}, at = to;
    struct in_addr lo = {htonl(INADDR_LOOPBACK)};
    struct timeval patience = {10, 0};
    socklen_t size = sizeof at;
    int from = socket(AF_INET, SOCK_DGRAM, 0), s[4];
    at.sin_addr.s_addr = 0;
    for (int i = 0; i < 4; i++) { /* two members, who wants those of others, and who does not */
        s[i] = socket(AF_INET, SOCK_DGRAM, 0);
        CHECK(set(s[i], SOL_SOCKET, SO_REUSEADDR, 1) == 0);
        CHECK(setsockopt(s[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
        CHECK(set(s[i], IPPROTO_IP, IP_MULTICAST_ALL, i == 2) == 0);
        CHECK(i >= 2 || membership(s[i], IP_ADD_MEMBERSHIP, 0xefff0a03) == 0);
        if (i == 1) /* by its address: what comes to the group alone */
            at.sin_addr = to.sin_addr;
        CHECK(bind(s[i], (struct sockaddr *)&at, sizeof at) == 0);
        CHECK(getsockname(s[i], (struct sockaddr *)&at, &size) == 0);
        at.sin_addr.s_addr = 0;
    }
    to.sin_port = at.sin_port;
    CHECK(setsockopt(from, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo) == 0);
    CHECK(sendto(from, "1", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
    CHECK(has(s[0], '1') && has(s[1], '1') && has(s[2], '1'));
    CHECK(recv(s[3], &size, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    CHECK(membership(s[1], IP_DROP_MEMBERSHIP, 0xefff0a03) == 0);
    CHECK(sendto(from, "2", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
    CHECK(has(s[0], '2') && has(s[2], '2'));
    CHECK(recv(s[1], &size, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    for (int i = 0; i < 4; i++)
        close(s[i]);
    close(from);
}

int main(void)
{
    values();
    privileges();
    free_bind();
    dont_route();
    groups();
    groups_of_others();
    groups_have_many();
    return 0;
}
