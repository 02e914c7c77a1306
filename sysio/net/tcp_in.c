/* SPDX-License-Identifier: MIT */
/*
 * lwIP's tcp_in.c, compiled so that its searches (active and listening PCBs, linear lists) look at
 * one candidate each, which tcp_input() below has found in pcb.c's tables; time_wait.c takes care
 * of what is in TIME-WAIT. The acknowledgement of a FIN from a peer on this machine may wait, for
 * ours to carry it. And the options of nearly every segment, a timestamp alone, are read at a
 * glance. Nothing else of it changes. What still registers and removes PCBs "in tcp_active_pcbs"
 * does so through pcb.c, which goes by the PCB's state.
 */
#include "lwip/ip.h"
#include "lwip/opt.h"
#include "lwip/priv/tcp_priv.h"
#include "net_hooks.h"
#include "pcb.h"
#include "socket.h"

static struct tcp_pcb *candidate_active, *candidate_time_wait; /* the latter stays empty */
static union tcp_listen_pcbs_t candidate_listen;

#define tcp_active_pcbs candidate_active
#define tcp_tw_pcbs     candidate_time_wait
#define tcp_listen_pcbs candidate_listen
#define tcp_input       lwip_tcp_input
#define tcp_output      answer
static err_t answer(struct tcp_pcb *pcb);
/* What lwIP asks about each segment before it handles it. */
static err_t look_at(struct tcp_pcb *pcb, struct tcp_hdr *header, struct pbuf *p);
#undef LWIP_HOOK_TCP_INPACKET_PCB
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p) look_at(pcb, hdr, p)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
void lwip_tcp_input(struct pbuf *p, struct netif *inp);
#include "../core/tcp_in.c"
#pragma GCC diagnostic pop
#undef tcp_input
#undef tcp_output
#undef tcp_active_pcbs
#undef tcp_tw_pcbs
#undef tcp_listen_pcbs

/*
 * RFC 7323, appendix A: two NOPs and a timestamp, aligned. What tcp_parseopt() would do with it; it
 * then finds no options. SYNs have others as well, and of a reset nothing is believed.
 */
static void take_timestamp(struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
    static const uint8_t layout[4] = {LWIP_TCP_OPT_NOP, LWIP_TCP_OPT_NOP, LWIP_TCP_OPT_TS,
                                      LWIP_TCP_OPT_LEN_TS};
    const uint8_t *options = (const uint8_t *)(header + 1);
    uint32_t value;
    if (tcphdr_opt1len != LWIP_TCP_OPT_LEN_TS_OUT || tcphdr_optlen != LWIP_TCP_OPT_LEN_TS_OUT ||
        flags & (TCP_SYN | TCP_RST) || memcmp(options, layout, sizeof layout))
        return;
    tcphdr_optlen = 0;
    memcpy(&value, options + sizeof layout, sizeof value);
    if (TCP_SEQ_BETWEEN(pcb->ts_lastacksent, seqno, seqno + tcplen))
        pcb->ts_recent = lwip_ntohl(value);
}

static err_t look_at(struct tcp_pcb *pcb, struct tcp_hdr *header, struct pbuf *p)
{
    err_t error = net_tcp_filter(pcb, header, p);
    if (error == ERR_OK && pcb->state != LISTEN)
        take_timestamp(pcb, header);
    return error;
}

static err_t answer(struct tcp_pcb *pcb)
{
    if (pcb->state == CLOSE_WAIT && pcb->flags & TF_ACK_NOW && !pcb->unsent &&
        address_is_own(&pcb->remote_ip)) {
        tcp_clear_flags(pcb, TF_ACK_NOW);
        tcp_set_flags(pcb, TF_ACK_DELAY);
    }
    return tcp_output(pcb);
}

void tcp_input(struct pbuf *p, struct netif *inp)
{
    struct net_pcb_match match = {0};
    if (p->len >= TCP_HLEN)
        net_pcb_match((const struct tcp_hdr *)p->payload, p, &match);
    if (match.consumed) {
        pbuf_free(p);
        return;
    }
    candidate_active = match.active;
    candidate_listen.listen_pcbs = match.listen;
    lwip_tcp_input(p, inp);
}
