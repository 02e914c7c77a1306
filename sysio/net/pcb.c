/* SPDX-License-Identifier: MIT */
/*
 * What is kept for each connection lies in the PCB's own ext_args, so no lookup allocates:
 *   [0] callback at destruction, and the PCB itself   [1] previous in lwIP's list or the parked
 * list [2] next in the hash chain   [3] what points to it in the chain   [4] where it is listed
 *
 * lwIP's slow timer unlinks a PCB from the active list by hand and then frees it; the destruction
 * callback repairs the back link of its successor.
 */
#include "pcb.h"
#include "heap.h"
#include "port.h"
#include "ports.h"
#include "socket.h"
#include <stdlib.h>
#include <string.h>

enum { NOWHERE, ACTIVE, PARKED, TIME_WAITING };
enum { X_SELF, X_PREV, X_HASH_NEXT, X_HASH_LINK, X_WHERE };
#define EXT(pcb, x) ((pcb)->ext_args[x].data)
#define WHERE(pcb)  ((uintptr_t)EXT(pcb, X_WHERE))

#define TIME_WAIT_NS       (30ull * 1000000000)
#define TIME_WAIT_REUSE_NS 1000000000ull

struct time_wait {
    struct time_wait *hash_next, **hash_link;
    struct time_wait *next, **link; /* by age: all live equally long */
    ip_addr_t local, remote;
    uint16_t local_port, remote_port;
    uint32_t snd_nxt, rcv_nxt, window, ts_recent;
    bool timestamps;
    uint64_t since;
};

struct net_pcb_counts net_pcb_counts;
static struct tcp_pcb **table;
static struct time_wait **tw_table;
static uint32_t table_mask;
static uint64_t hash_key[2];
static struct tcp_pcb *parked;
static struct time_wait *tw_oldest, **tw_newest = &tw_oldest;
static uint32_t tw_limit;
static uint16_t *port_connections; /* by local port */

bool net_pcb_init(uint64_t memory)
{
    uint32_t size = 1024;
    while (size < 65536 && (uint64_t)size * 16384 < memory)
        size *= 2;
    table_mask = size - 1;
    table = calloc(size, sizeof *table);
    tw_table = calloc(size, sizeof *tw_table);
    port_connections = calloc(65536, sizeof *port_connections);
    tw_limit = (uint32_t)(memory / 512 / sizeof(struct time_wait));
    if (tw_limit < 64)
        tw_limit = 64;
    hash_key[0] = (uint64_t)port_random() << 32 | port_random();
    hash_key[1] = (uint64_t)port_random() << 32 | port_random() | 1;
    return table && tw_table && port_connections;
}

/* ---- hashing ---- */

static uint64_t mix(uint64_t h, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128)(h ^ word) * 0x9e3779b97f4a7c15ull;
    return (uint64_t)product ^ (uint64_t)(product >> 64) ^ hash_key[1];
}

static uint64_t mix_address(uint64_t h, const ip_addr_t *a)
{
    if (IP_IS_V6(a)) {
        const uint32_t *w = ip_2_ip6(a)->addr;
        h = mix(h, (uint64_t)w[0] << 32 | w[1]);
        return mix(h, (uint64_t)w[2] << 32 | w[3]);
    }
    return mix(h, ip_2_ip4(a)->addr);
}

static uint32_t hash_of(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                        uint16_t remote_port)
{
    uint64_t h = mix(hash_key[0], (uint64_t)local_port << 16 | remote_port);
    h = mix_address(mix_address(h, local), remote);
    return (uint32_t)(h ^ h >> 32) & table_mask;
}

uint32_t net_tcp_isn(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                     uint16_t remote_port)
{
    uint64_t h = mix(hash_key[1], (uint64_t)local_port << 16 | remote_port);
    h = mix(mix_address(mix_address(h, local), remote), hash_key[0]);
    return (uint32_t)(h ^ h >> 32) + (uint32_t)(port_now() / 64); /* RFC 6528; moves on by 64 ns */
}

static void hash_insert(struct tcp_pcb *pcb)
{
    struct tcp_pcb **bucket =
        &table[hash_of(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port)];
    EXT(pcb, X_HASH_NEXT) = *bucket;
    EXT(pcb, X_HASH_LINK) = bucket;
    if (*bucket)
        EXT(*bucket, X_HASH_LINK) = &EXT(pcb, X_HASH_NEXT);
    *bucket = pcb;
}

