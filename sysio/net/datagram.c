/* SPDX-License-Identifier: MIT */
/*
 * UDP, ping (SOCK_DGRAM with ICMP) and raw sockets. Both directions are rings of records (struct
 * io_datagram). What is sent is copied out of the ring at once; what is received is dropped when
 * the receive buffer is full.
 */
#include "engine.h"
#include "heap.h"
#include "lwip/icmp.h"
#include "lwip/igmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/mld6.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "netif.h"
#include "ports.h"
#include "socket.h"
#include <errno.h>
#include <string.h>

#define DATAGRAM_MAX       65507u
#define MEMBERSHIPS_MAX    20u /* of a socket, as on Linux */
#define ICMP_ECHO_REQUEST  8u
#define ICMP6_ECHO_REQUEST 128u

static void leave_group(struct socket *s, struct membership **m);

static bool is_ping(const struct socket *s)
{
    return s->type == 2 && s->protocol != IP_PROTO_UDP;
}

static bool is_udp(const struct socket *s)
{
    return s->type == 2 && s->protocol == IP_PROTO_UDP;
}

/* ---- receiving ---- */

static void deliver(struct socket *s, struct pbuf *p, uint32_t offset, const ip_addr_t *from,
                    uint16_t port)
{
    struct io_datagram record = {.length = p->tot_len - offset,
                                 .port = lwip_htons(port),
                                 .ifindex = netif_get_index(ip_current_input_netif()),
                                 .time = port_realtime()};
    address_pack(s, from, record.address, &record.family);
    address_pack(s, ip_current_dest_addr(), record.own, &record.family);
    if (ip_current_is_v6()) {
        record.ttl = IP6H_HOPLIM(ip6_current_header());
        record.tos = (uint8_t)IP6H_TC(ip6_current_header());
    } else {
        record.ttl = IPH_TTL(ip4_current_header());
        record.tos = IPH_TOS(ip4_current_header());
    }
    if (!receive_record(s, &record, sizeof record, p, offset, record.length))
        net_counters.rx_dropped++;
}

static struct membership **find_membership(struct socket *s, const ip_addr_t *group,
                                           const struct netif *netif)
{
    struct membership **m = &s->memberships;
    while (*m && ((*m)->netif != netif || !ip_addr_eq(&(*m)->group, group)))
        m = &(*m)->next;
    return m;
}

struct arrival {
    struct pbuf *p;
    const ip_addr_t *from;
    uint16_t port;
};

/* What was sent to a group, or to everybody, is for this one, too. */
static bool is_for(struct socket *s, const struct arrival *a)
{
    const ip_addr_t *to = ip_current_dest_addr(), *own = &s->binding.address;
    struct netif *netif = ip_current_input_netif();
    if (s->netif && s->netif != netif_get_index(netif))
        return false;
    if (s->peer_set && (s->peer_port != a->port || !ip_addr_eq(&s->peer, a->from)))
        return false;
    if (!IP_IS_ANY_TYPE_VAL(*own) &&
        (IP_IS_V6_VAL(*own) != IP_IS_V6(to) || (!ip_addr_isany(own) && !ip_addr_eq(own, to))))
        return false;
    return s->multicast_all || !ip_addr_ismulticast(to) || *find_membership(s, to, netif);
}

static void deliver_one_of_many(struct socket *s, void *context)
{
    const struct arrival *a = context;
    if (is_for(s, a))
        deliver(s, a->p, 0, a->from, a->port);
}

static struct socket *one_of_those_that_share(struct socket *s, const ip_addr_t *from,
                                              uint16_t port)
{
    return s->reuse_port && !s->peer_set ? ports_share(s, from, port) : s;
}

/* lwIP finds one of those that a datagram may be for. */
static void on_udp(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                   uint16_t port)
{
    const ip_addr_t *to = ip_current_dest_addr();
    struct arrival a = {p, from, port};
    if (ip_addr_ismulticast(to) || ip_addr_isbroadcast(to, ip_current_input_netif()))
        ports_each_at(IP_PROTO_UDP, pcb->local_port, deliver_one_of_many, &a);
    else
        deliver(one_of_those_that_share(arg, from, port), p, 0, from, port);
    pbuf_free(p);
}

