/* SPDX-License-Identifier: MIT */
/*
 * lwIP's tcp_out.c, with six changes.
 *
 * Segments may be larger than the MSS, when the device cuts them (tcp.c, net_eth_large()). lwIP
 * would never send one again once the congestion window is smaller than it, so before lwIP looks at
 * the head of the unsent queue a head that does not fit is split here, without a copy, and what has
 * been acknowledged of it is dropped. To ip_output_if() the MTU is as large as the segment.
 *
 * Several losses in one window are repaired one after the other (RFC 6582), where lwIP repairs the
 * first and waits for its timer with the others: an acknowledgement of less than what had been sent
 * when recovery began means that the next one is lost, too.
 *
 * What is sent again for such a repair waits at the head of the unsent queue when the peer has
 * closed its window meanwhile. lwIP's timer would put everything else that is not acknowledged
 * before it, and the peer would never see the bytes that it lacks. Here the queues are merged by
 * number first. And what is written meanwhile, or the FIN, would be added to that segment, as if it
 * were the stream's last: in the midst of what has been sent. It becomes a segment of its own. So
 * does what follows a segment that is larger than lwIP would make one now, which it asserts never
 * to find: the peer's windows and the MSS decide that, and both change.
 *
 * A peer whose window is shut may take the byte of a probe all the same. When that was the last one
 * there is nothing to probe for any more, which lwIP's timer asserts; the probes end here.
 *
 * And another TCPH_SET_FLAG. When a window smaller than a segment makes
 * tcp_split_unsent_seg() split it, the flags that the first part keeps are meant to replace the old
 * ones; lwIP 2.2.1 only adds them. A FIN then stays on the first part, and the peer takes what
 * follows for nothing: the stream's last bytes are lost.
 */
#include "lwip/opt.h"
#include "lwip/priv/tcp_priv.h"
#include "netif.h"
#include "socket.h"

#define ADD_FLAG(header, flag)  ((header)->_hdrlen_rsvd_flags |= lwip_htons(flag))
#define SET_TCP_ACK(header)     ADD_FLAG(header, TCP_ACK)
#define SET_TCP_PSH(header)     ADD_FLAG(header, TCP_PSH)
#define SET_TCP_FIN(header)     ADD_FLAG(header, TCP_FIN)
#define SET_split_flags(header) TCPH_FLAGS_SET(header, split_flags)
#undef TCPH_SET_FLAG
/* Around ip_output_if(): lwIP must not fragment what the device cuts. */
static err_t output_if(struct pbuf *p, const ip_addr_t *from, const ip_addr_t *to, u8_t ttl,
                       u8_t tos, u8_t protocol, struct netif *netif)
{
    u16_t mtu = netif->mtu;
    if (netif == &net_eth)
        netif->mtu = 65535;
    err_t error = ip_output_if(p, from, to, ttl, tos, protocol, netif);
    netif->mtu = mtu;
    return error;
}
#define TCPH_SET_FLAG(header, flag) SET_##flag(header)

#undef ip_output_if
#define ip_output_if           output_if
#define tcp_output             lwip_tcp_output
#define tcp_write              lwip_tcp_write
#define tcp_send_fin           lwip_tcp_send_fin
#define tcp_rexmit_rto_prepare lwip_tcp_rexmit_rto_prepare
#define tcp_rexmit_rto_commit  lwip_tcp_rexmit_rto_commit
#define tcp_rexmit_fast        lwip_tcp_rexmit_fast

err_t lwip_tcp_output(struct tcp_pcb *pcb);
err_t lwip_tcp_write(struct tcp_pcb *pcb, const void *bytes, u16_t size, u8_t flags);
err_t lwip_tcp_send_fin(struct tcp_pcb *pcb);
err_t lwip_tcp_rexmit_rto_prepare(struct tcp_pcb *pcb);
void lwip_tcp_rexmit_rto_commit(struct tcp_pcb *pcb);
void lwip_tcp_rexmit_fast(struct tcp_pcb *pcb);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "../core/tcp_out.c"
#pragma GCC diagnostic pop
#undef tcp_output
#undef tcp_write
#undef tcp_send_fin
#undef tcp_rexmit_rto_prepare
#undef tcp_rexmit_rto_commit
#undef tcp_rexmit_fast

/*
 * A flag that lwIP does not have: recovery goes on until rto_end is acknowledged. (lwIP uses
 * rto_end only with TF_RTO, which ends this.)
 */
#define TF_RECOVERY 0x4000u

/*
 * The first `n` bytes of payload, which lies in the pbufs after the first, are dropped. lwIP would
 * have counted them with the rest of the segment.
 */
