/* SPDX-License-Identifier: MIT */
/* Batches of requests: see block.h. */
#include "block.h"

#include "../base/fiber.h"

#include <errno.h>
#include <stdlib.h>

/* In flight from one batch; more wait, so that a large batch does not take all memory. */
#define BATCH_PENDING_MAX 128u

static void batch_done(struct block_request *r)
{
    struct block_batch *b = r->context;
    if (r->status && !b->status)
        b->status = r->status;
    free(r);
    b->pending--;
    if (b->waiting) {
        struct fiber *f = b->waiting;
        b->waiting = NULL;
        fiber_ready(f);
    }
    if (b->over && !b->pending)
        b->over(b);
}

static void batch_sleep_until(struct block_batch *b, uint32_t pending)
{
    while (b->pending > pending) {
        b->waiting = fiber_current();
        fiber_suspend();
    }
}

void block_batch_submit(struct block_batch *b)
{
    struct block_request *r = b->open;
    if (!r)
        return;
    b->open = NULL;
    batch_sleep_until(b, BATCH_PENDING_MAX - 1);
    b->pending++;
    b->device->submit(b->device, r);
}

void block_batch_begin(struct block_batch *b, struct block_device *d)
{
    *b = (struct block_batch){.device = d};
}

/* What a request is made of is one kind of parts. */
static bool joins(const struct block_request *r, enum block_op op, uint64_t offset,
                  const struct block_part *part)
{
    return r->op == op && r->offset + r->size == offset && r->count < BLOCK_PARTS_MAX &&
           (!r->count || !r->parts[0].data == !part->data);
}

static void add(struct block_batch *b, enum block_op op, uint64_t offset, struct block_part part)
{
    uint32_t size = part.size;
    struct block_device *d = b->device;
    struct block_request *r = b->open;
    if (offset > d->size || size > d->size - offset || (offset | size) & (d->sector - 1)) {
        b->status = b->status ? b->status : -EIO;
        return;
    }
    if (d->read_only && op != BLOCK_READ) {
        b->status = b->status ? b->status : -EROFS;
        return;
    }
    if (r && !joins(r, op, offset, &part))
        block_batch_submit(b);
    r = b->open;
    if (!r) {
        r = malloc(sizeof *r);
        if (!r) {
            b->status = b->status ? b->status : -ENOMEM;
            return;
        }
        r->op = op;
        r->offset = offset;
        r->size = r->count = 0;
        r->done = batch_done;
        r->context = b;
        b->open = r;
    }
    if (op == BLOCK_READ || op == BLOCK_WRITE)
        r->parts[r->count++] = part;
    r->size += size;
}

void block_batch_add(struct block_batch *b, enum block_op op, uint64_t offset, void *data,
                     uint32_t size)
{
    add(b, op, offset, (struct block_part){.data = data, .size = size});
}

void block_batch_add_address(struct block_batch *b, enum block_op op, uint64_t offset,
                             uint64_t address, uint32_t size)
{
    add(b, op, offset, (struct block_part){.address = address, .size = size});
}

int block_batch_wait(struct block_batch *b)
{
    block_batch_submit(b);
    batch_sleep_until(b, 0);
    return b->status;
}

void block_batch_end(struct block_batch *b, void (*over)(struct block_batch *b))
{
    block_batch_submit(b);
    b->over = over;
    if (!b->pending)
        over(b);
}

int block_transfer(struct block_device *d, enum block_op op, uint64_t offset, void *data,
                   uint32_t size)
{
    struct block_batch b;
    block_batch_begin(&b, d);
    block_batch_add(&b, op, offset, data, size);
    return block_batch_wait(&b);
}

int block_flush(struct block_device *d)
{
    return d->read_only ? 0 : block_transfer(d, BLOCK_FLUSH, 0, NULL, 0);
}
