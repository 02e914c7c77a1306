/* SPDX-License-Identifier: MIT */
/*
 * Sending on a stream: from the client's tx ring into segments, without a copy. The tail of the
 * ring follows the acknowledgements, for the segments refer to it. What may go at a time is decided
 * here (Nagle, TCP_CORK, the size of segments for a device that cuts them); lwIP sends it at once.
 */
#include "attach.h"
#include "direct.h"
#include "engine.h"
#include "lwip/priv/tcp_priv.h"
#include "netif.h"
#include "socket.h"
#include "tcp.h"

#define LARGE          65000u /* the largest segment: less than 64 KiB with all headers */
#define CHUNK          (LARGE - LWIP_TCP_OPT_LEN_TS_OUT) /* one tcp_write */
#define INITIAL_WINDOW 10u
#define CORK_MOST      200000000ull /* ns that a cork keeps bytes back, as on Linux */
#define NARROW         1072u /* the largest window there was, of a peer that has next to none */
#define NARROW_COUNT   64u   /* segments for such a peer that may wait */

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
    uint32_t flags = socket_client_flags(s), tail = available % tcp_segment_payload(pcb);
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
    uint32_t payload = tcp_segment_payload(pcb),
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
    uint32_t mss = pcb->mss;
    pcb->mss = (uint16_t)(large ? LARGE : mss);
    err_t error = tcp_write(pcb, bytes, (uint16_t)n, flags);
    pcb->mss = (uint16_t)mss;
    return error;
}

/*
 * The same for a peer whose windows have never been larger than a few bytes. lwIP makes segments of
 * half of that: of all that is there they would be as many as it has bytes.
 */
static uint32_t narrow_piece(const struct tcp_pcb *pcb, uint32_t n)
{
    uint32_t most = NARROW_COUNT * (pcb->snd_wnd_max / 2);
    if (!most)
        most = tcp_segment_payload(pcb); /* lwIP takes the MSS for it */
    return pcb->unsent ? 0 : n < most ? n : most;
}

/* `available` bytes to lwIP, as far as it takes them. */
static void feed(struct socket *s, struct tcp_pcb *pcb, uint32_t available)
{
    bool large = net_eth_large(pcb), small_end = available % tcp_segment_payload(pcb);
    while (available && may_send(s)) {
        uint32_t contiguous, n = available < CHUNK ? available : CHUNK;
        const uint8_t *bytes = ring_at(s->tx_session, &s->tx, s->tx_sent, &contiguous);
        if (n > contiguous)
            n = contiguous;
        if (n > pcb->snd_buf)
            n = pcb->snd_buf;
        if (large)
            n = large_piece(pcb, n);
        if (pcb->snd_wnd_max < NARROW)
            n = narrow_piece(pcb, n);
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

/* ---- acknowledgements ---- */

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

bool tcp_socket_is_through(const struct socket *s)
{
    return s->closed && s->fin_sent && s->tx_tail == s->tx_seen;
}

err_t tcp_on_sent(void *arg, struct tcp_pcb *pcb, uint16_t size)
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
    if (tcp_socket_is_through(s))
        tcp_socket_finish(s);
    else if (s->tx_seen != s->tx_sent || (s->tx_shut && !s->fin_sent))
        tcp_socket_resume(s);
    return ERR_OK;
}

void tcp_socket_resume(struct socket *s)
{
    tcp_socket_pump(s);
    if (tcp_socket_is_through(s))
        tcp_socket_finish(s);
}

/* ---- the end of sending ---- */

/* Sending ends, with what is in the ring. false: the client broke the rules. */
bool tcp_socket_shut_sending(struct socket *s)
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
        tcp_socket_shut_sending(s);
}
