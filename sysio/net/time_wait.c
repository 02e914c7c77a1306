/* SPDX-License-Identifier: MIT */
/*
 * A record answers what its connection would have answered (RFC 9293 3.10.7.4), and gives way to a
 * new connection by RFC 6191's rules and RFC 1122's (4.2.2.13), from either side. The new one's
 * sequence numbers start beyond the old one's, so that nothing that is still under way between the
 * two ends can be taken for part of it. A clock alone does not ensure that: the old connection may
 * have sent faster than the clock runs.
 */
#include "time_wait.h"
#include "heap.h"
#include "lwip/inet_chksum.h"
#include "port.h"
#include <stdlib.h>
#include <string.h>

#define EXPIRY_NS     (30ull * 1000000000)
#define SECOND_NS     1000000000ull
#define ISN_DISTANCE  65537u /* beyond the old connection's last sequence number, as on Linux */
#define OPTION_TS     8
#define OPTION_TS_LEN 10

struct time_wait {
    struct time_wait *hash_next, **hash_link;
    struct time_wait *next, **link; /* by age: all live equally long */
    struct net_tuple tuple;
    uint32_t snd_nxt, rcv_nxt, window, ts_recent;
    bool timestamps;
    uint64_t since;
};

static struct time_wait **table;
static struct time_wait *oldest, **newest = &oldest;
static uint32_t limit, bucket_mask;

/* Where the next connection of this tuple must start; of the record that gave way last. */
static struct {
    struct net_tuple tuple;
    uint32_t isn;
    bool set;
} successor;

bool time_wait_init(uint64_t memory, uint32_t buckets)
{
    bucket_mask = buckets - 1;
    table = calloc(buckets, sizeof *table);
    limit = (uint32_t)(memory / 512 / sizeof(struct time_wait));
    if (limit < 64)
        limit = 64;
    return table;
}

/* ---- records ---- */

static struct time_wait *find(const struct net_tuple *tuple)
{
    struct time_wait *t = table[net_tuple_hash(tuple) & bucket_mask];
    for (; t; t = t->hash_next)
        if (net_tuple_eq(&t->tuple, tuple))
            return t;
    return NULL;
}

static void age_unlink(struct time_wait *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    else
        newest = t->link;
}

static void age_append(struct time_wait *t)
{
    t->next = NULL;
    t->link = newest;
    *newest = t;
    newest = &t->next;
    t->since = port_now();
}

static void drop(struct time_wait *t)
{
    *t->hash_link = t->hash_next;
    if (t->hash_next)
        t->hash_next->hash_link = t->hash_link;
    age_unlink(t);
    net_pcb_port_used(t->tuple.local_port, -1);
    net_pcb_counts.time_wait--;
    net_heap_free(t);
}

/* A new connection takes the record's place. */
static void give_way(struct time_wait *t)
{
    net_pcb_counts.time_wait_recycled++;
    successor.tuple = t->tuple;
    successor.isn = t->snd_nxt + ISN_DISTANCE;
    successor.set = true;
    drop(t);
}

void time_wait_add(const struct tcp_pcb *pcb)
{
    if (net_pcb_counts.time_wait >= limit) {
        net_pcb_counts.time_wait_evicted++;
        drop(oldest);
    }
    struct time_wait *t = net_heap_alloc(sizeof *t);
    if (!t)
        return;
    *t = (struct time_wait){
        .tuple = net_tuple_of(pcb),
        .snd_nxt = pcb->snd_nxt,
        .rcv_nxt = pcb->rcv_nxt,
        .window = pcb->rcv_wnd,
        .ts_recent = pcb->ts_recent,
        .timestamps = pcb->flags & TF_TIMESTAMP,
    };
    t->hash_link = &table[net_tuple_hash(&t->tuple) & bucket_mask];
    t->hash_next = *t->hash_link;
    if (t->hash_next)
        t->hash_next->hash_link = &t->hash_next;
    *t->hash_link = t;
    age_append(t);
    net_pcb_port_used(t->tuple.local_port, 1);
    net_pcb_counts.time_wait++;
}

void time_wait_expire(uint64_t now)
{
    while (oldest && now - oldest->since >= EXPIRY_NS)
        drop(oldest);
}

/* ---- a new connection from our side ---- */

static bool stands(const struct time_wait *t)
{
    return !t->timestamps || port_now() - t->since < SECOND_NS;
}

bool time_wait_stands(const struct net_tuple *tuple)
{
    const struct time_wait *t = find(tuple);
    return t && stands(t);
}

