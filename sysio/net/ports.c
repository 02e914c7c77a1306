/* SPDX-License-Identifier: MIT */
/* Bindings in a table by protocol and port. The table's order is that of binding, newest first. */
#include "ports.h"
#include "pcb.h"
#include <errno.h>
#include <stddef.h>

#define BUCKETS         1024u
#define EPHEMERAL_FIRST 32768u
#define EPHEMERAL_COUNT 28232u /* to 60999, as on Linux */

static struct binding *table[BUCKETS];

static struct socket *socket_of(struct binding *b)
{
    return (struct socket *)((char *)b - offsetof(struct socket, binding));
}

static struct binding **bucket(uint8_t protocol, uint16_t port)
{
    return &table[(port ^ (uint32_t)protocol * 97) & (BUCKETS - 1)];
}

static bool overlap(const struct socket *a, const ip_addr_t *x, const struct socket *b,
                    const ip_addr_t *y)
{
    bool any_x = ip_addr_isany(x) || IP_IS_ANY_TYPE_VAL(*x),
         any_y = ip_addr_isany(y) || IP_IS_ANY_TYPE_VAL(*y);
    bool both_x = IP_IS_ANY_TYPE_VAL(*x), both_y = IP_IS_ANY_TYPE_VAL(*y);
    (void)a, (void)b;
    if (!both_x && !both_y && IP_IS_V6(x) != IP_IS_V6(y))
        return false;
    return any_x || any_y || ip_addr_eq(x, y);
}

static bool conflicts(const struct socket *s, const ip_addr_t *address, struct binding *b)
{
    struct socket *other = socket_of(b);
    if (s == other || (s->netif && b->netif && s->netif != b->netif) ||
        !overlap(s, address, other, &b->address))
        return false;
    if (s->reuse_port && other->reuse_port && s->uid == other->uid)
        return false;
    if (s->reuse_address && other->reuse_address &&
        (s->type != 1 || other->state != SOCKET_LISTENING))
        return false;
    return true;
}

static bool free_for(const struct socket *s, uint8_t protocol, const ip_addr_t *address,
                     uint16_t port)
{
    for (struct binding *b = *bucket(protocol, port); b; b = b->next)
        if (b->port == port && b->protocol == protocol && conflicts(s, address, b))
            return false;
    return protocol != IP_PROTO_TCP || s->reuse_address || !net_pcb_port_connections(port);
}

static void insert(struct socket *s, uint8_t protocol, const ip_addr_t *address, uint16_t port)
{
    struct binding *b = &s->binding, **head = bucket(protocol, port);
    b->address = *address;
    b->port = port;
    b->protocol = protocol;
    b->netif = s->netif;
    b->next = *head;
    b->link = head;
    if (b->next)
        b->next->link = &b->next;
    *head = b;
}

void port_unbind(struct socket *s)
{
    struct binding *b = &s->binding;
    if (b->link) {
        *b->link = b->next;
        if (b->next)
            b->next->link = b->link;
    }
    *b = (struct binding){0};
}

static bool is_taken(struct socket *s, uint8_t protocol, const ip_addr_t *address, uint16_t port)
{
    if (protocol == IP_PROTO_TCP && net_pcb_port_connections(port))
        return true;
    for (struct binding *b = *bucket(protocol, port); b; b = b->next)
        if (b->port == port && b->protocol == protocol &&
            overlap(s, address, socket_of(b), &b->address))
            return true;
    return false;
}

/*
 * One after the other, so that nobody gets a port of which late segments are still under way, and
 * now and then from a random place on, so that nobody can tell which is next. 0: none is free.
 */
static uint16_t ephemeral(struct socket *s, uint8_t protocol, const ip_addr_t *address)
{
    static uint32_t next;
    if (!next || port_random() % 8 == 0)
        next = port_random() % EPHEMERAL_COUNT;
    for (uint32_t i = 0; i < EPHEMERAL_COUNT; i++) {
        uint16_t port = (uint16_t)(EPHEMERAL_FIRST + next);
        next = (next + 1) % EPHEMERAL_COUNT;
        if (!is_taken(s, protocol, address, port))
            return port;
    }
    return 0;
}

int port_bind(struct socket *s, uint8_t protocol, const ip_addr_t *address, uint16_t port)
{
    bool explicit_port = port;
    if (explicit_port && !free_for(s, protocol, address, port))
        return -EADDRINUSE;
    if (!explicit_port && !(port = ephemeral(s, protocol, address)))
        return -EADDRINUSE;
    insert(s, protocol, address, port);
    s->binding.explicit_port = explicit_port;
    s->binding.explicit_address = !ip_addr_isany(address) && !IP_IS_ANY_TYPE_VAL(*address);
    return 0;
}

/*
 * Where the search for a connection's port begins: each destination has a random place of its own,
 * and goes on from its last one, so that all other ports come before one that was just in use (RFC
 * 6056, 3.3.4).
 */
