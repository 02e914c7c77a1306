/* SPDX-License-Identifier: MIT */
/*
 * Stream sockets on lwIP's TCP. Data goes from the client's tx ring into segments without a copy;
 * tx_tail follows the acknowledgements. lwIP frees PCBs on its own terms, and says so: through the
 * error callback (with the reason), and through net_pcb_gone() in every case, so a socket never
 * keeps a dangling PCB.
 */
#include "attach.h"
#include "direct.h"
#include "engine.h"
#include "heap.h"
#include "lent.h"
#include "lwip/priv/tcp_priv.h"
#include "netif.h"
#include "pcb.h"
#include "ports.h"
#include "socket.h"
#include <errno.h>
#include <string.h>

#define LARGE          65000u /* the largest segment: less than 64 KiB with all headers */
#define CHUNK          (LARGE - LWIP_TCP_OPT_LEN_TS_OUT) /* one tcp_write */
#define INITIAL_WINDOW 10u
#define CORK_MOST      200000000ull    /* ns that a cork keeps bytes back, as on Linux */
#define ORPHAN_MOST    100000000000ull /* ns that a closed one may try to send in vain */
#define POLL_TICKS     10u             /* of lwIP's slow timer: a second */

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err);
/*
 * lwIP's slow start counts two segments for an acknowledgement at most. One that acknowledges many,
 * as those of a device that joins segments do, opens the window as Linux does: by all of them.
 */
static void grow_window(struct tcp_pcb *pcb, uint32_t size)
{
    uint32_t counted = 2u * pcb->mss;
    if (size > counted && pcb->cwnd < pcb->ssthresh && !(pcb->flags & (TF_INFR | TF_RTO)))
        pcb->cwnd += size - counted;
}

void tcp_socket_dropped(struct socket *s, uint32_t n)
{
    if (s)
        s->tx_dropped += n;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, uint16_t size);
static err_t on_poll(void *arg, struct tcp_pcb *pcb);
static void on_error(void *arg, err_t err);
static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err);
static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err);

/* ---- the PCB ---- */

static void attach(struct socket *s, struct tcp_pcb *pcb)
{
    s->tcp = pcb;
    tcp_arg(pcb, s);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
}

/* From here on the PCB lives and dies alone. */
static struct tcp_pcb *detach(struct socket *s)
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
static void ended(struct socket *s, int error)
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
static void finish_closed(struct socket *s)
{
    if (s->tcp)
        detach(s);
    s->state = SOCKET_ENDED;
    socket_free(s);
}

static void abort_pcb(struct socket *s)
{
    if (s->tcp) {
        net_counters.resets_sent++;
        tcp_abort(detach(s));
    }
}

static void unlink_waiting(struct socket *s);

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
    unlink_waiting(s);
    abort_pcb(s);
    receive_drop(s);
    socket_set_state(s, IO_STATE_RX_EOF, 0);
    ended(s, EIO);
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
    unlink_waiting(s);
    if (err == ERR_RST && s->state == SOCKET_CONNECTED && s->tx_shut && s->rx_eof)
        error = 0;
    ended(s, error);
    if (s->closed || queued)
        finish_closed(s);
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

static void push_accept(struct socket *s);
static void become_ready(struct socket *s);

static uint32_t segment_payload(const struct tcp_pcb *pcb);

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
    else if (!s->ping_pong && p->flags & PBUF_FLAG_PUSH && p->tot_len < segment_payload(pcb) &&
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
    if (s->listener && s->listener->pulled)
        become_ready(s);
    else if (s->listener && s->listener->defer_accept)
        push_accept(s);
    return ERR_OK;
}

/* ---- sending ---- */

static bool may_send(const struct socket *s)
{
    enum tcp_state state = s->tcp ? s->tcp->state : CLOSED;
    return state == ESTABLISHED || state == CLOSE_WAIT;
}

