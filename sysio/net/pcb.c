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
#include "time_wait.h"
#include <stdlib.h>
#include <string.h>

enum { NOWHERE, ACTIVE, PARKED, TIME_WAITING };
enum { X_SELF, X_PREV, X_HASH_NEXT, X_HASH_LINK, X_WHERE };
#define EXT(pcb, x) ((pcb)->ext_args[x].data)
#define WHERE(pcb)  ((uintptr_t)EXT(pcb, X_WHERE))

struct net_pcb_counts net_pcb_counts;
static struct tcp_pcb **table;
static uint32_t table_mask;
static uint64_t hash_key[2];
static struct tcp_pcb *parked;
static uint16_t *port_connections; /* by local port */

bool net_pcb_init(uint64_t memory)
{
    uint32_t size = 1024;
    while (size < 65536 && (uint64_t)size * 16384 < memory)
        size *= 2;
    table_mask = size - 1;
    table = calloc(size, sizeof *table);
    port_connections = calloc(65536, sizeof *port_connections);
    hash_key[0] = (uint64_t)port_random() << 32 | port_random();
    hash_key[1] = (uint64_t)port_random() << 32 | port_random() | 1;
    return time_wait_init(memory, size) && table && port_connections;
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

static uint64_t mix_tuple(uint64_t h, const struct net_tuple *t)
{
    h = mix(h, (uint64_t)t->local_port << 16 | t->remote_port);
    return mix_address(mix_address(h, &t->local), &t->remote);
}

uint32_t net_tuple_hash(const struct net_tuple *tuple)
{
    uint64_t h = mix_tuple(hash_key[0], tuple);
    return (uint32_t)(h ^ h >> 32);
}

uint32_t net_tuple_secret(const struct net_tuple *tuple)
{
    uint64_t h = mix(mix_tuple(hash_key[1], tuple), hash_key[0]);
    return (uint32_t)(h ^ h >> 32);
}

bool net_tuple_eq(const struct net_tuple *a, const struct net_tuple *b)
{
    return a->local_port == b->local_port && a->remote_port == b->remote_port &&
           ip_addr_eq(&a->remote, &b->remote) && ip_addr_eq(&a->local, &b->local);
}

struct net_tuple net_tuple_of(const struct tcp_pcb *pcb)
{
    return (struct net_tuple){pcb->local_ip, pcb->remote_ip, pcb->local_port, pcb->remote_port};
}

static void hash_insert(struct tcp_pcb *pcb)
{
    struct net_tuple tuple = net_tuple_of(pcb);
    struct tcp_pcb **bucket = &table[net_tuple_hash(&tuple) & table_mask];
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

struct tcp_pcb *net_pcb_find(const struct net_tuple *t)
{
    struct tcp_pcb *pcb = table[net_tuple_hash(t) & table_mask];
    for (; pcb; pcb = EXT(pcb, X_HASH_NEXT))
        if (pcb->local_port == t->local_port && pcb->remote_port == t->remote_port &&
            ip_addr_eq(&pcb->remote_ip, &t->remote) && ip_addr_eq(&pcb->local_ip, &t->local))
            return pcb;
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

/* Keepalive in FIN-WAIT-2, where lwIP has none. true: the peer is given up. */
static bool keep_alive(struct tcp_pcb *pcb)
{
    uint32_t idle = (tcp_ticks - pcb->tmr) * TCP_SLOW_INTERVAL;
    if (idle > pcb->keep_idle + pcb->keep_cnt * pcb->keep_intvl)
        return true;
    if (idle > pcb->keep_idle + pcb->keep_cnt_sent * pcb->keep_intvl &&
        tcp_keepalive(pcb) == ERR_OK)
        pcb->keep_cnt_sent++;
    return false;
}

void net_pcb_keep_alive(void)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb;) {
        bool asks = pcb->state == FIN_WAIT_2 && pcb->so_options & SOF_KEEPALIVE &&
                    !(pcb->flags & TF_RXCLOSED);
        struct tcp_pcb *next = pcb->next;
        if (asks && keep_alive(pcb)) {
            tcp_abort(pcb); /* others may go with it */
            next = tcp_active_pcbs;
        }
        pcb = next;
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

void net_pcb_port_used(uint16_t port, int change)
{
    port_connections[port] = (uint16_t)(port_connections[port] + change);
}

bool net_pcb_tuple_used(const struct net_tuple *tuple)
{
    return net_pcb_find(tuple) || time_wait_blocks(tuple);
}

/* ---- TIME-WAIT ---- */

static void reap(struct tcp_pcb *pcb)
{
    time_wait_add(pcb);
    tcp_abort(pcb); /* in TIME-WAIT this sends nothing */
}

void net_pcb_reap(uint64_t now)
{
    while (tcp_tw_pcbs)
        reap(tcp_tw_pcbs);
    time_wait_expire(now);
}

/* ---- input ---- */

void net_pcb_match(const struct tcp_hdr *header, struct pbuf *p, struct net_pcb_match *match)
{
    struct net_tuple tuple = {*ip_current_dest_addr(), *ip_current_src_addr(),
                              lwip_ntohs(header->dest), lwip_ntohs(header->src)};
    struct tcp_pcb *pcb = net_pcb_find(&tuple);
    if (pcb && pcb->netif_idx != NETIF_NO_INDEX &&
        pcb->netif_idx != netif_get_index(ip_current_input_netif()))
        pcb = NULL;
    if (pcb && pcb->state != TIME_WAIT) {
        net_pcb_touch(pcb);
        if (pcb->state == FIN_WAIT_1) /* FIN-WAIT-2 is limited from when it begins */
            pcb->tmr = tcp_ticks;
        match->active = pcb;
        return;
    }
    if (pcb)
        reap(pcb);
    match->listen = net_listener_find(&tuple, netif_get_index(ip_current_input_netif()));
    match->consumed = time_wait_input(&tuple, header, p, match->listen);
}
