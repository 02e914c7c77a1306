/* SPDX-License-Identifier: MIT */
#ifndef NET_VIRTIO_NET_H
#define NET_VIRTIO_NET_H

#include "device.h"
#include <motor/abi.h>

/*
 * The first virtio-net device, its interrupt bound to gate; NULL: there is none, or it does not
 * work.
 */
struct net_device *virtio_net_open(motor_handle gate, uint64_t memory);
bool virtio_net_arrived(struct net_device *d); /* received() would find something */
void virtio_net_interrupt_begin(struct net_device *d);
void virtio_net_interrupt_end(struct net_device *d);

#endif
