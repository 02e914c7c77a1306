/* SPDX-License-Identifier: MIT */
/* ACPI's tables, as far as they tell where devices are; physical memory. */
#ifndef SYSIO_VIRTIO_ACPI_H
#define SYSIO_VIRTIO_ACPI_H

#include <stdint.h>

/* The first table with a signature ("DSDT" too), mapped and checked; NULL: none. */
const uint8_t *acpi_table(uint64_t rsdp, const char *signature, uint32_t *size);
void acpi_table_done(const uint8_t *table, uint32_t size);

/* NULL: refused; any alignment. flags: MOTOR_VMO_UNCACHED: registers, else to be read only */
volatile void *virtio_map_physical(uint64_t pa, uint64_t size, uint32_t flags);
void virtio_unmap_physical(const volatile void *va, uint64_t size);

#endif
