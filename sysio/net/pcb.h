/* SPDX-License-Identifier: MIT */
/*
 * Which PCB does a TCP segment belong to: a keyed hash table of connections, compact records of
 * connections in TIME-WAIT (time_wait.h), and listeners by port. lwIP's own lists remain as what
 * its timers walk: idle connections are taken off them ("parked") until something happens, so that
 * ten thousand of them cost nothing.
 */
#ifndef NET_PCB_H
#define NET_PCB_H

#include "lwip/opt.h"
#include "lwip/priv/tcp_priv.h"
#include <stdbool.h>
#include <stdint.h>

/* The two ends of a connection. */
struct net_tuple {
    ip_addr_t local, remote;
    uint16_t local_port, remote_port;
};

struct net_tuple net_tuple_of(const struct tcp_pcb *pcb);
bool net_tuple_eq(const struct net_tuple *a, const struct net_tuple *b);
/* Keyed by random numbers that nobody outside learns; the second for sequence numbers alone. */
uint32_t net_tuple_hash(const struct net_tuple *tuple);
uint32_t net_tuple_secret(const struct net_tuple *tuple);

struct net_pcb_match {
    struct tcp_pcb *active;
    struct tcp_pcb_listen *listen;
    bool consumed; /* dealt with already: drop the segment */
};

struct tcp_pcb *net_pcb_find(const struct net_tuple *tuple); /* of a connection; NULL: none */
/* Sizes the tables. false: no memory. */
bool net_pcb_init(uint64_t memory);
/* Finds the candidates for a segment; the header is still in network order. */
void net_pcb_match(const struct tcp_hdr *header, struct pbuf *p, struct net_pcb_match *match);
/*
 * Puts a parked PCB back where lwIP's timers see it. To be called before anything is done with a
 * connection.
 */
void net_pcb_touch(struct tcp_pcb *pcb);
/* Turns what is in TIME-WAIT into records, and drops records that have expired. */
void net_pcb_reap(uint64_t now);
/* After each slow tick: parks what is idle. */
void net_pcb_park_idle(void);
void net_pcb_keep_alive(void); /* at each slow tick: what lwIP leaves out */
bool net_pcb_timer_needed(void);
/* Is there such a connection? (A TIME-WAIT record that may be reused is removed instead.) */
bool net_pcb_tuple_used(const struct net_tuple *tuple);
/* A local port has one user more, or less. */
void net_pcb_port_used(uint16_t port, int change);
/* Connections (TIME-WAIT included) that use a local port. */
uint32_t net_pcb_port_connections(uint16_t port);
/* An address has gone: aborts parked connections that had it (lwIP aborts those it sees). */
void net_pcb_abort_orphans(void);

struct net_pcb_counts {
    uint32_t active, parked, time_wait;
    uint64_t time_wait_recycled, time_wait_evicted;
};
extern struct net_pcb_counts net_pcb_counts;
/* Calls each(pcb, context) for every connection; the callback must not remove any. */
void net_pcb_each(void (*each)(struct tcp_pcb *pcb, void *context), void *context);

#endif
