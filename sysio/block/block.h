/* SPDX-License-Identifier: MIT */
/*
 * Block devices: what a driver offers and a file system uses.
 *
 * Requests are asynchronous and may be many: the device takes them with submit(), in any order, and
 * calls each one's done() from the engine's loop. A write that is done may still be in a volatile
 * cache; a flush that is done has made all writes durable that were done before it was submitted.
 * Nothing orders requests that are in flight together.
 *
 * block_batch collects requests of one fiber, which then sleeps until all of them are done.
 */
#ifndef SYSIO_BLOCK_H
#define SYSIO_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct fiber;

#define BLOCK_PARTS_MAX 64u

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD };

struct block_part {
    void *data;       /* NULL: the device itself reaches memory at `address` */
    uint64_t address; /* physical */
    uint32_t size;    /* a multiple of the device's sector */
};

struct block_request {
    enum block_op op;
    uint64_t offset; /* bytes, a multiple of the sector */
    uint64_t size;   /* bytes: the sum of the parts; of a discard, what it names */
    uint32_t count;
    struct block_part parts[BLOCK_PARTS_MAX];
    int status; /* for done(): 0 or a negated errno */
    void (*done)(struct block_request *r);
    void *context; /* of who submitted it */
    /* the driver's, while it has the request: */
    struct block_request *next;
    uint64_t taken;  /* bytes handed over */
    uint32_t pieces; /* of them, in flight */
};

struct block_device {
    const char *name;
    uint64_t size;   /* bytes */
    uint32_t sector; /* smallest unit of a request, bytes */
    bool read_only;  /* writes fail with EROFS */
    bool can_discard;
    bool by_address; /* parts may be without data */
    /*
     * The request is within the device and stays valid until done(), which is called once, never
     * from here.
     */
    void (*submit)(struct block_device *d, struct block_request *r);
};

struct block_batch {
    struct block_device *device;
    struct block_request *open; /* being filled */
    uint32_t pending;
    int status; /* the first error */
    struct fiber *waiting;
    void (*over)(struct block_batch *b); /* of block_batch_end() */
};

void block_batch_begin(struct block_batch *b, struct block_device *d);
/*
 * Adds one transfer; it joins the one before when both are of one kind and adjacent. Data must stay
 * until block_batch_wait(). A transfer outside of the device makes the batch fail with EIO.
 */
void block_batch_add(struct block_batch *b, enum block_op op, uint64_t offset, void *data,
                     uint32_t size);
/* The same to or from memory by its address: of a device that can. */
void block_batch_add_address(struct block_batch *b, enum block_op op, uint64_t offset,
                             uint64_t address, uint32_t size);
/* The device has all that was added. May sleep: for fibers. */
void block_batch_submit(struct block_batch *b);
/* All is done: 0, or the first error. May sleep: for fibers. */
int block_batch_wait(struct block_batch *b);
/* Instead: nobody waits; `over` is called when all is done, from the loop or at once. */
void block_batch_end(struct block_batch *b, void (*over)(struct block_batch *b));
/* one transfer, and its end */
int block_transfer(struct block_device *d, enum block_op op, uint64_t offset, void *data,
                   uint32_t size);
int block_flush(struct block_device *d);

#endif
