/* SPDX-License-Identifier: MIT */
/*
 * virtio over MMIO (version 2). Where the devices are is told by the DSDT (LNRO0005, with one
 * Memory32Fixed and one Extended Interrupt descriptor each), or by
 * virtio_mmio.device=SIZE@ADDRESS:IRQ on the command line.
 */
#include "virtio_impl.h"
#include <motor/syscall.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    R_MAGIC = 0x000,
    R_VERSION = 0x004,
    R_DEVICE = 0x008,
    R_FEATURES = 0x010,
    R_FEATURES_SELECT = 0x014,
    R_DRIVER_FEATURES = 0x020,
    R_DRIVER_FEATURES_SELECT = 0x024,
    R_QUEUE = 0x030,
    R_QUEUE_MAX = 0x034,
    R_QUEUE_SIZE = 0x038,
    R_QUEUE_READY = 0x044,
    R_NOTIFY = 0x050,
    R_INTERRUPT = 0x060,
    R_INTERRUPT_ACK = 0x064,
    R_STATUS = 0x070,
    R_DESC = 0x080,
    R_AVAIL = 0x090,
    R_USED = 0x0a0,
    R_GENERATION = 0x0fc,
    R_CONFIG = 0x100,
};
#define WINDOW_SIZE   0x200u
#define MICROVM_BASE  0xfeb00000ull
#define MICROVM_SLOTS 24u
#define MICROVM_GSI   24u /* with the second IOAPIC; without ACPI, the command line tells */

static uint32_t get(struct virtio_device *d, uint32_t r)
{
    return *(volatile uint32_t *)(d->registers + r);
}

static void set(struct virtio_device *d, uint32_t r, uint32_t value)
{
    *(volatile uint32_t *)(d->registers + r) = value;
}

static void set64(struct virtio_device *d, uint32_t r, uint64_t value)
{
    set(d, r, (uint32_t)value);
    set(d, r + 4, (uint32_t)(value >> 32));
}

static uint32_t mmio_get_status(struct virtio_device *d)
{
    return get(d, R_STATUS);
}

static void mmio_set_status(struct virtio_device *d, uint32_t status)
{
    set(d, R_STATUS, status);
}

static uint64_t mmio_get_features(struct virtio_device *d)
{
    set(d, R_FEATURES_SELECT, 0);
    uint64_t low = get(d, R_FEATURES);
    set(d, R_FEATURES_SELECT, 1);
    return low | (uint64_t)get(d, R_FEATURES) << 32;
}

