/* SPDX-License-Identifier: MIT */
/*
 * eth0: frames between lwIP and the device without copying. A sent pbuf chain is handed to the
 * device piece by piece and held until the device is done; a received buffer is a pbuf, offered
 * again when lwIP and the sockets let go of it.
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
#include "netif/ethernet.h"
#include "port.h"
#include <string.h>

#define PARTS_MAX       64u
#define BACKLOG_MAX     4096u
#define FRAMES_PER_TURN 256u
#define CHECKSUMS_GENERATED \
    (NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_UDP | NETIF_CHECKSUM_GEN_ICMP | \
     NETIF_CHECKSUM_GEN_ICMP6)

struct rx_buffer {
    struct pbuf_custom custom; /* first: lwIP gives it back by this address */
    struct rx_buffer *next;
    uint8_t *data;
    uint64_t physical;
};

struct tx_frame {
    struct pbuf *p, *extra;
    struct session *reads; /* whose arena the device reads */
    uint8_t parity;        /* of the epoch it was sent in */
    struct tx_frame *next;
};

struct netif net_eth;
static struct net_device *device;
static uint32_t rx_buffer_size, rx_total, rx_offered;
static struct rx_buffer *rx_free;
static struct tx_frame *tx_unused, *backlog, **backlog_last = &backlog;
static uint32_t backlog_count, tx_in_flight;
static uint64_t epoch;
static uint32_t epoch_frames[2]; /* not finished, by the parity of their epoch */

/* ---- sending ---- */

static void frame_done(struct tx_frame *f)
{
    epoch_frames[f->parity]--;
    if (f->reads)
        f->reads->device_reads--;
    if (f->extra)
        pbuf_free(f->extra);
    pbuf_free(f->p);
    f->next = tx_unused;
    tx_unused = f;
}

struct gather {
    struct net_part part[PARTS_MAX];
    uint32_t count;
    bool full;
};

static void gather_add(struct gather *g, uint64_t physical, uint32_t size)
{
    if (g->count) {
        struct net_part *last = &g->part[g->count - 1];
        if (last->physical + last->size == physical) {
            last->size += size;
            return;
        }
    }
    if (g->count == PARTS_MAX || g->count == device->parts_max) {
        g->full = true;
        return;
    }
    g->part[g->count++] = (struct net_part){physical, size};
}

/*
 * The pieces of a pbuf's payload, page by page. false: it lies where the device cannot be told to
 * look.
 */
static bool gather_pbuf(struct gather *g, struct tx_frame *f, const struct pbuf *q, uint32_t before)
{
    const uint8_t *at = (const uint8_t *)q->payload - before,
                  *end = (const uint8_t *)q->payload + q->len;
    bool custom = q->flags & PBUF_FLAG_IS_CUSTOM,
         inside = q->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS;
    const struct rx_buffer *rx = (const struct rx_buffer *)q;
    while (at < end) {
        uint32_t n = 4096 - (uint32_t)((uintptr_t)at & 4095);
        if (n > (uint32_t)(end - at))
            n = (uint32_t)(end - at);
        uint64_t physical = 0;
        if (custom) {
            if (at < rx->data || end > rx->data + rx_buffer_size)
                return false;
            physical = rx->physical + (uint64_t)(at - rx->data);
        } else if (inside) {
            physical = net_heap_physical_in(q, at);
        } else {
            struct session *s = session_of_address(at, &physical);
            if (!s || (f->reads && f->reads != s))
                return false;
            if (!f->reads) {
                f->reads = s;
                s->device_reads++;
            }
        }
        if (!physical)
            return false;
        gather_add(g, physical, n);
        at += n;
    }
    return true;
}

/* The device adds up the payload; we leave the pseudo header's sum where the checksum goes. */
static void offload_checksum(const struct pbuf *p, struct net_header *h)
{
    uint8_t *frame = p->payload;
    uint32_t start, length;
    uint64_t sum = 0;
    uint16_t type;
    if (p->len < SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN)
        return;
    memcpy(&type, frame + 12, 2);
    const uint8_t *ip = frame + SIZEOF_ETH_HDR;
    if (type == PP_HTONS(ETHTYPE_IP)) {
        uint16_t fragment;
        memcpy(&fragment, ip + 6, 2);
        start = SIZEOF_ETH_HDR + (ip[0] & 15u) * 4;
        if (ip[9] != IP_PROTO_TCP || fragment & PP_HTONS(IP_OFFMASK | IP_MF))
            return;
        length = p->tot_len - start;
        for (uint32_t i = 12; i < 20; i += 2)
            sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    } else if (type == PP_HTONS(ETHTYPE_IPV6) && p->len >= SIZEOF_ETH_HDR + 40 + TCP_HLEN) {
        start = SIZEOF_ETH_HDR + 40;
        if (ip[6] != IP_PROTO_TCP)
            return;
        length = p->tot_len - start;
        for (uint32_t i = 8; i < 40; i += 2)
            sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    } else {
        return;
    }
    if (start + TCP_HLEN > p->len)
        return;
    sum += IP_PROTO_TCP + length;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    frame[start + 16] = (uint8_t)(sum >> 8);
    frame[start + 17] = (uint8_t)sum;
    h->flags = NET_HEADER_NEEDS_CHECKSUM;
    h->checksum_start = (uint16_t)start;
    h->checksum_offset = 16;
}

