/* SPDX-License-Identifier: MIT */
/*
 * eth0: lwIP's interface over the device, and what it receives. A received buffer is a pbuf,
 * without copying, and is offered to the device again when lwIP and the sockets let go of it. What
 * is sent goes through transmit.c.
 */
#include "netif.h"
#include "engine.h"
#include "heap.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/ip.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "lwip/tcp.h"
#include "netif/ethernet.h"
#include "port.h"
#include "transmit.h"
#include <string.h>

#define FRAMES_PER_TURN 256u
#define CHECKSUMS_GENERATED \
    (NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_UDP | NETIF_CHECKSUM_GEN_ICMP | \
     NETIF_CHECKSUM_GEN_ICMP6)

struct netif net_eth;
static struct net_device *device;
static uint32_t rx_buffer_size, rx_total, rx_offered;
static struct rx_buffer *rx_free;

/* ---- receiving ---- */

static void buffer_free(struct pbuf *p)
{
    struct rx_buffer *b = (struct rx_buffer *)p;
    b->next = rx_free;
    rx_free = b;
}

static void offer_buffers(void)
{
    while (rx_free) {
        struct rx_buffer *b = rx_free;
        if (device->offer(device, b->physical, rx_buffer_size, b) < 0)
            return;
        rx_free = b->next;
        rx_offered++;
    }
}

static struct rx_buffer *buffer_take(uint32_t *size)
{
    struct rx_buffer *b = device->received(device, size);
    if (b) {
        rx_offered--;
        if (*size > rx_buffer_size)
            *size = rx_buffer_size;
    }
    return b;
}

static struct pbuf *as_pbuf(struct rx_buffer *b, uint32_t skip, uint32_t size)
{
    b->custom.custom_free_function = buffer_free;
    return pbuf_alloced_custom(PBUF_RAW, (uint16_t)(size - skip), PBUF_REF, &b->custom,
                               b->data + skip, (uint16_t)(rx_buffer_size - skip));
}

static void input(struct pbuf *p, const uint8_t *frame, bool valid)
{
    const struct eth_hdr *eth = (const struct eth_hdr *)frame;
    uint16_t type = eth->type;
    net_eth.chksum_flags =
        (uint16_t)(CHECKSUMS_GENERATED | (device->tx_checksum ? 0 : NETIF_CHECKSUM_GEN_TCP) |
                   (valid ? NETIF_CHECKSUM_CHECK_IP | NETIF_CHECKSUM_CHECK_ICMP |
                                NETIF_CHECKSUM_CHECK_ICMP6
                          : 0xff00));
    if (type != PP_HTONS(ETHTYPE_IP) && type != PP_HTONS(ETHTYPE_IPV6)) {
        if (ethernet_input(p, &net_eth) != ERR_OK)
            pbuf_free(p);
        return;
    }
    if (eth->dest.addr[0] & 1) {
        bool all = true;
        for (int i = 0; i < 6; i++)
            all = all && eth->dest.addr[i] == 0xff;
        p->flags |= all ? PBUF_FLAG_LLBCAST : PBUF_FLAG_LLMCAST;
    }
    p->if_idx = netif_get_index(&net_eth);
    if (type == PP_HTONS(ETHTYPE_IP))
        ip4_input(p, &net_eth);
    else
        ip6_input(p, &net_eth);
}

/* From the wire nothing comes from or to this machine itself, nor from a group (RFC 1122, 3.2.1.3).
 */
static bool martian4(const uint8_t *ip)
{
    ip4_addr_t from, to;
    memcpy(&from, ip + 12, sizeof from);
    memcpy(&to, ip + 16, sizeof to);
    return ip4_addr_isloopback(&from) || ip4_addr_isloopback(&to) || ip4_addr_ismulticast(&from) ||
           from.addr == IPADDR_BROADCAST ||
           (from.addr && from.addr == netif_ip4_addr(&net_eth)->addr);
}

/*
 * What lwIP keeps (fragments, segments out of order, packets that wait for an address) must not
 * take all the device's buffers: when few are left it gets a copy. NULL: no memory.
 */
static struct pbuf *spare_buffers(struct pbuf *p)
{
    if (!net_eth_scarce())
        return p;
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
    net_counters.rx_copied += copy ? copy->tot_len : 0;
    pbuf_free(p);
    return copy;
}