static void hash_remove(struct tcp_pcb *pcb)
{
    struct tcp_pcb *next = EXT(pcb, X_HASH_NEXT);
    *(void **)EXT(pcb, X_HASH_LINK) = next;
    if (next)
        EXT(next, X_HASH_LINK) = EXT(pcb, X_HASH_LINK);
    EXT(pcb, X_HASH_NEXT) = EXT(pcb, X_HASH_LINK) = NULL;
}

static struct tcp_pcb *find_pcb(const ip_addr_t *local, uint16_t lport, const ip_addr_t *remote,
                                uint16_t rport)
{
    struct tcp_pcb *pcb = table[hash_of(local, lport, remote, rport)];
    for (; pcb; pcb = EXT(pcb, X_HASH_NEXT))
        if (pcb->local_port == lport && pcb->remote_port == rport &&
            ip_addr_eq(&pcb->remote_ip, remote) && ip_addr_eq(&pcb->local_ip, local))
            return pcb;
    return NULL;
}

static struct time_wait *find_time_wait(const ip_addr_t *local, uint16_t lport,
                                        const ip_addr_t *remote, uint16_t rport)
{
    struct time_wait *t = tw_table[hash_of(local, lport, remote, rport)];
    for (; t; t = t->hash_next)
        if (t->local_port == lport && t->remote_port == rport && ip_addr_eq(&t->remote, remote) &&
            ip_addr_eq(&t->local, local))
            return t;
    return NULL;
}

/* ---- lwIP's lists ---- */

static void list_push(struct tcp_pcb **head, struct tcp_pcb *pcb)
{
    pcb->next = *head;
    EXT(pcb, X_PREV) = NULL;
    if (*head)
        EXT(*head, X_PREV) = pcb;
    *head = pcb;
}

static void list_unlink(struct tcp_pcb **head, struct tcp_pcb *pcb)
{
    struct tcp_pcb *prev = EXT(pcb, X_PREV);
    if (prev)
        prev->next = pcb->next;
    else if (*head == pcb)
        *head = pcb->next;
    if (pcb->next)
        EXT(pcb->next, X_PREV) = prev;
    pcb->next = NULL;
    EXT(pcb, X_PREV) = NULL;
}

static struct tcp_pcb **list_of(uintptr_t where)
{
    return where == PARKED ? &parked : where == TIME_WAITING ? &tcp_tw_pcbs : &tcp_active_pcbs;
}

static void set_where(struct tcp_pcb *pcb, uintptr_t where)
{
    uintptr_t old = WHERE(pcb);
    net_pcb_counts.active -= old == ACTIVE;
    net_pcb_counts.parked -= old == PARKED;
    net_pcb_counts.active += where == ACTIVE;
    net_pcb_counts.parked += where == PARKED;
    EXT(pcb, X_WHERE) = (void *)where;
}

/*
 * The PCB is being freed. If it is still in the tables, the slow timer has unlinked it from its
 * list.
 */
static void pcb_destroyed(uint8_t id, void *data)
{
    struct tcp_pcb *pcb = data;
    (void)id;
    if (WHERE(pcb) != NOWHERE) {
        if (pcb->next)
            EXT(pcb->next, X_PREV) = EXT(pcb, X_PREV);
        hash_remove(pcb);
        port_connections[pcb->local_port]--;
        set_where(pcb, NOWHERE);
    }
    net_pcb_gone(pcb);
}

static const struct tcp_ext_arg_callbacks pcb_callbacks = {.destroy = pcb_destroyed};

void net_pcb_register(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
    if (pcb->state == LISTEN || pcb->state == CLOSED) {
        if (pcb->state == LISTEN)
            list = &tcp_listen_pcbs.pcbs;
        pcb->next = *list;
        *list = pcb;
        return;
    }
    uintptr_t where = pcb->state == TIME_WAIT ? TIME_WAITING : ACTIVE;
    pcb->ext_args[X_SELF].callbacks = &pcb_callbacks;
    EXT(pcb, X_SELF) = pcb;
    list_push(list_of(where), pcb);
    hash_insert(pcb);
    port_connections[pcb->local_port]++;
    set_where(pcb, where);
}