static void send_fin(struct socket *s)
{
    if (!s->tx_shut || s->fin_sent || s->tx_sent != s->tx_seen || !s->tcp)
        return;
    net_pcb_touch(s->tcp);
    s->fin_sent = true;
    if (s->closed)
        tcp_set_flags(s->tcp, TF_RXCLOSED);
    if (!direct_fin(s->tcp))
        tcp_shutdown(s->tcp, 0, 1);
}

static uint32_t segment_payload(const struct tcp_pcb *pcb)
{
    return pcb->mss - (pcb->flags & TF_TIMESTAMP ? LWIP_TCP_OPT_LEN_TS_OUT : 0);
}

/* Bytes are kept back by the cork. true: for long enough. */
static bool cork_is_old(struct socket *s)
{
    uint64_t now = port_now();
    if (!s->corked_since)
        s->corked_since = now;
    if (now - s->corked_since >= CORK_MOST)
        return true;
    net_retry_in(s, CORK_MOST - (now - s->corked_since));
    return false;
}

/*
 * How much of what is there may go now. The part of a segment at the end waits while the socket is
 * corked, or, unless TCP_NODELAY is set, while an earlier such part is not acknowledged (Minshall's
 * Nagle, as on Linux: full segments in flight do not hold it back). Over loopback there is no wire
 * to be spared.
 */
static uint32_t sendable(struct socket *s, const struct tcp_pcb *pcb, uint32_t available)
{
    uint32_t flags = socket_client_flags(s), tail = available % segment_payload(pcb);
    bool small_in_flight = (int32_t)(s->small_end - s->tx_tail) > 0;
    if (!tail || s->tx_shut)
        return available;
    if (flags & IO_CLIENT_CORK && !cork_is_old(s))
        return available - tail;
    s->corked_since = 0;
    if (small_in_flight && !(flags & IO_CLIENT_NODELAY) && !address_is_own(&pcb->remote_ip))
        return available - tail;
    return available;
}

/*
 * How much of `n` bytes lwIP gets now, when the device makes segments of them: what the windows
 * leave room for, in whole segments of the wire, so that it is sent at once and lwIP's segments are
 * as large as they can be. One small segment may wait in lwIP: for the window, and to probe it.
 */
static uint32_t large_piece(const struct tcp_pcb *pcb, uint32_t n)
{
    uint32_t payload = segment_payload(pcb),
             window = pcb->snd_wnd < pcb->cwnd ? pcb->snd_wnd : pcb->cwnd,
             queued = pcb->snd_lbb - pcb->lastack, room = window > queued ? window - queued : 0,
             half = pcb->snd_wnd_max / 2; /* lwIP makes no larger ones */
    if (half > payload + LWIP_TCP_OPT_LEN_TS_OUT && room > half - LWIP_TCP_OPT_LEN_TS_OUT)
        room = half - LWIP_TCP_OPT_LEN_TS_OUT;
    if (room >= payload)
        return n < room ? n : room - room % payload;
    return pcb->unsent ? 0 : n < payload ? n : payload;
}

/* tcp_write(), for a device that cuts segments in large ones. */
static err_t write_segments(struct tcp_pcb *pcb, const uint8_t *bytes, uint32_t n, uint8_t flags,
                            bool large)
{
    uint32_t mss = pcb->mss, most = large ? LARGE : mss;
    const struct tcp_seg *last = pcb->unsent;
    while (last && last->next)
        last = last->next;
    /* lwIP goes on in the last one, and relies on its being no longer than the MSS */
    if (last && last->len + (uint32_t)LWIP_TCP_OPT_LEN_TS_OUT > most)
        most = last->len + (uint32_t)LWIP_TCP_OPT_LEN_TS_OUT;
    pcb->mss = (uint16_t)most;
    err_t error = tcp_write(pcb, bytes, (uint16_t)n, flags);
    pcb->mss = (uint16_t)mss;
    return error;
}

