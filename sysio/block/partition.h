/* SPDX-License-Identifier: MIT */
/* A partition as a block device of its own. */
#ifndef SYSIO_PARTITION_H
#define SYSIO_PARTITION_H

#include "gpt.h"

struct partition {
    struct block_device device; /* first */
    struct block_device *disk;
    struct gpt_partition entry;
    char name[16]; /* the disk's name and the number: vda3 */
};

/*
 * The partitions of a disk as devices, in *out, for good. Result: their number; negative: an errno,
 * logged. May sleep: for fibers.
 */
int partitions_open(struct block_device *disk, struct partition **out,
                    void (*log)(const char *format, ...));

#endif
