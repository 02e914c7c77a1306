/* SPDX-License-Identifier: MIT */
/* Partitions: requests go to the disk, moved by where the partition begins. */
#include "partition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void partition_submit(struct block_device *d, struct block_request *r)
{
    struct partition *p = (struct partition *)d;
    r->offset += p->entry.start;
    p->disk->submit(p->disk, r);
}

int partitions_open(struct block_device *disk, struct partition **out,
                    void (*log)(const char *format, ...))
{
    struct gpt_partition *entries;
    int count = gpt_read(disk, &entries, log);
    *out = NULL;
    if (count < 0)
        log("%s: the partition table cannot be used: %s", disk->name, strerror(-count));
    struct partition *parts = count > 0 ? calloc((size_t)count, sizeof *parts) : NULL;
    for (int i = 0; parts && i < count; i++) {
        struct partition *p = &parts[i];
        p->disk = disk;
        p->entry = entries[i];
        snprintf(p->name, sizeof p->name, "%s%u", disk->name, entries[i].number);
        p->device = (struct block_device){.name = p->name,
                                          .size = entries[i].length,
                                          .sector = disk->sector,
                                          .read_only = disk->read_only,
                                          .can_discard = disk->can_discard,
                                          .by_address = disk->by_address,
                                          .submit = partition_submit};
    }
    free(entries);
    *out = parts;
    return parts || count < 0 ? count : 0;
}