/* `available` bytes to lwIP, as far as it takes them. */
static void feed(struct socket *s, struct tcp_pcb *pcb, uint32_t available)
{
    bool large = net_eth_large(pcb), small_end = available % segment_payload(pcb);
    while (available && may_send(s)) {
        uint32_t contiguous, n = available < CHUNK ? available : CHUNK;
        const uint8_t *bytes = ring_at(s->tx_session, &s->tx, s->tx_sent, &contiguous);
        if (n > contiguous)
            n = contiguous;
        if (n > pcb->snd_buf)
            n = pcb->snd_buf;
        if (large)
            n = large_piece(pcb, n);
        if (!n)
            return; /* more when something is acknowledged */
        if (!ring_pin(s->tx_session, &s->tx, s->tx_sent, n) ||
            write_segments(pcb, bytes, n, n < available ? TCP_WRITE_FLAG_MORE : 0, large) !=
                ERR_OK) {
            net_retry_later(s);
            return;
        }
        s->tx_sent += n;
        available -= n;
        s->ping_pong |= s->received == 1;
        s->received = 0;
    }
    if (small_end)
        s->small_end = s->tx_sent;
}

/* The tail has moved on by `size`: tell the client, if it waits, when a third has become free. */
static void offer_space(struct socket *s, uint32_t size)
{
    uint32_t limit = s->send_buffer,
             queued = __atomic_load_n(&s->tx_shared->tx_head, __ATOMIC_SEQ_CST) - s->tx_tail;
    if (limit > ring_size(&s->tx))
        limit = ring_size(&s->tx);
    limit -= limit / 3;
    if (queued <= limit && queued + size > limit &&
        (s->away ||
         __atomic_load_n(&s->shared->client_flags, __ATOMIC_SEQ_CST) & IO_CLIENT_WANT_SPACE))
        socket_signal(s);
}

/* Acknowledged bytes make room in the ring. */
static void advance_tail(struct socket *s, uint32_t n)
{
    s->tx_tail += n;
    s->stuck_since = 0;
    if (s->tx_shared)
        __atomic_store_n(&s->tx_shared->tx_tail, s->tx_tail, __ATOMIC_SEQ_CST);
    if (s->closed)
        return;
    if (s->tx_session == s->session && s->shared)
        offer_space(s, n);
    else
        attach_tx_drained(s);
}

/* The long way, through lwIP. */
static void send_segments(struct socket *s, struct tcp_pcb *pcb, uint32_t available)
{
    net_pcb_touch(pcb);
    if (available && !s->started) { /* RFC 6928 */
        s->started = true;
        if (pcb->cwnd < INITIAL_WINDOW * pcb->mss)
            pcb->cwnd = INITIAL_WINDOW * pcb->mss;
    }
    feed(s, pcb, available);
}

