/* SPDX-License-Identifier: MIT */
/* IO_NETINFO: interfaces, resolv.conf, sockets, counters; /proc/net's other texts are proc_net.c's.
 */
#include "config.h"
#include "engine.h"
#include "heap.h"
#include "lent.h"
#include "lwip/stats.h"
#include "netif.h"
#include "pcb.h"
#include "ports.h"
#include "proc_net.h"
#include <stdio.h>
#include <string.h>

enum {
    IFF_UP_ = 1,
    IFF_BROADCAST_ = 2,
    IFF_LOOPBACK_ = 8,
    IFF_RUNNING_ = 0x40,
    IFF_MULTICAST_ = 0x1000
};

static uint32_t interfaces(char *buffer, uint32_t size)
{
    uint32_t used = 0;
    struct netif *each[] = {&net_loop, net_eth.input ? &net_eth : NULL};
    for (int i = 0; i < 2; i++) {
        struct netif *n = each[i];
        struct io_ifaddr a = {0};
        if (!n || used + sizeof a > size)
            continue;
        strcpy(a.name, i ? "eth0" : "lo");
        a.index = netif_get_index(n);
        a.flags = IFF_UP_ | (i ? IFF_BROADCAST_ | IFF_MULTICAST_ : IFF_LOOPBACK_) |
                  (netif_is_link_up(n) ? IFF_RUNNING_ : 0);
        a.address = netif_ip4_addr(n)->addr;
        a.netmask = netif_ip4_netmask(n)->addr;
        a.broadcast = i ? a.address | ~a.netmask : 0;
        a.mtu = n->mtu;
        memcpy(a.mac, n->hwaddr, i ? 6 : 0);
        memcpy(buffer + used, &a, sizeof a);
        used += (uint32_t)sizeof a;
    }
    return used;
}

struct out {
    char *buffer;
    uint32_t size, used;
};

static void put_socket(struct out *o, const struct io_sockinfo *i)
{
    if (o->used + sizeof *i > o->size)
        return;
    memcpy(o->buffer + o->used, i, sizeof *i);
    o->used += (uint32_t)sizeof *i;
}

static void put_bound(struct socket *s, void *context)
{
    struct io_sockinfo i = {.family = s->family, .type = s->type, .protocol = s->protocol};
    uint16_t family;
    if (s->type == 1 && s->state != SOCKET_LISTENING)
        return;
    i.state = s->type == 1 ? 10 : 7;
    address_pack(s, &s->binding.address, i.own_address, &family);
    i.own_port = lwip_htons(s->binding.port);
    i.uid = s->uid;
    i.pid = s->pid;
    i.rx_queue = s->rx_head - s->rx_tail;
    put_socket(context, &i);
}

static void put_connection(struct tcp_pcb *pcb, void *context)
{
    static const uint8_t states[] = {7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6};
    struct socket any = {.family = IP_IS_V6_VAL(pcb->local_ip) ? 10 : 2}, *s = pcb->callback_arg;
    struct io_sockinfo i = {
        .family = any.family, .type = 1, .protocol = 6, .state = states[pcb->state]};
    uint16_t family;
    address_pack(&any, &pcb->local_ip, i.own_address, &family);
    address_pack(&any, &pcb->remote_ip, i.peer_address, &family);
    i.own_port = lwip_htons(pcb->local_port);
    i.peer_port = lwip_htons(pcb->remote_port);
    i.uid = s ? s->uid : 0;
    i.pid = s ? s->pid : 0;
    if (s && s->state == SOCKET_CONNECTED) {
        i.rx_queue = s->rx_head - s->rx_tail + s->rx_pending_size + lent_unread(s);
        i.tx_queue = s->tx_seen - s->tx_tail;
    }
    put_socket(context, &i);
}

static uint32_t counters(char *buffer, uint32_t size)
{
    const struct net_counters *c = &net_counters;
    const struct net_pcb_counts *p = &net_pcb_counts;
    int n = snprintf(
        buffer, size,
        "sockets %llu\nsessions %llu\nconnections_active %u\nconnections_parked %u\ntime_wait %u\n"
        "time_wait_recycled %llu\ntime_wait_evicted %llu\naccepted %llu\nconnected %llu\nresets_sent %llu\n"
        "syns_dropped %llu\nbroken_streams %llu\nrx_frames %llu\nrx_bytes %llu\nrx_dropped %llu\nrx_copied %llu\n"
        "tx_frames %llu\ntx_bytes %llu\ntx_dropped %llu\nloop_packets %llu\ndirect_bytes %llu\ndirect_connections %llu\nturns %llu\nheap_bytes %llu\n"
        "tcp_retransmit_drop %u\ntcp_checksum_errors %u\n",
        (unsigned long long)c->sockets, (unsigned long long)c->sessions, p->active, p->parked,
        p->time_wait, (unsigned long long)p->time_wait_recycled,
        (unsigned long long)p->time_wait_evicted, (unsigned long long)c->accepted,
        (unsigned long long)c->connected, (unsigned long long)c->resets_sent,
        (unsigned long long)c->syns_dropped, (unsigned long long)c->broken_streams,
        (unsigned long long)c->rx_frames, (unsigned long long)c->rx_bytes,
        (unsigned long long)c->rx_dropped, (unsigned long long)c->rx_copied,
        (unsigned long long)c->tx_frames, (unsigned long long)c->tx_bytes,
        (unsigned long long)c->tx_dropped, (unsigned long long)c->loop_packets,
        (unsigned long long)c->direct_bytes, (unsigned long long)c->direct_connections,
        (unsigned long long)c->turns, (unsigned long long)net_heap_used(),
        (unsigned)lwip_stats.tcp.drop, (unsigned)lwip_stats.tcp.chkerr);
    return n < 0 ? 0 : (uint32_t)n < size ? (uint32_t)n : size;
}

uint32_t net_info(uint32_t what, char *buffer, uint32_t size)
{
    struct out o = {buffer, size, 0};
    lent_count_all();
    switch (what) {
    case 0:
        return interfaces(buffer, size);
    case 1:
        return net_resolver_text(buffer, size);
    case 2:
        ports_each(put_bound, &o);
        net_pcb_each(put_connection, &o);
        return o.used;
    case 3:
        return counters(buffer, size);
    default:
        return net_proc_text(what - IO_NETINFO_DEV, buffer, size);
    }
}
