/* SPDX-License-Identifier: MIT */
/*
 * Laid over lwIP's own header of this name: registering and removing a PCB go through pcb.c, which
 * keeps a hash table and a doubly linked list beside lwIP's lists, so that both take constant time.
 */
#ifndef NET_LWIP_TCP_PRIV_H
#define NET_LWIP_TCP_PRIV_H

#include_next "lwip/priv/tcp_priv.h"

void net_pcb_register(struct tcp_pcb **list, struct tcp_pcb *pcb);
void net_pcb_remove(struct tcp_pcb **list, struct tcp_pcb *pcb);

#undef TCP_REG
#undef TCP_RMV
#undef TCP_REG_ACTIVE
#undef TCP_RMV_ACTIVE
#undef TCP_PCB_REMOVE_ACTIVE
#define TCP_REG(list, pcb) net_pcb_register(list, pcb)
#define TCP_RMV(list, pcb) net_pcb_remove(list, pcb)
/*
 * In a function: tcp_in.c is compiled with another meaning of tcp_active_pcbs (see tcp_in.c beside
 * this folder).
 */
void net_pcb_register_active(struct tcp_pcb *pcb);
void net_pcb_remove_active(struct tcp_pcb *pcb, int purge);
#define TCP_REG_ACTIVE(pcb)        net_pcb_register_active(pcb)
#define TCP_RMV_ACTIVE(pcb)        net_pcb_remove_active(pcb, 0)
#define TCP_PCB_REMOVE_ACTIVE(pcb) net_pcb_remove_active(pcb, 1)

#undef TCP_FIN_WAIT_TIMEOUT
#undef TCP_SYN_RCVD_TIMEOUT
#define TCP_FIN_WAIT_TIMEOUT 60000 /* ms */
#define TCP_SYN_RCVD_TIMEOUT 10000

#endif
