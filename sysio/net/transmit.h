/* SPDX-License-Identifier: MIT */
/* Frames on their way to the device (transmit.c). For netif.c. */
#ifndef NET_TRANSMIT_H
#define NET_TRANSMIT_H

#include "device.h"
#include "lwip/pbuf.h"
#include "netif.h"

struct session;

/* One contiguous place that the device fills, offered again and again; a pbuf while lwIP has it. */
struct rx_buffer {
    struct pbuf_custom custom; /* first: lwIP gives it back by this address */
    struct rx_buffer *next;
    uint8_t *data;
    uint64_t physical;
    uint32_t size;
};

void transmit_start(struct net_device *d);
/* netif->linkoutput */
err_t transmit_frame(struct netif *netif, struct pbuf *p);
/* frees what the device has sent, and sends what waited for room */
void transmit_reap(void);
bool transmit_waits(void); /* frames wait for room in the device */

#endif
