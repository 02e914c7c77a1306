/* SPDX-License-Identifier: MIT */
/* lwIP's interfaces: eth0 over the device, and loopback. */
#ifndef NET_NETIF_H
#define NET_NETIF_H

#include "device.h"
#include "lwip/netif.h"

extern struct netif net_eth, net_loop;

bool net_eth_start(struct net_device *d, uint64_t memory);
bool net_eth_turn(void);                       /* completions, frames; true: there is more */
void net_eth_flush(void);                      /* kick */
bool net_eth_before_sleep(bool wait_for_sent); /* interrupts on; true: work has arrived */
/*
 * Grace periods. What the device may be reading at an epoch is out of its hands when
 * net_eth_epoch_over() of that epoch. The caller sleeps with wait_for_sent while it waits.
 */
uint64_t net_eth_epoch(void);
bool net_eth_epoch_over(uint64_t epoch);
bool net_eth_owns(const struct pbuf *p); /* it is a receive buffer of ours */
bool net_eth_scarce(void);               /* few receive buffers are left: copy instead of keeping */
struct tcp_pcb;
bool net_eth_large(const struct tcp_pcb *pcb); /* may be given segments of up to 64 KiB */
void net_loop_start(void);
/* A packet to a group, which goes out by n, comes in by it, too (IP_MULTICAST_LOOP). */
void net_loop_group(struct netif *n, struct pbuf *p);
bool net_loop_turn(void); /* true: there is more */
bool net_loop_idle(void);

#endif
