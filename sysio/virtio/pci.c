/* SPDX-License-Identifier: MIT */
/*
 * virtio over PCI. Configuration space is reached through the MCFG's ECAM window, else through
 * ports 0xcf8 and 0xcfc. Buses are found from bus 0 on, through bridges, each at most once.
 * Firmware has assigned the BARs.
 */
#include "virtio_impl.h"
#include <motor/syscall.h>
#include <stdio.h>
#include <string.h>

#define VENDOR_VIRTIO    0x1af4u
#define CAPABILITIES_MAX 48u
#define CAP_MSIX         0x11u
#define CAP_VENDOR       0x09u
#define NO_VECTOR        0xffffu
#define COMMAND_NO_INTX  0x400u

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4 };

/* Common configuration */
enum {
    C_FEATURES_SELECT = 0,
    C_FEATURES = 4,
    C_DRIVER_FEATURES_SELECT = 8,
    C_DRIVER_FEATURES = 12,
    C_MSIX_CONFIG = 16,
    C_QUEUES = 18,
    C_STATUS = 20,
    C_GENERATION = 21,
    C_QUEUE = 22,
    C_QUEUE_SIZE = 24,
    C_QUEUE_MSIX = 26,
    C_QUEUE_ENABLE = 28,
    C_QUEUE_NOTIFY = 30,
    C_QUEUE_DESC = 32,
    C_QUEUE_AVAIL = 40,
    C_QUEUE_USED = 48,
    C_SIZE = 56,
};

/* ---- configuration space ---- */

static volatile uint8_t *ecam;
static uint8_t ecam_first, ecam_last;

#ifdef VIRTIO_HOST_TEST
void port_write32(uint16_t port, uint32_t value);
uint32_t port_read32(uint16_t port);
#else
static inline void port_write32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t port_read32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
#endif

/* address: bus << 8 | device << 3 | function; offset: a multiple of 4 below 256 */
static uint32_t config_read(uint32_t address, uint32_t offset)
{
    uint32_t bus = address >> 8;
    if (ecam && bus >= ecam_first && bus <= ecam_last)
        return *(volatile uint32_t *)(ecam + ((uint64_t)(address - (ecam_first << 8)) << 12) +
                                      offset);
    port_write32(0xcf8, 0x80000000u | address << 8 | offset);
    return port_read32(0xcfc);
}

static void config_write(uint32_t address, uint32_t offset, uint32_t value)
{
    uint32_t bus = address >> 8;
    if (ecam && bus >= ecam_first && bus <= ecam_last) {
        *(volatile uint32_t *)(ecam + ((uint64_t)(address - (ecam_first << 8)) << 12) + offset) =
            value;
        return;
    }
    port_write32(0xcf8, 0x80000000u | address << 8 | offset);
    port_write32(0xcfc, value);
}

static uint32_t config_read8(uint32_t address, uint32_t offset)
{
    return config_read(address, offset & ~3u) >> (offset & 3) * 8 & 0xff;
}

static void find_ecam(uint64_t rsdp)
{
    uint32_t size;
    const uint8_t *mcfg = acpi_table(rsdp, "MCFG", &size);
    if (!mcfg)
        return;
    if (size >= 60) {
        uint64_t base;
        memcpy(&base, mcfg + 44, 8);
        uint16_t segment = (uint16_t)(mcfg[52] | mcfg[53] << 8);
        ecam_first = mcfg[54];
        ecam_last = mcfg[55];
        if (!segment && base && ecam_first <= ecam_last)
            ecam = virtio_map_physical(base + ((uint64_t)ecam_first << 20),
                                       ((uint64_t)ecam_last - ecam_first + 1) << 20,
                                       MOTOR_VMO_UNCACHED);
    }
    acpi_table_done(mcfg, size);
}

/* ---- the transport ---- */

static uint16_t common16(struct virtio_device *d, uint32_t r)
{
    return *(volatile uint16_t *)(d->common + r);
}

static void common16_set(struct virtio_device *d, uint32_t r, uint16_t value)
{
    *(volatile uint16_t *)(d->common + r) = value;
}

