/* SPDX-License-Identifier: MIT */
/*
 * Who has bound which port, by Linux's rules (SO_REUSEADDR, SO_REUSEPORT, dual-stack), and
 * ephemeral ports.
 */
#ifndef NET_PORTS_H
#define NET_PORTS_H

#include "socket.h"

/* Binds to an address and port (0: an ephemeral one). 0, -EADDRINUSE, -EADDRNOTAVAIL. */
int port_bind(struct socket *s, uint8_t protocol, const ip_addr_t *address, uint16_t port);
/* A local port for a connection, so that the 4-tuple is new. */
int port_bind_connect(struct socket *s, const ip_addr_t *local, const ip_addr_t *remote,
                      uint16_t remote_port);
/*
 * A connection that came from a listener is not bound itself: this only copies what getsockname
 * tells.
 */
void port_unbind(struct socket *s);
/* May a socket listen where it is bound? 0 or -EADDRINUSE. */
int port_may_listen(const struct socket *s);
/* For a connection whose end here is the local one, which comes in by an interface. NULL: none. */
struct tcp_pcb_listen *net_listener_find(const struct net_tuple *ends, uint8_t netif);
/*
 * Of the datagram sockets that share the binding of s by SO_REUSEPORT: the one that has what comes
 * from there. Each has its share of senders, and a sender always the same one.
 */
struct socket *ports_share(struct socket *s, const ip_addr_t *from, uint16_t from_port);
/* Of one protocol and port. */
void ports_each_at(uint8_t protocol, uint16_t port, void (*each)(struct socket *s, void *context),
                   void *context);
void ports_each(void (*each)(struct socket *s, void *context), void *context);

#endif