void tcp_socket_pump(struct socket *s)
{
    if (!s->shared || !s->tcp || s->state != SOCKET_CONNECTED)
        return;
    if (!s->closed && !s->tx_shut && !socket_read_head(s)) {
        tcp_socket_break(s);
        return;
    }
    struct tcp_pcb *pcb = s->tcp;
    uint32_t available = s->tx_seen - s->tx_sent;
    if (!available && !(s->tx_shut && !s->fin_sent))
        return;
    available = sendable(s, pcb, available);
    if (available && may_send(s) && direct_open(s))
        advance_tail(s, direct_send(s, available));
    else
        send_segments(s, pcb, available);
    send_fin(s);
    if (s->tcp && (s->tcp->unsent || s->tcp->flags & TF_ACK_NOW))
        tcp_output(s->tcp);
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

static bool is_through(const struct socket *s)
{
    return s->closed && s->fin_sent && s->tx_tail == s->tx_seen;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, uint16_t size)
{
    struct socket *s = arg;
    if (!s)
        return ERR_OK;
    grow_window(pcb, size);
    uint32_t acknowledged = size + s->tx_dropped;
    if (acknowledged > s->tx_sent - s->tx_tail)
        acknowledged = s->tx_sent - s->tx_tail;
    s->tx_dropped = 0;
    advance_tail(s, acknowledged);
    if (is_through(s))
        finish_closed(s);
    else if (s->tx_seen != s->tx_sent || (s->tx_shut && !s->fin_sent))
        tcp_socket_resume(s);
    return ERR_OK;
}

void tcp_socket_resume(struct socket *s)
{
    tcp_socket_pump(s);
    if (is_through(s))
        finish_closed(s);
}

/* Sending ends, with what is in the ring. false: the client broke the rules. */
static bool shut_sending(struct socket *s)
{
    if (s->state == SOCKET_CONNECTED && !socket_read_head(s)) {
        tcp_socket_break(s);
        return false;
    }
    s->tx_shut = true;
    socket_set_state(s, IO_STATE_TX_CLOSED, 0);
    return true;
}

void tcp_socket_take_shut(struct socket *s)
{
    if (s->shared && !s->tx_shut && s->state == SOCKET_CONNECTED && s->tx_session == s->session &&
        __atomic_load_n(&s->shared->client_flags, __ATOMIC_SEQ_CST) & IO_CLIENT_SHUT)
        shut_sending(s);
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
        if (!shut_sending(s))
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
    attach(s, pcb);
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
        detach(s);
        pcb->local_port = 0;
        tcp_abandon(pcb, 0);
        s->state = SOCKET_NEW;
        socket_set_state(s, 0, IO_STATE_CONNECTING);
        return -net_errno(err);
    }
    tcp_socket_options(s);
    return -EINPROGRESS;
}

/* ---- listening ---- */

static err_t on_passive_open(uint8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
    struct socket *s = listener->callback_arg;
    (void)id, (void)pcb;
    s->syn_pending++;
    return ERR_OK;
}
static const struct tcp_ext_arg_callbacks listen_callbacks = {.passive_open = on_passive_open};

int tcp_socket_listen(struct socket *s, uint32_t backlog)
{
    if (backlog > 4096)
        backlog = 4096;
    if (s->state == SOCKET_LISTENING) {
        s->backlog = backlog;
        return 0;
    }
    if (s->state != SOCKET_NEW)
        return -EINVAL;
    if (!s->binding.protocol) {
        ip_addr_t any;
        address_any(s, &any);
        int error = port_bind(s, IP_PROTO_TCP, &any, 0);
        if (error)
            return error;
    }
    int error = port_may_listen(s);
    if (error)
        return error;
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&s->binding.address));
    if (!pcb)
        return -ENOBUFS;
    pcb->local_ip = s->binding.address;
    pcb->local_port = s->binding.port;
    pcb->netif_idx = s->netif;
    tcp_arg(pcb, s);
    struct tcp_pcb *listener = tcp_listen(pcb);
    if (!listener) {
        tcp_abandon(pcb, 0);
        return -ENOBUFS;
    }
    s->listen = (struct tcp_pcb_listen *)listener;
    s->listen->ext_args[0].callbacks = &listen_callbacks;
    tcp_accept(listener, on_accept);
    s->state = SOCKET_LISTENING;
    s->backlog = backlog;
    s->receive_buffer = 1u << 20; /* of accept records: the backlog is the bound */
    tcp_socket_options(s);
    s->shared->kind = IO_SLOT_ACCEPT;
    return 0;
}

