/* SPDX-License-Identifier: MIT */
/*
 * The few ACPI tables that tell where devices are. Firmware tables are not trusted: sizes are
 * bounded, checksums checked, and the search gives up rather than follow nonsense.
 */
#include "virtio_impl.h"
#include <string.h>

#define TABLES_MAX     64u
#define TABLE_SIZE_MAX (1u << 20)
#define HEADER_SIZE    36u

static uint32_t read32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static uint64_t read64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static uint8_t sum(const uint8_t *p, uint32_t n)
{
    uint8_t s = 0;
    while (n--)
        s = (uint8_t)(s + *p++);
    return s;
}

static const uint8_t *map_table(uint64_t pa, const char *signature, uint32_t *size)
{
    const uint8_t *header = (const uint8_t *)virtio_map_physical(pa, HEADER_SIZE, 0);
    if (!header)
        return NULL;
    uint32_t length = read32(header + 4);
    bool match = !memcmp(header, signature, 4) && length >= HEADER_SIZE && length <= TABLE_SIZE_MAX;
    virtio_unmap_physical(header, HEADER_SIZE);
    if (!match)
        return NULL;
    const uint8_t *table = (const uint8_t *)virtio_map_physical(pa, length, 0);
    if (!table)
        return NULL;
    if (sum(table, length)) {
        virtio_log("acpi: %.4s has a wrong checksum and is ignored", signature);
        virtio_unmap_physical(table, length);
        return NULL;
    }
    *size = length;
    return table;
}

static const uint8_t *dsdt_of(const uint8_t *fadt, uint32_t fadt_size, uint32_t *size)
{
    uint64_t pa = fadt_size >= 148 ? read64(fadt + 140) : 0;
    if (!pa && fadt_size >= 44)
        pa = read32(fadt + 40);
    return pa ? map_table(pa, "DSDT", size) : NULL;
}

const uint8_t *acpi_table(uint64_t rsdp, const char *signature, uint32_t *size)
{
    const uint8_t *p = rsdp ? (const uint8_t *)virtio_map_physical(rsdp, 36, 0) : NULL;
    if (!p)
        return NULL;
    bool ok = !memcmp(p, "RSD PTR ", 8) && !sum(p, 20);
    bool extended = ok && p[15] >= 2 && read64(p + 24);
    uint64_t root = !ok ? 0 : extended ? read64(p + 24) : read32(p + 16);
    virtio_unmap_physical(p, 36);
    uint32_t root_size, width = extended ? 8 : 4;
    const uint8_t *sdt = root ? map_table(root, extended ? "XSDT" : "RSDT", &root_size) : NULL;
    if (!sdt)
        return NULL;
    bool want_dsdt = !memcmp(signature, "DSDT", 4);
    const uint8_t *found = NULL;
    uint32_t count = (root_size - HEADER_SIZE) / width;
    for (uint32_t i = 0; i < count && i < TABLES_MAX && !found; i++) {
        const uint8_t *entry = sdt + HEADER_SIZE + i * width;
        uint64_t pa = extended ? read64(entry) : read32(entry);
        found = map_table(pa, want_dsdt ? "FACP" : signature, size);
    }
    virtio_unmap_physical(sdt, root_size);
    if (found && want_dsdt) {
        uint32_t fadt_size = *size;
        const uint8_t *dsdt = dsdt_of(found, fadt_size, size);
        virtio_unmap_physical(found, fadt_size);
        return dsdt;
    }
    return found;
}

void acpi_table_done(const uint8_t *table, uint32_t size)
{
    virtio_unmap_physical(table, size);
}
