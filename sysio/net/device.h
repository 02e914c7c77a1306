/* SPDX-License-Identifier: MIT */
/*
 * What the engine needs of a network card: frames out of scattered memory and into buffers,
 * completions, and an interrupt that can be held off. virtio_net.c is one; the host's simulator is
 * another.
 */
#ifndef NET_DEVICE_H
#define NET_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct net_part {
    uint64_t physical;
    uint32_t size;
};

/* virtio_net_hdr_v1: precedes every frame, in both directions */
struct net_header {
    uint8_t flags, gso_type;
    uint16_t header_size, gso_size, checksum_start, checksum_offset, buffers;
};
_Static_assert(sizeof(struct net_header) == 12, "virtio 1.2, 5.1.6");
#define NET_HEADER_NEEDS_CHECKSUM 1u
#define NET_HEADER_DATA_VALID     2u
#define NET_GSO_NONE              0u
#define NET_GSO_TCP4              1u
#define NET_GSO_TCP6              4u

struct net_device {
    uint8_t mac[6];
    uint16_t mtu;
    bool tx_checksum;          /* the device completes checksums */
    bool rx_checksum;          /* it may pass frames whose checksum need not be looked at */
    bool merge;                /* a frame may fill several buffers */
    bool rx_large;             /* frames of up to 64 KiB may arrive */
    bool tx_large4, tx_large6; /* it segments TCP */
    uint32_t parts_max;        /* of one frame */
    uint32_t rx_slots;         /* buffers it can hold */

    bool (*link)(struct net_device *d);
    /* 0, or -1: no room */
    int (*send)(struct net_device *d, const struct net_part *parts, uint32_t count, void *token);
    void *(*sent)(struct net_device *d); /* tokens of frames that have gone; NULL: none */
    /* 0, or -1: no room */
    int (*offer)(struct net_device *d, uint64_t physical, uint32_t size, void *token);
    /* a filled buffer's token */
    void *(*received)(struct net_device *d, uint32_t *size);
    void (*kick)(struct net_device *d); /* all that was sent and offered since the last kick */
    /* interrupts on; true: something has arrived meanwhile. sending: also when a frame has gone */
    bool (*rest)(struct net_device *d, bool sending);
    void (*busy)(struct net_device *d); /* interrupts off */
};

#endif
