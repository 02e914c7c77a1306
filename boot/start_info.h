/* SPDX-License-Identifier: MIT */
/*
 * PVH's start info: what a loader leaves for the kernel's 32-bit entry, its address in ebx. Source:
 * Xen's public/arch-x86/hvm/start_info.h. Our loaders write it; pvh.c reads it, from whomever.
 */
#ifndef BOOT_START_INFO_H
#define BOOT_START_INFO_H

#include <stdint.h>

#define PVH_MAGIC 0x336ec578u

struct start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp; /* physical addresses */
    uint64_t memmap;                 /* from version 1 on */
    uint32_t memmap_entries, reserved;
};

struct module {
    uint64_t paddr, size, cmdline, reserved;
};

#define MEMORY_RAM         1u
#define MEMORY_RESERVED    2u
#define MEMORY_ACPI_TABLES 3u
#define MEMORY_ACPI_NVS    4u

struct memory_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};

#endif
