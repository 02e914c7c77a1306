/* SPDX-License-Identifier: MIT */
/* Socket options, with Linux's numbers, sizes and errnos. */
#include "engine.h"
#include "lwip/priv/tcp_priv.h"
#include "netif.h"
#include "socket.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>

enum {
    SOL_SOCKET_ = 1,
    SOL_IP_ = 0,
    SOL_TCP_ = 6,
    SOL_IPV6_ = 41,
    SOL_ICMP6_ = 58,
    SOL_RAW_ = 255
};
enum {
    SO_DEBUG_ = 1,
    SO_REUSEADDR_,
    SO_TYPE_,
    SO_ERROR_,
    SO_DONTROUTE_,
    SO_BROADCAST_,
    SO_SNDBUF_,
    SO_RCVBUF_,
    SO_KEEPALIVE_,
    SO_OOBINLINE_,
    SO_NO_CHECK_,
    SO_PRIORITY_,
    SO_LINGER_,
    SO_BSDCOMPAT_,
    SO_REUSEPORT_,
    SO_PASSCRED_,
    SO_PEERCRED_,
    SO_RCVLOWAT_,
    SO_SNDLOWAT_,
    SO_RCVTIMEO_,
    SO_SNDTIMEO_,
    SO_BINDTODEVICE_ = 25,
    SO_TIMESTAMP_ = 29,
    SO_ACCEPTCONN_ = 30,
    SO_SNDBUFFORCE_ = 32,
    SO_RCVBUFFORCE_ = 33,
    SO_TIMESTAMPNS_ = 35,
    SO_MARK_ = 36,
    SO_PROTOCOL_ = 38,
    SO_DOMAIN_ = 39,
    SO_BUSY_POLL_ = 46,
    SO_INCOMING_CPU_ = 49,
    SO_ZEROCOPY_ = 60,
};
enum {
    TCP_NODELAY_ = 1,
    TCP_MAXSEG_,
    TCP_CORK_,
    TCP_KEEPIDLE_,
    TCP_KEEPINTVL_,
    TCP_KEEPCNT_,
    TCP_SYNCNT_,
    TCP_DEFER_ACCEPT_ = 9,
    TCP_WINDOW_CLAMP_,
    TCP_INFO_,
    TCP_QUICKACK_,
    TCP_CONGESTION_,
    TCP_USER_TIMEOUT_ = 18,
    TCP_FASTOPEN_ = 23,
    TCP_NOTSENT_LOWAT_ = 25,
};
enum {
    IP_TOS_ = 1,
    IP_TTL_,
    IP_HDRINCL_,
    IP_OPTIONS_,
    IP_PKTINFO_ = 8,
    IP_MTU_DISCOVER_ = 10,
    IP_RECVERR_ = 11,
    IP_RECVTTL_ = 12,
    IP_RECVTOS_ = 13,
    IP_MTU_ = 14,
    IP_FREEBIND_ = 15,
    IP_BIND_ADDRESS_NO_PORT_ = 24,
    IP_MULTICAST_IF_ = 32,
    IP_MULTICAST_TTL_,
    IP_MULTICAST_LOOP_,
    IP_ADD_MEMBERSHIP_,
    IP_DROP_MEMBERSHIP_,
    IP_MULTICAST_ALL_ = 49,
};
enum {
    IPV6_UNICAST_HOPS_ = 16,
    IPV6_MULTICAST_IF_,
    IPV6_MULTICAST_HOPS_,
    IPV6_MULTICAST_LOOP_,
    IPV6_JOIN_GROUP_,
    IPV6_LEAVE_GROUP_,
    IPV6_MTU_DISCOVER_ = 23,
    IPV6_MTU_ = 24,
    IPV6_RECVERR_ = 25,
    IPV6_V6ONLY_ = 26,
    IPV6_RECVPKTINFO_ = 49,
    IPV6_RECVHOPLIMIT_ = 51,
    IPV6_RECVTCLASS_ = 66,
    IPV6_TCLASS_ = 67,
};
#define BUFFER_MIN 4608u
#define BUFFER_MAX 425984u
#define WINDOW_MIN 1152u

