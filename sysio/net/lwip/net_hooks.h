/* SPDX-License-Identifier: MIT */
/* What lwIP asks us on its way (LWIP_HOOK_*). */
#ifndef NET_LWIP_HOOKS_H
#define NET_LWIP_HOOKS_H

#include <lwip/arch.h>
#include <lwip/err.h>
#include <lwip/ip_addr.h>

struct tcp_pcb;
struct tcp_hdr;
struct pbuf;
struct netif;

uint32_t net_tcp_isn(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                     uint16_t remote_port);
err_t net_tcp_filter(struct tcp_pcb *pcb, struct tcp_hdr *header, struct pbuf *p);
struct netif *net_route4(const ip4_addr_t *source, const ip4_addr_t *destination);
struct netif *net_route6(const ip6_addr_t *source, const ip6_addr_t *destination);

#define LWIP_HOOK_TCP_ISN                                              net_tcp_isn
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p) net_tcp_filter(pcb, hdr, p)

#endif
