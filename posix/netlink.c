/* SPDX-License-Identifier: MIT */
/*
 * AF_NETLINK sockets, of NETLINK_ROUTE: getifaddrs(3), if_nameindex(3) and their kin ask them for
 * interfaces and addresses, and mq_notify(3) is woken by one. To the engine such a socket is one
 * for datagrams that sends to itself: what the kernel would answer is composed here and put into
 * its queue, so that all receivers, poll and fork find it as they find any other datagram. Whatever
 * would change something is refused, and no changes are told of.
 */
#include "socket.h"
#include "watch.h"

#define SOL_NETLINK   270
#define REQUEST_MAX   4096u
#define ANSWER_MAX    4096u /* a datagram: receivers have buffers of 8 KiB */
#define INTERFACES    16
#define ADDRESSES_MAX 4096u /* bytes of /proc/net/if_inet6 */

#define NLMSG_ERROR   2
#define NLMSG_DONE    3
#define RTM_NEWLINK   16
#define RTM_GETLINK   18
#define RTM_NEWADDR   20
#define RTM_GETADDR   22
#define RTM_MAX       128
#define NLM_F_REQUEST 1
#define NLM_F_MULTI   2
#define NLM_F_ACK     4
#define NLM_F_DUMP    0x300

#define IFLA_ADDRESS   1
#define IFLA_BROADCAST 2
#define IFLA_IFNAME    3
#define IFLA_MTU       4
#define IFLA_TXQLEN    13
#define IFLA_OPERSTATE 16
#define IFLA_LINKMODE  17
#define IFA_ADDRESS    1
#define IFA_LOCAL      2
#define IFA_LABEL      3
#define IFA_BROADCAST  4
#define IFA_FLAGS      8

#define ARPHRD_ETHER    1
#define ARPHRD_LOOPBACK 772
#define IFF_BROADCAST   2u
#define IFF_LOOPBACK    8u
#define IFA_F_PERMANENT 0x80u
#define SCOPE_LINK      253
#define SCOPE_HOST      254
#define OPERSTATE_UP    6

struct header { /* struct nlmsghdr */
    uint32_t length;
    uint16_t type, flags;
    uint32_t sequence, port;
};

struct address { /* struct sockaddr_nl */
    uint16_t family, pad;
    uint32_t port, groups;
};

struct link_info { /* struct ifinfomsg */
    uint8_t family, pad;
    uint16_t type;
    int32_t index;
    uint32_t flags, change;
};

struct address_info { /* struct ifaddrmsg */
    uint8_t family, prefix, flags, scope;
    uint32_t index;
};

/* ---- answers ---- */

struct answer {
    struct px_file *socket;
    const struct header *to;
    uint16_t multi;         /* NLM_F_MULTI, or 0 */
    uint32_t size, message; /* bytes in it, and where the last message begins */
    long error;
    uint8_t bytes[ANSWER_MAX];
};

static void flush(struct answer *a)
{
    struct motor_msg msg = {.op = IO_SEND,
                            .word = {MSG_DONTWAIT},
                            .in = a->bytes,
                            .in_size = a->size,
                            .deadline = MOTOR_NEVER};
    if (!a->size || a->error < 0)
        return;
    long n = px_call(a->socket->handle, &msg);
    a->error = n == -EAGAIN ? -ENOBUFS : PX_MIN(n, 0L);
    a->size = 0;
}

static void put(struct answer *a, const void *bytes, uint32_t size)
{
    uint32_t whole = (size + 3) & ~3u;
    memcpy(a->bytes + a->size, bytes, size);
    memset(a->bytes + a->size + size, 0, whole - size);
    a->size += whole;
    ((struct header *)(a->bytes + a->message))->length = a->size - a->message;
}

