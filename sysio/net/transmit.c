/* SPDX-License-Identifier: MIT */
/*
 * Frames to the device. A pbuf chain is handed over piece by piece, without a copy, and held until
 * the device is done with it. What is longer than the wire's MTU (TCP, see tcp_send.c) is cut into
 * segments by the device (TSO).
 */
#include "transmit.h"
#include "engine.h"
#include "heap.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "socket.h"
#include <string.h>

#define PARTS_MAX   64u
#define BACKLOG_MAX 4096u

struct tx_frame {
    struct pbuf *p, *extra;
    struct session *reads; /* whose arena the device reads */
    uint8_t parity;        /* of the epoch it was sent in */
    struct tx_frame *next;
};

struct gather {
    struct net_part part[PARTS_MAX];
    uint32_t count;
    bool full;
};

static struct net_device *device;
static struct tx_frame *unused, *backlog, **backlog_last = &backlog;
static uint32_t backlog_count, in_flight;
static uint64_t epoch;
static uint32_t epoch_frames[2]; /* not finished, by the parity of their epoch */

/* ---- life ---- */

static struct tx_frame *frame_new(struct pbuf *p)
{
    struct tx_frame *f = unused;
    if (f)
        unused = f->next;
    else if (!(f = net_heap_alloc(sizeof *f)))
        return NULL;
    *f = (struct tx_frame){.p = p, .parity = epoch & 1};
    epoch_frames[f->parity]++;
    pbuf_ref(p);
    return f;
}

static void stop_reading(struct tx_frame *f)
{
    if (f->reads)
        f->reads->device_reads--;
    f->reads = NULL;
}

static void frame_done(struct tx_frame *f)
{
    epoch_frames[f->parity]--;
    stop_reading(f);
    if (f->extra)
        pbuf_free(f->extra);
    pbuf_free(f->p);
    f->next = unused;
    unused = f;
}

/* ---- what the device is told to read ---- */

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
 * Where the device finds what is at `at` in a pbuf's payload; 0: nowhere. size: in, how many bytes
 * are wanted; out, how many of them lie side by side there, at least what is in the page.
 */
static uint64_t physical_of(struct tx_frame *f, const struct pbuf *q, const uint8_t *at,
                            uint32_t *size)
{
    uint32_t wanted = *size, page = 4096 - (uint32_t)((uintptr_t)at & 4095);
    const uint8_t *end = at + (wanted < page ? wanted : page);
    const struct rx_buffer *rx = (const struct rx_buffer *)q;
    uint64_t physical = 0;
    *size = (uint32_t)(end - at);
    if (q->flags & PBUF_FLAG_IS_CUSTOM && !net_eth_owns(q))
        return 0; /* a fragment's reference to what was fragmented */
    if (q->flags & PBUF_FLAG_IS_CUSTOM)
        return at < rx->data || end > rx->data + rx->size
                   ? 0
                   : rx->physical + (uint64_t)(at - rx->data);
    if (q->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS)
        return net_heap_physical_in(q, at);
    struct session *s = session_of_address(at, &physical);
    if (!s || (f->reads && f->reads != s))
        return 0;
    if (!f->reads) {
        f->reads = s;
        s->device_reads++;
    }
    *size = session_run(s, at, wanted);
    return physical;
}

/*
 * The pieces of a pbuf's payload, from `before` bytes before it. false: it lies where
 * the device cannot be told to look.
 */
static bool gather_pbuf(struct gather *g, struct tx_frame *f, const struct pbuf *q, uint32_t before)
{
    const uint8_t *at = (const uint8_t *)q->payload - before,
                  *end = (const uint8_t *)q->payload + q->len;
    while (at < end) {
        uint32_t n = (uint32_t)(end - at);
        uint64_t physical = physical_of(f, q, at, &n);
        if (!physical)
            return false;
        gather_add(g, physical, n);
        at += n;
    }
    return true;
}

/* ---- headers ---- */

/* TCP's place in a frame that is not a fragment, its headers in the first pbuf. */
struct segment {
    uint16_t tcp, data; /* offsets */
    bool ip6;
};

static bool segment_read(const struct pbuf *p, struct segment *s)
{
    const uint8_t *frame = p->payload, *ip = frame + SIZEOF_ETH_HDR;
    uint16_t type, fragment;
    if (p->len < SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN)
        return false;
    memcpy(&type, frame + 12, 2);
    s->ip6 = type == PP_HTONS(ETHTYPE_IPV6);
    if (type == PP_HTONS(ETHTYPE_IP)) {
        memcpy(&fragment, ip + 6, 2);
        if (ip[9] != IP_PROTO_TCP || fragment & PP_HTONS(IP_OFFMASK | IP_MF))
            return false;
        s->tcp = (uint16_t)(SIZEOF_ETH_HDR + (ip[0] & 15u) * 4);
    } else if (!s->ip6 || ip[6] != IP_PROTO_TCP) {
        return false;
    } else {
        s->tcp = SIZEOF_ETH_HDR + IP6_HLEN;
    }
    if (s->tcp + TCP_HLEN > p->len)
        return false;
    s->data = (uint16_t)(s->tcp + (frame[s->tcp + 12] >> 4) * 4);
    return s->data <= p->len;
}