/* An option that is one int with a field behind it, or a flag. */
enum kind { FLAG, BYTE, WORD };
struct simple {
    uint8_t level, name, kind;
    bool stream_only;
    uint16_t offset;
    int32_t min, max;
};
#define FIELD(f) offsetof(struct socket, f)
static const struct simple simple[] = {
    {SOL_SOCKET_, SO_REUSEADDR_, FLAG, false, FIELD(reuse_address), 0, 0},
    {SOL_SOCKET_, SO_REUSEPORT_, FLAG, false, FIELD(reuse_port), 0, 0},
    {SOL_SOCKET_, SO_BROADCAST_, FLAG, false, FIELD(broadcast), 0, 0},
    {SOL_SOCKET_, SO_KEEPALIVE_, FLAG, false, FIELD(keepalive), 0, 0},
    {SOL_SOCKET_, SO_DEBUG_, FLAG, false, FIELD(debug), 0, 0},
    {SOL_SOCKET_, SO_DONTROUTE_, FLAG, false, FIELD(dont_route), 0, 0},
    {SOL_SOCKET_, SO_OOBINLINE_, FLAG, false, FIELD(oob_inline), 0, 0},
    {SOL_SOCKET_, SO_NO_CHECK_, FLAG, false, FIELD(no_check), 0, 0},
    {SOL_SOCKET_, SO_PRIORITY_, WORD, false, FIELD(priority), INT32_MIN, INT32_MAX},
    {SOL_SOCKET_, SO_MARK_, WORD, false, FIELD(mark), INT32_MIN, INT32_MAX},
    {SOL_SOCKET_, SO_BUSY_POLL_, WORD, false, FIELD(busy_poll), 0, INT32_MAX},
    {SOL_SOCKET_, SO_INCOMING_CPU_, WORD, false, FIELD(incoming_cpu), INT32_MIN, INT32_MAX},
    {SOL_SOCKET_, SO_RCVLOWAT_, WORD, false, FIELD(low_water), 0, INT32_MAX},
    {SOL_TCP_, TCP_KEEPIDLE_, WORD, true, FIELD(keep_idle), 1, 32767},
    {SOL_TCP_, TCP_KEEPINTVL_, WORD, true, FIELD(keep_interval), 1, 32767},
    {SOL_TCP_, TCP_KEEPCNT_, WORD, true, FIELD(keep_count), 1, 127},
    {SOL_TCP_, TCP_DEFER_ACCEPT_, WORD, true, FIELD(defer_accept), 0, INT32_MAX},
    {SOL_TCP_, TCP_USER_TIMEOUT_, WORD, true, FIELD(user_timeout), 0, INT32_MAX},
    {SOL_TCP_, TCP_FASTOPEN_, WORD, true, FIELD(fast_open), 0, INT32_MAX},
    {SOL_TCP_, TCP_SYNCNT_, WORD, true, FIELD(syn_count), 1, 127},
    {SOL_TCP_, TCP_NOTSENT_LOWAT_, WORD, true, FIELD(not_sent_low), INT32_MIN, INT32_MAX},
    {SOL_IP_, IP_MTU_DISCOVER_, WORD, false, FIELD(mtu_discover), 0, 5},
    {SOL_IP_, IP_RECVERR_, FLAG, false, FIELD(receive_errors), 0, 0},
    {SOL_IP_, IP_FREEBIND_, FLAG, false, FIELD(free_bind), 0, 0},
    {SOL_IP_, IP_BIND_ADDRESS_NO_PORT_, FLAG, false, FIELD(late_port), 0, 0},
    {SOL_IP_, IP_TOS_, BYTE, false, FIELD(tos), 0, 255},
    {SOL_IP_, IP_TTL_, BYTE, false, FIELD(ttl), 1, 255},
    {SOL_IP_, IP_MULTICAST_TTL_, BYTE, false, FIELD(multicast_ttl), 0, 255},
    {SOL_IP_, IP_MULTICAST_LOOP_, FLAG, false, FIELD(multicast_loop), 0, 0},
    {SOL_IPV6_, IPV6_MTU_DISCOVER_, WORD, false, FIELD(mtu_discover), 0, 5},
    {SOL_IPV6_, IPV6_RECVERR_, FLAG, false, FIELD(receive_errors), 0, 0},
    {SOL_IPV6_, IPV6_UNICAST_HOPS_, BYTE, false, FIELD(hops), 0, 255},
    {SOL_IPV6_, IPV6_MULTICAST_HOPS_, BYTE, false, FIELD(multicast_ttl), 0, 255},
    {SOL_IPV6_, IPV6_MULTICAST_LOOP_, FLAG, false, FIELD(multicast_loop), 0, 0},
    {SOL_IPV6_, IPV6_TCLASS_, BYTE, false, FIELD(traffic_class), 0, 255},
};

