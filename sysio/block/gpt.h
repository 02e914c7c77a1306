/* SPDX-License-Identifier: MIT */
/* The GUID partition table of a disk (UEFI specification, chapter 5). */
#ifndef SYSIO_GPT_H
#define SYSIO_GPT_H

#include "block.h"

#define GPT_GUID_TEXT 37u /* 8-4-4-4-12 hexadecimal digits, and NUL */

struct gpt_partition {
    uint32_t number;  /* from 1: its place in the table */
    uint8_t type[16]; /* GUIDs as they are on the disk: the first three fields little-endian */
    uint8_t id[16];   /* of this one partition */
    uint64_t start, length; /* bytes, within the disk */
};

/*
 * Reads the table: the one at the start of the disk or, when that is damaged, the copy at its end.
 * Result: the number of partitions, in *out, which the caller frees, in the order of the table; 0
 * and NULL: the disk has no such table. Negative: an errno; EINVAL: both tables are damaged. No two
 * partitions of a table that is accepted overlap. May sleep: for fibers.
 */
int gpt_read(struct block_device *d, struct gpt_partition **out,
             void (*log)(const char *format, ...));

/*
 * When the disk has become larger than the table says, and the partition with this GUID is its
 * last: makes the partition larger, and the table right. 1: done; 0: nothing to do; negative: an
 * errno. May sleep.
 */
int gpt_grow(struct block_device *d, const uint8_t id[16]);

/* GUIDs as people write them, in lower case. parse: either case; false: it is none. */
void gpt_guid_text(const uint8_t guid[16], char text[GPT_GUID_TEXT]);
bool gpt_guid_parse(const char *text, uint8_t guid[16]);

#endif