static void drop_front(struct tcp_pcb *pcb, struct tcp_seg *seg, uint32_t n)
{
    struct pbuf *p = seg->p;
    pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen - pbuf_clen(p));
    pcb->snd_buf += n;
    tcp_socket_dropped(pcb->callback_arg, n);
    p->tot_len = (u16_t)(p->tot_len - n);
    seg->len = (u16_t)(seg->len - n);
    seg->tcphdr->seqno = lwip_htonl(lwip_ntohl(seg->tcphdr->seqno) + n);
    while (n) {
        struct pbuf *q = p->next;
        if (q->len > n) {
            q->payload = (uint8_t *)q->payload + n;
            q->len = (u16_t)(q->len - n);
            q->tot_len = (u16_t)(q->tot_len - n);
            break;
        }
        n -= q->len;
        p->next = q->next;
        q->next = NULL;
        q->tot_len = q->len;
        pbuf_free(q);
    }
    pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen + pbuf_clen(p));
}

/* A header's place, and references to the payload behind the first `keep` bytes; NULL: no memory.
 */
static struct pbuf *refer_to_rest(const struct tcp_seg *seg, uint32_t keep, uint8_t options)
{
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, options, PBUF_RAM);
    for (const struct pbuf *q = seg->p->next; p && q; q = q->next) {
        uint32_t skip = keep < q->len ? keep : q->len;
        keep -= skip;
        if (skip == q->len)
            continue;
        struct pbuf *reference = pbuf_alloc(PBUF_RAW, (u16_t)(q->len - skip), PBUF_ROM);
        if (!reference) {
            pbuf_free(p);
            return NULL;
        }
        reference->payload = (uint8_t *)q->payload + skip;
        pbuf_cat(p, reference);
    }
    return p;
}

/* The head of the unsent queue keeps `keep` bytes, the rest follows it. Without memory: later. */
static void split_head(struct tcp_pcb *pcb, uint32_t keep)
{
    struct tcp_seg *head = pcb->unsent;
    uint32_t rest = head->len - keep;
    uint8_t flags = TCPH_FLAGS(head->tcphdr), moved = flags & (TCP_PSH | TCP_FIN);
    struct pbuf *p = refer_to_rest(head, keep, LWIP_TCP_OPT_LENGTH(head->flags));
    struct tcp_seg *seg =
        p ? tcp_create_segment(pcb, p, moved, lwip_ntohl(head->tcphdr->seqno) + keep, head->flags)
          : NULL;
    if (!seg)
        return;
    pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen - pbuf_clen(head->p));
    pbuf_realloc(head->p, (u16_t)(head->p->tot_len - rest));
    head->len = (u16_t)keep;
    TCPH_FLAGS_SET(head->tcphdr, flags & ~(TCP_PSH | TCP_FIN));
    pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen + pbuf_clen(head->p) + pbuf_clen(seg->p));
    seg->next = head->next;
    head->next = seg;
}

/* All of its payload is behind the first pbuf, and nobody else looks at it. */
static bool is_divisible(const struct tcp_seg *seg)
{
    const uint8_t *header = (const uint8_t *)seg->tcphdr;
    return seg->p->ref == 1 && seg->p->next &&
           header + TCPH_HDRLEN_BYTES(seg->tcphdr) ==
               (const uint8_t *)seg->p->payload + seg->p->len;
}

static void fit_head(struct tcp_pcb *pcb)
{
    struct tcp_seg *head = pcb->unsent;
    uint32_t payload = pcb->mss - (pcb->flags & TF_TIMESTAMP ? LWIP_TCP_OPT_LEN_TS_OUT : 0u),
             window = LWIP_MIN(pcb->snd_wnd, pcb->cwnd);
    if (!head || head->len <= payload || !is_divisible(head))
        return;
    uint32_t old = pcb->lastack - lwip_ntohl(head->tcphdr->seqno);
    if ((int32_t)old > 0 && old < head->len)
        drop_front(pcb, head, old);
    uint32_t before = lwip_ntohl(head->tcphdr->seqno) - pcb->lastack,
             room = window > before ? window - before : 0;
    room = room < payload ? payload : room - room % payload;
    if (head->len > room)
        split_head(pcb, room);
}

void tcp_rexmit_fast(struct tcp_pcb *pcb)
{
    bool before = pcb->flags & TF_INFR;
    lwip_tcp_rexmit_fast(pcb);
    if (before || !(pcb->flags & TF_INFR) || pcb->flags & TF_RTO)
        return; /* after a timeout everything is sent again anyway */
    tcp_set_flags(pcb, TF_RECOVERY);
    pcb->rto_end = pcb->snd_nxt;
}

