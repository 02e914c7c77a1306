/* SPDX-License-Identifier: MIT */
/*
 * virtio 1.x: devices on PCI and on MMIO, and split virtqueues.
 *
 * virtio_scan() finds every device once, before the engines start. A driver then takes its device
 * with virtio_find(), negotiates, sets up its queues, names the gate that interrupts notify, and
 * starts the device. After that a device belongs to one thread: nothing here takes a lock.
 *
 * The device is not trusted: what it writes into used rings and configuration space is checked, and
 * a queue that breaks the rules is marked broken, logged once, and silent from then on.
 */
#ifndef SYSIO_VIRTIO_H
#define SYSIO_VIRTIO_H

#include <motor/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Device types */
#define VIRTIO_NET     1u
#define VIRTIO_BLOCK   2u
#define VIRTIO_CONSOLE 3u
#define VIRTIO_RNG     4u

/* Features of every device */
#define VIRTIO_F_INDIRECT_DESC   (1ull << 28)
#define VIRTIO_F_EVENT_IDX       (1ull << 29)
#define VIRTIO_F_VERSION_1       (1ull << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ull << 33)

struct virtio_device;
struct virtq;

/* Physically contiguous memory for queues and buffers, at most 2 MiB, zeroed. Never given back. */
struct virtio_dma {
    void *va;
    uint64_t pa;
    uint64_t size;
};
int virtio_dma_alloc(struct virtio_dma *dma, uint64_t size); /* 0, or a negative MOTOR_E* */

/*
 * Finds all devices: PCI, the DSDT's LNRO0005 devices, virtio_mmio.device= of cmdline, the microvm
 * window. Result: how many there are. Calls log() with one line for each device and each problem.
 */
int virtio_scan(uint64_t rsdp, const char *cmdline, void (*log)(const char *format, ...));

/* The index-th device of a type, in order of discovery; NULL: no such. */
struct virtio_device *virtio_find(uint32_t type, uint32_t index);
const char *virtio_name(const struct virtio_device *d); /* "pci 00:03.0", "mmio feb02e00" */

/*
 * Resets the device and agrees on wanted features. Fails when one of required is missing. VERSION_1
 * and EVENT_IDX are always asked for.
 */
int virtio_negotiate(struct virtio_device *d, uint64_t wanted, uint64_t required, uint64_t *agreed);
/*
 * Sets up queue `index` with at most `size` entries (a power of two; the device may have fewer).
 * Then virtio_start().
 */
int virtio_queue(struct virtio_device *d, uint32_t index, uint32_t size, struct virtq **queue);
/* before queues: one interrupt for all, notifying gate */
int virtio_interrupts(struct virtio_device *d, motor_handle gate);
void virtio_start(struct virtio_device *d);
void virtio_reset(struct virtio_device *d);

/*
 * When the gate is notified: begin, look at the queues, end. begin tells whether the configuration
 * changed.
 */
bool virtio_interrupt_begin(struct virtio_device *d);
void virtio_interrupt_end(struct virtio_device *d);

/* zeros beyond its end */
void virtio_config_read(struct virtio_device *d, uint32_t offset, void *buffer, uint32_t size);
void virtio_config_write(struct virtio_device *d, uint32_t offset, const void *buffer,
                         uint32_t size);

/* ---- queues ---- */

struct virtio_buffer {
    uint64_t pa;
    uint32_t size;
};

uint32_t virtq_size(const struct virtq *q);
uint32_t virtq_free(const struct virtq *q); /* descriptors not in flight */
/*
 * Offers a chain: `out` buffers the device reads, then `in` buffers it writes. token comes back
 * from virtq_pop; not NULL. -MOTOR_EAGAIN: not enough free descriptors.
 */
int virtq_add(struct virtq *q, const struct virtio_buffer *buffers, uint32_t out, uint32_t in,
              void *token);
/* tells the device about everything added since the last kick, if it wants to know */
void virtq_kick(struct virtq *q);
/*
 * A chain the device has finished: its token, and how many bytes it wrote (never more than the
 * chain's in buffers hold). NULL: none.
 */
void *virtq_pop(struct virtq *q, uint32_t *written);
bool virtq_ready(const struct virtq *q); /* virtq_pop() would find something */
bool virtq_broken(const struct virtq *q);
/*
 * Interrupts for new used entries. on: true if something already waits (then pop again: no
 * interrupt will come for it).
 */
bool virtq_interrupts_on(struct virtq *q);
void virtq_interrupts_off(struct virtq *q);
/*
 * Wish for an interrupt only when `count` more entries are used (EVENT_IDX); true if they already
 * are.
 */
bool virtq_interrupt_after(struct virtq *q, uint32_t count);
/* After a reset: tokens still in flight, one a call, until NULL. */
void *virtq_detach(struct virtq *q);

#endif
