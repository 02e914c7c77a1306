/* SPDX-License-Identifier: MIT */
/* The short way between two sockets of this machine: see direct.c. */
#ifndef NET_DIRECT_H
#define NET_DIRECT_H

#include "socket.h"

/* `s` has just been accepted: finds the other end, if it is here. */
void direct_pair(struct socket *s);
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