static u8_t on_raw(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
    struct socket *s = arg;
    uint32_t header = ip_current_header_tot_len();
    (void)pcb;
    if (s->peer_set && !ip_addr_eq(&s->peer, from))
        return 0 /* not eaten */;
    if (!is_ping(s)) {
        deliver(s, p, IP_IS_V6(from) ? header : 0, from, 0);
        return 0;
    }
    uint8_t icmp[8];
    if (pbuf_copy_partial(p, icmp, 8, (uint16_t)header) != 8 ||
        (uint16_t)(icmp[4] << 8 | icmp[5]) != s->icmp_id)
        return 0;
    if (icmp[0] == ICMP_ECHO_REQUEST || icmp[0] == ICMP6_ECHO_REQUEST)
        return 0;
    deliver(s, p, header, from, 0);
    return 0;
}

/* ---- life ---- */

int datagram_open(struct socket *s)
{
    uint8_t type = s->family == 2              ? IPADDR_TYPE_V4
                   : s->v6only || s->type == 3 ? IPADDR_TYPE_V6
                                               : IPADDR_TYPE_ANY;
    if (s->pcb)
        return 0;
    if (is_udp(s)) {
        s->udp = udp_new_ip_type(type);
        if (!s->udp)
            return -ENOBUFS;
        udp_recv(s->udp, on_udp, s);
        return 0;
    }
    s->raw = raw_new_ip_type(type, s->protocol);
    if (!s->raw)
        return -ENOBUFS;
    raw_recv(s->raw, on_raw, s);
    if (s->protocol == IP6_NEXTH_ICMP6) {
        s->raw->chksum_reqd = 1;
        s->raw->chksum_offset = 2;
    }
    s->icmp_id = (uint16_t)port_random();
    return 0;
}

/* After port_bind(): tells lwIP. */
int datagram_bind(struct socket *s)
{
    int error = datagram_open(s);
    if (error)
        return error;
    if (!is_udp(s)) {
        s->raw->local_ip = s->binding.address;
        if (is_ping(s) && s->binding.port)
            s->icmp_id = s->binding.port;
        return 0;
    }
    struct udp_pcb *pcb = s->udp;
    bool listed = pcb->local_port;
    pcb->local_ip = s->binding.address;
    pcb->local_port = s->binding.port;
    pcb->netif_idx = s->netif;
    if (!listed) {
        pcb->next = udp_pcbs;
        udp_pcbs = pcb;
    }
    return 0;
}

static int autobind(struct socket *s)
{
    ip_addr_t any;
    if (s->binding.protocol)
        return 0;
    int error = datagram_open(s);
    if (error || !is_udp(s))
        return error;
    address_any(s, &any);
    error = port_bind(s, s->protocol, &any, 0);
    return error ? error : datagram_bind(s);
}

int datagram_connect(struct socket *s, const ip_addr_t *address, uint16_t port)
{
    ip_addr_t to = *address, from;
    int error = autobind(s);
    if (error)
        return error;
    if (ip_addr_isany(&to))
        to = IP_IS_V6_VAL(to) ? net_loop.ip6_addr[0] : net_loop.ip_addr;
    error = socket_choose_source(s, &to, &from);
    if (error)
        return error;
    s->peer = to;
    s->peer_port = port;
    s->peer_set = true;
    if (is_udp(s)) {
        s->udp->remote_ip = to;
        s->udp->remote_port = port;
        s->udp->flags |= UDP_FLAGS_CONNECTED;
        if (!s->binding.explicit_address) {
            s->binding.address = from;
            s->udp->local_ip = from;
        }
    }
    socket_set_state(s, IO_STATE_CONNECTED, 0);
    return 0;
}