static void inherit(struct socket *s, const struct socket *listener)
{
    s->v6only = listener->v6only;
    s->reuse_address = listener->reuse_address;
    s->reuse_port = listener->reuse_port;
    s->keepalive = listener->keepalive;
    s->keep_idle = listener->keep_idle;
    s->keep_interval = listener->keep_interval;
    s->keep_count = listener->keep_count;
    s->window_clamp = listener->window_clamp;
    s->not_sent_low = listener->not_sent_low;
    s->priority = listener->priority;
    s->mark = listener->mark;
    s->client_flags = socket_client_flags(listener);
    s->linger_on = listener->linger_on;
    s->linger = listener->linger;
    s->send_buffer = listener->send_buffer;
    s->low_water = listener->low_water;
    s->user_timeout = listener->user_timeout;
    s->max_segment = listener->max_segment;
    s->priority = listener->priority;
    s->tos = listener->tos;
    s->traffic_class = listener->traffic_class;
    s->ttl = listener->ttl;
    s->hops = listener->hops;
    s->netif = listener->netif;
    s->uid = listener->uid;
    s->pid = listener->pid;
    memcpy(s->congestion, listener->congestion, sizeof s->congestion);
}

static void link_waiting(struct socket *listener, struct socket *s)
{
    s->listener = listener;
    s->waiting_next = NULL;
    *listener->waiting_last = s;
    listener->waiting_last = &s->waiting_next;
    listener->deferred_count++;
}

static void unlink_waiting(struct socket *s)
{
    struct socket *l = s->listener;
    if (!l)
        return;
    for (struct socket **link = &l->waiting; *link; link = &(*link)->waiting_next) {
        if (*link == s) {
            *link = s->waiting_next;
            if (l->waiting_last == &s->waiting_next)
                l->waiting_last = link;
            l->deferred_count--;
            break;
        }
    }
    s->listener = NULL;
}

/* ---- connections of a pulled listener: without a slot, in its list ---- */

static void become_ready(struct socket *s)
{
    if (!s->ready) {
        s->ready = true;
        attach_signal(s->listener);
    }
}

void listener_queue(struct socket *listener, struct socket *s)
{
    link_waiting(listener, s);
    if (!listener->defer_accept || s->rx_pending || s->rx_eof)
        become_ready(s);
}

void listener_queue_first(struct socket *listener, struct socket *s)
{
    s->listener = listener;
    s->waiting_next = listener->waiting;
    if (!listener->waiting)
        listener->waiting_last = &s->waiting_next;
    listener->waiting = s;
    listener->deferred_count++;
}

struct socket *listener_unqueue(struct socket *listener)
{
    struct socket *s = listener->waiting;
    while (s && !s->ready)
        s = s->waiting_next;
    if (s)
        unlink_waiting(s);
    return s;
}

/*
 * Makes the connection the client's: a gate, installed in it, and a record in the listener's ring.
 */
static bool make_record(struct socket *listener, struct socket *s)
{
    struct io_accept record = {
        .slot = s->slot, .port = lwip_htons(s->peer_port), .own_port = lwip_htons(s->binding.port)};
    uint16_t family;
    int64_t handle = port_gate_install(listener->session->process, s, &s->object.badge);
    if (handle < 0)
        return false;
    record.handle = (motor_handle)handle;
    address_pack(s, &s->peer, record.address, &record.family);
    address_pack(s, &s->binding.address, record.own_address, &family);
    /*
     * Once installed the client owns it; when no record can be pushed it is lost to the client
     * until it exits.
     */
    s->accepted_by = listener;
    s->accept_at = listener->rx_head + listener->rx_pending_size;
    bool pushed = receive_record(listener, &record, sizeof record, NULL, 0, 0);
    if (pushed) {
        s->pushed_next = listener->pushed;
        s->pushed_link = &listener->pushed;
        if (s->pushed_next)
            s->pushed_next->pushed_link = &s->pushed_next;
        listener->pushed = s;
    }
    return pushed;
}

