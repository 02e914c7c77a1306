/* SPDX-License-Identifier: MIT */
/* What the transports and the queues share; drivers include virtio.h. */
#ifndef SYSIO_VIRTIO_IMPL_H
#define SYSIO_VIRTIO_IMPL_H

#include "acpi.h"
#include "virtio.h"

/* Device status */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_FAILED      128u

struct virtq_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
struct virtq_avail {
    uint16_t flags, index;
    uint16_t ring[];
};
struct virtq_used_element {
    uint32_t id, length;
};
struct virtq_used {
    uint16_t flags, index;
    struct virtq_used_element ring[];
};
_Static_assert(sizeof(struct virtq_desc) == 16 && sizeof(struct virtq_used_element) == 8,
               "virtio 1.2, 2.7");

struct virtq_chain {
    void *token; /* of the head of a chain in flight, else NULL */
    uint32_t capacity;
    uint16_t next; /* free list, and the order inside a chain */
    uint16_t last, count;
};

struct virtq {
    struct virtio_device *device;
    uint32_t index, size;
    bool event_idx, broken;
    uint16_t free_head;
    uint32_t free_count;
    uint16_t avail_index, kicked_index, used_index;
    uint32_t detach_next;
    struct virtq_desc *desc; /* written only, and published by the index of avail */
    volatile struct virtq_avail *avail;
    volatile struct virtq_used *used;
    volatile uint16_t *avail_event, *used_event;
    uint64_t desc_pa, avail_pa, used_pa;
    volatile void *doorbell;
    struct virtio_dma memory;
    struct virtq_chain chains[];
};

/* A transport: how to reach the device's registers. */
struct virtio_transport {
    uint32_t (*get_status)(struct virtio_device *d);
    void (*set_status)(struct virtio_device *d, uint32_t status);
    uint64_t (*get_features)(struct virtio_device *d);
    void (*set_features)(struct virtio_device *d, uint64_t features);
    uint32_t (*queue_max)(struct virtio_device *d, uint32_t index); /* 0: no such queue */
    int (*queue_enable)(struct virtio_device *d, struct virtq *q);
    int (*interrupts)(struct virtio_device *d, motor_handle gate);
    bool (*interrupt_begin)(struct virtio_device *d);
    uint32_t (*config_generation)(struct virtio_device *d);
    uint32_t doorbell_bits; /* 16: PCI; 32: MMIO */
};

struct virtio_device {
    const struct virtio_transport *transport;
    uint32_t type;
    char name[24];
    bool event_idx;
    volatile uint8_t *config;
    uint32_t config_size;
    motor_handle irq;
    bool level; /* the interrupt must be acknowledged */
    uint32_t generation;
    /* MMIO */
    volatile uint8_t *registers;
    uint32_t gsi;
    bool edge;
    /* PCI */
    volatile uint8_t *common, *isr, *notify;
    uint32_t notify_multiplier;
    uint64_t notify_size;
    volatile uint8_t *msix_table;
    uint32_t msix_entries;
    uint32_t address; /* bus << 8 | device << 3 | function */
    uint32_t msix_capability;
};

extern void (*virtio_log)(const char *format, ...);
/* NULL: too many */
struct virtio_device *virtio_add(uint32_t type, const struct virtio_transport *t);
struct virtq *virtq_create(struct virtio_device *d, uint32_t index, uint32_t size);
void virtio_notify(struct virtq *q);
void virtio_pci_scan(uint64_t rsdp);
void virtio_mmio_scan(uint64_t rsdp, const char *cmdline);

#endif