void datagram_close(struct socket *s)
{
    while (s->memberships)
        leave_group(s, &s->memberships);
    if (!s->pcb)
        return;
    if (is_udp(s))
        udp_remove(s->udp);
    else
        raw_remove(s->raw);
    s->pcb = NULL;
}

/* ---- sending ---- */

static bool copy_out(struct socket *s, uint32_t at, void *to, uint32_t size)
{
    uint8_t *bytes = to;
    if (!ring_pin(s->session, &s->tx, at, size))
        return false;
    while (size) {
        uint32_t room;
        const uint8_t *from = ring_at(s->session, &s->tx, at, &room);
        uint32_t n = size < room ? size : room;
        memcpy(bytes, from, n);
        bytes += n;
        at += n;
        size -= n;
    }
    return true;
}

static void finish_ping(struct socket *s, struct pbuf *p)
{
    uint8_t *icmp = p->payload;
    if (p->len < 8)
        return;
    icmp[2] = icmp[3] = 0;
    icmp[4] = (uint8_t)(s->icmp_id >> 8);
    icmp[5] = (uint8_t)s->icmp_id;
    if (s->protocol == IP_PROTO_ICMP) {
        uint16_t sum = inet_chksum(icmp, p->len);
        memcpy(icmp + 2, &sum, 2);
    }
}

static bool is_broadcast(const ip_addr_t *to)
{
    return IP_IS_V4_VAL(*to) &&
           (ip_2_ip4(to)->addr == 0xffffffffu || ip4_addr_isbroadcast(ip_2_ip4(to), &net_eth));
}

/* What the record says, or the socket's options. */
static uint8_t ttl_of(const struct socket *s, const struct io_datagram *record)
{
    return record->flags & IO_DATAGRAM_TTL ? record->ttl : s->family == 2 ? s->ttl : s->hops;
}

static uint8_t tos_of(const struct socket *s, const struct io_datagram *record)
{
    return record->flags & IO_DATAGRAM_TOS ? record->tos
           : s->family == 2                ? s->tos
                                           : s->traffic_class;
}

/* By which interface a group or everybody is reached; NULL: as routes say. */
static struct netif *choose_interface(const struct socket *s, const struct io_datagram *record,
                                      const ip_addr_t *to)
{
    bool group = ip_addr_ismulticast(to), broadcast = is_broadcast(to);
    uint8_t bound = record->flags & IO_DATAGRAM_INTERFACE ? (uint8_t)record->ifindex
                    : s->netif                            ? s->netif
                    : group                               ? s->multicast_netif
                                                          : 0;
    if (broadcast && !bound)
        bound = netif_get_index(&net_eth);
    if (bound || !(group || broadcast))
        return bound ? netif_get_by_index(bound) : NULL;
    return netif_default ? netif_default : &net_loop;
}

/* The way a datagram takes: the address it is sent from, and the interface. */
static int choose_way(const struct socket *s, const struct io_datagram *record, const ip_addr_t *to,
                      ip_addr_t *from, struct netif **out)
{
    if (is_broadcast(to) && !s->broadcast)
        return -EACCES;
    if ((s->dont_route || record->flags & IO_DATAGRAM_NEAR) && !is_broadcast(to) &&
        !address_is_near(to))
        return -ENETUNREACH;
    *out = choose_interface(s, record, to);
    if (!*out && record->flags & IO_DATAGRAM_INTERFACE)
        return -ENODEV;
    if (record->flags & IO_DATAGRAM_OWN) {
        if (!address_unpack(s, record->own, s->family, from) || !address_is_own(from) ||
            IP_IS_V6_VAL(*from) != IP_IS_V6_VAL(*to))
            return -EINVAL;
    } else if (*out && s->binding.protocol && s->binding.explicit_address) {
        *from = s->binding.address;
    } else if (*out) {
        const ip_addr_t *own = ip_netif_get_local_ip(*out, to);
        if (!own)
            return -ENETUNREACH;
        *from = *own;
    } else {
        int error = socket_choose_source(s, to, from);
        if (error)
            return error;
    }
    if (!*out)
        *out = ip_route(from, to);
    return *out ? 0 : -ENETUNREACH;
}

