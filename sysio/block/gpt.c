/* SPDX-License-Identifier: MIT */
/*
 * Reading a GUID partition table: see gpt.h. The disk is not trusted: nothing is used before both
 * checksums are right, and then each number is checked against the disk all the same.
 */
#include "gpt_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE      0x5452415020494645ull /* "EFI PART" */
#define HEADER_MIN     92u
#define ENTRY_MIN      128u
#define ENTRY_MAX      4096u
#define TABLE_MAX      (128u << 10) /* bytes; the usual table has 16 KiB */
#define TRANSFER_BYTES (64u << 10)

/* ISO 3309, which Ethernet and zlib use as well */
uint32_t gpt_crc32(const void *data, size_t size)
{
    static const uint32_t table[16] = {/* of a nibble */
                                       0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const uint8_t *p = data;
    uint32_t crc = ~0u;
    for (; size; size--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

int gpt_transfer(struct block_device *d, enum block_op op, uint64_t sector, void *data,
                 uint64_t size)
{
    uint64_t sectors = d->size / d->sector, wanted = size / d->sector;
    if (sector > sectors || wanted > sectors - sector)
        return -EINVAL;
    struct block_batch batch;
    block_batch_begin(&batch, d);
    for (uint64_t at = 0; at < size; at += TRANSFER_BYTES)
        block_batch_add(&batch, op, sector * d->sector + at, (uint8_t *)data + at,
                        (uint32_t)(size - at < TRANSFER_BYTES ? size - at : TRANSFER_BYTES));
    return block_batch_wait(&batch);
}

int gpt_header_read(struct block_device *d, uint64_t sector, struct gpt_header *h)
{
    uint64_t sectors = d->size / d->sector;
    uint8_t *block = malloc(d->sector);
    if (!block)
        return -ENOMEM;
    int error = gpt_transfer(d, BLOCK_READ, sector, block, d->sector);
    if (!error) {
        memcpy(h, block, sizeof *h);
        if (h->signature != SIGNATURE)
            error = -ENOENT;
        else if (h->size < HEADER_MIN || h->size > d->sector)
            error = -EINVAL;
    }
    if (!error) {
        memset(block + offsetof(struct gpt_header, crc), 0, sizeof h->crc);
        bool sound = gpt_crc32(block, h->size) == h->crc && h->self == sector &&
                     h->first <= h->last && h->last < sectors && h->entry_size >= ENTRY_MIN &&
                     h->entry_size <= ENTRY_MAX && !(h->entry_size & (h->entry_size - 1)) &&
                     h->count && h->count <= TABLE_MAX / h->entry_size;
        error = sound ? 0 : -EINVAL;
    }
    free(block);
    return error;
}

static bool overlaps(const struct gpt_partition *found, uint32_t count,
                     const struct gpt_partition *p)
{
    for (uint32_t i = 0; i < count; i++)
        if (p->start < found[i].start + found[i].length && found[i].start < p->start + p->length)
            return true;
    return false;
}

/* From the table's bytes; the number found, or EINVAL when one of them cannot be. */
static int entries_parse(const struct block_device *d, const struct gpt_header *h,
                         const uint8_t *table, struct gpt_partition *found)
{
    static const uint8_t unused[16];
    int count = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        struct gpt_entry e;
        memcpy(&e, table + (uint64_t)i * h->entry_size, sizeof e);
        if (!memcmp(e.type, unused, sizeof unused))
            continue;
        if (e.first < h->first || e.last > h->last || e.first > e.last)
            return -EINVAL;
        struct gpt_partition p = {.number = i + 1,
                                  .start = e.first * d->sector,
                                  .length = (e.last - e.first + 1) * d->sector};
        memcpy(p.type, e.type, sizeof p.type);
        memcpy(p.id, e.id, sizeof p.id);
        if (overlaps(found, (uint32_t)count, &p))
            return -EINVAL;
        found[count++] = p;
    }
    return count;
}

int gpt_entries_read(struct block_device *d, const struct gpt_header *h, uint8_t **entries,
                     uint64_t *sectors)
{
    uint64_t bytes = (uint64_t)h->count * h->entry_size;
    *sectors = (bytes + d->sector - 1) / d->sector;
    *entries = malloc(*sectors * d->sector);
    if (!*entries)
        return -ENOMEM;
    int error = gpt_transfer(d, BLOCK_READ, h->entries, *entries, *sectors * d->sector);
    if (!error && gpt_crc32(*entries, bytes) != h->entries_crc)
        error = -EINVAL;
    if (error) {
        free(*entries);
        *entries = NULL;
    }
    return error;
}

/* The table whose header is in this sector; as gpt_read(), but ENOENT if there is none. */
static int table_read(struct block_device *d, uint64_t sector, struct gpt_partition **out)
{
    struct gpt_header h;
    uint8_t *entries;
    uint64_t sectors;
    int result = gpt_header_read(d, sector, &h);
    if (!result)
        result = gpt_entries_read(d, &h, &entries, &sectors);
    if (result)
        return result;
    struct gpt_partition *found = calloc(h.count, sizeof *found);
    result = found ? entries_parse(d, &h, entries, found) : -ENOMEM;
    free(entries);
    if (result <= 0) {
        free(found);
        found = NULL;
    }
    *out = found;
    return result;
}

int gpt_read(struct block_device *d, struct gpt_partition **out,
             void (*log)(const char *format, ...))
{
    *out = NULL;
    if (d->size / d->sector < 3)
        return 0;
    int result = table_read(d, 1, out);
    if (result >= 0 || result == -ENOMEM)
        return result;
    int copy = table_read(d, d->size / d->sector - 1, out);
    if (copy >= 0) {
        log("%s: the partition table is damaged: its copy at the end of the disk is used", d->name);
        return copy;
    }
    if (result == -ENOENT && copy == -ENOENT)
        return 0;
    return result == -ENOENT ? copy : result;
}

/* ---- GUIDs ---- */

/* The place on the disk of each byte, in the order in which they are written. */
static const uint8_t written[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static bool dash_before(int byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void gpt_guid_text(const uint8_t guid[16], char text[GPT_GUID_TEXT])
{
    for (int i = 0; i < 16; i++)
        text += sprintf(text, "%s%02x", dash_before(i) ? "-" : "", guid[written[i]]);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gpt_guid_parse(const char *text, uint8_t guid[16])
{
    for (int i = 0; i < 16; i++) {
        if (dash_before(i) && *text++ != '-')
            return false;
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0)
            return false;
        guid[written[i]] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return !*text;
}