static void push_accept(struct socket *s)
{
    struct socket *listener = s->listener;
    unlink_waiting(s);
    if (!make_record(listener, s))
        tcp_socket_break(s);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct socket *listener = arg;
    int error;
    if (!pcb || err != ERR_OK || !listener)
        return ERR_VAL;
    if (listener->syn_pending)
        listener->syn_pending--;
    tcp_arg(pcb, NULL); /* so that it is not counted again */
    if (listener->closed || listener->rx_shut)
        return ERR_VAL;
    struct socket *s = socket_create(listener->session, listener->family, 1, IP_PROTO_TCP, &error);
    if (!s)
        return ERR_MEM;
    inherit(s, listener);
    if (!listener->pulled && socket_expose(s) < 0) {
        socket_free(s);
        return ERR_MEM;
    }
    attach(s, pcb);
    direct_pair(s);
    s->state = SOCKET_CONNECTED;
    s->accepted = true;
    s->peer = pcb->remote_ip;
    s->peer_port = pcb->remote_port;
    s->peer_set = true;
    s->binding.address = pcb->local_ip;
    s->binding.port = pcb->local_port;
    tcp_socket_options(s);
    socket_set_state(s, IO_STATE_CONNECTED, 0);
    net_counters.accepted++;
    if (listener->pulled) {
        listener_queue(listener, s);
        return ERR_OK;
    }
    if (listener->defer_accept) {
        link_waiting(listener, s);
        return ERR_OK;
    }
    if (!make_record(listener, s)) {
        detach(s);
        socket_free(s);
        return ERR_MEM; /* lwIP resets it */
    }
    return ERR_OK;
}

void tcp_listener_drain(struct socket *s)
{
    if (!s->shared)
        return;
    receive_push(s);
    receive_release(s);
}

/* ---- closing ---- */

/* The client has not read the accept record of this connection. */
static bool never_taken(const struct socket *s)
{
    struct socket *l = s->accepted_by;
    uint32_t consumed;
    if (!s->pushed_link || !l->shared) /* whose slot is gone is gone itself, and its handles */
        return false;
    return !receive_tail(l, &consumed) || (int32_t)(l->rx_tail - s->accept_at) <= 0;
}

/* As on Linux, connections that nobody has accepted are reset. Their gates are the client's. */
static void reset_untaken(struct socket *listener)
{
    for (struct socket *s = listener->pushed; s; s = s->pushed_next) {
        if (s->tcp && never_taken(s)) {
            abort_pcb(s);
            ended(s, ECONNRESET);
        }
    }
}

static void close_listener(struct socket *s)
{
    struct tcp_pcb_listen *listen = s->listen;
    s->closed = true;
    for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
        next = pcb->next;
        if (pcb->state == SYN_RCVD && pcb->callback_arg == s) {
            pcb->callback_arg = NULL;
            tcp_abort(pcb);
        }
    }
    while (s->waiting) {
        struct socket *c = s->waiting;
        unlink_waiting(c);
        abort_pcb(c);
        socket_free(c);
    }
    reset_untaken(s);
    s->listen = NULL;
    s->state = SOCKET_ENDED;
    tcp_close((struct tcp_pcb *)listen);
    socket_free(s);
}

void tcp_socket_close(struct socket *s)
{
    if (s->state == SOCKET_LISTENING) {
        close_listener(s);
        return;
    }
    lent_end(s);
    if (s->twin) /* what was sent before, but not yet looked at, has arrived */
        tcp_socket_resume(s->twin);
    bool unread = s->shared && !s->rx_shut && receive_unread(s);
    if (s->state == SOCKET_CONNECTED && s->tcp && !s->tx_shut && !socket_read_head(s))
        unread = true; /* nonsense in its ring: reset */
    s->closed = true;
    unlink_waiting(s);
    direct_end(s);
    if (!s->tcp || s->state != SOCKET_CONNECTED || unread || (s->linger_on && !s->linger) ||
        never_taken(s)) {
        tcp_socket_pump(s); /* what was written before is on its way before the reset */
        abort_pcb(s);
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
    if (!s->tcp || (s->fin_sent && s->tx_tail == s->tx_seen))
        finish_closed(s);
}