void net_pcb_remove(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
    if (pcb->state != LISTEN && WHERE(pcb) != NOWHERE) {
        list_unlink(list_of(WHERE(pcb)), pcb);
        hash_remove(pcb);
        port_connections[pcb->local_port]--;
        set_where(pcb, NOWHERE);
        return;
    }
    if (pcb->state == LISTEN)
        list = &tcp_listen_pcbs.pcbs;
    else if (pcb->state == CLOSED)
        list = &tcp_bound_pcbs;
    for (; *list; list = &(*list)->next) {
        if (*list == pcb) {
            *list = pcb->next;
            break;
        }
    }
    pcb->next = NULL;
}

void net_pcb_register_active(struct tcp_pcb *pcb)
{
    net_pcb_register(&tcp_active_pcbs, pcb);
    tcp_active_pcbs_changed = 1;
}

void net_pcb_remove_active(struct tcp_pcb *pcb, int purge)
{
    if (purge)
        tcp_pcb_remove(&tcp_active_pcbs, pcb);
    else
        net_pcb_remove(&tcp_active_pcbs, pcb);
    tcp_active_pcbs_changed = 1;
}

void net_pcb_touch(struct tcp_pcb *pcb)
{
    if (WHERE(pcb) != PARKED)
        return;
    list_unlink(&parked, pcb);
    list_push(&tcp_active_pcbs, pcb);
    set_where(pcb, ACTIVE);
    pcb->tmr = tcp_ticks;
}

static bool is_idle(const struct tcp_pcb *pcb)
{
    if (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT &&
        !(pcb->state == FIN_WAIT_2 && !(pcb->flags & TF_RXCLOSED)))
        return false;
    return !pcb->unsent && !pcb->unacked && !pcb->ooseq && !pcb->refused_data &&
           !(pcb->so_options & SOF_KEEPALIVE) &&
           !(pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND | TF_NAGLEMEMERR)) &&
           tcp_ticks - pcb->tmr >= 2;
}

void net_pcb_park_idle(void)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
        next = pcb->next;
        if (is_idle(pcb)) {
            list_unlink(&tcp_active_pcbs, pcb);
            list_push(&parked, pcb);
            set_where(pcb, PARKED);
        }
    }
}

bool net_pcb_timer_needed(void)
{
    return tcp_active_pcbs;
}

void net_pcb_each(void (*each)(struct tcp_pcb *pcb, void *context), void *context)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
        each(pcb, context);
    for (struct tcp_pcb *pcb = parked; pcb; pcb = pcb->next)
        each(pcb, context);
}

void net_pcb_abort_orphans(void)
{
    for (struct tcp_pcb *pcb = parked, *next; pcb; pcb = next) {
        next = pcb->next;
        if (!address_is_own(&pcb->local_ip))
            tcp_abort(pcb);
    }
}

uint32_t net_pcb_port_connections(uint16_t port)
{
    return port_connections[port];
}

/* ---- TIME-WAIT ---- */

static void tw_remove(struct time_wait *t)
{
    *t->hash_link = t->hash_next;
    if (t->hash_next)
        t->hash_next->hash_link = t->hash_link;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    else
        tw_newest = t->link;
    port_connections[t->local_port]--;
    net_pcb_counts.time_wait--;
    net_heap_free(t);
}

static void tw_add(const struct tcp_pcb *pcb)
{
    if (net_pcb_counts.time_wait >= tw_limit) {
        net_pcb_counts.time_wait_evicted++;
        tw_remove(tw_oldest);
    }
    struct time_wait *t = net_heap_alloc(sizeof *t);
    if (!t)
        return;
    *t = (struct time_wait){
        .local = pcb->local_ip,
        .remote = pcb->remote_ip,
        .local_port = pcb->local_port,
        .remote_port = pcb->remote_port,
        .snd_nxt = pcb->snd_nxt,
        .rcv_nxt = pcb->rcv_nxt,
        .window = pcb->rcv_wnd,
        .ts_recent = pcb->ts_recent,
        .timestamps = pcb->flags & TF_TIMESTAMP,
        .since = port_now(),
    };
    t->hash_link = &tw_table[hash_of(&t->local, t->local_port, &t->remote, t->remote_port)];
    t->hash_next = *t->hash_link;
    if (t->hash_next)
        t->hash_next->hash_link = &t->hash_next;
    *t->hash_link = t;
    t->link = tw_newest;
    *tw_newest = t;
    tw_newest = &t->next;
    port_connections[t->local_port]++;
    net_pcb_counts.time_wait++;
}

