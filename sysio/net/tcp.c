/* SPDX-License-Identifier: MIT */
/*
 * Stream sockets on lwIP's TCP: their PCBs, connecting, receiving, closing; tcp_send.c sends,
 * tcp_listen.c listens. lwIP frees PCBs on its own terms, and says so: through the error callback
 * (with the reason), and through net_pcb_gone() in every case, so a socket never keeps a dangling
 * PCB.
 */
#include "tcp.h"
#include "direct.h"
#include "engine.h"
#include "lent.h"
#include "lwip/priv/tcp_priv.h"
#include "netif.h"
#include "pcb.h"
#include "ports.h"
#include "socket.h"
#include <errno.h>
#include <string.h>

#define ORPHAN_MOST 100000000000ull /* ns that a closed one may try to send in vain */
#define POLL_TICKS  10u             /* of lwIP's slow timer: a second */

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err);
static err_t on_poll(void *arg, struct tcp_pcb *pcb);
static void on_error(void *arg, err_t err);

/* ---- the PCB ---- */

void tcp_pcb_attach(struct socket *s, struct tcp_pcb *pcb)
{
    s->tcp = pcb;
    tcp_arg(pcb, s);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, tcp_on_sent);
    tcp_err(pcb, on_error);
}

/* From here on the PCB lives and dies alone. */
struct tcp_pcb *tcp_pcb_detach(struct socket *s)
{
    struct tcp_pcb *pcb = s->tcp;
    direct_part(s);
    s->tcp = NULL;
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_poll(pcb, NULL, 0);
    net_pcb_touch(pcb);
    return pcb;
}

void net_pcb_gone(struct tcp_pcb *pcb)
{
    struct socket *s = pcb->callback_arg;
    if (!s)
        return;
    if (s->state == SOCKET_LISTENING) {
        if (s->syn_pending)
            s->syn_pending--;
    } else if (s->tcp == pcb) {
        direct_part(s);
        s->tcp = NULL;
    }
}

void tcp_socket_options(struct socket *s)
{
    if (!s->pcb)
        return;
    struct ip_pcb *ip = s->pcb;
    ip->ttl = s->family == 2 ? s->ttl : s->hops;
    ip->tos = s->family == 2 ? s->tos : s->traffic_class;
    if (s->keepalive)
        ip->so_options |= SOF_KEEPALIVE;
    else
        ip->so_options &= (uint8_t)~SOF_KEEPALIVE;
    if (s->state == SOCKET_LISTENING)
        return;
    struct tcp_pcb *pcb = s->tcp;
    net_pcb_touch(pcb);
    tcp_nagle_disable(pcb); /* sendable() does what Nagle and Minshall wanted */
    pcb->keep_idle = s->keep_idle * 1000;
    pcb->keep_intvl = s->keep_interval * 1000;
    pcb->keep_cnt = s->keep_count;
    if (s->user_timeout) { /* decides instead of the count */
        pcb->keep_cnt = s->user_timeout / pcb->keep_intvl + 2;
        tcp_poll(pcb, on_poll, POLL_TICKS);
    }
    if (s->max_segment && s->max_segment < pcb->mss)
        pcb->mss = (uint16_t)s->max_segment;
}

/*
 * A SYN goes out once a second: as many times as the seconds that Linux, which waits twice as long
 * each time, tries altogether.
 */
uint8_t tcp_syn_retries(const struct tcp_pcb *pcb)
{
    const struct socket *s = pcb->callback_arg;
    uint32_t count = s && pcb->state == SYN_SENT ? s->syn_count : SYN_COUNT;
    return count < 7 ? (uint8_t)((2u << count) - 1) : 254;
}

/* ---- the end of a connection ---- */

/* No PCB any more. The client sees end of file, and an error if there is one. */
void tcp_socket_ended(struct socket *s, int error)
{
    s->state = SOCKET_ENDED;
    direct_part(s);
    s->tcp = NULL;
    if (s->closed || !s->shared)
        return;
    s->rx_eof = true;
    if (error)
        socket_set_error(s, error);
    socket_set_state(s, IO_STATE_TX_CLOSED, IO_STATE_CONNECTING);
    receive_push(s);
    socket_signal(s);
}

/* A closed socket frees itself when nothing needs its ring any more. */
void tcp_socket_finish(struct socket *s)
{
    if (s->tcp)
        tcp_pcb_detach(s);
    s->state = SOCKET_ENDED;
    socket_free(s);
}