/* The next message, with what it begins with. No message is larger than a quarter of an answer. */
static void begin(struct answer *a, uint16_t type, const void *info, uint32_t size)
{
    struct header h = {sizeof h, type, a->multi, a->to->sequence, a->socket->local.netlink_port};
    if (a->size > ANSWER_MAX - ANSWER_MAX / 4)
        flush(a);
    a->message = a->size;
    put(a, &h, sizeof h);
    put(a, info, size);
}

static void attribute(struct answer *a, uint16_t type, const void *value, uint32_t size)
{
    struct {
        uint16_t length, type;
    } h = {(uint16_t)(sizeof h + size), type};
    put(a, &h, sizeof h);
    put(a, value, size);
}

/* An error, or (0) that the request was served. */
static void acknowledge(struct answer *a, long error)
{
    int32_t number = (int32_t)error;
    a->multi = 0;
    begin(a, NLMSG_ERROR, &number, sizeof number);
    put(a, a->to, sizeof *a->to);
}

/* ---- what there is ---- */

static long netinfo(uint64_t what, void *out, uint64_t size)
{
    struct motor_msg msg = {
        .op = IO_NETINFO, .word = {what}, .out = out, .out_size = size, .deadline = MOTOR_NEVER};
    return px_proc()->net ? px_call(px_proc()->net, &msg) : 0;
}

/* Interfaces, the last one's name ended. How many, or an error. */
static long interfaces(struct io_ifaddr list[INTERFACES])
{
    long size = netinfo(0, list, INTERFACES * sizeof *list);
    long count = size < 0 ? size : PX_MIN(size / (long)sizeof *list, (long)INTERFACES);
    for (long i = 0; i < count; i++)
        list[i].name[15] = 0;
    return count;
}

static void put_link(struct answer *a, const struct io_ifaddr *i)
{
    bool loopback = i->flags & IFF_LOOPBACK;
    struct link_info info = {.type = loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
                             .index = (int32_t)i->index,
                             .flags = i->flags};
    uint8_t everybody[6], up = OPERSTATE_UP, mode = 0;
    uint32_t queue = 1000;
    memset(everybody, loopback ? 0 : 0xff, sizeof everybody);
    begin(a, RTM_NEWLINK, &info, sizeof info);
    attribute(a, IFLA_IFNAME, i->name, (uint32_t)strlen(i->name) + 1);
    attribute(a, IFLA_TXQLEN, &queue, sizeof queue);
    attribute(a, IFLA_OPERSTATE, &up, sizeof up);
    attribute(a, IFLA_LINKMODE, &mode, sizeof mode);
    attribute(a, IFLA_MTU, &i->mtu, sizeof i->mtu);
    attribute(a, IFLA_ADDRESS, i->mac, 6);
    attribute(a, IFLA_BROADCAST, everybody, sizeof everybody);
}

static void put_ipv4(struct answer *a, const struct io_ifaddr *i)
{
    struct address_info info = {.family = AF_INET,
                                .prefix = (uint8_t)__builtin_popcount(i->netmask),
                                .flags = IFA_F_PERMANENT,
                                .scope = i->flags & IFF_LOOPBACK ? SCOPE_HOST : 0,
                                .index = i->index};
    uint32_t flags = IFA_F_PERMANENT;
    begin(a, RTM_NEWADDR, &info, sizeof info);
    attribute(a, IFA_ADDRESS, &i->address, 4);
    attribute(a, IFA_LOCAL, &i->address, 4);
    if (i->flags & IFF_BROADCAST)
        attribute(a, IFA_BROADCAST, &i->broadcast, 4);
    attribute(a, IFA_LABEL, i->name, (uint32_t)strlen(i->name) + 1);
    attribute(a, IFA_FLAGS, &flags, sizeof flags);
}

