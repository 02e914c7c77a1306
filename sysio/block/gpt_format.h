/* SPDX-License-Identifier: MIT */
/* What a GUID partition table is on the disk; shared by its reader (gpt.c) and writer (gpt_grow.c).
 */
#ifndef SYSIO_GPT_FORMAT_H
#define SYSIO_GPT_FORMAT_H

#include "gpt.h"

#include <stddef.h>

struct gpt_header {
    uint64_t signature;
    uint32_t revision, size, crc, reserved;
    uint64_t self, other; /* sectors of this header and of its copy */
    uint64_t first, last; /* sectors that partitions may use */
    uint8_t disk[16];
    uint64_t entries; /* their first sector */
    uint32_t count, entry_size, entries_crc;
} __attribute__((packed));
_Static_assert(sizeof(struct gpt_header) == 92, "GPT");

struct gpt_entry {
    uint8_t type[16], id[16];
    uint64_t first, last;
    uint64_t attributes;
    uint16_t name[36];
};
_Static_assert(sizeof(struct gpt_entry) == 128, "GPT");

uint32_t gpt_crc32(const void *data, size_t size);
/* Whole sectors; EINVAL: they are not within the disk. */
int gpt_transfer(struct block_device *d, enum block_op op, uint64_t sector, void *data,
                 uint64_t size);
/* A header whose checksum and numbers are right. ENOENT: nothing like one; EINVAL: a damaged one.
 */
int gpt_header_read(struct block_device *d, uint64_t sector, struct gpt_header *h);
/* Its entries, if their checksum is right (EINVAL: it is not), in whole sectors, to be freed. */
int gpt_entries_read(struct block_device *d, const struct gpt_header *h, uint8_t **entries,
                     uint64_t *sectors);

#endif
