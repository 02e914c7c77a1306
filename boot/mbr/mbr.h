/* SPDX-License-Identifier: MIT */
/*
 * The BIOS loader's second stage: 32-bit C without paging, interrupts off, and the BIOS a call
 * away.
 *
 *   main.c     what is loaded, to where, and into the kernel
 *   memory.c   what memory there is
 *   disk.c     reading sectors
 *   console.c  what it says, on the first serial port
 *
 * Memory: below 64 KiB the loader (0x8000 on, stack below 0x7c00), 0x20000 the buffer that the BIOS
 * reads to; from 1 MiB on the kernel; at the top of the RAM below 4 GiB the bundle, and below it
 * the kernel's file, until it is placed.
 */
#ifndef BOOT_MBR_MBR_H
#define BOOT_MBR_MBR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../start_info.h"
#include "config.h"

struct bios_registers {
    uint32_t eax, ebx, ecx, edx, esi, edi, eflags;
};
#define EFLAGS_CARRY 1u

extern const struct mbr_config mbr_config;

/* stage2.S */
void bios_call(uint32_t number, struct bios_registers *r);
_Noreturn void enter_kernel(uint32_t entry, const struct start_info *info);

/* main.c: returns when it failed and has said so */
void mbr_main(uint32_t disk);

#define MEMORY_ENTRIES_MAX 128u
/* memory.c: the memory map, at most MEMORY_ENTRIES_MAX entries; their number, 0: the BIOS has none
 */
uint32_t memory_map(struct memory_entry *map);
/*
 * The highest place for `size` bytes, on a page, in RAM at `from` or above and ending at `below` at
 * most; 0: there is none.
 */
uint32_t memory_place(const struct memory_entry *map, uint32_t entries, uint64_t size,
                      uint64_t from, uint64_t below);
/* whether all of it is RAM */
bool memory_is_ram(const struct memory_entry *map, uint32_t entries, uint64_t start, uint64_t end);
/* the address of ACPI's root pointer, 0: none */
uint32_t memory_rsdp(void);

/* disk.c: `size` bytes from a sector on to memory; false: the disk cannot be read */
bool disk_read(uint32_t disk, uint64_t sector, uint64_t size, void *to);

/* console.c: strings, up to NULL */
void say(const char *first, ...) __attribute__((sentinel));

#endif