static const struct simple *find(const struct socket *s, int level, int name)
{
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (simple[i].level == level && simple[i].name == name &&
            (!simple[i].stream_only || s->type == 1))
            return &simple[i];
    return NULL;
}

/* Options that are flags of the slot. */
static const struct client_option {
    uint8_t level, name;
    bool stream; /* of streams; else of datagrams */
    uint32_t flag;
} client_options[] = {
    {SOL_TCP_, TCP_CORK_, true, IO_CLIENT_CORK},
    {SOL_TCP_, TCP_NODELAY_, true, IO_CLIENT_NODELAY},
    {SOL_SOCKET_, SO_TIMESTAMP_, false, IO_CLIENT_TIME},
    {SOL_SOCKET_, SO_TIMESTAMPNS_, false, IO_CLIENT_TIME_NS},
    {SOL_IP_, IP_PKTINFO_, false, IO_CLIENT_PKTINFO},
    {SOL_IP_, IP_RECVTTL_, false, IO_CLIENT_TTL},
    {SOL_IP_, IP_RECVTOS_, false, IO_CLIENT_TOS},
    {SOL_IPV6_, IPV6_RECVPKTINFO_, false, IO_CLIENT_PKTINFO6},
    {SOL_IPV6_, IPV6_RECVHOPLIMIT_, false, IO_CLIENT_HOPLIMIT},
    {SOL_IPV6_, IPV6_RECVTCLASS_, false, IO_CLIENT_TCLASS},
};

/* The flag of the slot that is this option; 0: it is none. */
static uint32_t client_flag(const struct socket *s, int level, int name)
{
    for (size_t i = 0; i < sizeof client_options / sizeof *client_options; i++) {
        const struct client_option *o = &client_options[i];
        if (o->level == level && o->name == name && o->stream == (s->type == 1) &&
            (level != SOL_IPV6_ || s->family == 10))
            return o->flag;
    }
    return 0;
}

/* The two of times exclude each other. */
static void set_client_option(struct socket *s, uint32_t flag, bool on)
{
    uint32_t times = IO_CLIENT_TIME | IO_CLIENT_TIME_NS;
    if (on && flag & times)
        socket_set_client_flag(s, times, false);
    socket_set_client_flag(s, flag, on);
}

/* What only root may ask for (socket(7)). */
static bool privileged(const struct socket *s, const struct simple *o, int value)
{
    if (o->level != SOL_SOCKET_)
        return false;
    return o->name == SO_MARK_ || (o->name == SO_DEBUG_ && value) ||
           (o->name == SO_PRIORITY_ && (value < 0 || value > 6)) ||
           (o->name == SO_BUSY_POLL_ && (uint32_t)value > s->busy_poll);
}

