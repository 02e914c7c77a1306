/* SPDX-License-Identifier: MIT */
/* The short way between two sockets of this machine: see direct.c. */
#ifndef NET_DIRECT_H
#define NET_DIRECT_H

#include "socket.h"

/*
 * What went the short way is counted as `n` segments between addresses like this one: who looks at
 * the traffic of this machine sees it.
 */
void direct_count(const ip_addr_t *address, uint32_t n);
/* `s` has just been accepted: finds the other end, if it is here. */
void direct_pair(struct socket *s);
/*
 * direct_ends.c: a new PCB that is to be connected, bound to its own end; and one that has nothing
 * left to send, whose FIN is due. false: nothing has happened, it takes segments. A PCB that is
 * through is freed, as after a segment.
 */
bool direct_connect(struct tcp_pcb *pcb, const ip_addr_t *to, uint16_t port,
                    tcp_connected_fn connected);
bool direct_fin(struct tcp_pcb *pcb);
/* One end's PCB is gone, or lives on alone: what is left takes the long way. */
void direct_part(struct socket *s);
/* Whether the next bytes of `s` may go directly. */
bool direct_open(const struct socket *s);
/* As many of the `size` bytes at tx_sent as there is room for; tx_sent moves on. Result: how many.
 */
uint32_t direct_send(struct socket *s, uint32_t size);
/* `s` may have room again for what the other end holds back. That end may be freed. */
void direct_resume(struct socket *s);
/* `s` takes no more bytes (closed, rx_shut): what is held back goes the long way. */
void direct_end(struct socket *s);

#endif
