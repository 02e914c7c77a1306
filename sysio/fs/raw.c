/* SPDX-License-Identifier: MIT */
/*
 * Block devices as files: see raw.h. Nothing is kept here: a read goes to the device, and a write
 * that is not of whole sectors reads them first.
 */
#include "raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (64u << 10)

/* <linux/fs.h>, which musl does not repeat */
#define BLKROGET     0x125eu
#define BLKGETSIZE   0x1260u
#define BLKFLSBUF    0x1261u
#define BLKSSZGET    0x1268u
#define BLKBSZGET    0x80081270u
#define BLKGETSIZE64 0x80081272u

/* The whole sectors around some bytes that are at most a piece. */
struct span {
    uint64_t start;
    uint32_t size, skip, count; /* count bytes, after `skip` */
};

static struct span span_at(const struct block_device *b, uint64_t offset, uint64_t left)
{
    uint64_t start = offset & ~(uint64_t)(b->sector - 1);
    uint32_t skip = (uint32_t)(offset - start), room = PIECE - skip;
    uint32_t count = left < room ? (uint32_t)left : room;
    return (struct span){start, (skip + count + b->sector - 1) & ~(b->sector - 1), skip, count};
}

typedef int64_t move(struct block_device *b, struct transfer *t, const struct span *s,
                     uint8_t *buffer);

static int64_t move_out(struct block_device *b, struct transfer *t, const struct span *s,
                        uint8_t *buffer)
{
    int error = block_transfer(b, BLOCK_READ, s->start, buffer, s->size);
    return error ? error : transfer_from_buffer(t, buffer + s->skip, s->count);
}

static int64_t move_in(struct block_device *b, struct transfer *t, const struct span *s,
                       uint8_t *buffer)
{
    int error = s->size == s->count ? 0 : block_transfer(b, BLOCK_READ, s->start, buffer, s->size);
    int64_t n = error ? error : transfer_to_buffer(t, buffer + s->skip, s->count);
    if (n > 0)
        error = block_transfer(b, BLOCK_WRITE, s->start, buffer, s->size);
    return error ? error : n;
}

static int64_t move_all(const struct device *d, struct transfer *t, uint64_t offset, move *some)
{
    struct block_device *b = d->block;
    uint64_t left = t->left < b->size - offset ? t->left : b->size - offset;
    int64_t done = 0, n = 0;
    uint8_t *buffer = left ? malloc(PIECE) : NULL;
    if (left && !buffer)
        return -ENOMEM;
    while (left) {
        struct span s = span_at(b, offset, left);
        n = some(b, t, &s, buffer);
        if (n <= 0)
            break;
        offset += (uint64_t)n;
        left -= (uint64_t)n;
        done += n;
        if ((uint64_t)n < s.count)
            break;
    }
    free(buffer);
    return done ? done : n;
}

int64_t raw_read(const struct device *d, struct transfer *t, uint64_t offset)
{
    return offset < d->block->size ? move_all(d, t, offset, move_out) : 0;
}

int64_t raw_write(const struct device *d, struct transfer *t, uint64_t offset)
{
    if (offset >= d->block->size)
        return t->left ? -ENOSPC : 0;
    return move_all(d, t, offset, move_in);
}

int64_t raw_control(const struct device *d, const struct motor_event *ev)
{
    const struct block_device *b = d->block;
    uint64_t value;
    uint32_t size = 4;
    switch (ev->word[0]) {
    case BLKGETSIZE64:
        value = b->size;
        size = 8;
        break;
    case BLKGETSIZE:
        value = b->size / 512;
        size = 8;
        break;
    case BLKSSZGET:
    case BLKBSZGET:
        value = b->sector;
        break;
    case BLKROGET:
        value = b->read_only;
        break;
    case BLKFLSBUF:
        return block_flush(d->block);
    default:
        return -ENOTTY;
    }
    int64_t n = event_write(ev, 0, &value, size);
    return n < 0 ? n : n == size ? 0 : -EFAULT;
}