void net_pcb_reap(uint64_t now)
{
    while (tcp_tw_pcbs) {
        tw_add(tcp_tw_pcbs);
        tcp_abort(tcp_tw_pcbs); /* in TIME-WAIT this sends nothing */
    }
    while (tw_oldest && now - tw_oldest->since >= TIME_WAIT_NS)
        tw_remove(tw_oldest);
}

uint64_t net_pcb_next_expiry(void)
{
    return tw_oldest ? tw_oldest->since + TIME_WAIT_NS : UINT64_MAX;
}

bool net_pcb_tuple_used(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                        uint16_t remote_port)
{
    if (find_pcb(local, local_port, remote, remote_port))
        return true;
    struct time_wait *t = find_time_wait(local, local_port, remote, remote_port);
    if (!t)
        return false;
    /* RFC 6191, from our side */
    if (t->timestamps && port_now() - t->since >= TIME_WAIT_REUSE_NS) {
        net_pcb_counts.time_wait_recycled++;
        tw_remove(t);
        return false;
    }
    return true;
}

/*
 * A segment for a connection in TIME-WAIT. A SYN beyond what was received is a new connection (RFC
 * 1122 4.2.2.13); a reset is ignored (RFC 1337); everything else that occupies sequence space is
 * acknowledged again.
 */
static bool tw_input(struct time_wait *t, const struct tcp_hdr *header, uint16_t size)
{
    uint8_t flags = TCPH_FLAGS(header);
    if (flags & TCP_RST)
        return true;
    if ((flags & TCP_SYN) && !(flags & TCP_ACK) &&
        TCP_SEQ_GT(lwip_ntohl(header->seqno), t->rcv_nxt)) {
        net_pcb_counts.time_wait_recycled++;
        tw_remove(t);
        return false;
    }
    uint16_t header_size = TCPH_HDRLEN_BYTES(header);
    if (!(flags & (TCP_SYN | TCP_FIN)) && size <= header_size)
        return true;
    if (flags & TCP_FIN && t->next) { /* lives on for its whole time: to the end of the list */
        *t->link = t->next;
        t->next->link = t->link;
        t->next = NULL;
        t->link = tw_newest;
        *tw_newest = t;
        tw_newest = &t->next;
    }
    if (flags & TCP_FIN)
        t->since = port_now();
    struct tcp_pcb *pcb = tcp_alloc(TCP_PRIO_NORMAL); /* on loan, for lwIP to build the segment */
    if (!pcb)
        return true;
    pcb->local_ip = t->local;
    pcb->remote_ip = t->remote;
    pcb->local_port = t->local_port;
    pcb->remote_port = t->remote_port;
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
    return true;
}

/* ---- input ---- */

void net_pcb_match(const struct tcp_hdr *header, struct pbuf *p, struct net_pcb_match *match)
{
    const ip_addr_t *local = ip_current_dest_addr(), *remote = ip_current_src_addr();
    uint16_t local_port = lwip_ntohs(header->dest), remote_port = lwip_ntohs(header->src);
    struct tcp_pcb *pcb = find_pcb(local, local_port, remote, remote_port);
    if (pcb && pcb->netif_idx != NETIF_NO_INDEX &&
        pcb->netif_idx != netif_get_index(ip_current_input_netif()))
        pcb = NULL;
    if (pcb) {
        if (pcb->state == TIME_WAIT) {
            match->time_wait = pcb;
        } else {
            net_pcb_touch(pcb);
            match->active = pcb;
        }
        return;
    }
    struct time_wait *t = find_time_wait(local, local_port, remote, remote_port);
    if (t && tw_input(t, header, p->tot_len)) {
        match->consumed = true;
        return;
    }
    match->listen = net_listener_find(local, local_port, remote, remote_port);
}