uint16_t net_ip4_flags;

static bool whole_only(const struct socket *s)
{
    return s->mtu_discover == IP_PMTUDISC_DO || s->mtu_discover == IP_PMTUDISC_PROBE;
}

static bool fits(const struct socket *s, const struct pbuf *p, const ip_addr_t *to,
                 const struct netif *out)
{
    uint32_t header = (IP_IS_V6(to) ? IP6_HLEN : IP_HLEN) + (is_udp(s) ? UDP_HLEN : 0);
    return header + p->tot_len <= out->mtu;
}

static int transmit(struct socket *s, struct pbuf *p, const struct io_datagram *record,
                    const ip_addr_t *to, uint16_t port)
{
    ip_addr_t from;
    struct netif *out;
    int error = choose_way(s, record, to, &from, &out);
    if (error)
        return error;
    if (whole_only(s) && !fits(s, p, to, out))
        return -EMSGSIZE;
    err_t err;
    net_ip4_flags = whole_only(s) ? PP_HTONS(IP_DF) : 0;
    struct ip_pcb *ip = s->pcb;
    ip->ttl = ttl_of(s, record);
    ip->tos = tos_of(s, record);
    ip->so_options = s->broadcast ? SOF_BROADCAST : 0;
    if (is_udp(s)) {
        struct udp_pcb *pcb = s->udp;
        pcb->mcast_ttl = record->flags & IO_DATAGRAM_TTL ? record->ttl : s->multicast_ttl;
        udp_setflags(pcb, (u8_t)((pcb->flags & ~(UDP_FLAGS_MULTICAST_LOOP | UDP_FLAGS_NOCHKSUM)) |
                                 (s->multicast_loop ? UDP_FLAGS_MULTICAST_LOOP : 0) |
                                 (s->no_check ? UDP_FLAGS_NOCHKSUM : 0)));
        err = udp_sendto_if_src(pcb, p, to, port, out, &from);
    } else {
        if (is_ping(s))
            finish_ping(s, p);
        err = raw_sendto_if_src(s->raw, p, to, out, &from);
    }
    net_ip4_flags = 0;
    /* no room: as if lost on the wire */
    return err == ERR_MEM || err == ERR_BUF ? 0 : -net_errno(err);
}

/* One record at tx_sent. false: the ring makes no sense, or there is no memory to read it. */
static bool send_one(struct socket *s)
{
    struct io_datagram record;
    uint32_t available = s->tx_seen - s->tx_sent;
    ip_addr_t to;
    if (available < sizeof record || !copy_out(s, s->tx_sent, &record, sizeof record) ||
        record.length > DATAGRAM_MAX)
        return false;
    uint32_t total = (uint32_t)sizeof record + ((record.length + 15) & ~15u);
    if (total > available)
        return false;
    int error = autobind(s);
    uint16_t port = lwip_ntohs(record.port);
    if (!record.family) {
        if (!s->peer_set)
            error = -EDESTADDRREQ;
        to = s->peer;
        port = s->peer_port;
    } else if (!address_unpack(s, record.address, record.family, &to)) {
        error = -EAFNOSUPPORT;
    } else if (ip_addr_isany(&to)) {
        to = IP_IS_V6_VAL(to) ? net_loop.ip6_addr[0] : net_loop.ip_addr;
    }
    struct pbuf *p = error ? NULL : pbuf_alloc(PBUF_TRANSPORT, (uint16_t)record.length, PBUF_RAM);
    if (p) {
        if (copy_out(s, s->tx_sent + (uint32_t)sizeof record, p->payload, record.length))
            error = transmit(s, p, &record, &to, port);
        pbuf_free(p);
    }
    if (error) {
        socket_set_error(s, -error);
        socket_signal(s);
    }
    s->tx_sent += total;
    return true;
}

bool datagram_send(struct socket *s)
{
    bool ok = true;
    while (ok && s->tx_sent != s->tx_seen)
        ok = send_one(s);
    s->tx_tail = s->tx_sent;
    return ok;
}

