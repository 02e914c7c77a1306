/* SPDX-License-Identifier: MIT */
/*
 * lwIP's tcp_in.c, compiled so that its searches (active and listening PCBs, linear lists) look at
 * one candidate each, which tcp_input() below has found in pcb.c's tables; time_wait.c takes care
 * of what is in TIME-WAIT. And the acknowledgement of a FIN from a peer on this machine may wait,
 * for ours to carry it. Nothing else of it changes. What still registers and removes PCBs "in
 * tcp_active_pcbs" does so through pcb.c, which goes by the PCB's state.
 */
#include "lwip/ip.h"
#include "lwip/opt.h"
#include "lwip/priv/tcp_priv.h"
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
