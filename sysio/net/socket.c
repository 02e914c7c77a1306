/* SPDX-License-Identifier: MIT */
/* Sockets: creation, the slot, state and errors as the client sees them, the end. */
#include "socket.h"
#include "attach.h"
#include "engine.h"
#include "heap.h"
#include "lent.h"
#include "ports.h"
#include <errno.h>
#include <string.h>

#define LINUX_AF_INET  2
#define LINUX_AF_INET6 10
/* bytes: what a socket, its protocol's state and its gate are counted as */
#define SOCKET_COST    1536u
enum { STREAM = 1, DGRAM = 2, RAW = 3 };

int net_errno(err_t e)
{
    static const int numbers[] = {
        [-ERR_OK] = 0,
        [-ERR_MEM] = ENOBUFS,
        [-ERR_BUF] = ENOBUFS,
        [-ERR_TIMEOUT] = ETIMEDOUT,
        [-ERR_RTE] = ENETUNREACH,
        [-ERR_INPROGRESS] = EINPROGRESS,
        [-ERR_VAL] = EINVAL,
        [-ERR_WOULDBLOCK] = EAGAIN,
        [-ERR_USE] = EADDRINUSE,
        [-ERR_ALREADY] = EALREADY,
        [-ERR_ISCONN] = EISCONN,
        [-ERR_CONN] = ENOTCONN,
        [-ERR_IF] = ENETDOWN,
        [-ERR_ABRT] = ECONNABORTED,
        [-ERR_RST] = ECONNRESET,
        [-ERR_CLSD] = ENOTCONN,
        [-ERR_ARG] = EIO,
    };
    uint32_t index = (uint32_t)-e;
    return index < sizeof numbers / sizeof *numbers ? numbers[index] : EIO;
}

static int check_kind(uint32_t family, uint32_t type, uint32_t *protocol)
{
    if (family != LINUX_AF_INET && family != LINUX_AF_INET6)
        return -EAFNOSUPPORT;
    bool v6 = family == LINUX_AF_INET6;
    switch (type) {
    case STREAM:
        if (*protocol && *protocol != IP_PROTO_TCP)
            return -EPROTONOSUPPORT;
        *protocol = IP_PROTO_TCP;
        return 0;
    case DGRAM:
        if (!*protocol)
            *protocol = IP_PROTO_UDP;
        return *protocol == IP_PROTO_UDP || *protocol == (v6 ? IP6_NEXTH_ICMP6 : IP_PROTO_ICMP)
                   ? 0
                   : -EPROTONOSUPPORT;
    case RAW:
        return *protocol && *protocol < 256 ? 0 : -EPROTONOSUPPORT;
    default:
        return -ESOCKTNOSUPPORT;
    }
}

static struct session commons;

struct session *socket_payer(const struct socket *s)
{
    return s->session ? s->session : &commons;
}

void socket_rehome(struct socket *s, struct session *to)
{
    session_recharge(socket_payer(s), to ? to : &commons, SOCKET_COST + s->rx_pending_size);
    s->session = to;
}

struct socket *socket_create(struct session *session, uint32_t family, uint32_t type,
                             uint32_t protocol, int *error)
{
    *error = check_kind(family, type, &protocol);
    if (*error)
        return NULL;
    *error = -ENOBUFS;
    if (!session_charge(session ? session : &commons, SOCKET_COST))
        return NULL;
    struct socket *s = net_heap_zalloc(1, sizeof *s);
    if (!s) {
        session_uncharge(session ? session : &commons, SOCKET_COST);
        return NULL;
    }
    *error = 0;
    s->object.kind = OBJECT_SOCKET;
    s->session = session;
    s->family = (uint8_t)family;
    s->type = (uint8_t)type;
    s->protocol = (uint8_t)protocol;
    s->waiting_last = &s->waiting;
    s->send_buffer = type == STREAM ? net_tcp_sndbuf : net_datagram_buffer;
    s->receive_buffer = type == STREAM ? net_tcp_window : net_datagram_buffer;
    s->low_water = 1;
    s->keep_idle = 7200;
    s->keep_interval = 75;
    s->keep_count = 9;
    s->ttl = s->hops = 64;
    s->multicast_ttl = 1;
    s->multicast_loop = s->multicast_all = true;
    s->syn_count = SYN_COUNT;
    s->mtu_discover = IP_PMTUDISC_WANT;
    s->incoming_cpu = ~0u;
    memcpy(s->congestion, "reno", 5);
    net_counters.sockets++;
    return s;
}

