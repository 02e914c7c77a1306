/* SPDX-License-Identifier: MIT */
/* getifaddrs(3), if_nameindex(3), and rtnetlink(7) as far as they need it. */
#include "child.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#define NOBODY 65534

static void test_getifaddrs(void)
{
    struct ifaddrs *list, *i;
    bool link = false, address = false;
    CHECK(getifaddrs(&list) == 0);
    for (i = list; i; i = i->ifa_next) {
        CHECK(i->ifa_name && if_nametoindex(i->ifa_name) > 0);
        if (!i->ifa_addr || strcmp(i->ifa_name, "lo") != 0)
            continue;
        CHECK(i->ifa_flags & IFF_LOOPBACK);
        if (i->ifa_addr->sa_family == AF_PACKET) {
            struct sockaddr_ll *l = (struct sockaddr_ll *)i->ifa_addr;
            CHECK(l->sll_ifindex == (int)if_nametoindex("lo") && l->sll_halen == 6);
            link = true;
        } else if (i->ifa_addr->sa_family == AF_INET) {
            struct sockaddr_in *a = (struct sockaddr_in *)i->ifa_addr;
            struct sockaddr_in *m = (struct sockaddr_in *)i->ifa_netmask;
            address |= a->sin_addr.s_addr == htonl(INADDR_LOOPBACK) &&
                       m->sin_addr.s_addr == htonl(0xff000000);
        }
    }
    CHECK(link && address);
    freeifaddrs(list);
}

static void test_nameindex(void)
{
    struct if_nameindex *list = if_nameindex();
    char name[IF_NAMESIZE];
    bool loopback = false;
    CHECK(list);
    for (struct if_nameindex *i = list; i->if_index; i++) {
        CHECK(if_nametoindex(i->if_name) == i->if_index);
        CHECK(if_indextoname(i->if_index, name) && strcmp(name, i->if_name) == 0);
        loopback |= strcmp(name, "lo") == 0;
    }
    CHECK(loopback);
    if_freenameindex(list);
}

/* ---- by hand ---- */

union request {
    struct nlmsghdr h;
    struct {
        struct nlmsghdr header;
        union {
            struct ifinfomsg link;
            struct ifaddrmsg address;
        };
    };
};

static int opened(void)
{
    int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    CHECK(s >= 0);
    return s;
}

static void ask(int s, union request *r, int type, int flags)
{
    r->h.nlmsg_len =
        type == RTM_GETLINK ? sizeof r->h + sizeof r->link : sizeof r->h + sizeof r->address;
    r->h.nlmsg_type = (uint16_t)type;
    r->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    r->h.nlmsg_seq = 42;
    CHECK(send(s, r, r->h.nlmsg_len, 0) == (ssize_t)r->h.nlmsg_len);
}

/* Messages of `type` until the last one; each has the request's number. */
static int count(int s, int type)
{
    static _Alignas(8) char bytes[65536];
    int n = 0;
    for (;;) {
        struct sockaddr_nl from;
        socklen_t length = sizeof from;
        ssize_t size = recvfrom(s, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length);
        unsigned left = (unsigned)size;
        CHECK(size > 0 && from.nl_family == AF_NETLINK && from.nl_pid == 0);
        for (struct nlmsghdr *h = (struct nlmsghdr *)bytes; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left)) {
            CHECK(h->nlmsg_seq == 42);
            if (h->nlmsg_type == NLMSG_DONE)
                return n;
            CHECK(h->nlmsg_type == type && h->nlmsg_flags & NLM_F_MULTI);
            n++;
        }
    }
}

/* The error that comes; 0: an acknowledgement. */
static int error_of(int s)
{
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
        char more[512];
    } answer;
    CHECK(recv(s, &answer, sizeof answer, 0) >= (ssize_t)(sizeof answer.h + sizeof answer.e));
    CHECK(answer.h.nlmsg_type == NLMSG_ERROR && answer.e.msg.nlmsg_seq == 42);
    return -answer.e.error;
}

static void test_requests(void)
{
    union request r = {0};
    struct pollfd p = {.fd = opened(), .events = POLLIN};
    CHECK(poll(&p, 1, 0) == 0);
    ask(p.fd, &r, RTM_GETLINK, NLM_F_DUMP);
    CHECK(poll(&p, 1, 1000) == 1 && p.revents == POLLIN);
    CHECK(count(p.fd, RTM_NEWLINK) >= 1);
    ask(p.fd, &r, RTM_GETADDR, NLM_F_DUMP);
    int all = count(p.fd, RTM_NEWADDR);
    r.address.ifa_family = AF_INET;
    ask(p.fd, &r, RTM_GETADDR, NLM_F_DUMP);
    int four = count(p.fd, RTM_NEWADDR);
    r.address.ifa_family = AF_INET6;
    ask(p.fd, &r, RTM_GETADDR, NLM_F_DUMP);
    CHECK(four >= 1 && four + count(p.fd, RTM_NEWADDR) == all);
    CHECK(poll(&p, 1, 0) == 0);
    memset(&r, 0, sizeof r);
    r.link.ifi_index = (int)if_nametoindex("lo");
    ask(p.fd, &r, RTM_GETLINK, 0);
    struct {
        struct nlmsghdr h;
        struct ifinfomsg link;
        char more[16384];
    } answer;
    CHECK(recv(p.fd, &answer, sizeof answer, 0) > 32 && answer.h.nlmsg_type == RTM_NEWLINK);
    CHECK(answer.link.ifi_index == r.link.ifi_index && answer.link.ifi_flags & IFF_LOOPBACK);
    r.link.ifi_index = 9999;
    ask(p.fd, &r, RTM_GETLINK, 0);
    CHECK(error_of(p.fd) == ENODEV);
    IN_CHILD({ /* which has the same socket */
               if (!geteuid())
                   CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
               ask(p.fd, &r, RTM_DELADDR, NLM_F_ACK);
               CHECK(error_of(p.fd) == EPERM);
    });
    close(p.fd);
}

static void test_socket(void)
{
    struct sockaddr_nl name = {.nl_family = AF_NETLINK}, short_name = name;
    socklen_t length = sizeof name;
    int s = opened(), value = 0;
    CHECK_ERRNO(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 31), EPROTONOSUPPORT);
    CHECK_ERRNO(bind(s, (struct sockaddr *)&short_name, 4), EINVAL);
    CHECK(bind(s, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(getsockname(s, (struct sockaddr *)&name, &length) == 0 && length == sizeof name);
    CHECK(name.nl_family == AF_NETLINK && name.nl_pid != 0);
    CHECK(getpeername(s, (struct sockaddr *)&name, &length) == 0 && name.nl_pid == 0);
    length = sizeof value;
    CHECK(getsockopt(s, SOL_SOCKET, SO_DOMAIN, &value, &length) == 0 && value == AF_NETLINK);
    CHECK(getsockopt(s, SOL_SOCKET, SO_TYPE, &value, &length) == 0 && value == SOCK_RAW);
    CHECK_ERRNO(listen(s, 1), EOPNOTSUPP);
    CHECK_ERRNO(recv(s, &value, sizeof value, MSG_DONTWAIT), EAGAIN);
    close(s);
}

int main(void)
{
    test_getifaddrs();
    test_nameindex();
    test_requests();
    test_socket();
    return 0;
}