void datagram_changed(struct socket *s)
{
    receive_push(s);
    datagram_flush(s);
    receive_release(s);
}

void datagram_flush(struct socket *s)
{
    if (!s->shared || s->broken)
        return;
    uint32_t before = s->tx_sent;
    bool ok = socket_read_head(s) && datagram_send(s);
    if (!ok) {
        tcp_socket_break(s);
        s->tx_seen = s->tx_sent = __atomic_load_n(&s->shared->tx_head, __ATOMIC_RELAXED);
    }
    s->tx_tail = s->tx_sent;
    __atomic_store_n(&s->shared->tx_tail, s->tx_tail, __ATOMIC_SEQ_CST);
    if (before != s->tx_sent &&
        __atomic_load_n(&s->shared->client_flags, __ATOMIC_SEQ_CST) & IO_CLIENT_WANT_SPACE)
        socket_signal(s);
}

void datagram_unreachable(const struct net_tuple *ends, int error, bool fatal)
{
    for (struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next) {
        struct socket *s = pcb->recv_arg;
        bool connected = pcb->flags & UDP_FLAGS_CONNECTED;
        if (pcb->recv != on_udp || pcb->local_port != ends->local_port ||
            (!ip_addr_isany(&pcb->local_ip) && !ip_addr_eq(&pcb->local_ip, &ends->local)) ||
            (connected && (pcb->remote_port != ends->remote_port ||
                           !ip_addr_eq(&pcb->remote_ip, &ends->remote))))
            continue;
        if (!s->receive_errors && !(connected && fatal))
            continue;
        socket_set_error(s, error);
        socket_signal(s);
        return;
    }
}

/* ---- groups ---- */

static struct netif *group_netif(const ip_addr_t *group, const ip_addr_t *interface_address,
                                 uint8_t netif)
{
    struct netif *n;
    if (netif)
        return netif_get_by_index(netif);
    if (!IP_IS_V4_VAL(*group) || !interface_address || ip_addr_isany(interface_address))
        return net_eth.input ? &net_eth : &net_loop;
    NETIF_FOREACH(n)
    {
        if (ip4_addr_eq(netif_ip4_addr(n), ip_2_ip4(interface_address)))
            return n;
    }
    return NULL;
}

static int join_group(struct socket *s, const ip_addr_t *group, struct netif *n)
{
    struct membership *m =
        s->membership_count < MEMBERSHIPS_MAX ? net_heap_zalloc(1, sizeof *m) : NULL;
    if (!m)
        return -ENOBUFS;
    err_t err = IP_IS_V6_VAL(*group) ? mld6_joingroup_netif(n, ip_2_ip6(group))
                                     : igmp_joingroup_netif(n, ip_2_ip4(group));
    if (err != ERR_OK) {
        net_heap_free(m);
        return err == ERR_VAL ? -EADDRNOTAVAIL : -net_errno(err);
    }
    *m = (struct membership){s->memberships, *group, n};
    s->memberships = m;
    s->membership_count++;
    return 0;
}

static void leave_group(struct socket *s, struct membership **m)
{
    struct membership *gone = *m;
    if (IP_IS_V6_VAL(gone->group))
        mld6_leavegroup_netif(gone->netif, ip_2_ip6(&gone->group));
    else
        igmp_leavegroup_netif(gone->netif, ip_2_ip4(&gone->group));
    *m = gone->next;
    s->membership_count--;
    net_heap_free(gone);
}

int datagram_membership(struct socket *s, bool join, const ip_addr_t *group,
                        const ip_addr_t *interface_address, uint8_t netif)
{
    if (!ip_addr_ismulticast(group))
        return -EINVAL;
    struct netif *n = group_netif(group, interface_address, netif);
    if (!n)
        return -ENODEV;
    struct membership **m = find_membership(s, group, n);
    if (join)
        return *m ? -EADDRINUSE : join_group(s, group, n);
    if (!*m)
        return -EADDRNOTAVAIL;
    leave_group(s, m);
    return 0;
}