static void mmio_set_features(struct virtio_device *d, uint64_t features)
{
    set(d, R_DRIVER_FEATURES_SELECT, 0);
    set(d, R_DRIVER_FEATURES, (uint32_t)features);
    set(d, R_DRIVER_FEATURES_SELECT, 1);
    set(d, R_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint32_t mmio_queue_max(struct virtio_device *d, uint32_t index)
{
    set(d, R_QUEUE, index);
    return get(d, R_QUEUE_MAX);
}

static int mmio_queue_enable(struct virtio_device *d, struct virtq *q)
{
    set(d, R_QUEUE, q->index);
    if (get(d, R_QUEUE_READY))
        return -MOTOR_EBUSY;
    set(d, R_QUEUE_SIZE, q->size);
    set64(d, R_DESC, q->desc_pa);
    set64(d, R_AVAIL, q->avail_pa);
    set64(d, R_USED, q->used_pa);
    q->doorbell = d->registers + R_NOTIFY;
    set(d, R_QUEUE_READY, 1);
    return 0;
}

static int mmio_interrupts(struct virtio_device *d, motor_handle gate)
{
    int64_t irq = motor_irq_create(
        MOTOR_BOOT_HARDWARE, d->edge ? MOTOR_IRQ_LINE_EDGE : MOTOR_IRQ_LINE_LEVEL, d->gsi, NULL);
    if (irq < 0)
        return (int)irq;
    d->irq = (motor_handle)irq;
    d->level = !d->edge;
    return (int)motor_bind(d->irq, gate);
}

static bool mmio_interrupt_begin(struct virtio_device *d)
{
    uint32_t bits = get(d, R_INTERRUPT);
    if (bits)
        set(d, R_INTERRUPT_ACK, bits);
    return bits & 2;
}

static uint32_t mmio_generation(struct virtio_device *d)
{
    return get(d, R_GENERATION);
}

static const struct virtio_transport mmio_transport = {
    .get_status = mmio_get_status,
    .set_status = mmio_set_status,
    .get_features = mmio_get_features,
    .set_features = mmio_set_features,
    .queue_max = mmio_queue_max,
    .queue_enable = mmio_queue_enable,
    .interrupts = mmio_interrupts,
    .interrupt_begin = mmio_interrupt_begin,
    .config_generation = mmio_generation,
    .doorbell_bits = 32,
};

static bool legacy_told;

/* One register window: a device, an empty slot, or nothing at all. */
static void probe(uint64_t pa, uint64_t size, uint32_t gsi, bool edge)
{
    if (size < WINDOW_SIZE)
        return;
    volatile uint8_t *window = virtio_map_physical(pa, WINDOW_SIZE, MOTOR_VMO_UNCACHED);
    if (!window)
        return;
    struct virtio_device found = {.registers = window};
    uint32_t version = get(&found, R_VERSION), type = get(&found, R_DEVICE);
    if (get(&found, R_MAGIC) != 0x74726976 || !type)
        goto out_unmap;
    if (version != 2) {
        if (!legacy_told)
            virtio_log(
                "virtio: mmio %llx is a legacy device (version %u), which is not supported; on QEMU's microvm "
                "add: -global virtio-mmio.force-legacy=false",
                (unsigned long long)pa, version);
        legacy_told = true;
        goto out_unmap;
    }
    struct virtio_device *d = virtio_add(type, &mmio_transport);
    if (!d)
        goto out_unmap;
    d->registers = window;
    d->config = window + R_CONFIG;
    d->config_size = WINDOW_SIZE - R_CONFIG;
    d->gsi = gsi;
    d->edge = edge;
    snprintf(d->name, sizeof d->name, "mmio %llx", (unsigned long long)pa);
    return;
out_unmap:
    virtio_unmap_physical(window, WINDOW_SIZE);
}

/* The resource descriptors that follow a device's name in the DSDT, up to the next device's. */
static void probe_dsdt_device(const uint8_t *p, uint32_t n)
{
    uint32_t base = 0, size = 0, gsi = 0;
    bool have_memory = false, have_irq = false, edge = false;
    for (uint32_t i = 0; i + 12 <= n && !(have_memory && have_irq); i++) {
        if (!have_memory && p[i] == 0x86 && p[i + 1] == 9 && p[i + 2] == 0) { /* Memory32Fixed */
            memcpy(&base, p + i + 4, 4);
            memcpy(&size, p + i + 8, 4);
            have_memory = true;
            i += 11;
        } else if (have_memory && p[i] == 0x89 && p[i + 1] == 6 && p[i + 2] == 0 &&
                   p[i + 4] == 1) { /* Interrupt */
            memcpy(&gsi, p + i + 5, 4);
            edge = p[i + 3] & 2;
            have_irq = true;
        }
    }
    if (have_memory && have_irq)
        probe(base, size, gsi, edge);
}

static uint32_t scan_dsdt(const uint8_t *dsdt, uint32_t size)
{
    uint32_t found = 0, at = 0, last = 0;
    for (uint32_t i = 36; i + 8 <= size && found < 256; i++) {
        if (memcmp(dsdt + i, "LNRO0005", 8))
            continue;
        if (last)
            probe_dsdt_device(dsdt + at, i - at);
        last = 1;
        at = i + 8;
        found++;
    }
    if (last)
        probe_dsdt_device(dsdt + at, size - at < 256 ? size - at : 256);
    return found;
}

static uint32_t scan_cmdline(const char *cmdline)
{
    uint32_t found = 0;
    static const char key[] = "virtio_mmio.device=";
    for (const char *p = cmdline; p && (p = strstr(p, key)) && found < 64; found++) {
        char *end;
        p += sizeof key - 1;
        uint64_t size = strtoull(p, &end, 0);
        if (*end == 'K' || *end == 'k')
            size <<= 10, end++;
        if (*end != '@')
            continue;
        uint64_t base = strtoull(end + 1, &end, 0);
        if (*end != ':')
            continue;
        probe(base, size, (uint32_t)strtoul(end + 1, &end, 0), true);
    }
    return found;
}

void virtio_mmio_scan(uint64_t rsdp, const char *cmdline)
{
    uint32_t size, found = 0;
    const uint8_t *dsdt = acpi_table(rsdp, "DSDT", &size);
    if (dsdt) {
        found = scan_dsdt(dsdt, size);
        acpi_table_done(dsdt, size);
    }
    if (!found)
        found = scan_cmdline(cmdline);
    /* neither ACPI nor a command line: the only machine that is so is microvm */
    if (!found && !rsdp)
        for (uint32_t i = 0; i < MICROVM_SLOTS; i++)
            probe(MICROVM_BASE + i * WINDOW_SIZE, WINDOW_SIZE, MICROVM_GSI + i, true);
}