/* The device adds up the payload; we leave the pseudo header's sum where the checksum goes. */
static void offload_checksum(struct pbuf *p, const struct segment *s, struct net_header *h)
{
    uint8_t *frame = p->payload;
    uint32_t from = s->ip6 ? SIZEOF_ETH_HDR + 8 : SIZEOF_ETH_HDR + 12, size = s->ip6 ? 32 : 8;
    uint32_t sum = lwip_htons((uint16_t)(IP_PROTO_TCP + p->tot_len - s->tcp)) +
                   net_checksum(frame + from, (int)size);
    uint16_t folded = (uint16_t)((sum & 0xffff) + (sum >> 16));
    memcpy(frame + s->tcp + 16, &folded, 2);
    h->flags = NET_HEADER_NEEDS_CHECKSUM;
    h->checksum_start = s->tcp;
    h->checksum_offset = 16;
}

/* virtio 1.2, 5.1.6.2. The segments are as long as the wire allows: see net_eth_large(). */
static void offload_segmentation(const struct pbuf *p, const struct segment *s,
                                 struct net_header *h)
{
    if (p->tot_len <= SIZEOF_ETH_HDR + device->mtu)
        return;
    h->gso_type = s->ip6 ? NET_GSO_TCP6 : NET_GSO_TCP4;
    h->gso_size = (uint16_t)(device->mtu - (s->data - SIZEOF_ETH_HDR));
    h->header_size = s->data;
}

static void make_header(struct pbuf *p, struct net_header *h)
{
    struct segment s;
    if (!device->tx_checksum || !segment_read(p, &s))
        return;
    offload_checksum(p, &s, h);
    offload_segmentation(p, &s, h);
}

/* ---- to the device ---- */

static bool has_headroom(const struct pbuf *p, uint32_t size)
{
    const uint8_t *first = (const uint8_t *)p + LWIP_MEM_ALIGN_SIZE(sizeof(struct pbuf));
    return p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS &&
           !(p->flags & PBUF_FLAG_IS_CUSTOM) &&
           (const uint8_t *)p->payload - first >= (ptrdiff_t)size;
}

/* The device's header, and the frame. */
static bool gather_frame(struct gather *g, struct tx_frame *f, const struct net_header *header)
{
    struct pbuf *p = f->p;
    bool inside = has_headroom(p, sizeof *header);
    if (!inside && !f->extra)
        f->extra = pbuf_alloc(PBUF_RAW, sizeof *header, PBUF_RAM);
    if (!inside && !f->extra)
        return false;
    memcpy(inside ? (uint8_t *)p->payload - sizeof *header : f->extra->payload, header,
           sizeof *header);
    bool ok = (inside || gather_pbuf(g, f, f->extra, 0)) &&
              gather_pbuf(g, f, p, inside ? sizeof *header : 0);
    for (struct pbuf *q = p->next; q && ok; q = q->next)
        ok = gather_pbuf(g, f, q, 0);
    return ok && !g->full;
}

/* Too scattered, or not ours: one copy. */
static bool copy_frame(struct tx_frame *f)
{
    struct pbuf *copy = pbuf_clone(PBUF_RAW_TX, PBUF_RAM, f->p);
    if (!copy)
        return false;
    stop_reading(f);
    pbuf_free(f->p);
    f->p = copy;
    return true;
}

/* 0, or -1: not now. */
static int frame_send(struct tx_frame *f)
{
    struct gather g;
    struct net_header header = {0};
    g.count = 0; /* the parts are as many as that: not to be zeroed for each frame */
    g.full = false;
    make_header(f->p, &header);
    if (!gather_frame(&g, f, &header)) {
        if (!copy_frame(f))
            return -1;
        g.count = 0;
        g.full = false;
        if (!gather_frame(&g, f, &header))
            return -1;
    }
    int status = device->send(device, g.part, g.count, f);
    if (status < 0)
        stop_reading(f);
    if (status == 0) {
        in_flight++;
        net_counters.tx_frames++;
        net_counters.tx_bytes += f->p->tot_len;
    }
    return status;
}

err_t transmit_frame(struct netif *netif, struct pbuf *p)
{
    struct tx_frame *f = frame_new(p);
    (void)netif;
    if (!f)
        return ERR_MEM;
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

/* ---- completions ---- */

void transmit_reap(void)
{
    if (!in_flight && !backlog)
        return;
    for (struct tx_frame *f; (f = device->sent(device));) {
        in_flight--;
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

bool transmit_waits(void)
{
    return backlog;
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

void transmit_start(struct net_device *d)
{
    device = d;
}