static bool hex(const char **at, uint32_t digits, uint32_t *out)
{
    *out = 0;
    for (uint32_t i = 0; i < digits; i++) {
        char c = *(*at)++;
        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *out = *out << 4 | (uint32_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

/* A line of /proc/net/if_inet6: address, then index, prefix, scope and flags of two digits. */
static void put_ipv6(struct answer *a, const char *line)
{
    uint8_t bytes[16];
    uint32_t value[4], byte;
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        if (!hex(&line, 2, &byte))
            return;
        bytes[i] = (uint8_t)byte;
    }
    for (uint32_t i = 0; i < 4; i++)
        if (*line++ != ' ' || !hex(&line, 2, &value[i]))
            return;
    struct address_info info = {.family = AF_INET6,
                                .prefix = (uint8_t)value[1],
                                .flags = (uint8_t)value[3],
                                .scope = value[2] == 0x10   ? SCOPE_HOST
                                         : value[2] == 0x20 ? SCOPE_LINK
                                                            : 0,
                                .index = value[0]};
    begin(a, RTM_NEWADDR, &info, sizeof info);
    attribute(a, IFA_ADDRESS, bytes, sizeof bytes);
    attribute(a, IFA_FLAGS, &value[3], sizeof value[3]);
}

static void put_all_ipv6(struct answer *a)
{
    char *text = px_alloc(ADDRESSES_MAX + 1);
    long size = text ? netinfo(IO_NETINFO_IF_INET6, text, ADDRESSES_MAX) : -ENOMEM;
    a->error = PX_MIN(size, 0L);
    for (char *line = text; size > 0 && line && *line;) {
        char *end = strchr(line, '\n');
        if (!end)
            break;
        put_ipv6(a, line);
        line = end + 1;
    }
    px_free(text);
}

/* ---- requests ---- */

static void dump(struct answer *a, uint16_t type, uint32_t family)
{
    struct io_ifaddr list[INTERFACES];
    int32_t none = 0;
    long count = interfaces(list);
    a->error = PX_MIN(count, 0L);
    a->multi = NLM_F_MULTI;
    for (long i = 0; i < count; i++)
        if (type == RTM_GETLINK)
            put_link(a, &list[i]);
        else if (list[i].address && (family == AF_UNSPEC || family == AF_INET))
            put_ipv4(a, &list[i]);
    if (type == RTM_GETADDR && (family == AF_UNSPEC || family == AF_INET6) && a->error == 0)
        put_all_ipv6(a);
    begin(a, NLMSG_DONE, &none, sizeof none);
}

/* One link, by its number. */
static long get_link(struct answer *a, const struct link_info *wanted)
{
    struct io_ifaddr list[INTERFACES];
    long count = interfaces(list);
    for (long i = 0; i < count; i++)
        if ((int32_t)list[i].index == wanted->index) {
            put_link(a, &list[i]);
            return 0;
        }
    return count < 0 ? count : -ENODEV;
}

/* h: with all that its length says. */
static void serve(struct answer *a, const struct header *h)
{
    uint32_t size = h->length - sizeof *h;
    const uint8_t *data = (const uint8_t *)(h + 1);
    bool dumps = (h->flags & NLM_F_DUMP) == NLM_F_DUMP;
    long error = 0;
    a->to = h;
    a->multi = 0;
    if (!(h->flags & NLM_F_REQUEST) || h->type < RTM_NEWLINK) {
        /* nothing that is to be done */
    } else if (h->type > RTM_MAX) {
        error = -EOPNOTSUPP;
    } else if (h->type % 4 != RTM_GETLINK % 4) {
        error = -EPERM; /* it would change something */
    } else if ((h->type == RTM_GETLINK || h->type == RTM_GETADDR) && dumps) {
        dump(a, h->type, size ? data[0] : AF_UNSPEC);
        return;
    } else if (h->type == RTM_GETLINK && !dumps) {
        error =
            size < sizeof(struct link_info) ? -EINVAL : get_link(a, (const struct link_info *)data);
    } else {
        error = -EOPNOTSUPP;
    }
    if (error < 0 || h->flags & NLM_F_ACK)
        acknowledge(a, error);
}

static long serve_all(struct px_file *f, const uint8_t *request, uint32_t size)
{
    struct answer *a = px_alloc(sizeof *a);
    if (!a)
        return -ENOMEM;
    a->socket = f;
    for (uint32_t at = 0; size - at >= sizeof(struct header) && a->error == 0;) {
        const struct header *h = (const struct header *)(request + at);
        if (h->length < sizeof *h || h->length > size - at)
            break;
        serve(a, h);
        flush(a);
        at += PX_MIN((h->length + 3) & ~3u, size - at);
    }
    long error = a->error;
    px_free(a);
    return error < 0 ? error : (long)size;
}

/* ---- the socket ---- */

static void number(struct px_file *f, uint32_t port)
{
    if (!f->local.netlink_port)
        f->local.netlink_port = port ? port : px_proc()->pid;
}

static long take_address(struct address *to, const void *user, unsigned length)
{
    if (length < sizeof *to)
        return -EINVAL;
    if (px_copy_in(to, user, sizeof *to) < 0)
        return -EFAULT;
    return to->family == AF_NETLINK ? 0 : -EINVAL;
}

static long netlink_bind(struct px_file *f, const void *user, unsigned length)
{
    struct address a;
    long error = take_address(&a, user, length);
    if (error < 0)
        return error;
    if (f->local.netlink_port && a.port && a.port != f->local.netlink_port)
        return -EINVAL;
    number(f, a.port);
    return 0;
}

/* Only the kernel is there. */
static long check_peer(const void *user, unsigned length)
{
    struct address a;
    long error = take_address(&a, user, length);
    return error < 0 ? error : a.port ? -ECONNREFUSED : 0;
}

static long netlink_connect(struct px_file *f, const void *user, unsigned length)
{
    uint16_t family;
    if (length < sizeof family)
        return -EINVAL;
    if (px_copy_in(&family, user, sizeof family) < 0)
        return -EFAULT;
    if (family == AF_UNSPEC)
        return 0;
    long error = check_peer(user, length);
    if (error == 0)
        number(f, 0);
    return error;
}

static long netlink_listen(struct px_file *f, int backlog)
{
    (void)f, (void)backlog;
    return -EOPNOTSUPP;
}

static long netlink_accept(struct px_file *f, unsigned flags, struct px_name *peer)
{
    (void)f, (void)flags, (void)peer;
    return -EOPNOTSUPP;
}

static void name_of(uint32_t port, struct px_name *out)
{
    struct address a = {.family = AF_NETLINK, .port = port};
    out->length = sizeof a;
    memcpy(out->bytes, &a, sizeof a);
}

static long netlink_name(struct px_file *f, bool peer, struct px_name *out)
{
    name_of(peer ? 0 : f->local.netlink_port, out);
    return 0;
}

static long netlink_set_option(struct px_file *f, int level, int name, const void *value,
                               unsigned length)
{
    /* memberships, and how much is told of errors: there is nothing that they would change */
    if (level == SOL_NETLINK)
        return length < sizeof(int32_t) ? -EINVAL : name >= 1 && name <= 12 ? 0 : -ENOPROTOOPT;
    return px_unix_socket_ops.set_option(f, level, name, value, length);
}

static long netlink_get_option(struct px_file *f, int level, int name, uint8_t *value,
                               uint32_t room)
{
    int32_t number = name == SO_DOMAIN ? AF_NETLINK : f->local.netlink_type;
    if (level == SOL_NETLINK)
        return -ENOPROTOOPT;
    if (level != SOL_SOCKET || (name != SO_DOMAIN && name != SO_TYPE))
        return px_unix_socket_ops.get_option(f, level, name, value, room);
    memcpy(value, &number, PX_MIN(room, sizeof number));
    return sizeof number;
}

static long netlink_send(struct px_file *f, struct px_message *m)
{
    size_t size = m->io->left;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    long result = m->name ? check_peer(m->name, m->namelen) : 0;
    if (result < 0)
        return result;
    if (size > REQUEST_MAX)
        return -EMSGSIZE;
    uint8_t *request = px_alloc(size + 1);
    if (!request)
        return -ENOBUFS;
    number(f, 0);
    result = px_io_take(m->io, request, size);
    if (result == 0)
        result = serve_all(f, request, (uint32_t)size);
    px_free(request);
    return result;
}

static long netlink_receive(struct px_file *f, struct px_message *m)
{
    long n = px_unix_socket_ops.receive(f, m);
    if (n >= 0 && m->name)
        name_of(0, &m->from);
    return n;
}

static const struct px_socket_ops socket_ops = {
    .bind = netlink_bind,
    .listen = netlink_listen,
    .connect = netlink_connect,
    .accept = netlink_accept,
    .shutdown = netlink_listen,
    .name = netlink_name,
    .set_option = netlink_set_option,
    .get_option = netlink_get_option,
    .send = netlink_send,
    .receive = netlink_receive,
};

/* ---- the file ---- */

static long netlink_read(struct px_file *f, struct px_io *io, uint32_t flags)
{
    return px_unix_ops.read(f, io, flags);
}

static long netlink_write(struct px_file *f, struct px_io *io, uint32_t flags)
{
    struct px_message m = {.io = io};
    (void)flags;
    return netlink_send(f, &m);
}

static uint32_t netlink_ready(struct px_file *f, uint32_t events, bool arm)
{
    return px_unix_ops.ready(f, events, arm);
}

static long netlink_control(struct px_file *f, unsigned request, unsigned long argument)
{
    return px_unix_ops.control(f, request, argument);
}

static long netlink_stat(struct px_file *f, struct io_stat *out)
{
    return px_unix_ops.stat(f, out);
}

static void netlink_release(struct px_file *f)
{
    px_unix_ops.release(f);
}

static long netlink_async(struct px_file *f)
{
    return px_unix_ops.async(f);
}

static long netlink_pass(struct px_file *f, struct motor_start_fd *record)
{
    record->word[0] = f->local.type | (uint64_t)f->local.netlink_type << 8 |
                      (uint64_t)f->local.netlink_port << 32;
    return 0;
}

static const struct px_ops netlink_ops = {
    .name = "socket",
    .read = netlink_read,
    .write = netlink_write,
    .ready = netlink_ready,
    .control = netlink_control,
    .stat = netlink_stat,
    .release = netlink_release,
    .pass = netlink_pass,
    .async = netlink_async,
    .socket = &socket_ops,
};

bool px_is_netlink(const struct px_file *f)
{
    return f->ops == &netlink_ops;
}

void px_netlink_adopt(struct px_file *f, uint64_t word)
{
    f->local.netlink_type = (uint8_t)(word >> 8);
    f->local.netlink_port = (uint32_t)(word >> 32);
    if (f->local.netlink_type)
        f->ops = &netlink_ops;
}

long px_netlink_socket(int type, int protocol, unsigned flags)
{
    struct motor_msg msg = {
        .op = IO_LOCAL_SOCKET, .word = {SOCK_DGRAM, IO_SOCKET_SELF}, .deadline = MOTOR_NEVER};
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol)
        return -EPROTONOSUPPORT;
    long error = px_proc()->tty ? px_call(px_proc()->tty, &msg) : -ENFILE;
    if (error < 0)
        return error;
    struct px_file *f = px_unix_from_record(
        &(struct motor_start_fd){.handle = msg.handle[0],
                                 .flags = O_RDWR | (flags & SOCK_NONBLOCK),
                                 .word = {SOCK_DGRAM | (uint64_t)(unsigned)type << 8}});
    return f ? px_fd_install(f, flags & SOCK_CLOEXEC) : -ENFILE;
}