static uint32_t common32(struct virtio_device *d, uint32_t r)
{
    return *(volatile uint32_t *)(d->common + r);
}

static void common32_set(struct virtio_device *d, uint32_t r, uint32_t value)
{
    *(volatile uint32_t *)(d->common + r) = value;
}

static void common64_set(struct virtio_device *d, uint32_t r, uint64_t value)
{
    common32_set(d, r, (uint32_t)value);
    common32_set(d, r + 4, (uint32_t)(value >> 32));
}

static uint32_t pci_get_status(struct virtio_device *d)
{
    return d->common[C_STATUS];
}

static void pci_set_status(struct virtio_device *d, uint32_t status)
{
    d->common[C_STATUS] = (uint8_t)status;
}

static uint64_t pci_get_features(struct virtio_device *d)
{
    common32_set(d, C_FEATURES_SELECT, 0);
    uint64_t low = common32(d, C_FEATURES);
    common32_set(d, C_FEATURES_SELECT, 1);
    return low | (uint64_t)common32(d, C_FEATURES) << 32;
}

static void pci_set_features(struct virtio_device *d, uint64_t features)
{
    common32_set(d, C_DRIVER_FEATURES_SELECT, 0);
    common32_set(d, C_DRIVER_FEATURES, (uint32_t)features);
    common32_set(d, C_DRIVER_FEATURES_SELECT, 1);
    common32_set(d, C_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint32_t pci_queue_max(struct virtio_device *d, uint32_t index)
{
    if (index >= common16(d, C_QUEUES))
        return 0;
    common16_set(d, C_QUEUE, (uint16_t)index);
    return common16(d, C_QUEUE_SIZE);
}

static int pci_queue_enable(struct virtio_device *d, struct virtq *q)
{
    common16_set(d, C_QUEUE, (uint16_t)q->index);
    uint64_t doorbell = (uint64_t)common16(d, C_QUEUE_NOTIFY) * d->notify_multiplier;
    if (doorbell + 2 > d->notify_size)
        return -MOTOR_EINVAL;
    q->doorbell = d->notify + doorbell;
    common16_set(d, C_QUEUE_SIZE, (uint16_t)q->size);
    common64_set(d, C_QUEUE_DESC, q->desc_pa);
    common64_set(d, C_QUEUE_AVAIL, q->avail_pa);
    common64_set(d, C_QUEUE_USED, q->used_pa);
    if (d->irq && d->msix_table) {
        common16_set(d, C_QUEUE_MSIX, 0);
        if (common16(d, C_QUEUE_MSIX) == NO_VECTOR)
            return -MOTOR_ENOMEM;
    }
    common16_set(d, C_QUEUE_ENABLE, 1);
    return 0;
}

/*
 * The line that the firmware has routed the pin to, for devices without MSI-X (QEMU's -nic makes
 * such ones). It is level-triggered, active high where PIRQs are on ISA lines.
 */
static int pci_line(struct virtio_device *d, motor_handle gate)
{
    uint32_t routed = config_read(d->address, 0x3c), line = routed & 0xff, pin = routed >> 8 & 0xff;
    if (!d->isr || !pin || !line || line > 15)
        return -MOTOR_ENOENT;
    int64_t irq = motor_irq_create(MOTOR_BOOT_HARDWARE, MOTOR_IRQ_LINE_LEVEL, line, NULL);
    if (irq < 0)
        return (int)irq;
    d->irq = (motor_handle)irq;
    d->level = true;
    config_write(d->address, 4, config_read(d->address, 4) & 0xffff & ~COMMAND_NO_INTX);
    return (int)motor_bind(d->irq, gate);
}

/* Queues and configuration share vector 0: one engine serves them all. */
static int pci_interrupts(struct virtio_device *d, motor_handle gate)
{
    struct motor_msi msi;
    if (!d->msix_table)
        return pci_line(d, gate);
    int64_t irq = motor_irq_create(MOTOR_BOOT_HARDWARE, MOTOR_IRQ_MSI, 0, &msi);
    if (irq < 0)
        return (int)irq;
    d->irq = (motor_handle)irq;
    int64_t status = motor_bind(d->irq, gate);
    if (status < 0)
        return (int)status;
    volatile uint32_t *entry = (volatile uint32_t *)d->msix_table;
    entry[0] = (uint32_t)msi.address;
    entry[1] = (uint32_t)(msi.address >> 32);
    entry[2] = msi.data;
    entry[3] = 0;
    uint32_t control = config_read(d->address, d->msix_capability);
    /* enabled, not masked */
    config_write(d->address, d->msix_capability, (control | 0x80000000u) & ~0x40000000u);
    common16_set(d, C_MSIX_CONFIG, 0);
    return 0;
}

static uint32_t pci_generation(struct virtio_device *d)
{
    return d->common[C_GENERATION];
}

static bool pci_interrupt_begin(struct virtio_device *d)
{
    if (d->level)
        (void)*d->isr; /* takes the line down */
    uint32_t now = pci_generation(d);
    bool changed = now != d->generation;
    d->generation = now;
    return changed;
}

static const struct virtio_transport pci_transport = {
    .get_status = pci_get_status,
    .set_status = pci_set_status,
    .get_features = pci_get_features,
    .set_features = pci_set_features,
    .queue_max = pci_queue_max,
    .queue_enable = pci_queue_enable,
    .interrupts = pci_interrupts,
    .interrupt_begin = pci_interrupt_begin,
    .config_generation = pci_generation,
    .doorbell_bits = 16,
};

/* ---- discovery ---- */

struct bar {
    uint64_t base, size;
};

static bool read_bar(uint32_t address, uint32_t index, struct bar *bar)
{
    if (index > 5)
        return false;
    uint32_t at = 0x10 + index * 4, low = config_read(address, at), high = 0;
    bool wide = (low & 7) == 4;
    if (low & 1 || (wide && index == 5))
        return false;
    if (wide)
        high = config_read(address, at + 4);
    uint32_t command = config_read(address, 4);
    config_write(address, 4, command & ~2u & 0xffff); /* no decoding while sizing */
    config_write(address, at, 0xffffffffu);
    uint64_t mask = config_read(address, at) & ~0xfu;
    config_write(address, at, low);
    if (wide) {
        config_write(address, at + 4, 0xffffffffu);
        mask |= (uint64_t)config_read(address, at + 4) << 32;
        config_write(address, at + 4, high);
    } else {
        mask |= 0xffffffff00000000ull;
    }
    config_write(address, 4, command & 0xffff);
    bar->base = (uint64_t)high << 32 | (low & ~0xfu);
    bar->size = ~mask + 1;
    return bar->base && bar->size;
}

static volatile uint8_t *map_bar(uint32_t address, uint32_t index, uint32_t offset, uint64_t size)
{
    struct bar bar;
    if (!size || size > 1u << 24 || !read_bar(address, index, &bar) || offset + size > bar.size)
        return NULL;
    return virtio_map_physical(bar.base + offset, size, MOTOR_VMO_UNCACHED);
}

static void read_vendor_capability(struct virtio_device *d, uint32_t at)
{
    uint32_t address = d->address;
    uint32_t length = config_read8(address, at + 2), kind = config_read8(address, at + 3);
    uint32_t bar = config_read8(address, at + 4);
    uint32_t offset = config_read(address, at + 8), size = config_read(address, at + 12);
    if (length < 16)
        return;
    if (kind == CFG_COMMON && !d->common && size >= C_SIZE)
        d->common = map_bar(address, bar, offset, C_SIZE);
    else if (kind == CFG_ISR && !d->isr && size)
        d->isr = map_bar(address, bar, offset, 1);
    else if (kind == CFG_DEVICE && !d->config && size) {
        d->config_size = size > 4096 ? 4096 : size;
        d->config = map_bar(address, bar, offset, d->config_size);
    } else if (kind == CFG_NOTIFY && !d->notify && size && length >= 20) {
        d->notify_multiplier = config_read(address, at + 16);
        d->notify_size = size;
        d->notify = map_bar(address, bar, offset, size);
    }
}

static void read_msix_capability(struct virtio_device *d, uint32_t at)
{
    uint32_t table = config_read(d->address, at + 4);
    d->msix_entries = (config_read(d->address, at) >> 16 & 0x7ff) + 1;
    d->msix_capability = at;
    d->msix_table = map_bar(d->address, table & 7, table & ~7u, 16ull * d->msix_entries);
    if (d->msix_table)
        for (uint32_t i = 0; i < d->msix_entries; i++)
            *(volatile uint32_t *)(d->msix_table + 16ull * i + 12) = 1; /* masked */
}

static void add_function(uint32_t address)
{
    uint32_t id = config_read(address, 0), device = id >> 16;
    if ((id & 0xffff) != VENDOR_VIRTIO || device < 0x1000 || device > 0x107f)
        return;
    if (!(config_read(address, 4) >> 16 & 0x10)) /* no capabilities: legacy only */
        return;
    static const uint8_t transitional[] = {VIRTIO_NET, VIRTIO_BLOCK, 5, VIRTIO_CONSOLE,
                                           8,          VIRTIO_RNG};
    uint32_t type = device >= 0x1040                        ? device - 0x1040
                    : device - 0x1000 < sizeof transitional ? transitional[device - 0x1000]
                                                            : 0;
    struct virtio_device found = {.address = address};
    uint32_t at = config_read8(address, 0x34) & ~3u;
    for (uint32_t n = 0; at >= 0x40 && n < CAPABILITIES_MAX; n++) {
        uint32_t kind = config_read8(address, at);
        if (kind == CAP_VENDOR && at <= 0xec)
            read_vendor_capability(&found, at);
        else if (kind == CAP_MSIX && !found.msix_table && at <= 0xf4)
            read_msix_capability(&found, at);
        at = config_read8(address, at + 1) & ~3u;
    }
    if (!found.common || !found.notify) {
        virtio_log("virtio: pci %02x:%02x.%x has no modern interface and is ignored", address >> 8,
                   address >> 3 & 31, address & 7);
        return;
    }
    /* memory, bus master, no INTx */
    config_write(address, 4, (config_read(address, 4) & 0xffff) | COMMAND_NO_INTX | 6);
    struct virtio_device *d = virtio_add(type, &pci_transport);
    if (!d)
        return;
    const struct virtio_transport *t = d->transport;
    *d = found;
    d->transport = t;
    d->type = type;
    snprintf(d->name, sizeof d->name, "pci %02x:%02x.%x", address >> 8, address >> 3 & 31,
             address & 7);
}

static uint8_t bus_seen[256 / 8];

static void scan_bus(uint32_t bus, uint8_t *queue, uint32_t *queued)
{
    for (uint32_t slot = 0; slot < 32; slot++) {
        for (uint32_t function = 0; function < 8; function++) {
            uint32_t address = bus << 8 | slot << 3 | function;
            uint32_t id = config_read(address, 0);
            if (id == 0xffffffffu || !id) {
                if (!function)
                    break;
                continue;
            }
            uint32_t header = config_read(address, 12) >> 16 & 0xff;
            if ((header & 0x7f) == 1) {
                uint32_t secondary = config_read8(address, 0x19);
                if (secondary && !(bus_seen[secondary / 8] >> secondary % 8 & 1) && *queued < 256) {
                    bus_seen[secondary / 8] |= (uint8_t)(1u << secondary % 8);
                    queue[(*queued)++] = (uint8_t)secondary;
                }
            } else if ((header & 0x7f) == 0) {
                add_function(address);
            }
            if (!function && !(header & 0x80))
                break;
        }
    }
}

void virtio_pci_scan(uint64_t rsdp)
{
    uint8_t queue[256] = {0};
    uint32_t queued = 1;
    find_ecam(rsdp);
    if (!ecam && config_read(0, 0) == 0xffffffffu)
        return; /* no PCI at all: microvm */
    bus_seen[0] = 1;
    for (uint32_t i = 0; i < queued; i++)
        scan_bus(queue[i], queue, &queued);
}