void tcp_socket_abort(struct socket *s)
{
    if (s->tcp) {
        net_counters.resets_sent++;
        tcp_abort(tcp_pcb_detach(s));
    }
}

void tcp_socket_break(struct socket *s)
{
    net_counters.broken_streams++;
    if (s->type != 1) {
        receive_drop(s);
        s->rx_head = s->rx_tail = __atomic_load_n(&s->shared->rx_tail, __ATOMIC_RELAXED);
        __atomic_store_n(&s->shared->rx_head, s->rx_head, __ATOMIC_RELEASE);
        socket_set_error(s, EIO);
        socket_signal(s);
        return;
    }
    if (s->state == SOCKET_LISTENING) {
        s->rx_shut = s->broken = true; /* accepts nothing any more */
        socket_set_error(s, EIO);
        return;
    }
    s->rx_shut = s->broken = true;
    lent_end(s);
    if (s->tcp && tcp_input_pcb == s->tcp) { /* inside lwIP: it must not lose the PCB now */
        net_break_later(s);
        return;
    }
    listener_unlink(s);
    tcp_socket_abort(s);
    receive_drop(s);
    socket_set_state(s, IO_STATE_RX_EOF, 0);
    tcp_socket_ended(s, EIO);
}

static int error_number(const struct socket *s, err_t err)
{
    if (err == ERR_CLSD)
        return 0;
    if (s->refusal)
        return s->refusal;
    if (s->state == SOCKET_CONNECTING)
        return err == ERR_RST ? ECONNREFUSED : ETIMEDOUT;
    if (err == ERR_RST)
        return s->rx_eof ? EPIPE : ECONNRESET; /* as Linux has it in CLOSE_WAIT */
    return ETIMEDOUT;
}

static void on_error(void *arg, err_t err)
{
    struct socket *s = arg;
    if (!s)
        return;
    int error = error_number(s, err);
    bool queued = s->listener && s->listener->pulled; /* nobody knows it yet */
    listener_unlink(s);
    if (err == ERR_RST && s->state == SOCKET_CONNECTED && s->tx_shut && s->rx_eof)
        error = 0;
    tcp_socket_ended(s, error);
    if (s->closed || queued)
        tcp_socket_finish(s);
}

/* RFC 5927: only a report about the segment that is under way is believed, and of a connection that
 * stands none. */
void tcp_unreachable(const struct net_tuple *ends, uint32_t seq, int error)
{
    struct tcp_pcb *pcb = net_pcb_find(ends);
    struct socket *s = pcb ? pcb->callback_arg : NULL;
    if (!s || s->tcp != pcb || pcb->state != SYN_SENT || seq != pcb->lastack)
        return;
    s->refusal = (uint8_t)error;
    tcp_abandon(pcb, 0);
}

/* ---- receiving ---- */

/* Pending data that lies in someone else's ring or in scarce device buffers becomes our own. */
static bool keep_pending(struct socket *s)
{
    struct pbuf **link = &s->rx_pending;
    s->rx_pending_last = NULL;
    for (struct pbuf *p; (p = *link); link = &p->next) {
        if (p->flags & PBUF_FLAG_IS_CUSTOM && (net_eth_scarce() || !net_eth_owns(p))) {
            struct pbuf *copy = pbuf_alloc(PBUF_RAW, p->len, PBUF_RAM);
            if (!copy)
                return false;
            memcpy(copy->payload, p->payload, p->len);
            net_counters.rx_copied += p->len;
            copy->next = p->next;
            p->next = NULL;
            p->tot_len = p->len;
            pbuf_free(p);
            *link = p = copy;
        }
        s->rx_pending_last = p;
    }
    return true;
}

/*
 * A small pushed segment on a connection that only receives is acknowledged at once: the peer's
 * Nagle waits for that, and no answer will come to carry it. (Over loopback nobody waits: see
 * sendable().)
 */
