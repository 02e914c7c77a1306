/* SPDX-License-Identifier: MIT */
/*
 * How a connection that has both ends here begins and ends without segments: both PCBs take the
 * steps that the segments of a handshake, or a FIN and its acknowledgement, would have let them
 * take. Before and after it they are as lwIP leaves them, so the next segment, whichever it is, can
 * be a real one.
 *
 * Whatever is out of the ordinary takes lwIP's way: no listener, or one without room; an interface
 * that was asked for; an end with something under way, or segments on the loopback that may be
 * older than the step; and lwIP itself on its way through one of the PCBs.
 */
#include "direct.h"
#include "engine.h"
#include "lwip/sys.h"
#include "net_hooks.h"
#include "netif.h"
#include "ports.h"
#include "time_wait.h"

static struct net_tuple seen_by_peer(const struct net_tuple *t)
{
    return (struct net_tuple){t->remote, t->local, t->remote_port, t->local_port};
}

/* ---- beginning ---- */

/* What a handshake leaves: both ends offer all options, and their whole windows. */
static void establish(struct tcp_pcb *pcb, uint32_t next, uint32_t expected)
{
    pcb->snd_nxt = pcb->lastack = pcb->snd_lbb = pcb->snd_wl2 = next;
    pcb->rcv_nxt = pcb->ts_lastacksent = expected;
    pcb->snd_wl1 = expected - 1; /* so that the first segment tells the window */
    pcb->rcv_wnd = pcb->rcv_ann_wnd = pcb->snd_wnd = pcb->snd_wnd_max = TCP_WND;
    pcb->rcv_ann_right_edge = expected + TCP_WND;
    pcb->snd_scale = pcb->rcv_scale = TCP_RCV_SCALE;
    pcb->ts_recent = sys_now();
    tcp_set_flags(pcb, TF_WND_SCALE | TF_TIMESTAMP | TF_SACK);
    pcb->mss = tcp_eff_send_mss(TCP_MSS, &pcb->local_ip, &pcb->remote_ip);
    pcb->cwnd = 4u * pcb->mss; /* the first byte makes it more: tcp_send.c */
    pcb->state = ESTABLISHED;
    TCP_REG_ACTIVE(pcb);
}

/* The listener's PCB, not yet registered; NULL: no memory. */
static struct tcp_pcb *passive_pcb(struct tcp_pcb_listen *listen, const struct net_tuple *t)
{
    struct tcp_pcb *pcb = tcp_alloc(listen->prio);
    if (!pcb)
        return NULL;
    pcb->local_ip = t->local;
    pcb->remote_ip = t->remote;
    pcb->local_port = t->local_port;
    pcb->remote_port = t->remote_port;
    pcb->callback_arg = listen->callback_arg;
    pcb->listener = listen;
    pcb->so_options = listen->so_options & SOF_INHERITED;
    return pcb;
}

/* Who listens for it, if nothing of an old connection is in the way. */
static struct tcp_pcb_listen *listener_for(const struct net_tuple *t)
{
    struct tcp_pcb_listen *listen = net_listener_find(t, netif_get_index(&net_loop));
    bool takes = listen && !listen->netif_idx && tcp_listener_takes(listen->callback_arg);
    return takes && !net_pcb_find(t) && !time_wait_stands(t) ? listen : NULL;
}

