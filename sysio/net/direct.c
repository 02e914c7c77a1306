/* SPDX-License-Identifier: MIT */
/*
 * Connections that have both ends here. Bytes go from one end's tx ring into the other's rx ring,
 * in one copy past lwIP, as if they had been sent, received and acknowledged at once. lwIP keeps
 * the connection (how it begins and ends without segments: direct_ends.c), and the sequence numbers
 * stand still meanwhile.
 *
 * So bytes may go directly when nothing of their direction is under way in lwIP, and when the
 * receiving end has nothing left to decide about them. If not they take the long way, of which the
 * rest of the engine knows; one can follow the other at any byte.
 */
#include "direct.h"
#include "engine.h"
#include "lent.h"
#include "lwip/priv/tcp_priv.h"
#include "pcb.h"

void direct_pair(struct socket *s)
{
    struct net_tuple own = net_tuple_of(s->tcp),
                     other = {own.remote, own.local, own.remote_port, own.local_port};
    struct tcp_pcb *pcb = address_is_own(&own.remote) ? net_pcb_find(&other) : NULL;
    struct socket *peer = pcb && pcb != s->tcp ? pcb->callback_arg : NULL;
    if (!peer || peer->tcp != pcb || peer->state != SOCKET_CONNECTED || peer->twin)
        return;
    s->twin = peer;
    peer->twin = s;
}

void direct_part(struct socket *s)
{
    lent_part(s);
    if (s->twin)
        s->twin->twin = NULL;
    s->twin = NULL;
}

static bool nothing_under_way(const struct socket *s)
{
    const struct tcp_pcb *pcb = s->tcp;
    return pcb && !pcb->unsent && !pcb->unacked && s->tx_sent == s->tx_tail;
}

static bool takes_bytes(const struct socket *s)
{
    return s->state == SOCKET_CONNECTED && s->tcp && !s->tcp->refused_data && s->shared &&
           !s->listener && !s->closed && !s->broken && !s->rx_shut && !s->rx_eof && !s->rx_pending;
}

bool direct_open(const struct socket *s)
{
    return s->twin && nothing_under_way(s) && takes_bytes(s->twin);
}

void direct_count(const ip_addr_t *address, uint32_t n)
{
    struct stats_mib2 *m = &lwip_stats.mib2;
    m->tcpinsegs += n;
    m->tcpoutsegs += n;
    net_counters.direct_segments += n;
    if (IP_IS_V6(address))
        return;
    m->ipinreceives += n;
    m->ipindelivers += n;
    m->ipoutrequests += n;
}

uint32_t direct_send(struct socket *s, uint32_t size)
{
    if (!ring_pin(s->tx_session, &s->tx, s->tx_sent, size)) {
        net_retry_later(s);
        return 0;
    }
    uint32_t n = receive_move(s->twin, s->tx_session, &s->tx, s->tx_sent, size);
    s->tx_sent += n;
    net_counters.direct_bytes += n;
    direct_count(&s->peer, n > 0);
    lent_passed(s);
    if (n < size && s->twin && s->twin->rx_head == s->twin->rx_tail)
        net_retry_later(s); /* it is not the reader who holds us up: no memory */
    return n;
}

void direct_end(struct socket *s)
{
    bool more = s->rx_more;
    s->rx_more = false;
    if (more && s->twin)
        tcp_socket_resume(s->twin);
}

void direct_resume(struct socket *s)
{
    /* few bytes at a time would cost a turn each */
    if (s->rx_more && s->rx_head - s->rx_tail <= ring_size(&s->rx) / 2)
        direct_end(s);
}