bool time_wait_blocks(const struct net_tuple *tuple)
{
    struct time_wait *t = find(tuple);
    if (!t)
        return false;
    if (stands(t))
        return true;
    give_way(t);
    return false;
}

uint32_t net_tcp_isn(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                     uint16_t remote_port)
{
    struct net_tuple tuple = {*local, *remote, local_port, remote_port};
    /* RFC 6528; moves on by 64 ns */
    uint32_t isn = net_tuple_secret(&tuple) + (uint32_t)(port_now() / 64);
    if (successor.set && net_tuple_eq(&successor.tuple, &tuple)) {
        successor.set = false;
        if (TCP_SEQ_LT(isn, successor.isn))
            isn = successor.isn;
    }
    return isn;
}

/* ---- segments ---- */

static bool checksum_ok(struct pbuf *p)
{
    const struct netif *n = ip_current_input_netif();
    return !(n->chksum_flags & NETIF_CHECKSUM_CHECK_TCP) ||
           ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, ip_current_src_addr(),
                            ip_current_dest_addr()) == 0;
}

/* The sender's timestamp. false: none (or not within the first buffer). */
static bool timestamp_of(const struct tcp_hdr *header, const struct pbuf *p, uint32_t *value)
{
    const uint8_t *o = (const uint8_t *)header;
    uint32_t end = TCPH_HDRLEN_BYTES(header);
    if (end > p->len)
        return false;
    for (uint32_t at = TCP_HLEN, n; at < end && o[at] != LWIP_TCP_OPT_EOL; at += n) {
        if (o[at] == LWIP_TCP_OPT_NOP) {
            n = 1;
            continue;
        }
        if (at + 2 > end || (n = o[at + 1]) < 2 || n > end - at)
            return false;
        if (o[at] == OPTION_TS && n == OPTION_TS_LEN) {
            uint32_t word;
            memcpy(&word, o + at + 2, 4);
            *value = lwip_ntohl(word);
            return true;
        }
    }
    return false;
}

static void acknowledge(const struct time_wait *t)
{
    struct tcp_pcb *pcb = tcp_alloc(TCP_PRIO_NORMAL); /* on loan, for lwIP to build the segment */
    if (!pcb)
        return;
    pcb->local_ip = t->tuple.local;
    pcb->remote_ip = t->tuple.remote;
    pcb->local_port = t->tuple.local_port;
    pcb->remote_port = t->tuple.remote_port;
    pcb->snd_nxt = t->snd_nxt;
    pcb->rcv_nxt = t->rcv_nxt;
    pcb->rcv_ann_wnd = t->window;
    pcb->rcv_scale = TCP_RCV_SCALE;
    pcb->ts_recent = t->ts_recent;
    pcb->state = TIME_WAIT;
    if (t->timestamps)
        tcp_set_flags(pcb, TF_TIMESTAMP);
    tcp_ack_now(pcb);
    tcp_output(pcb);
    tcp_free(pcb);
}

/*
 * What Linux does, too. PAWS comes first; a reset counts if it is exactly the next in sequence
 * (else two ends of which one has forgotten the connection could answer each other for ever).
 */
bool time_wait_input(const struct net_tuple *tuple, const struct tcp_hdr *header, struct pbuf *p,
                     bool listener)
{
    struct time_wait *t = find(tuple);
    uint8_t flags = TCPH_FLAGS(header);
    uint16_t header_size = TCPH_HDRLEN_BYTES(header);
    if (!t)
        return false;
    if (header_size < TCP_HLEN || header_size > p->tot_len || !checksum_ok(p))
        return true;
    uint32_t seqno = lwip_ntohl(header->seqno), stamp;
    bool stamped = t->timestamps && timestamp_of(header, p, &stamp);
    bool old = stamped && (int32_t)(stamp - t->ts_recent) < 0;
    if (flags & TCP_RST) {
        if (seqno == t->rcv_nxt && (!old || port_now() - t->since >= SECOND_NS))
            drop(t);
        return true;
    }
    if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && !old && listener &&
        (TCP_SEQ_GT(seqno, t->rcv_nxt) || (stamped && stamp != t->ts_recent))) {
        give_way(t);
        return false;
    }
    if (!(flags & (TCP_SYN | TCP_FIN)) && p->tot_len == header_size)
        return true;
    if (flags & TCP_FIN) { /* its acknowledgement was lost: the whole time again */
        age_unlink(t);
        age_append(t);
    }
    acknowledge(t);
    return true;
}
