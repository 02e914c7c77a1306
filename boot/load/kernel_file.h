/* SPDX-License-Identifier: MIT */
/*
 * The kernel's file as our own loaders read it: an ELF file with the note that names the 32-bit PVH
 * entry, and behind it a trailer with a checksum, by which they know that it is whole.
 * Freestanding, for 32 and 64 bits.
 */
#ifndef BOOT_LOAD_KERNEL_FILE_H
#define BOOT_LOAD_KERNEL_FILE_H

#include <stdint.h>

#define KERNEL_TRAILER_MAGIC 0x4c4e524b544f4d21ull

struct kernel_trailer {
    uint64_t magic;
    uint64_t hash; /* motor_bundle_hash() of all before the trailer */
};

struct kernel_file {
    const unsigned char *bytes;
    uint64_t start, end; /* physical memory that it wants */
    uint32_t entry;      /* physical */
};

/* Checks a file in memory. NULL: it can be used; else what is wrong with it. */
const char *kernel_file_open(const void *bytes, uint64_t size, struct kernel_file *k);
/* Copies its segments; at: where the memory from k->start to k->end is, all of it ours. */
void kernel_file_place(const struct kernel_file *k, void *at);

#endif