static void acknowledge_early(struct socket *s, struct tcp_pcb *pcb, const struct pbuf *p)
{
    if (s->received < 255)
        s->received++;
    if (s->received > 1)
        s->ping_pong = false;
    if (s->twin) /* no answer carries it, and it opens the short way */
        tcp_ack_now(pcb);
    else if (!s->ping_pong && p->flags & PBUF_FLAG_PUSH && p->tot_len < tcp_segment_payload(pcb) &&
             !address_is_own(&pcb->remote_ip))
        tcp_ack_now(pcb);
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct socket *s = arg;
    (void)err;
    if (s)
        lent_end(s);
    if (!s || s->closed || s->rx_shut) {
        if (p) {
            tcp_recved(pcb, p->tot_len);
            pbuf_free(p);
        }
        return ERR_OK;
    }
    if (p && !session_has_share(socket_payer(s), p->tot_len + 4096u)) /* and a page of its ring */
        return ERR_MEM; /* lwIP keeps it, takes no more, and offers it again */
    if (p) {
        acknowledge_early(s, pcb, p);
        receive_add(s, p);
        if (s->rx_pending && !keep_pending(s))
            tcp_socket_break(s);
    } else {
        s->rx_eof = true;
        receive_push(s);
        if (!s->rx_pending)
            socket_signal(s);
    }
    listener_received(s);
    return ERR_OK;
}

/* ns that nothing may come back from the peer while there is something to be sent; 0: for ever */
static uint64_t patience(const struct socket *s)
{
    uint64_t user = s->user_timeout * 1000000ull;
    return s->closed && (!user || user > ORPHAN_MOST) ? ORPHAN_MOST : user;
}

static bool has_waited(struct socket *s, const struct tcp_pcb *pcb)
{
    uint64_t now = port_now(), most = patience(s);
    if (most && s->keepalive && pcb->keep_cnt_sent &&
        (uint64_t)(tcp_ticks - pcb->tmr) * TCP_SLOW_INTERVAL * 1000000 >= most)
        return true;
    if (s->tx_seen == s->tx_tail && s->state != SOCKET_CONNECTING)
        s->stuck_since = 0;
    else if (!s->stuck_since)
        s->stuck_since = now;
    return most && s->stuck_since && now - s->stuck_since >= most;
}

/* Once a second, of sockets that are closed or have TCP_USER_TIMEOUT. */
static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
    struct socket *s = arg;
    if (!s || !has_waited(s, pcb))
        return ERR_OK;
    net_counters.resets_sent++;
    tcp_abort(pcb); /* on_error() tells: timed out */
    return ERR_ABRT;
}

void tcp_socket_changed(struct socket *s)
{
    if (s->state == SOCKET_LISTENING) {
        tcp_listener_drain(s);
        return;
    }
    if (lent_is_active(s))
        lent_end(s);
    receive_push(s);
    tcp_socket_take_shut(s);
    if (s->state == SOCKET_CONNECTED)
        tcp_socket_pump(s);
    direct_resume(s);
    receive_release(s);
}

int tcp_socket_shutdown(struct socket *s, int how)
{
    bool rd = how == 0 || how == 2, wr = how == 1 || how == 2;
    if (s->state == SOCKET_LISTENING) {
        if (!rd)
            return 0;
        s->rx_shut = true;
        s->rx_eof = true;
        receive_push(s);
        socket_signal(s);
        return 0;
    }
    if (s->state != SOCKET_CONNECTED && !(s->state == SOCKET_ENDED && s->accepted))
        return -ENOTCONN;
    if (wr && !s->tx_shut) {
        if (!tcp_socket_shut_sending(s))
            return 0;
        tcp_socket_pump(s);
    }
    if (rd && !s->rx_shut) {
        s->rx_shut = true;
        socket_set_state(s, IO_STATE_RX_EOF, 0);
        direct_end(s);
    }
    socket_signal(s);
    return 0;
}

/* ---- connecting ---- */

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct socket *s = arg;
    (void)pcb, (void)err;
    if (!s)
        return ERR_OK;
    s->state = SOCKET_CONNECTED;
    s->accepted = true;
    net_counters.connected++;
    socket_set_state(s, IO_STATE_CONNECTED, IO_STATE_CONNECTING);
    socket_signal(s);
    if (!s->closed)
        tcp_socket_pump(s);
    return ERR_OK;
}

/* Where from, to this destination? 0 or negated errno. */
int socket_choose_source(const struct socket *s, const ip_addr_t *to, ip_addr_t *from)
{
    if (s->binding.protocol && s->binding.explicit_address) {
        *from = s->binding.address;
        return IP_IS_V6_VAL(*from) == IP_IS_V6_VAL(*to) ? 0 : -EINVAL;
    }
    if (IP_IS_V4_VAL(*to) ? !ip4_addr_isloopback(ip_2_ip4(to)) && address_is_own(to)
                          : address_is_own(to)) {
        *from = *to;
        return 0;
    }
    struct netif *n = s->netif ? netif_get_by_index(s->netif) : ip_route(to, to);
    const ip_addr_t *own = n ? ip_netif_get_local_ip(n, to) : NULL;
    if (!own || ip_addr_isany(own))
        return -ENETUNREACH;
    *from = *own;
    return 0;
}

