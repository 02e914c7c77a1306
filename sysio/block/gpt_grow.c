/* SPDX-License-Identifier: MIT */
/*
 * A disk that has become larger than its partition table says: the table's copy goes to the new
 * end, and the last partition grows up to it.
 *
 * The copy is written and durable before the original is touched: whenever the machine stops, one
 * of the two is whole, and gpt_read() finds it.
 */
#include "gpt_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT (1u << 20) /* of the partition's end, bytes */

struct table {
    struct gpt_header header;
    uint8_t *entries; /* whole sectors */
    uint64_t sectors; /* of them */
};

/* The entry of the partition that ends last; NULL: there is none. */
static struct gpt_entry *last_entry(const struct table *t)
{
    static const uint8_t unused[16];
    struct gpt_entry *last = NULL;
    for (uint32_t i = 0; i < t->header.count; i++) {
        struct gpt_entry *e = (void *)(t->entries + (uint64_t)i * t->header.entry_size);
        if (memcmp(e->type, unused, sizeof unused) && (!last || e->last > last->last))
            last = e;
    }
    return last;
}

static int write_header(struct block_device *d, const struct table *t, uint64_t self,
                        uint64_t other, uint64_t entries)
{
    uint8_t *block = calloc(1, d->sector);
    if (!block)
        return -ENOMEM;
    struct gpt_header h = t->header;
    h.size = sizeof h;
    h.self = self;
    h.other = other;
    h.entries = entries;
    h.crc = 0;
    h.entries_crc = gpt_crc32(t->entries, (size_t)h.count * h.entry_size);
    h.crc = gpt_crc32(&h, sizeof h);
    memcpy(block, &h, sizeof h);
    int error = gpt_transfer(d, BLOCK_WRITE, entries, t->entries, t->sectors * d->sector);
    if (!error)
        error = gpt_transfer(d, BLOCK_WRITE, self, block, d->sector);
    free(block);
    return error ? error : block_flush(d);
}

/* The first sector's one partition, which keeps others off the disk, covers all of it again. */
static int cover(struct block_device *d)
{
    enum { TYPE = 450, COUNT = 458, PROTECTIVE = 0xee };
    uint64_t sectors = d->size / d->sector - 1;
    uint32_t count = sectors > UINT32_MAX ? UINT32_MAX : (uint32_t)sectors;
    uint8_t *block = malloc(d->sector);
    if (!block)
        return -ENOMEM;
    int error = gpt_transfer(d, BLOCK_READ, 0, block, d->sector);
    if (!error && block[TYPE] == PROTECTIVE && memcmp(block + COUNT, &count, sizeof count)) {
        memcpy(block + COUNT, &count, sizeof count);
        error = gpt_transfer(d, BLOCK_WRITE, 0, block, d->sector);
    }
    free(block);
    return error;
}

/* The table for the disk as it is now. False: the last partition would not become larger. */
static bool extend(const struct block_device *d, struct table *t, const uint8_t id[16])
{
    uint64_t end = d->size / d->sector, unit = ALIGNMENT / d->sector;
    struct gpt_entry *last = last_entry(t);
    if (!last || memcmp(last->id, id, sizeof last->id) || end <= t->sectors + 1)
        return false;
    t->header.last = end - 1 - t->sectors - 1;
    uint64_t stop = (t->header.last + 1) / unit * unit;
    if (stop <= last->last + 1)
        return false;
    last->last = stop - 1;
    return true;
}

int gpt_grow(struct block_device *d, const uint8_t id[16])
{
    struct table t = {.entries = NULL};
    uint64_t end = d->size / d->sector;
    if (d->read_only || end < 3)
        return 0;
    int error = gpt_header_read(d, 1, &t.header);
    if (error || t.header.other >= end - 1)
        return error == -ENOENT || error == -EINVAL ? 0 : error;
    error = gpt_entries_read(d, &t.header, &t.entries, &t.sectors);
    bool grown = !error && extend(d, &t, id);
    if (grown)
        error = write_header(d, &t, end - 1, 1, end - 1 - t.sectors);
    if (grown && !error)
        error = write_header(d, &t, 1, end - 1, t.header.entries);
    if (grown && !error)
        error = cover(d);
    free(t.entries);
    return error ? error : grown;
}