static int set_simple(struct socket *s, const struct simple *o, int value)
{
    uint8_t *field = (uint8_t *)s + o->offset;
    if (s->uid && privileged(s, o, value))
        return o->name == SO_DEBUG_ ? -EACCES : -EPERM;
    if (value == -1 && o->kind == BYTE) /* the default */
        value = o->name == IP_MULTICAST_TTL_ && o->level == SOL_IP_ ? 1
                : o->max == 255 && o->min == 0                      ? 0
                                                                    : 64;
    if (o->kind == FLAG) {
        *(bool *)field = value;
        return 0;
    }
    if (value < o->min || value > o->max)
        return -EINVAL;
    if (o->kind == BYTE)
        *field = (uint8_t)value;
    else
        memcpy(field, &value, 4);
    return 0;
}

static int get_simple(const struct socket *s, const struct simple *o)
{
    const uint8_t *field = (const uint8_t *)s + o->offset;
    int value;
    if (o->kind == FLAG)
        return *(const bool *)field;
    if (o->kind == BYTE)
        return *field;
    memcpy(&value, field, 4);
    return value;
}

static int bind_to_device(struct socket *s, const uint8_t *value, uint32_t size)
{
    char name[16] = {0};
    memcpy(name, value, size < 15 ? size : 15);
    uint8_t index = 0;
    if (name[0]) {
        if (!strcmp(name, "lo"))
            index = netif_get_index(&net_loop);
        else if (!strcmp(name, "eth0") && net_eth.input)
            index = netif_get_index(&net_eth);
        else
            return -ENODEV;
    }
    s->netif = s->binding.netif = index;
    if (s->type == 1 ? s->state == SOCKET_LISTENING || s->tcp != NULL : s->pcb != NULL)
        ((struct ip_pcb *)s->pcb)->netif_idx = index;
    return 0;
}

static void set_buffers(struct socket *s)
{
    if (s->shared && s->state != SOCKET_LISTENING) {
        if (s->type == 1)
            s->shared->tx_limit = s->send_buffer;
        s->shared->rx_limit = socket_receive_limit(s);
    }
}

static int set_socket(struct socket *s, int name, const uint8_t *value, uint32_t size, int number)
{
    uint32_t doubled = (uint32_t)number * 2;
    switch (name) {
    case SO_SNDBUF_:
    case SO_SNDBUFFORCE_:
        s->send_buffer = number < 0 || doubled > BUFFER_MAX ? BUFFER_MAX
                         : doubled < BUFFER_MIN             ? BUFFER_MIN
                                                            : doubled;
        set_buffers(s);
        return 0;
    case SO_RCVBUF_:
    case SO_RCVBUFFORCE_:
        s->receive_buffer = number < 0 || doubled > BUFFER_MAX ? BUFFER_MAX
                            : doubled < BUFFER_MIN             ? BUFFER_MIN
                                                               : doubled;
        set_buffers(s);
        return 0;
    case SO_LINGER_:
        if (size < 8)
            return -EINVAL;
        s->linger_on = number;
        memcpy(&s->linger, value + 4, 4);
        return 0;
    case SO_RCVTIMEO_:
    case SO_SNDTIMEO_:
        if (size < 16)
            return -EINVAL;
        return 0; /* the runtime's */
    default:
        return -ENOPROTOOPT;
    }
}