static bool has_headroom(const struct pbuf *p, uint32_t size)
{
    const uint8_t *first = (const uint8_t *)p + LWIP_MEM_ALIGN_SIZE(sizeof(struct pbuf));
    return p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS &&
           !(p->flags & PBUF_FLAG_IS_CUSTOM) &&
           (const uint8_t *)p->payload - first >= (ptrdiff_t)size;
}

static int frame_send(struct tx_frame *f)
{
    struct gather g = {.count = 0};
    struct net_header header = {0};
    struct pbuf *p = f->p;
    bool ok;
    if (device->tx_checksum)
        offload_checksum(p, &header);
    if (has_headroom(p, sizeof header)) {
        memcpy((uint8_t *)p->payload - sizeof header, &header, sizeof header);
        ok = gather_pbuf(&g, f, p, sizeof header);
    } else {
        if (!f->extra)
            f->extra = pbuf_alloc(PBUF_RAW, sizeof header, PBUF_RAM);
        if (!f->extra)
            return -1;
        memcpy(f->extra->payload, &header, sizeof header);
        ok = gather_pbuf(&g, f, f->extra, 0) && gather_pbuf(&g, f, p, 0);
    }
    for (struct pbuf *q = p->next; q && ok; q = q->next)
        ok = gather_pbuf(&g, f, q, 0);
    if (!ok || g.full) { /* too scattered, or not ours: one copy */
        struct pbuf *copy = pbuf_clone(PBUF_RAW_TX, PBUF_RAM, p);
        if (!copy)
            return -1;
        if (f->reads)
            f->reads->device_reads--;
        f->reads = NULL;
        pbuf_free(p);
        f->p = copy;
        if (has_headroom(copy, sizeof header)) {
            memcpy((uint8_t *)copy->payload - sizeof header, &header, sizeof header);
            g = (struct gather){.count = 0};
            gather_pbuf(&g, f, copy, sizeof header);
        }
    }
    int status = device->send(device, g.part, g.count, f);
    if (status < 0 && f->reads) {
        f->reads->device_reads--;
        f->reads = NULL;
    }
    if (status == 0) {
        tx_in_flight++;
        net_counters.tx_frames++;
        net_counters.tx_bytes += f->p->tot_len;
    }
    return status;
}

static err_t eth_output(struct netif *netif, struct pbuf *p)
{
    struct tx_frame *f = tx_unused;
    (void)netif;
    if (f)
        tx_unused = f->next;
    else if (!(f = net_heap_alloc(sizeof *f)))
        return ERR_MEM;
    *f = (struct tx_frame){.p = p, .parity = epoch & 1};
    epoch_frames[f->parity]++;
    pbuf_ref(p);
    if (!backlog && frame_send(f) == 0)
        return ERR_OK;
    if (backlog_count >= BACKLOG_MAX) {
        net_counters.tx_dropped++;
        frame_done(f);
        return ERR_MEM;
    }
    *backlog_last = f;
    backlog_last = &f->next;
    backlog_count++;
    return ERR_OK;
}

static void reap_sent(void)
{
    for (struct tx_frame *f; (f = device->sent(device));) {
        tx_in_flight--;
        frame_done(f);
    }
    while (backlog && frame_send(backlog) == 0) {
        struct tx_frame *f = backlog;
        backlog = f->next;
        if (!backlog)
            backlog_last = &backlog;
        f->next = NULL;
        backlog_count--;
    }
}

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
    bool valid =
        device->rx_checksum && header.flags & (NET_HEADER_NEEDS_CHECKSUM | NET_HEADER_DATA_VALID);
    input(p, frame, valid);
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
    if (tx_in_flight || backlog)
        reap_sent();
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

uint64_t net_eth_epoch(void)
{
    return epoch;
}

/*
 * An epoch ends when nothing of the one before it is left; what was sent in it is gone when the
 * next has ended, too.
 */
bool net_eth_epoch_over(uint64_t since)
{
    while (epoch < since + 2 && !epoch_frames[(epoch + 1) & 1])
        epoch++;
    return epoch >= since + 2;
}

bool net_eth_before_sleep(bool wait_for_sent)
{
    return device && device->rest(device, wait_for_sent || backlog);
}

static err_t eth_init(struct netif *n)
{
    n->name[0] = 'e';
    n->name[1] = 't';
    n->output = etharp_output;
    n->output_ip6 = ethip6_output;
    n->linkoutput = eth_output;
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
