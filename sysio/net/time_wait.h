/* SPDX-License-Identifier: MIT */
/*
 * Connections in TIME-WAIT, as compact records, and what a new connection between the same two ends
 * must know of the old one: when it may take the old one's place, and where its sequence numbers
 * must start.
 */
#ifndef NET_TIME_WAIT_H
#define NET_TIME_WAIT_H

#include "pcb.h"

/* Sizes the table. false: no memory. */
bool time_wait_init(uint64_t memory, uint32_t buckets);
/* Records a connection. Without memory for it there is no record: the PCB may go in any case. */
void time_wait_add(const struct tcp_pcb *pcb);
/* Drops records that have expired. */
void time_wait_expire(uint64_t now);
/*
 * A segment (header in network order) from remote to local, for which there is no PCB. true: it
 * belonged to a record and is dealt with. A SYN that may reopen the connection removes the record
 * instead, if there is a listener for it.
 */
bool time_wait_input(const struct net_tuple *tuple, const struct tcp_hdr *header, struct pbuf *p,
                     bool listener);
/* Is there a record, and may no new connection take its place yet? */
bool time_wait_stands(const struct net_tuple *tuple);
/* May we not connect from local to remote because of a record? One that may be reused goes. */
bool time_wait_blocks(const struct net_tuple *tuple);

#endif
