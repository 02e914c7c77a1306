/* SPDX-License-Identifier: MIT */
/*
 * virtio-net: one queue pair. Offloads are taken when offered; large receive needs mergeable
 * buffers.
 */
#include "virtio_net.h"
#include "../virtio/virtio.h"
#include "port.h"

#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU        (1ull << 3)
#define F_MAC        (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_HOST_TSO4  (1ull << 11)
#define F_HOST_TSO6  (1ull << 12)
#define F_MRG_RXBUF  (1ull << 15)
#define F_STATUS     (1ull << 16)

enum { RX = 0, TX = 1 };
enum { CONFIG_MAC = 0, CONFIG_STATUS = 6, CONFIG_MTU = 10 };
#define PARTS_MAX 64u

struct virtio_net {
    struct net_device device; /* first */
    struct virtio_device *virtio;
    struct virtq *rx, *tx;
    bool has_status;
};

static struct virtio_net the_card;

static struct virtio_net *card(struct net_device *d)
{
    return (struct virtio_net *)d;
}

static bool net_link(struct net_device *d)
{
    uint16_t status = 1;
    if (card(d)->has_status)
        virtio_config_read(card(d)->virtio, CONFIG_STATUS, &status, 2);
    return status & 1;
}

static int net_send(struct net_device *d, const struct net_part *parts, uint32_t count, void *token)
{
    struct virtio_buffer buffers[PARTS_MAX];
    for (uint32_t i = 0; i < count; i++)
        buffers[i] = (struct virtio_buffer){parts[i].physical, parts[i].size};
    return virtq_add(card(d)->tx, buffers, count, 0, token) < 0 ? -1 : 0;
}

static void *net_sent(struct net_device *d)
{
    return virtq_pop(card(d)->tx, NULL);
}

static int net_offer(struct net_device *d, uint64_t physical, uint32_t size, void *token)
{
    struct virtio_buffer buffer = {physical, size};
    return virtq_add(card(d)->rx, &buffer, 0, 1, token) < 0 ? -1 : 0;
}

static void *net_received(struct net_device *d, uint32_t *size)
{
    return virtq_pop(card(d)->rx, size);
}

static void net_kick(struct net_device *d)
{
    virtq_kick(card(d)->rx);
    virtq_kick(card(d)->tx);
}

static bool net_rest(struct net_device *d, bool sending)
{
    bool work = virtq_interrupts_on(card(d)->rx);
    if (sending)
        work |= virtq_interrupts_on(card(d)->tx);
    return work;
}

static void net_busy(struct net_device *d)
{
    virtq_interrupts_off(card(d)->rx);
    virtq_interrupts_off(card(d)->tx);
}

struct net_device *virtio_net_open(motor_handle gate, uint64_t memory)
{
    struct virtio_net *c = &the_card;
    uint64_t agreed, wanted = F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | F_GUEST_TSO4 | F_GUEST_TSO6 |
                              F_HOST_TSO4 | F_HOST_TSO6 | F_MRG_RXBUF | F_STATUS;
    struct virtio_device *v = virtio_find(VIRTIO_NET, 0);
    if (!v)
        return NULL;
    for (int attempt = 0;; attempt++) {
        if (virtio_negotiate(v, wanted, 0, &agreed) < 0)
            return NULL;
        if (agreed & F_MRG_RXBUF || !(agreed & (F_GUEST_TSO4 | F_GUEST_TSO6)) || attempt)
            break;
        wanted &= ~(F_GUEST_TSO4 | F_GUEST_TSO6);
    }
    struct net_device *d = &c->device;
    uint32_t size = memory < 64ull << 20 ? 64 : 256;
    c->virtio = v;
    c->has_status = agreed & F_STATUS;
    if (virtio_interrupts(v, gate) < 0 ||
        virtio_queue(v, RX, memory < 64ull << 20 ? 64 : 512, &c->rx) < 0 ||
        virtio_queue(v, TX, size, &c->tx) < 0) {
        port_log("%s: no queues or no interrupt\n", virtio_name(v));
        virtio_reset(v);
        return NULL;
    }
    if (agreed & F_MAC) {
        virtio_config_read(v, CONFIG_MAC, d->mac, 6);
    } else {
        uint32_t random = port_random();
        d->mac[0] = 0x52;
        d->mac[1] = 0x54;
        for (int i = 0; i < 4; i++)
            d->mac[2 + i] = (uint8_t)(random >> 8 * i);
    }
    d->mtu = 1500;
    if (agreed & F_MTU) {
        virtio_config_read(v, CONFIG_MTU, &d->mtu, 2);
        d->mtu = d->mtu < 576 ? 1500 : d->mtu > 65000 ? 65000 : d->mtu;
    }
    d->tx_checksum = agreed & F_CSUM;
    d->rx_checksum = agreed & F_GUEST_CSUM;
    d->merge = agreed & F_MRG_RXBUF;
    d->rx_large = agreed & (F_GUEST_TSO4 | F_GUEST_TSO6);
    d->tx_large4 = agreed & F_HOST_TSO4;
    d->tx_large6 = agreed & F_HOST_TSO6;
    d->parts_max = PARTS_MAX < virtq_size(c->tx) ? PARTS_MAX : virtq_size(c->tx);
    d->rx_slots = virtq_size(c->rx);
    d->link = net_link;
    d->send = net_send;
    d->sent = net_sent;
    d->offer = net_offer;
    d->received = net_received;
    d->kick = net_kick;
    d->rest = net_rest;
    d->busy = net_busy;
    virtio_start(v);
    return d;
}

bool virtio_net_arrived(struct net_device *d)
{
    return virtq_ready(card(d)->rx);
}

void virtio_net_interrupt_begin(struct net_device *d)
{
    virtio_interrupt_begin(card(d)->virtio);
}

void virtio_net_interrupt_end(struct net_device *d)
{
    virtio_interrupt_end(card(d)->virtio);
}