static int set_tcp(struct socket *s, int name, const uint8_t *value, uint32_t size, int number)
{
    switch (name) {
    case TCP_MAXSEG_:
        if (number && (number < 88 || number > 32767))
            return -EINVAL;
        s->max_segment = (uint32_t)number;
        return 0;
    case TCP_CONGESTION_:
        if (size < 1 || size > 15 ||
            (strncmp((const char *)value, "reno", size) &&
             strncmp((const char *)value, "cubic", size)))
            return -ENOENT;
        memset(s->congestion, 0, sizeof s->congestion);
        memcpy(s->congestion, value, size);
        return 0;
    case TCP_WINDOW_CLAMP_:
        if (!number && s->state != SOCKET_NEW)
            return -EINVAL;
        s->window_clamp = !number || (uint32_t)number > WINDOW_MIN ? (uint32_t)number : WINDOW_MIN;
        set_buffers(s);
        return 0;
    case TCP_QUICKACK_:
        s->ping_pong = !number;
        if (number && s->state == SOCKET_CONNECTED && s->tcp && s->tcp->flags & TF_ACK_DELAY) {
            tcp_ack_now(s->tcp);
            tcp_output(s->tcp);
        }
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_membership(struct socket *s, bool v6, bool join, const uint8_t *value, uint32_t size)
{
    ip_addr_t group = {0}, interface_address = {0};
    uint32_t word, index = 0;
    if (v6) {
        uint32_t words[4];
        if (size < 20)
            return -EINVAL;
        memcpy(words, value, 16);
        memcpy(&index, value + 16, 4);
        IP_ADDR6(&group, words[0], words[1], words[2], words[3]);
        return datagram_membership(s, join, &group, NULL, (uint8_t)index);
    }
    if (size < 8)
        return -EINVAL;
    memcpy(&word, value, 4);
    ip_addr_set_ip4_u32(&group, word);
    memcpy(&word, value + 4, 4);
    ip_addr_set_ip4_u32(&interface_address, word);
    if (size >= 12)
        memcpy(&index, value + 8, 4);
    return datagram_membership(s, join, &group, &interface_address, (uint8_t)index);
}

static int set_multicast_interface(struct socket *s, const uint8_t *value, uint32_t size)
{
    uint32_t address = 0, index = 0;
    struct netif *n;
    if (size >= 12) {
        memcpy(&address, value + 4, 4);
        memcpy(&index, value + 8, 4);
    } else {
        memcpy(&address, value, 4);
    }
    s->multicast_netif = (uint8_t)index;
    NETIF_FOREACH(n)
    {
        if (!index && address && netif_ip4_addr(n)->addr == address)
            s->multicast_netif = netif_get_index(n);
    }
    return index || !address || s->multicast_netif ? 0 : -EADDRNOTAVAIL;
}

static int set_ip(struct socket *s, int name, const uint8_t *value, uint32_t size, int number)
{
    switch (name) {
    case IP_ADD_MEMBERSHIP_:
    case IP_DROP_MEMBERSHIP_:
        return set_membership(s, false, name == IP_ADD_MEMBERSHIP_, value, size);
    case IP_MULTICAST_IF_:
        return set_multicast_interface(s, value, size);
    case IP_MULTICAST_ALL_:
        if (number < 0 || number > 1)
            return -EINVAL;
        s->multicast_all = number;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_ipv6(struct socket *s, int name, const uint8_t *value, uint32_t size, int number)
{
    switch (name) {
    case IPV6_V6ONLY_:
        if (s->binding.protocol)
            return -EINVAL;
        s->v6only = number;
        return 0;
    case IPV6_JOIN_GROUP_:
    case IPV6_LEAVE_GROUP_:
        return set_membership(s, true, name == IPV6_JOIN_GROUP_, value, size);
    case IPV6_MULTICAST_IF_:
        if (number && (number > 255 || !netif_get_by_index((uint8_t)number)))
            return -ENODEV;
        s->multicast_netif = (uint8_t)number;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int option_set(struct socket *s, int level, int name, const uint8_t *value, uint32_t size)
{
    int number = 0, result;
    if (level == SOL_SOCKET_ && name == SO_BINDTODEVICE_)
        return bind_to_device(s, value, size);
    if (size >= 4)
        memcpy(&number, value, 4);
    else if (size && (level == SOL_IP_ || level == SOL_IPV6_))
        number = value[0];
    else if (!(level == SOL_TCP_ && name == TCP_CONGESTION_))
        return -EINVAL;
    const struct simple *o = find(s, level, name);
    uint32_t flag = client_flag(s, level, name);
    if (flag)
        set_client_option(s, flag, number);
    if (flag)
        result = 0;
    else if (o)
        result = set_simple(s, o, number);
    else if (level == SOL_SOCKET_)
        result = set_socket(s, name, value, size, number);
    else if (level == SOL_TCP_ && s->type == 1)
        result = set_tcp(s, name, value, size, number);
    else if (level == SOL_IP_)
        result = set_ip(s, name, value, size, number);
    else if (level == SOL_IPV6_ && s->family == 10)
        result = set_ipv6(s, name, value, size, number);
    else
        result = level == SOL_RAW_ || level == SOL_ICMP6_ ? 0 : -ENOPROTOOPT;
    if (!result && s->type == 1) {
        tcp_socket_options(s);
        if (level == SOL_TCP_ && !(socket_client_flags(s) & IO_CLIENT_CORK) &&
            s->state == SOCKET_CONNECTED)
            tcp_socket_pump(s);
    }
    return result;
}

/* ---- reading ---- */

static uint8_t linux_state(const struct socket *s)
{
    static const uint8_t states[] = {
        [CLOSED] = 7,      [LISTEN] = 10,    [SYN_SENT] = 2,   [SYN_RCVD] = 3,
        [ESTABLISHED] = 1, [FIN_WAIT_1] = 4, [FIN_WAIT_2] = 5, [CLOSE_WAIT] = 8,
        [CLOSING] = 11,    [LAST_ACK] = 9,   [TIME_WAIT] = 6};
    if (s->state == SOCKET_LISTENING)
        return 10;
    return s->tcp ? states[s->tcp->state] : 7;
}

static int get_info(const struct socket *s, uint8_t *value, uint32_t size)
{
    uint8_t info[232] = {0};
    uint32_t *w = (uint32_t *)(info + 8); /* after the eight bytes */
    info[0] = linux_state(s);
    if (s->type == 1 && s->state != SOCKET_LISTENING && s->tcp) {
        const struct tcp_pcb *p = s->tcp;
        uint32_t tick_us = TCP_SLOW_INTERVAL * 1000u, rtt = (uint32_t)(p->sa >> 3) * tick_us;
        info[2] = p->nrtx; /* retransmits */
        info[5] = (uint8_t)((p->flags & TF_TIMESTAMP ? 1 : 0) | (p->flags & TF_SACK ? 2 : 0) |
                            (p->flags & TF_WND_SCALE ? 4 : 0));
        info[6] = (uint8_t)(p->snd_scale | p->rcv_scale << 4);
        w[0] = (uint32_t)p->rto * tick_us;
        w[1] = 40000; /* ato */
        w[2] = p->mss;
        w[3] = p->mss; /* receive */
        w[4] = p->unacked ? p->snd_queuelen / 2u + 1 : 0;
        w[15] = rtt ? rtt : 1000;
        w[16] = (uint32_t)(p->sv >> 2) * tick_us;
        w[17] = p->ssthresh;
        w[18] = p->mss ? p->cwnd / p->mss : 0;
        w[19] = p->mss;
        w[22] = p->rcv_wnd;
    } else if (s->state == SOCKET_LISTENING) {
        w[4] = (s->rx_head - s->rx_tail) / (uint32_t)sizeof(struct io_accept);
        w[5] = s->backlog;
    }
    if (size > sizeof info)
        size = sizeof info;
    memcpy(value, info, size);
    return (int)size;
}

static int put_int(int number, uint8_t *value, uint32_t size)
{
    if (size > 4)
        size = 4;
    memcpy(value, &number, size);
    return (int)size;
}

static int put_bytes(const void *bytes, uint32_t n, uint8_t *value, uint32_t size)
{
    if (n > size)
        n = size;
    memcpy(value, bytes, n);
    return (int)n;
}

static int get_socket(struct socket *s, int name, uint8_t *value, uint32_t size)
{
    switch (name) {
    case SO_TYPE_:
        return put_int(s->type, value, size);
    case SO_PROTOCOL_:
        return put_int(s->protocol, value, size);
    case SO_DOMAIN_:
        return put_int(s->family, value, size);
    case SO_ACCEPTCONN_:
        return put_int(s->state == SOCKET_LISTENING, value, size);
    case SO_ERROR_: {
        uint32_t error =
            s->shared ? __atomic_exchange_n(&s->shared->error, 0, __ATOMIC_SEQ_CST) : 0;
        socket_set_state(s, 0, IO_STATE_ERROR);
        return put_int((int)(error & 0xfff), value, size);
    }
    case SO_SNDBUF_:
        return put_int((int)s->send_buffer, value, size);
    case SO_RCVBUF_:
        return put_int((int)s->receive_buffer, value, size);
    case SO_SNDLOWAT_:
        return put_int(1, value, size);
    case SO_LINGER_: {
        int both[2] = {s->linger_on, (int)s->linger};
        return put_bytes(both, 8, value, size);
    }
    case SO_BINDTODEVICE_:
        return s->netif ? s->netif == netif_get_index(&net_loop) ? put_bytes("lo", 3, value, size)
                                                                 : put_bytes("eth0", 5, value, size)
                        : 0;
    case SO_RCVTIMEO_:
    case SO_SNDTIMEO_:
        return put_bytes(s->receive_timeout, 16, value, size);
    default:
        return -ENOPROTOOPT;
    }
}

static int get_tcp(struct socket *s, int name, uint8_t *value, uint32_t size)
{
    switch (name) {
    case TCP_MAXSEG_:
        return put_int(s->state == SOCKET_CONNECTED && s->tcp ? s->tcp->mss
                       : s->max_segment                       ? (int)s->max_segment
                                                              : 536,
                       value, size);
    case TCP_INFO_:
        return get_info(s, value, size);
    case TCP_CONGESTION_:
        return put_bytes(s->congestion, 16, value, size);
    case TCP_QUICKACK_:
        return put_int(!s->ping_pong, value, size);
    case TCP_WINDOW_CLAMP_:
        return put_int((int)s->window_clamp, value, size);
    default:
        return -ENOPROTOOPT;
    }
}

int option_get(struct socket *s, int level, int name, uint8_t *value, uint32_t size)
{
    if (size > 240)
        size = 240;
    const struct simple *o = find(s, level, name);
    uint32_t flag = client_flag(s, level, name);
    if (flag)
        return put_int(!!(socket_client_flags(s) & flag), value, size);
    if (o)
        return put_int(get_simple(s, o), value, size);
    if (level == SOL_SOCKET_)
        return get_socket(s, name, value, size);
    if (level == SOL_TCP_ && s->type == 1)
        return get_tcp(s, name, value, size);
    if (level == SOL_IPV6_ && s->family == 10) {
        if (name == IPV6_V6ONLY_)
            return put_int(s->v6only, value, size);
        if (name == IPV6_MTU_)
            return put_int(net_eth.mtu ? net_eth.mtu : 65535, value, size);
        return name == IPV6_MULTICAST_IF_ ? put_int(s->multicast_netif, value, size) : -ENOPROTOOPT;
    }
    if (level == SOL_IP_) {
        if (name == IP_MTU_)
            return s->peer_set
                       ? put_int(IP_IS_V4_VAL(s->peer) && ip4_addr_isloopback(ip_2_ip4(&s->peer))
                                     ? 65535
                                     : net_eth.mtu,
                                 value, size)
                       : -ENOTCONN;
        if (name == IP_OPTIONS_)
            return 0;
        return name == IP_MULTICAST_ALL_ ? put_int(s->multicast_all, value, size) : -ENOPROTOOPT;
    }
    return -ENOPROTOOPT;
}