int64_t socket_expose(struct socket *s)
{
    int64_t slot =
        session_slot_alloc(s->session, s->type == STREAM ? IO_SLOT_STREAM : IO_SLOT_DATAGRAM, s);
    if (slot < 0)
        return slot;
    s->slot = (uint32_t)slot;
    s->shared = &s->session->slots[slot];
    s->tx_session = s->session;
    s->tx_shared = s->shared;
    s->shared->tx_limit = s->type == STREAM ? s->send_buffer : 65535;
    s->shared->rx_limit = socket_receive_limit(s);
    s->shared->client_flags = s->client_flags;
    return slot;
}

uint32_t socket_client_flags(const struct socket *s)
{
    uint32_t flags = s->client_flags;
    if (s->shared)
        flags = __atomic_load_n(&s->shared->client_flags, __ATOMIC_RELAXED);
    return flags & IO_CLIENT_OPTIONS;
}

void socket_set_client_flag(struct socket *s, uint32_t flag, bool on)
{
    uint32_t *flags = s->shared ? &s->shared->client_flags : &s->client_flags;
    if (on)
        __atomic_fetch_or(flags, flag, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(flags, ~flag, __ATOMIC_RELAXED);
}

void socket_unpush(struct socket *s)
{
    if (!s->pushed_link)
        return;
    *s->pushed_link = s->pushed_next;
    if (s->pushed_next)
        s->pushed_next->pushed_link = s->pushed_link;
    s->pushed_link = NULL;
}

/* What is left of it is the ring that the device may still read. */
static void go_where_the_ring_is(struct socket *s)
{
    struct attachment **link = &s->away;
    if (!s->shared || s->tx_session == s->session)
        return;
    while (*link && (*link)->session != s->tx_session)
        link = &(*link)->next;
    session_slot_free(s->session, s->slot);
    socket_rehome(s, s->tx_session);
    s->shared = s->tx_shared;
    s->slot = *link ? (*link)->slot : 0;
    if (*link)
        attach_keep_slot(*link);
}

void socket_free(struct socket *s)
{
    net_forget(s);
    receive_drop(s);
    go_where_the_ring_is(s);
    attach_drop(s);
    socket_unpush(s);
    while (s->pushed)
        socket_unpush(s->pushed);
    port_unbind(s);
    if (s->object.badge)
        port_gate_forget(s->object.badge);
    net_counters.sockets--;
    session_uncharge(socket_payer(s), SOCKET_COST);
    if (s->shared && s->tx_sent != s->tx_tail) {
        net_retire(s);
        return;
    }
    if (s->shared)
        session_slot_free(s->session, s->slot);
    net_heap_free(s);
}

static bool take_head(struct socket *s, uint32_t head)
{
    if (head == s->tx_seen)
        return true;
    if (s->tx_seen == s->tx_tail) { /* the ring was empty: it may have another place now */
        if (!ring_check(__atomic_load_n(&s->tx_shared->tx_place, __ATOMIC_ACQUIRE), &s->tx))
            return false;
    }
    if (!s->tx.page || head - s->tx_tail > ring_size(&s->tx) ||
        head - s->tx_tail < s->tx_seen - s->tx_tail)
        return false;
    s->tx_seen = head;
    return true;
}

/* A ring that is behind the home, or closed for a loan, gets no more bytes. */
bool socket_read_head(struct socket *s)
{
    return s->tx_session != s->session || lent_is_active(s) ||
           take_head(s, __atomic_load_n(&s->shared->tx_head, __ATOMIC_ACQUIRE));
}

bool socket_read_head_moved(struct socket *s)
{
    return take_head(s, __atomic_load_n(&s->shared->tx_head, __ATOMIC_ACQUIRE) ^ 1u << 31);
}

void socket_signal(struct socket *s)
{
    if (s->shared && !s->closed)
        session_signal(s->session, s->slot);
    if (s->away && !s->closed)
        attach_signal(s);
}

/* `error` and `state` are exchanged by both sides, so they change atomically. */
void socket_set_state(struct socket *s, uint32_t set, uint32_t clear)
{
    if (!s->shared)
        return;
    /* at once: a socket is never seen neither connecting nor connected */
    uint32_t state = __atomic_load_n(&s->shared->state, __ATOMIC_RELAXED);
    __atomic_store_n(&s->shared->state, (state & ~clear) | set, __ATOMIC_SEQ_CST);
}

void socket_set_error(struct socket *s, int error)
{
    if (!s->shared)
        return;
    __atomic_store_n(&s->shared->error, (uint32_t)error, __ATOMIC_SEQ_CST);
    socket_set_state(s, IO_STATE_ERROR, 0);
}

void socket_changed(struct socket *s)
{
    if (s->closed || s->broken)
        return;
    if (s->type == STREAM)
        tcp_socket_changed(s);
    else
        datagram_changed(s);
}

void socket_closed(struct socket *s)
{
    if (s->closed)
        return;
    if (s->type == STREAM) {
        tcp_socket_close(s);
    } else {
        datagram_flush(s);
        s->closed = true;
        datagram_close(s);
        socket_free(s);
    }
}
