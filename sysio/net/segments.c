/* SPDX-License-Identifier: MIT */
/*
 * Segments that lwIP must not see, or must see differently: what it asks us about each one before
 * it handles it. ERR_OK lets it go on; ERR_BUF drops the segment.
 */
#include "engine.h"
#include "lwip/priv/tcp_priv.h"
#include "netif.h"
#include "socket.h"

/* Accept records that the client has not taken, and connections that have none yet. */
static uint32_t accept_queue(struct socket *s)
{
    uint32_t consumed;
    if (s->pulled)
        return s->deferred_count;
    if (!receive_tail(s, &consumed))
        return UINT32_MAX;
    return (s->rx_head - s->rx_tail + s->rx_pending_size) / (uint32_t)sizeof(struct io_accept) +
           s->deferred_count;
}

bool tcp_listener_takes(struct socket *s)
{
    return s && !s->rx_shut && !s->closed && s->syn_pending <= 2 * s->backlog + 128 &&
           accept_queue(s) <= s->backlog;
}

static err_t to_listener(struct socket *s, uint8_t flags)
{
    if (!(flags & TCP_SYN) || flags & (TCP_ACK | TCP_RST) || tcp_listener_takes(s))
        return ERR_OK;
    net_counters.syns_dropped++;
    return ERR_BUF;
}

/*
 * An acknowledgement of something that we did not send comes from an old connection of which only
 * the peer knows, or from someone who guesses. It is answered by a reset (RFC 9293 3.10.7.3). lwIP
 * also sends the SYN again, which reaches the peer just after the reset: once, that is quick; to do
 * so every time would let the peer's answers use up all attempts within milliseconds. One that
 * acknowledges our SYN, but is neither SYN nor reset, is dropped.
 */
static err_t to_connecting(struct tcp_pcb *pcb, const struct tcp_hdr *header, const struct pbuf *p,
                           uint8_t flags)
{
    if (!(flags & TCP_ACK) || flags & TCP_RST)
        return ERR_OK;
    if (header->ackno == pcb->snd_nxt)
        return flags & TCP_SYN ? ERR_OK : ERR_BUF;
    if (!pcb->nrtx)
        return ERR_OK;
    tcp_rst(pcb, header->ackno, header->seqno + p->tot_len + !!(flags & TCP_SYN), &pcb->local_ip,
            &pcb->remote_ip, pcb->local_port, pcb->remote_port);
    return ERR_BUF;
}

/*
 * Another SYN than the one that opened it: the peer has given up the old attempt. The
 * acknowledgement tells it that we have not, and its reset ends that.
 */
static err_t to_connection_asked_for(struct tcp_pcb *pcb, const struct tcp_hdr *header,
                                     uint8_t flags)
{
    if (!(flags & TCP_SYN) || flags & TCP_RST || header->seqno == pcb->rcv_nxt - 1)
        return ERR_OK;
    tcp_send_empty_ack(pcb);
    return ERR_BUF;
}

/*
 * Behind a gap, and beyond the window. lwIP would keep all of the first such segment, and count the
 * window down past nothing when the gap is filled.
 */
static bool overruns(const struct tcp_pcb *pcb, const struct tcp_hdr *header, const struct pbuf *p,
                     uint8_t flags)
{
    uint32_t end = header->seqno + p->tot_len + !!(flags & TCP_FIN);
    return TCP_SEQ_GT(header->seqno, pcb->rcv_nxt) && TCP_SEQ_GT(end, pcb->rcv_nxt + pcb->rcv_wnd);
}

err_t net_tcp_filter(struct tcp_pcb *pcb, struct tcp_hdr *header, struct pbuf *p)
{
    uint8_t flags = TCPH_FLAGS(header);
    if (pcb->state == LISTEN)
        return to_listener(pcb->callback_arg, flags);
    if (pcb->state == SYN_SENT)
        return to_connecting(pcb, header, p, flags);
    if (pcb->state == SYN_RCVD && to_connection_asked_for(pcb, header, flags) != ERR_OK)
        return ERR_BUF;
    if (!(flags & TCP_RST) && overruns(pcb, header, p, flags)) {
        tcp_send_empty_ack(pcb); /* it shows where the window ends (RFC 9293 3.10.7.4) */
        return ERR_BUF;
    }
    /* loopback data out of order: nobody may keep a reference to it */
    if (p->tot_len && ip_current_input_netif() == &net_loop &&
        TCP_SEQ_GT(header->seqno, pcb->rcv_nxt))
        return ERR_BUF;
    return ERR_OK;
}