/* lwIP takes any acknowledgement of something new for the end of recovery, and clears TF_INFR. */
static void go_on_recovering(struct tcp_pcb *pcb)
{
    if (!(pcb->flags & TF_RECOVERY) || pcb->flags & TF_INFR)
        return;
    if (pcb->flags & TF_RTO || TCP_SEQ_GEQ(pcb->lastack, pcb->rto_end))
        tcp_clear_flags(pcb, TF_RECOVERY);
    else if (tcp_rexmit(pcb) == ERR_OK)
        tcp_set_flags(pcb, TF_INFR);
}

err_t tcp_output(struct tcp_pcb *pcb)
{
    if (tcp_input_pcb != pcb) {
        go_on_recovering(pcb);
        fit_head(pcb);
        if (!pcb->unsent)
            pcb->persist_backoff = 0;
    }
    return lwip_tcp_output(pcb);
}

/* Unsent segments that come before the last unacknowledged one take their places among those. */
static void merge_older(struct tcp_pcb *pcb)
{
    struct tcp_seg **at = &pcb->unacked;
    while (pcb->unsent && *at) {
        struct tcp_seg *seg = pcb->unsent;
        if (TCP_SEQ_LT(lwip_ntohl(seg->tcphdr->seqno), lwip_ntohl((*at)->tcphdr->seqno))) {
            pcb->unsent = seg->next;
            seg->next = *at;
            *at = seg;
        }
        at = &(*at)->next;
    }
}

err_t tcp_rexmit_rto_prepare(struct tcp_pcb *pcb)
{
    merge_older(pcb);
    return lwip_tcp_rexmit_rto_prepare(pcb);
}

void tcp_rexmit_rto_commit(struct tcp_pcb *pcb)
{
    fit_head(pcb);
    lwip_tcp_rexmit_rto_commit(pcb);
}

static bool ends_stream(const struct tcp_pcb *pcb, const struct tcp_seg *last)
{
    return lwip_ntohl(last->tcphdr->seqno) + TCP_TCPLEN(last) == pcb->snd_lbb;
}

/* lwIP makes segments no larger than half of the largest window that there was. */
static bool has_room(const struct tcp_pcb *pcb, const struct tcp_seg *last)
{
    uint32_t half = pcb->snd_wnd_max / 2, most = half && half < pcb->mss ? half : pcb->mss;
    return last->len + (uint32_t)LWIP_TCP_OPT_LENGTH_SEGMENT(last->flags, pcb) <= most;
}

/*
 * The unsent queue, if nothing may be added to the segment that it ends with; lwIP does not see it
 * until rejoin().
 */
static struct tcp_seg *set_aside(struct tcp_pcb *pcb, bool bytes)
{
    struct tcp_seg *queue = pcb->unsent, *last = queue;
    if (!queue)
        return NULL;
    while (last->next)
        last = last->next;
    if (ends_stream(pcb, last) && (!bytes || has_room(pcb, last)))
        return NULL;
    pcb->unsent = NULL;
    if (!pcb->unacked) /* one of the queues must not be empty */
        pcb->unacked = queue;
    return queue;
}

static void rejoin(struct tcp_pcb *pcb, struct tcp_seg *queue)
{
    struct tcp_seg *last = queue;
    if (!queue)
        return;
    if (pcb->unacked == queue)
        pcb->unacked = NULL;
    while (last->next)
        last = last->next;
    last->next = pcb->unsent;
    pcb->unsent = queue;
}

err_t tcp_write(struct tcp_pcb *pcb, const void *bytes, u16_t size, u8_t flags)
{
    struct tcp_seg *queue = set_aside(pcb, true);
    tcpwnd_size_t half = pcb->snd_wnd_max / 2, most = pcb->snd_wnd_max;
    if (half && half <= LWIP_TCP_OPT_LEN_TS_OUT) /* lwIP would make segments of options alone */
        pcb->snd_wnd_max = 2 * (LWIP_TCP_OPT_LEN_TS_OUT + 1);
    err_t error = lwip_tcp_write(pcb, bytes, size, flags);
    pcb->snd_wnd_max = most;
    rejoin(pcb, queue);
    return error;
}

err_t tcp_send_fin(struct tcp_pcb *pcb)
{
    struct tcp_seg *queue = set_aside(pcb, false);
    err_t error = lwip_tcp_send_fin(pcb);
    rejoin(pcb, queue);
    return error;
}
