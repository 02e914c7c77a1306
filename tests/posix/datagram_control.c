/* SPDX-License-Identifier: MIT */
/*
 * What goes beside datagrams (ip(7), ipv6(7), socket(7)): where one was sent to, its TTL, its
 * traffic class and when it came; what a sender may say for one datagram; and errors that others
 * report for one that was sent.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "check.h"

struct address {
    struct sockaddr_storage bytes;
    socklen_t size;
};

static struct address loopback(int family)
{
    struct address a = {.size = sizeof(struct sockaddr_in)};
    if (family == AF_INET) {
        *(struct sockaddr_in *)&a.bytes =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    } else {
        *(struct sockaddr_in6 *)&a.bytes =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        a.size = sizeof(struct sockaddr_in6);
    }
    return a;
}

static int receiver(int family, struct address *at)
{
    int fd = socket(family, SOCK_DGRAM, 0);
    *at = loopback(family);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at->bytes, at->size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at->bytes, &at->size) == 0);
    return fd;
}

static void turn(int fd, int level, int name, int on)
{
    int value = -1;
    socklen_t size = sizeof value;
    CHECK(setsockopt(fd, level, name, &on, sizeof on) == 0);
    CHECK(getsockopt(fd, level, name, &value, &size) == 0 && value == on);
}

struct received {
    char bytes[16], control[512];
    struct msghdr h;
};

static void receive(int fd, struct received *r, size_t room)
{
    struct iovec v = {r->bytes, sizeof r->bytes};
    r->h = (struct msghdr){
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = r->control, .msg_controllen = room};
    memset(r->control, 0xee, sizeof r->control);
    CHECK(recvmsg(fd, &r->h, 0) == 5 && !memcmp(r->bytes, "hello", 5));
}

/* Data of a control message; NULL: it did not come. */
static void *find(struct received *r, int level, int type, size_t size)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&r->h); c; c = CMSG_NXTHDR(&r->h, c))
        if (c->cmsg_level == level && c->cmsg_type == type) {
            CHECK(c->cmsg_len == CMSG_LEN(size));
            return CMSG_DATA(c);
        }
    return NULL;
}

static void say(int fd, const struct address *to)
{
    CHECK(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to->bytes, to->size) == 5);
}

static int number_in(struct received *r, int level, int type)
{
    int value;
    void *data = find(r, level, type, sizeof value);
    if (!data)
        return -1;
    memcpy(&value, data, sizeof value);
    return value;
}

static void expect_pktinfo4(struct received *r)
{
    struct in_pktinfo info;
    void *data = find(r, IPPROTO_IP, IP_PKTINFO, sizeof info);
    CHECK(data);
    memcpy(&info, data, sizeof info);
    CHECK(info.ipi_ifindex == (int)if_nametoindex("lo"));
    CHECK(info.ipi_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(info.ipi_spec_dst.s_addr == htonl(INADDR_LOOPBACK));
}

/* ---- receiving ---- */

static void receiving4(void)
{
    struct address to;
    struct received r;
    int fd = receiver(AF_INET, &to), from = socket(AF_INET, SOCK_DGRAM, 0), ttl = 33, tos = 0x48;
    say(from, &to);
    receive(fd, &r, sizeof r.control);
    CHECK(r.h.msg_controllen == 0 && r.h.msg_flags == 0);
    turn(fd, IPPROTO_IP, IP_PKTINFO, 1);
    say(from, &to);
    receive(fd, &r, sizeof r.control);
    CHECK(r.h.msg_controllen == CMSG_SPACE(sizeof(struct in_pktinfo)) && r.h.msg_flags == 0);
    expect_pktinfo4(&r);
    turn(fd, IPPROTO_IP, IP_RECVTTL, 1);
    turn(fd, IPPROTO_IP, IP_RECVTOS, 1);
    CHECK(setsockopt(from, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl) == 0);
    CHECK(setsockopt(from, IPPROTO_IP, IP_TOS, &tos, sizeof tos) == 0);
    say(from, &to);
    receive(fd, &r, sizeof r.control);
    expect_pktinfo4(&r);
    CHECK(number_in(&r, IPPROTO_IP, IP_TTL) == 33);
    uint8_t *got = find(&r, IPPROTO_IP, IP_TOS, 1);
    CHECK(got && *got == 0x48);
    turn(fd, IPPROTO_IP, IP_PKTINFO, 0);
    say(from, &to);
    receive(fd, &r, sizeof r.control);
    CHECK(!find(&r, IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo)));
    CHECK(number_in(&r, IPPROTO_IP, IP_TTL) == 33);
    close(fd);
    close(from);
}