static uint32_t *last_offset(const struct net_tuple *destination, uint32_t *place)
{
    static uint32_t offsets[256];
    uint32_t secret = net_tuple_secret(destination);
    *place = secret % EPHEMERAL_COUNT;
    return &offsets[secret >> 24];
}

/*
 * A port that only connections use may be shared by many of them, as long as their other ends
 * differ.
 */
int port_bind_connect(struct socket *s, const ip_addr_t *local, const ip_addr_t *remote,
                      uint16_t remote_port)
{
    struct net_tuple tuple = {*local, *remote, 0, remote_port};
    uint32_t place, *offset = last_offset(&tuple, &place);
    for (uint32_t i = 0; i < EPHEMERAL_COUNT; i++) {
        uint16_t port = (uint16_t)(EPHEMERAL_FIRST + (place + *offset) % EPHEMERAL_COUNT);
        *offset = (*offset + 1) % EPHEMERAL_COUNT;
        bool taken = false;
        for (struct binding *b = *bucket(IP_PROTO_TCP, port); b && !taken; b = b->next)
            taken = b->port == port && b->protocol == IP_PROTO_TCP &&
                    (b->explicit_port || socket_of(b)->state == SOCKET_LISTENING);
        tuple.local_port = port;
        if (taken || net_pcb_tuple_used(&tuple))
            continue;
        insert(s, IP_PROTO_TCP, local, port);
        return 0;
    }
    return -EADDRNOTAVAIL;
}

int port_may_listen(const struct socket *s)
{
    for (struct binding *b = *bucket(IP_PROTO_TCP, s->binding.port); b; b = b->next) {
        struct socket *other = socket_of(b);
        if (other != s && b->port == s->binding.port && b->protocol == IP_PROTO_TCP &&
            other->state == SOCKET_LISTENING &&
            overlap(s, &s->binding.address, other, &b->address) &&
            !(s->reuse_port && other->reuse_port))
            return -EADDRINUSE;
    }
    return 0;
}

static uint32_t score(const struct binding *b, const ip_addr_t *local)
{
    if (IP_IS_ANY_TYPE_VAL(b->address))
        return 1;
    if (IP_IS_V6_VAL(b->address) != IP_IS_V6(local))
        return 0;
    return ip_addr_isany(&b->address) ? 2 : ip_addr_eq(&b->address, local) ? 3 : 0;
}

static uint32_t sender_hash(const ip_addr_t *remote, uint16_t port)
{
    return (uint32_t)port * 0x9e3779b1u ^
           (IP_IS_V6(remote) ? ip_2_ip6(remote)->addr[3] : ip_2_ip4(remote)->addr) * 0x85ebca77u;
}

struct tcp_pcb_listen *net_listener_find(const struct net_tuple *ends, uint8_t netif)
{
    const ip_addr_t *remote = &ends->remote;
    struct socket *best = NULL;
    uint32_t best_score = 0, equal = 0;
    uint32_t hash = sender_hash(remote, ends->remote_port);
    for (struct binding *b = *bucket(IP_PROTO_TCP, ends->local_port); b; b = b->next) {
        struct socket *s = socket_of(b);
        if (b->port != ends->local_port || b->protocol != IP_PROTO_TCP ||
            s->state != SOCKET_LISTENING || !s->listen || (b->netif && b->netif != netif))
            continue;
        uint32_t points = score(b, &ends->local);
        if (points > best_score) {
            best = s;
            best_score = points;
            equal = 1;
        } else if (points && points == best_score) { /* SO_REUSEPORT: each of n with chance 1/n,
                                                        fixed by the peer */
            equal++;
            if ((uint64_t)(hash * 2654435761u * equal) * equal >> 32 == 0)
                best = s;
        }
    }
    return best ? best->listen : NULL;
}

static bool shares(const struct socket *s, struct binding *b)
{
    const struct socket *other = socket_of(b);
    return b->port == s->binding.port && b->protocol == s->binding.protocol &&
           b->netif == s->binding.netif && ip_addr_eq(&b->address, &s->binding.address) &&
           other->reuse_port && !other->peer_set;
}

struct socket *ports_share(struct socket *s, const ip_addr_t *from, uint16_t from_port)
{
    struct binding *first = *bucket(s->binding.protocol, s->binding.port);
    uint32_t count = 0, hash = sender_hash(from, from_port);
    for (struct binding *b = first; b; b = b->next)
        count += shares(s, b);
    uint32_t chosen = (uint32_t)((uint64_t)hash * count >> 32);
    for (struct binding *b = first; b; b = b->next)
        if (shares(s, b) && !chosen--)
            return socket_of(b);
    return s;
}

void ports_each_at(uint8_t protocol, uint16_t port, void (*each)(struct socket *s, void *context),
                   void *context)
{
    for (struct binding *b = *bucket(protocol, port); b; b = b->next)
        if (b->port == port && b->protocol == protocol)
            each(socket_of(b), context);
}

void ports_each(void (*each)(struct socket *s, void *context), void *context)
{
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct binding *b = table[i]; b; b = b->next)
            each(socket_of(b), context);
}
