/* SPDX-License-Identifier: MIT */
/*
 * What every boot path (PVH now; UEFI and BIOS loaders later) hands to the kernel after checking
 * it: the kernel proper sees only this. Filled from untrusted tables; every count is bounded.
 */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H

#include <stdint.h>

#define BOOT_RANGES_MAX 128u

enum boot_range_kind {
    BOOT_RAM = 1,      /* usable */
    BOOT_RESERVED = 2, /* firmware, ACPI, holes that are RAM but not ours */
};

struct boot_range {
    uint64_t start, end; /* physical, page-aligned: RAM shrunk to whole pages, reserved grown */
    uint32_t kind;
};

struct boot_params {
    struct boot_range range[BOOT_RANGES_MAX]; /* sorted, disjoint */
    uint32_t ranges;
    uint64_t bundle_start, bundle_size; /* physical; 0 size: none */
    uint64_t rsdp;                      /* physical, 0: none */
    char cmdline[2048];
};

extern struct boot_params boot_params;

#endif