int tcp_socket_connect(struct socket *s, const ip_addr_t *address, uint16_t port)
{
    ip_addr_t to = *address, from;
    if (s->state == SOCKET_CONNECTING)
        return -EALREADY;
    if (s->state == SOCKET_CONNECTED || s->state == SOCKET_LISTENING)
        return -EISCONN;
    if (s->state == SOCKET_ENDED)
        return -ECONNABORTED;
    if (ip_addr_isany(&to)) {
        if (IP_IS_V6_VAL(to))
            IP_ADDR6_HOST(&to, 0, 0, 0, 1);
        else
            IP_ADDR4(&to, 127, 0, 0, 1);
    }
    if (ip_addr_ismulticast(&to) || (IP_IS_V4_VAL(to) && ip_2_ip4(&to)->addr == 0xffffffffu))
        return -ENETUNREACH;
    int error =
        s->dont_route && !address_is_near(&to) ? -ENETUNREACH : socket_choose_source(s, &to, &from);
    if (error)
        return error;
    if (s->binding.protocol) {
        if (net_pcb_tuple_used(&(struct net_tuple){from, to, s->binding.port, port}))
            return -EADDRNOTAVAIL;
    } else if ((error = port_bind_connect(s, &from, &to, port)) < 0) {
        return error;
    }
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&to));
    if (!pcb)
        return -ENOBUFS;
    tcp_pcb_attach(s, pcb);
    pcb->local_ip = from;
    pcb->local_port = s->binding.port;
    if (s->netif)
        tcp_bind_netif(pcb, netif_get_by_index(s->netif));
    tcp_socket_options(s);
    s->state = SOCKET_CONNECTING;
    socket_set_state(s, IO_STATE_CONNECTING, 0);
    s->peer = to;
    s->peer_port = port;
    s->peer_set = true;
    if (direct_connect(pcb, &to, port, on_connected))
        return -EINPROGRESS;
    err_t err = tcp_connect(pcb, &to, port, on_connected);
    if (err != ERR_OK) {
        s->peer_set = false;
        tcp_pcb_detach(s);
        pcb->local_port = 0;
        tcp_abandon(pcb, 0);
        s->state = SOCKET_NEW;
        socket_set_state(s, 0, IO_STATE_CONNECTING);
        return -net_errno(err);
    }
    tcp_socket_options(s);
    return -EINPROGRESS;
}

/* ---- closing ---- */

void tcp_socket_close(struct socket *s)
{
    if (s->state == SOCKET_LISTENING) {
        listener_close(s);
        return;
    }
    lent_end(s);
    if (s->twin) /* what was sent before, but not yet looked at, has arrived */
        tcp_socket_resume(s->twin);
    bool unread = s->shared && !s->rx_shut && receive_unread(s);
    if (s->state == SOCKET_CONNECTED && s->tcp && !s->tx_shut && !socket_read_head(s))
        unread = true; /* nonsense in its ring: reset */
    s->closed = true;
    listener_unlink(s);
    direct_end(s);
    if (!s->tcp || s->state != SOCKET_CONNECTED || unread || (s->linger_on && !s->linger) ||
        listener_never_took(s)) {
        tcp_socket_pump(s); /* what was written before is on its way before the reset */
        tcp_socket_abort(s);
        socket_free(s);
        return;
    }
    receive_drop(s);
    if (s->rx_unacknowledged) { /* read, but not yet told to lwIP */
        tcp_recved(s->tcp,
                   (uint16_t)(s->rx_unacknowledged > 0xffff ? 0xffff : s->rx_unacknowledged));
        s->rx_unacknowledged = 0;
    }
    s->tx_shut = true;
    s->stuck_since = 0;
    tcp_set_flags(s->tcp, TF_RXCLOSED);
    tcp_poll(s->tcp, on_poll, POLL_TICKS);
    tcp_socket_pump(s);
    if (!s->tcp || tcp_socket_is_through(s))
        tcp_socket_finish(s);
}