bool direct_connect(struct tcp_pcb *pcb, const ip_addr_t *to, uint16_t port,
                    tcp_connected_fn connected)
{
    err_t error = ERR_OK;
    if (pcb->netif_idx || !address_is_own(to) || !address_is_own(&pcb->local_ip))
        return false;
    struct net_tuple own = {pcb->local_ip, *to, pcb->local_port, port}, other = seen_by_peer(&own);
    struct tcp_pcb_listen *listen = listener_for(&other);
    struct tcp_pcb *peer = listen ? passive_pcb(listen, &other) : NULL;
    if (!peer)
        return false;
    pcb->remote_ip = *to;
    pcb->remote_port = port;
    /* its own first: there is one successor of a record at a time (time_wait.c) */
    uint32_t first = net_tcp_isn(&own.local, own.local_port, &own.remote, own.remote_port);
    time_wait_blocks(&other);
    uint32_t second = net_tcp_isn(&other.local, other.local_port, &other.remote, other.remote_port);
    establish(pcb, first, second);
    establish(peer, second, first);
    MIB2_STATS_INC(mib2.tcpactiveopens);
    MIB2_STATS_INC(mib2.tcppassiveopens);
    net_counters.direct_connections++;
    direct_count(to, 3); /* of a handshake */
    connected(pcb->callback_arg, pcb, ERR_OK);
    tcp_ext_arg_invoke_callbacks_passive_open(listen, peer);
    error = listen->accept(listen->callback_arg, peer, ERR_OK);
    if (error != ERR_OK && error != ERR_ABRT)
        tcp_abort(peer); /* by a segment: it has happened to the other end */
    return true;
}

/* ---- end ---- */

/* Everything that `a` has sent has arrived at `b`, and is acknowledged. */
static bool nothing_between(const struct tcp_pcb *a, const struct tcp_pcb *b)
{
    return !a->unsent && !a->unacked && !a->ooseq && !a->refused_data && !a->netif_idx &&
           a->snd_nxt == b->rcv_nxt && a->lastack == a->snd_nxt;
}

static struct tcp_pcb *peer_in_step(const struct tcp_pcb *pcb)
{
    struct net_tuple own = net_tuple_of(pcb), other = seen_by_peer(&own);
    struct tcp_pcb *peer = address_is_own(&own.remote) ? net_pcb_find(&other) : NULL;
    bool open = peer && pcb->state == ESTABLISHED && peer->state == ESTABLISHED,
         half = peer && pcb->state == CLOSE_WAIT && peer->state == FIN_WAIT_2;
    return peer != pcb && (open || half) && nothing_between(pcb, peer) && nothing_between(peer, pcb)
               ? peer
               : NULL;
}

static void take_fin(struct tcp_pcb *peer)
{
    peer->rcv_nxt++;
    peer->rcv_ann_right_edge++;
    peer->ts_lastacksent = peer->rcv_nxt;
    peer->keep_cnt_sent = 0;
    tcp_clear_flags(peer, TF_ACK_DELAY);
    if (!(peer->flags & TF_RXCLOSED))
        peer->tmr = tcp_ticks;
    if (peer->state == ESTABLISHED) {
        peer->state = CLOSE_WAIT;
        return;
    }
    TCP_RMV_ACTIVE(peer);
    peer->state = TIME_WAIT;
    TCP_REG(&tcp_tw_pcbs, peer);
}

static void give_fin(struct tcp_pcb *pcb)
{
    pcb->snd_nxt++;
    pcb->lastack++;
    pcb->snd_lbb++;
    pcb->tmr = tcp_ticks;
    tcp_clear_flags(pcb, TF_ACK_DELAY);
    if (pcb->state == ESTABLISHED) {
        pcb->state = FIN_WAIT_2;
        return;
    }
    if (!(pcb->flags & TF_RXCLOSED))
        TCP_EVENT_ERR(pcb->state, pcb->errf, pcb->callback_arg, ERR_CLSD);
    TCP_PCB_REMOVE_ACTIVE(pcb);
    tcp_free(pcb);
}

bool direct_fin(struct tcp_pcb *pcb)
{
    err_t unused = ERR_OK;
    if (tcp_input_pcb || !net_loop_idle())
        return false;
    struct tcp_pcb *peer = peer_in_step(pcb);
    if (!peer)
        return false;
    net_pcb_touch(peer);
    direct_count(&pcb->local_ip, 2); /* it, and its acknowledgement */
    take_fin(peer);
    give_fin(pcb);
    TCP_EVENT_CLOSED(peer, unused);
    (void)unused;
    return true;
}