/* One frame, of one or more buffers. false: there is none. */
static bool receive_frame(void)
{
    uint32_t size, total;
    struct rx_buffer *b = buffer_take(&size);
    if (!b)
        return false;
    struct net_header header;
    memcpy(&header, b->data, sizeof header);
    uint32_t buffers = device->merge ? header.buffers : 1;
    uint32_t skip = sizeof header;
    bool bad =
        size < sizeof header + SIZEOF_ETH_HDR || !buffers || buffers > 65536 / rx_buffer_size + 2;
    const uint8_t *frame = b->data + sizeof header;
    if (!bad) {
        const struct eth_hdr *eth = (const struct eth_hdr *)frame;
        if (eth->type == PP_HTONS(ETHTYPE_IP) || eth->type == PP_HTONS(ETHTYPE_IPV6))
            skip += SIZEOF_ETH_HDR; /* so that 64 KiB of IP still fit lwIP's 16-bit lengths */
    }
    struct pbuf *p = as_pbuf(b, bad ? size : skip, size), *last = p;
    total = bad ? 0 : size - skip;
    for (uint32_t i = 1; i < buffers && !bad; i++) {
        struct rx_buffer *more = buffer_take(&size);
        if (!more) {
            bad = true;
            break;
        }
        total += size;
        last->next = as_pbuf(more, 0, size);
        last = last->next;
        if (total > 65535)
            bad = true;
    }
    if (!bad) {
        uint32_t left = total;
        for (struct pbuf *q = p; q; left -= q->len, q = q->next)
            q->tot_len = (uint16_t)left;
    }
    net_counters.rx_frames++;
    net_counters.rx_bytes += total;
    if (bad) {
        net_counters.rx_dropped++;
        pbuf_free(p);
        return true;
    }
    const struct eth_hdr *eth = (const struct eth_hdr *)frame;
    if (eth->type == PP_HTONS(ETHTYPE_IP) && p->len >= IP_HLEN && martian4(p->payload)) {
        net_counters.rx_dropped++;
        pbuf_free(p);
        return true;
    }
    bool valid =
        device->rx_checksum && header.flags & (NET_HEADER_NEEDS_CHECKSUM | NET_HEADER_DATA_VALID);
    p = spare_buffers(p);
    if (p)
        input(p, frame, valid);
    else
        net_counters.rx_dropped++;
    return true;
}

static bool add_buffers(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct rx_buffer *b = net_heap_zalloc(1, sizeof *b);
        if (!b || !(b->data = net_heap_alloc(rx_buffer_size))) {
            net_heap_free(b);
            return i > 0;
        }
        b->size = rx_buffer_size;
        b->physical = net_heap_physical_in(b->data, b->data);
        b->next = rx_free;
        rx_free = b;
        rx_total++;
    }
    return true;
}

bool net_eth_owns(const struct pbuf *p)
{
    return p->flags & PBUF_FLAG_IS_CUSTOM &&
           ((const struct pbuf_custom *)p)->custom_free_function == buffer_free;
}

bool net_eth_scarce(void)
{
    return device && rx_offered < rx_total / 4;
}

/* ---- turns ---- */

bool net_eth_turn(void)
{
    uint32_t n = 0;
    if (!device)
        return false;
    device->busy(device);
    transmit_reap();
    while (n < FRAMES_PER_TURN && receive_frame())
        n++;
    offer_buffers();
    return n == FRAMES_PER_TURN;
}

void net_eth_flush(void)
{
    if (device) {
        offer_buffers();
        device->kick(device);
    }
}

/*
 * The connection's segments are full frames of the wire and leave through a device that cuts them
 * out of larger ones itself. (A peer with a smaller MSS gets what lwIP makes for it.)
 */
bool net_eth_large(const struct tcp_pcb *pcb)
{
    return device && device->tx_large4 && device->tx_checksum && IP_IS_V4_VAL(pcb->remote_ip) &&
           pcb->mss == device->mtu - IP_HLEN - TCP_HLEN;
}

bool net_eth_before_sleep(bool wait_for_sent)
{
    return device && device->rest(device, wait_for_sent || transmit_waits());
}

static err_t output4(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
    if (p->flags & PBUF_FLAG_MCASTLOOP)
        net_loop_group(n, p);
    return etharp_output(n, p, to);
}

static err_t output6(struct netif *n, struct pbuf *p, const ip6_addr_t *to)
{
    if (p->flags & PBUF_FLAG_MCASTLOOP)
        net_loop_group(n, p);
    return ethip6_output(n, p, to);
}

static err_t eth_init(struct netif *n)
{
    n->name[0] = 'e';
    n->name[1] = 't';
    n->output = output4;
    n->output_ip6 = output6;
    n->linkoutput = transmit_frame;
    n->mtu = device->mtu;
    n->hwaddr_len = 6;
    memcpy(n->hwaddr, device->mac, 6);
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP |
               NETIF_FLAG_MLD6;
    return ERR_OK;
}

bool net_eth_start(struct net_device *d, uint64_t memory)
{
    device = d;
    transmit_start(d);
    rx_buffer_size = memory < 64ull << 20 || !d->merge ? 2048 : 4096;
    uint32_t wanted = (uint32_t)(memory / 256 / rx_buffer_size);
    /* each buffer would have to hold 64 KiB: the driver does not negotiate that */
    if (d->rx_large && !d->merge)
        return false;
    if (wanted > 512)
        wanted = 512;
    if (wanted < 24)
        wanted = 24;
    if (wanted > d->rx_slots)
        wanted = d->rx_slots;
    if (!add_buffers(wanted))
        return false;
    if (!netif_add(&net_eth, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, NULL, eth_init,
                   ethernet_input))
        return false;
    net_eth.chksum_flags = CHECKSUMS_GENERATED | 0xff00;
    if (!d->tx_checksum)
        net_eth.chksum_flags |= NETIF_CHECKSUM_GEN_TCP;
    netif_set_default(&net_eth);
    offer_buffers();
    device->kick(device);
    if (device->link(device))
        netif_set_link_up(&net_eth);
    netif_set_up(&net_eth);
    return true;
}