static void receiving6(void)
{
    struct address to;
    struct received r;
    struct in6_pktinfo info;
    struct in6_addr self = IN6ADDR_LOOPBACK_INIT;
    int fd = receiver(AF_INET6, &to), from = socket(AF_INET6, SOCK_DGRAM, 0), hops = 17,
        class = 0x60;
    turn(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    turn(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    turn(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    CHECK(setsockopt(from, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops) == 0);
    CHECK(setsockopt(from, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof class) == 0);
    say(from, &to);
    receive(fd, &r, sizeof r.control);
    void *data = find(&r, IPPROTO_IPV6, IPV6_PKTINFO, sizeof info);
    CHECK(data);
    memcpy(&info, data, sizeof info);
    CHECK(info.ipi6_ifindex == if_nametoindex("lo") && !memcmp(&info.ipi6_addr, &self, 16));
    CHECK(number_in(&r, IPPROTO_IPV6, IPV6_HOPLIMIT) == 17);
    CHECK(number_in(&r, IPPROTO_IPV6, IPV6_TCLASS) == 0x60);
    close(fd);
    close(from);
}

/*
 * Linux begins to stamp what arrives a moment after the first socket has asked for it; until then
 * it takes the time of the receive call.
 */
static void await_stamps(int fd, const struct address *to)
{
    struct received r;
    struct timespec now;
    struct timeval came;
    double age = 0;
    for (int i = 0; i < 500 && age < 0.009; i++) {
        say(fd, to);
        sleep_ms(10);
        receive(fd, &r, sizeof r.control);
        clock_gettime(CLOCK_REALTIME, &now);
        void *data = find(&r, SOL_SOCKET, SCM_TIMESTAMP, sizeof came);
        CHECK(data);
        memcpy(&came, data, sizeof came);
        age = (double)(now.tv_sec - came.tv_sec) + (double)now.tv_nsec / 1e9 -
              (double)came.tv_usec / 1e6;
    }
}

static void times(void)
{
    struct address to;
    struct received r;
    struct timespec now, came;
    struct timeval micro;
    int fd = receiver(AF_INET, &to), value;
    socklen_t size = sizeof value;
    turn(fd, SOL_SOCKET, SO_TIMESTAMP, 1);
    await_stamps(fd, &to);
    say(fd, &to);
    receive(fd, &r, sizeof r.control);
    clock_gettime(CLOCK_REALTIME, &now);
    void *data = find(&r, SOL_SOCKET, SCM_TIMESTAMP, sizeof micro);
    CHECK(data);
    memcpy(&micro, data, sizeof micro);
    CHECK(micro.tv_sec <= now.tv_sec && micro.tv_sec + 30 > now.tv_sec);
    CHECK(micro.tv_usec >= 0 && micro.tv_usec < 1000000);
    /* the finer one takes its place */
    turn(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &value, &size) == 0 && value == 0);
    say(fd, &to);
    sleep_ms(50); /* it is the time of arrival */
    receive(fd, &r, sizeof r.control);
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK(!find(&r, SOL_SOCKET, SCM_TIMESTAMP, sizeof micro));
    data = find(&r, SOL_SOCKET, SCM_TIMESTAMPNS, sizeof came);
    CHECK(data);
    memcpy(&came, data, sizeof came);
    double age = (double)(now.tv_sec - came.tv_sec) + (double)(now.tv_nsec - came.tv_nsec) / 1e9;
    CHECK(age > 0.045 && age < 30);
    close(fd);
}

/* What has no room is cut, and MSG_CTRUNC says so. */
static void cut(void)
{
    struct address to;
    struct received r;
    int fd = receiver(AF_INET, &to);
    turn(fd, IPPROTO_IP, IP_PKTINFO, 1);
    turn(fd, IPPROTO_IP, IP_RECVTTL, 1);
    say(fd, &to);
    receive(fd, &r, CMSG_SPACE(sizeof(struct in_pktinfo)));
    CHECK(r.h.msg_flags == MSG_CTRUNC);
    expect_pktinfo4(&r);
    CHECK(r.h.msg_controllen == CMSG_SPACE(sizeof(struct in_pktinfo)));
    say(fd, &to);
    receive(fd, &r, 8);
    CHECK(r.h.msg_flags == MSG_CTRUNC && r.h.msg_controllen == 0);
    say(fd, &to);
    CHECK(recv(fd, r.bytes, sizeof r.bytes, 0) == 5);
    close(fd);
}

/* The options are the open socket's, whoever has it. */
static void other_process(void)
{
    struct address to;
    struct received r;
    int fd = receiver(AF_INET, &to), status;
    turn(fd, IPPROTO_IP, IP_PKTINFO, 1);
    pid_t pid = fork();
    if (pid == 0) {
        receive(fd, &r, sizeof r.control);
        expect_pktinfo4(&r);
        turn(fd, IPPROTO_IP, IP_RECVTTL, 1);
        _exit(0);
    }
    say(fd, &to);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    say(fd, &to);
    receive(fd, &r, sizeof r.control);
    expect_pktinfo4(&r);
    CHECK(number_in(&r, IPPROTO_IP, IP_TTL) == 64);
    close(fd);
}

/* ---- sending ---- */

static long send_with(int fd, const struct address *to, int level, int type, const void *data,
                      size_t size, size_t length)
{
    union {
        char bytes[256];
        struct cmsghdr align;
    } control = {0};
    struct iovec v = {(char *)"hello", 5};
    struct msghdr h = {.msg_name = (void *)&to->bytes,
                       .msg_namelen = to->size,
                       .msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = CMSG_SPACE(size)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = length;
    memcpy(CMSG_DATA(c), data, size);
    return sendmsg(fd, &h, 0);
}

static long say_with(int fd, const struct address *to, int level, int type, const void *data,
                     size_t size)
{
    return send_with(fd, to, level, type, data, size, CMSG_LEN(size));
}

static void sending4(void)
{
    struct address to;
    struct received r;
    int fd = receiver(AF_INET, &to), from = socket(AF_INET, SOCK_DGRAM, 0), number;
    struct in_pktinfo info = {.ipi_ifindex = (int)if_nametoindex("lo"),
                              .ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK)};
    turn(fd, IPPROTO_IP, IP_RECVTTL, 1);
    turn(fd, IPPROTO_IP, IP_RECVTOS, 1);
    number = 9;
    CHECK(say_with(from, &to, IPPROTO_IP, IP_TTL, &number, sizeof number) == 5);
    receive(fd, &r, sizeof r.control);
    CHECK(number_in(&r, IPPROTO_IP, IP_TTL) == 9);
    number = 0x20;
    CHECK(say_with(from, &to, IPPROTO_IP, IP_TOS, &number, sizeof number) == 5);
    receive(fd, &r, sizeof r.control);
    uint8_t *tos = find(&r, IPPROTO_IP, IP_TOS, 1);
    CHECK(tos && *tos == 0x20 && number_in(&r, IPPROTO_IP, IP_TTL) == 64);
    CHECK(say_with(from, &to, IPPROTO_IP, IP_PKTINFO, &info, sizeof info) == 5);
    receive(fd, &r, sizeof r.control);
    info.ipi_ifindex = 0;
    CHECK(say_with(from, &to, IPPROTO_IP, IP_PKTINFO, &info, sizeof info) == 5);
    receive(fd, &r, sizeof r.control);
    /* what is none */
    number = 0;
    CHECK_ERRNO(say_with(from, &to, IPPROTO_IP, IP_TTL, &number, sizeof number), EINVAL);
    number = 256;
    CHECK_ERRNO(say_with(from, &to, IPPROTO_IP, IP_TTL, &number, sizeof number), EINVAL);
    CHECK_ERRNO(say_with(from, &to, IPPROTO_IP, IP_TTL, &number, 2), EINVAL);
    CHECK_ERRNO(say_with(from, &to, IPPROTO_IP, IP_PKTINFO, &info, 4), EINVAL);
    CHECK_ERRNO(say_with(from, &to, IPPROTO_IP, 77, &number, sizeof number), EINVAL);
    CHECK_ERRNO(send_with(from, &to, IPPROTO_IP, IP_TTL, &number, sizeof number, 3), EINVAL);
    CHECK_ERRNO(send_with(from, &to, IPPROTO_IP, IP_TTL, &number, sizeof number, 400), EINVAL);
    /* of other protocols: not looked at */
    CHECK(say_with(from, &to, IPPROTO_TCP, 77, &number, sizeof number) == 5);
    receive(fd, &r, sizeof r.control);
    close(fd);
    close(from);
}

static void sending6(void)
{
    struct address to;
    struct received r;
    int fd = receiver(AF_INET6, &to), from = socket(AF_INET6, SOCK_DGRAM, 0), number;
    struct in6_pktinfo info = {.ipi6_ifindex = if_nametoindex("lo"),
                               .ipi6_addr = IN6ADDR_LOOPBACK_INIT};
    turn(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    turn(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    number = 5;
    CHECK(say_with(from, &to, IPPROTO_IPV6, IPV6_HOPLIMIT, &number, sizeof number) == 5);
    receive(fd, &r, sizeof r.control);
    CHECK(number_in(&r, IPPROTO_IPV6, IPV6_HOPLIMIT) == 5);
    number = 0x80;
    CHECK(say_with(from, &to, IPPROTO_IPV6, IPV6_TCLASS, &number, sizeof number) == 5);
    receive(fd, &r, sizeof r.control);
    CHECK(number_in(&r, IPPROTO_IPV6, IPV6_TCLASS) == 0x80);
    CHECK(say_with(from, &to, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info) == 5);
    receive(fd, &r, sizeof r.control);
    number = 256;
    CHECK_ERRNO(say_with(from, &to, IPPROTO_IPV6, IPV6_HOPLIMIT, &number, sizeof number), EINVAL);
    CHECK_ERRNO(say_with(from, &to, IPPROTO_IPV6, IPV6_PKTINFO, &info, 4), EINVAL);
    close(fd);
    close(from);
}

/* ---- errors ---- */

/* Nobody has the port: who is connected to it hears of it, once for each datagram that failed. */
static void refused(int family)
{
    struct address to;
    char byte;
    int value;
    socklen_t size = sizeof value;
    int gone = receiver(family, &to), fd = socket(family, SOCK_DGRAM, 0);
    close(gone);
    say(fd, &to); /* not connected: it hears of nothing */
    sleep_ms(50);
    CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(connect(fd, (struct sockaddr *)&to.bytes, to.size) == 0);
    CHECK(send(fd, "x", 1, 0) == 1);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK(poll(&p, 1, 10000) == 1 && p.revents & POLLERR);
    CHECK_ERRNO(recv(fd, &byte, 1, 0), ECONNREFUSED);
    CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(send(fd, "x", 1, 0) == 1);
    CHECK(poll(&p, 1, 10000) == 1);
    CHECK_ERRNO(send(fd, "x", 1, 0), ECONNREFUSED);
    CHECK(send(fd, "x", 1, 0) == 1);
    CHECK(poll(&p, 1, 10000) == 1);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) == 0 && value == ECONNREFUSED);
    CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
    close(fd);
}

int main(void)
{
    receiving4();
    receiving6();
    times();
    cut();
    other_process();
    sending4();
    sending6();
    refused(AF_INET);
    refused(AF_INET6);
    return 0;
}
