/* SPDX-License-Identifier: MIT */
/* Devices: the list, feature negotiation, queues, interrupts, memory for the device. */
#include "virtio_impl.h"
#include <motor/syscall.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX 32u
#define RESET_SPINS 1000000u

static struct virtio_device devices[DEVICES_MAX];
static uint32_t device_count;

static void log_nothing(const char *format, ...)
{
    (void)format;
}
void (*virtio_log)(const char *format, ...) = log_nothing;

struct virtio_device *virtio_add(uint32_t type, const struct virtio_transport *t)
{
    if (device_count == DEVICES_MAX)
        return NULL;
    struct virtio_device *d = &devices[device_count++];
    *d = (struct virtio_device){.transport = t, .type = type};
    return d;
}

int virtio_scan(uint64_t rsdp, const char *cmdline, void (*log)(const char *format, ...))
{
    virtio_log = log;
    virtio_pci_scan(rsdp);
    virtio_mmio_scan(rsdp, cmdline);
    for (uint32_t i = 0; i < device_count; i++)
        virtio_log("%s: device type %u", devices[i].name, devices[i].type);
    return (int)device_count;
}

struct virtio_device *virtio_find(uint32_t type, uint32_t index)
{
    for (uint32_t i = 0; i < device_count; i++)
        if (devices[i].type == type && index-- == 0)
            return &devices[i];
    return NULL;
}

const char *virtio_name(const struct virtio_device *d)
{
    return d->name;
}

/* ---- memory ---- */

int virtio_dma_alloc(struct virtio_dma *dma, uint64_t size)
{
    size = (size + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    if (size > 2u << 20)
        return -MOTOR_EINVAL;
    int64_t vmo = motor_vmo_create(size, MOTOR_VMO_CONTIGUOUS);
    if (vmo < 0)
        return (int)vmo;
    uint64_t pages[512];
    int64_t status = motor_vmo_control((motor_handle)vmo, MOTOR_VMO_PHYSICAL, 0, size, pages);
    if (status >= 0)
        status = motor_map(0, (motor_handle)vmo, 0, 0, size,
                           MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_POPULATE);
    if (status < 0) {
        motor_handle_close((motor_handle)vmo);
        return (int)status;
    }
    dma->va = (void *)status;
    dma->pa = pages[0];
    dma->size = size;
    motor_handle_close((motor_handle)vmo); /* the mapping keeps it */
    return 0;
}

volatile void *virtio_map_physical(uint64_t pa, uint64_t size, uint32_t flags)
{
    uint64_t start = pa & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    uint64_t length = (pa - start + size + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    if (!size || pa + size < pa || size > 1u << 28)
        return NULL;
    int64_t vmo = motor_vmo_create_physical(MOTOR_BOOT_HARDWARE, start, length, flags);
    if (vmo < 0)
        return NULL;
    uint32_t prot = MOTOR_PROT_READ | (flags & MOTOR_VMO_UNCACHED ? MOTOR_PROT_WRITE : 0);
    int64_t va = motor_map(0, (motor_handle)vmo, 0, 0, length, prot);
    motor_handle_close((motor_handle)vmo);
    return va < 0 ? NULL : (volatile void *)(va + (int64_t)(pa - start));
}

void virtio_unmap_physical(const volatile void *va, uint64_t size)
{
    uint64_t start = (uint64_t)va & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
    motor_unmap(0, start,
                ((uint64_t)va - start + size + MOTOR_PAGE_SIZE - 1) &
                    ~(uint64_t)(MOTOR_PAGE_SIZE - 1));
}

/* ---- life of a device ---- */

void virtio_reset(struct virtio_device *d)
{
    d->transport->set_status(d, 0);
    for (uint32_t i = 0; i < RESET_SPINS && d->transport->get_status(d); i++)
        __builtin_ia32_pause();
}

static void add_status(struct virtio_device *d, uint32_t bits)
{
    d->transport->set_status(d, d->transport->get_status(d) | bits);
}

int virtio_negotiate(struct virtio_device *d, uint64_t wanted, uint64_t required, uint64_t *agreed)
{
    virtio_reset(d);
    add_status(d, STATUS_ACKNOWLEDGE);
    add_status(d, STATUS_DRIVER);
    uint64_t offered = d->transport->get_features(d);
    uint64_t features = offered & (wanted | required | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
    required |= VIRTIO_F_VERSION_1;
    if (~features & required) {
        virtio_log("virtio: %s lacks features %llx", d->name,
                   (unsigned long long)(~features & required));
        add_status(d, STATUS_FAILED);
        return -MOTOR_ENOENT;
    }
    d->transport->set_features(d, features);
    add_status(d, STATUS_FEATURES_OK);
    if (!(d->transport->get_status(d) & STATUS_FEATURES_OK)) {
        virtio_log("virtio: %s refuses features %llx", d->name, (unsigned long long)features);
        add_status(d, STATUS_FAILED);
        return -MOTOR_ENOENT;
    }
    d->event_idx = features & VIRTIO_F_EVENT_IDX;
    *agreed = features;
    return 0;
}

int virtio_queue(struct virtio_device *d, uint32_t index, uint32_t size, struct virtq **queue)
{
    uint32_t max = d->transport->queue_max(d, index);
    if (!max)
        return -MOTOR_ENOENT;
    if (max > 32768)
        max = 32768;
    while (size > max)
        size /= 2;
    struct virtq *q = virtq_create(d, index, size);
    if (!q)
        return -MOTOR_ENOMEM;
    q->event_idx = d->event_idx;
    int status = d->transport->queue_enable(d, q);
    if (status < 0)
        return status; /* its memory is lost: the device may know the address */
    *queue = q;
    return 0;
}

int virtio_interrupts(struct virtio_device *d, motor_handle gate)
{
    return d->transport->interrupts(d, gate);
}

void virtio_start(struct virtio_device *d)
{
    add_status(d, STATUS_DRIVER_OK);
    d->generation = d->transport->config_generation(d);
}

bool virtio_interrupt_begin(struct virtio_device *d)
{
    return d->transport->interrupt_begin(d);
}

void virtio_interrupt_end(struct virtio_device *d)
{
    if (d->level)
        motor_irq_ack(d->irq);
}

void virtio_notify(struct virtq *q)
{
    if (q->device->transport->doorbell_bits == 16)
        *(volatile uint16_t *)q->doorbell = (uint16_t)q->index;
    else
        *(volatile uint32_t *)q->doorbell = q->index;
}

/*
 * Configuration is read again when the device changed it meanwhile; a device that never stops
 * changing is not waited for.
 */
void virtio_config_read(struct virtio_device *d, uint32_t offset, void *buffer, uint32_t size)
{
    uint8_t *bytes = buffer;
    for (int tries = 0; tries < 8; tries++) {
        uint32_t before = d->transport->config_generation(d);
        for (uint32_t i = 0; i < size; i++)
            bytes[i] = d->config && offset + i < d->config_size ? d->config[offset + i] : 0;
        if (d->transport->config_generation(d) == before)
            return;
    }
}

void virtio_config_write(struct virtio_device *d, uint32_t offset, const void *buffer,
                         uint32_t size)
{
    const uint8_t *bytes = buffer;
    for (uint32_t i = 0; i < size; i++)
        if (d->config && offset + i < d->config_size)
            d->config[offset + i] = bytes[i];
}
