/* SPDX-License-Identifier: MIT */
/*
 * lo: packets to ourselves; and those to groups that eth0's members here get, too. Headers are
 * copied, because both ends write to them; payload is not: the receiver reads the sender's tx ring.
 * That is safe because the sender's bytes stay until they are acknowledged, the receiver copies
 * what it accepts while it handles the packet, and a segment out of order is dropped (see
 * net_tcp_filter), so nobody keeps a reference.
 */
#include "engine.h"
#include "heap.h"
#include "lwip/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "netif.h"
#include <string.h>

#define PACKETS_MAX      16384u
#define PACKETS_PER_TURN 1024u

struct packet {
    struct packet *next;
    struct pbuf *p;
    struct netif *to;
};
struct reference {
    struct pbuf_custom custom;
};

struct netif net_loop;
static struct packet *queue, **queue_last = &queue;
static uint32_t queued;

static void reference_free(struct pbuf *p)
{
    net_heap_free(p);
}

static struct pbuf *copy_or_refer(struct pbuf *q)
{
    uint64_t physical;
    if (q->len >= 64 && !(q->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS) &&
        session_of_address(q->payload, &physical)) {
        struct reference *r = net_heap_alloc(sizeof *r);
        if (!r)
            return NULL;
        r->custom.custom_free_function = reference_free;
        return pbuf_alloced_custom(PBUF_RAW, q->len, PBUF_REF, &r->custom, q->payload, q->len);
    }
    struct pbuf *copy = pbuf_alloc(PBUF_RAW, q->len, PBUF_RAM);
    if (copy)
        memcpy(copy->payload, q->payload, q->len);
    return copy;
}

static err_t loop_output(struct netif *to, struct pbuf *p)
{
    struct packet *packet = queued < PACKETS_MAX ? net_heap_alloc(sizeof *packet) : NULL;
    if (!packet)
        return ERR_MEM;
    *packet = (struct packet){.to = to};
    for (struct pbuf *q = p; q; q = q->next) {
        struct pbuf *piece = q->len ? copy_or_refer(q) : NULL;
        if (!piece && q->len) {
            if (packet->p)
                pbuf_free(packet->p);
            net_heap_free(packet);
            return ERR_MEM;
        }
        if (!packet->p)
            packet->p = piece;
        else if (piece)
            pbuf_cat(packet->p, piece);
    }
    *queue_last = packet;
    queue_last = &packet->next;
    queued++;
    net_counters.loop_packets++;
    net_counters.loop_bytes += p->tot_len;
    return ERR_OK;
}

static err_t loop_output4(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
    (void)to;
    return loop_output(n, p);
}

static err_t loop_output6(struct netif *n, struct pbuf *p, const ip6_addr_t *to)
{
    (void)to;
    return loop_output(n, p);
}

void net_loop_group(struct netif *n, struct pbuf *p)
{
    loop_output(n, p); /* no room: as if lost on the wire */
}

/* All of 127/8 is ours: while such a packet is handled, the interface has the address it is for. */
static void input(struct pbuf *p, struct netif *n)
{
    const struct ip_hdr *ip = p->payload;
    ip4_addr_t own = *netif_ip4_addr(&net_loop), to = {0};
    if (p->len < IP_HLEN) {
        pbuf_free(p);
        return;
    }
    if (IPH_V(ip) == 6) {
        ip6_input(p, n);
        return;
    }
    if (n != &net_loop) {
        ip4_input(p, n);
        return;
    }
    memcpy(&to.addr, &ip->dest, 4);
    if (ip4_addr_isloopback(&to))
        ip_addr_set_ip4_u32_val(net_loop.ip_addr, to.addr);
    ip4_input(p, &net_loop);
    ip_addr_set_ip4_u32_val(net_loop.ip_addr, own.addr);
}

bool net_loop_turn(void)
{
    for (uint32_t n = 0; queue && n < PACKETS_PER_TURN; n++) {
        struct packet *packet = queue;
        struct pbuf *p = packet->p;
        struct netif *to = packet->to;
        queue = packet->next;
        if (!queue)
            queue_last = &queue;
        queued--;
        net_heap_free(packet);
        if (p)
            input(p, to);
    }
    return queue;
}

bool net_loop_idle(void)
{
    return !queue;
}

static err_t loop_init(struct netif *n)
{
    n->name[0] = 'l';
    n->name[1] = 'o';
    n->output = loop_output4;
    n->output_ip6 = loop_output6;
    n->mtu = 65535;
    n->flags = NETIF_FLAG_LINK_UP | NETIF_FLAG_IGMP;
    return ERR_OK;
}

void net_loop_start(void)
{
    ip4_addr_t address, mask;
    IP4_ADDR(&address, 127, 0, 0, 1);
    IP4_ADDR(&mask, 255, 0, 0, 0);
    netif_add(&net_loop, &address, &mask, IP4_ADDR_ANY4, NULL, loop_init, ip_input);
    net_loop.chksum_flags =
        NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_ICMP | NETIF_CHECKSUM_GEN_ICMP6;
    IP_ADDR6_HOST(&net_loop.ip6_addr[0], 0, 0, 0, 1);
    net_loop.ip6_addr_state[0] = IP6_ADDR_PREFERRED;
    netif_set_up(&net_loop);
}
