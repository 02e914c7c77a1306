/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk (virtio 1.2, 5.2): one queue. A request is done in pieces of at most 64 KiB, each of
 * which has a slot: header, status and data in memory that the device reaches. The data is copied,
 * so that whoever submits may use any memory, and a device that goes on writing after its answer
 * changes nothing. Parts that are addresses are not: a piece of them is as much as the device takes
 * in one request.
 *
 * The device is not trusted. A read that is shorter than asked for is an error; a queue that breaks
 * the rules ends the disk: it is reset, and all requests, now and later, fail with EIO.
 */
#include "virtio_blk.h"

#include "../virtio/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define F_SIZE_MAX (1ull << 1)
#define F_SEG_MAX  (1ull << 2)
#define F_RO       (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH    (1ull << 9)
#define F_DISCARD  (1ull << 13)

enum {
    CONFIG_CAPACITY = 0,
    CONFIG_SIZE_MAX = 8,
    CONFIG_SEG_MAX = 12,
    CONFIG_BLK_SIZE = 20,
    CONFIG_DISCARD_MAX = 36
};
enum { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4, TYPE_DISCARD = 11 };
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPPORTED = 2 };

#define SECTOR     512u /* of the protocol; the device's blocks may be larger */
#define PIECE      (64u << 10)
#define SLOTS      16u
#define QUEUE_SIZE 256u
#define SEGMENTS   64u /* of one piece, at most */
#define SIZE_LIMIT (1ull << 60)

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};
struct discard {
    uint64_t sector;
    uint32_t count, flags;
};

struct control { /* of a slot, in shared memory */
    struct header header;
    uint8_t status, pad[15];
};

struct slot {
    struct block_request *request; /* NULL: free */
    uint64_t at;                   /* of the request's bytes */
    uint32_t size;
    volatile struct control *control;
    uint64_t control_pa;
    uint8_t *data;
    uint64_t data_pa;
};

struct virtio_blk {
    struct block_device device; /* first */
    struct virtio_device *virtio;
    struct virtq *queue;
    bool has_flush, dead;
    uint32_t piece;       /* bytes of one that is copied, and of a segment, at most */
    uint32_t segments;    /* of one that is not copied, at most */
    uint64_t discard_max; /* bytes of one, at most */
    struct slot slots[SLOTS];
    struct block_request *first, **last; /* submitted, not handed over in full */
    char name[8];
};

static struct virtio_blk *disk_of(struct block_device *d)
{
    return (struct virtio_blk *)d;
}

/* ---- requests ---- */

static void blk_submit(struct block_device *d, struct block_request *r)
{
    struct virtio_blk *disk = disk_of(d);
    r->status = 0;
    r->taken = 0;
    r->pieces = 0;
    r->next = NULL;
    *disk->last = r;
    disk->last = &r->next;
}

static void queue_pop(struct virtio_blk *disk)
{
    disk->first = disk->first->next;
    if (!disk->first)
        disk->last = &disk->first;
}

/* Copies between a piece of a request's parts and a buffer. */
static void copy(struct block_request *r, uint64_t at, uint8_t *buffer, uint32_t size,
                 bool to_parts)
{
    for (uint32_t i = 0; i < r->count && size; i++) {
        struct block_part *p = &r->parts[i];
        if (at >= p->size) {
            at -= p->size;
            continue;
        }
        uint32_t n = p->size - (uint32_t)at < size ? p->size - (uint32_t)at : size;
        uint8_t *part = (uint8_t *)p->data + at;
        memcpy(to_parts ? part : buffer, to_parts ? buffer : part, n);
        buffer += n;
        size -= n;
        at = 0;
    }
}

static void finish_if_done(struct block_request *r)
{
    if (!r->pieces && r->taken >= r->size)
        r->done(r);
}

/* Parts that are addresses, from a place on: as many as one piece takes. Result: segments. */
static uint32_t gather(const struct virtio_blk *disk, const struct block_request *r, uint64_t at,
                       struct virtio_buffer *to, uint32_t *bytes)
{
    uint32_t n = 0;
    *bytes = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct block_part *p = &r->parts[i];
        if (at >= p->size) {
            at -= p->size;
            continue;
        }
        for (; at < p->size; at += to[n - 1].size, *bytes += to[n - 1].size) {
            uint64_t address = p->address + at, left = p->size - at;
            struct virtio_buffer *b = n ? &to[n - 1] : NULL;
            if (b && b->pa + b->size == address && b->size + left <= disk->piece) {
                b->size += left;
                *bytes += left;
                break;
            }
            if (n == disk->segments)
                return n;
            to[n++] =
                (struct virtio_buffer){address, left < disk->piece ? (uint32_t)left : disk->piece};
        }
        at = 0;
    }
    return n;
}

static bool by_address(const struct block_request *r)
{
    return r->count && !r->parts[0].data;
}

/* The data of the request's next piece of `bytes`, copied if it has to be. Result: buffers. */
static uint32_t piece_data(struct virtio_blk *disk, struct slot *s, struct block_request *r,
                           struct virtio_buffer *buffers, uint32_t *bytes)
{
    if (by_address(r))
        return gather(disk, r, r->taken, buffers, bytes);
    if (r->op == BLOCK_WRITE)
        copy(r, r->taken, s->data, *bytes, false);
    if (*bytes)
        *buffers = (struct virtio_buffer){s->data_pa, *bytes};
    return *bytes != 0;
}

/* Hands one piece of a request to the device; false: the queue is full. */
static bool piece_start(struct virtio_blk *disk, struct slot *s, struct block_request *r)
{
    static const uint32_t types[] = {[BLOCK_READ] = TYPE_IN,
                                     [BLOCK_WRITE] = TYPE_OUT,
                                     [BLOCK_FLUSH] = TYPE_FLUSH,
                                     [BLOCK_DISCARD] = TYPE_DISCARD};
    struct virtio_buffer buffers[SEGMENTS + 2] = {{s->control_pa, sizeof(struct header)}};
    uint64_t left = r->size - r->taken,
             most = r->op == BLOCK_DISCARD ? disk->discard_max : disk->piece;
    uint64_t size = left < most ? left : most, sector = (r->offset + r->taken) / SECTOR;
    uint32_t bytes = r->op == BLOCK_FLUSH     ? 0
                     : r->op == BLOCK_DISCARD ? (uint32_t)sizeof(struct discard)
                                              : (uint32_t)size;
    bool addressed = r->op == BLOCK_READ || r->op == BLOCK_WRITE;
    s->control->header = (struct header){.type = types[r->op], .sector = addressed ? sector : 0};
    s->control->status = 0xff;
    if (r->op == BLOCK_DISCARD)
        *(struct discard *)s->data = (struct discard){sector, (uint32_t)(size / SECTOR), 0};
    uint32_t n = 1 + piece_data(disk, s, r, buffers + 1, &bytes);
    if (by_address(r))
        size = bytes;
    buffers[n++] = (struct virtio_buffer){s->control_pa + offsetof(struct control, status), 1};
    uint32_t in = r->op == BLOCK_READ ? n - 1 : 1;
    if (virtq_add(disk->queue, buffers, n - in, in, s) < 0)
        return false;
    s->request = r;
    s->at = r->taken;
    s->size = bytes;
    r->taken += size;
    r->pieces++;
    return true;
}

static struct slot *slot_free(struct virtio_blk *disk)
{
    for (uint32_t i = 0; i < SLOTS; i++)
        if (!disk->slots[i].request)
            return &disk->slots[i];
    return NULL;
}

/* Nothing to tell the device: a flush of a disk without a cache. */
static bool needs_nothing(const struct virtio_blk *disk, const struct block_request *r)
{
    return r->op == BLOCK_FLUSH && !disk->has_flush;
}

static void start_pieces(struct virtio_blk *disk)
{
    while (disk->first) {
        struct block_request *r = disk->first;
        struct slot *s;
        if (disk->dead || needs_nothing(disk, r) ||
            (r->op == BLOCK_DISCARD && !disk->discard_max)) {
            r->status = disk->dead ? -EIO : needs_nothing(disk, r) ? 0 : -EOPNOTSUPP;
            r->taken = r->size;
            queue_pop(disk);
            finish_if_done(r);
            continue;
        }
        s = slot_free(disk);
        if (!s || !piece_start(disk, s, r))
            return;
        if (r->taken >= r->size)
            queue_pop(disk);
    }
}

/* The rest of a request that has failed is not started. */
static void request_fail(struct virtio_blk *disk, struct block_request *r, int error)
{
    r->status = r->status ? r->status : error;
    if (disk->first == r) /* only the first one can have pieces in flight */
        queue_pop(disk);
    r->taken = r->size;
}

static void piece_end(struct virtio_blk *disk, struct slot *s, uint32_t written, bool lost)
{
    struct block_request *r = s->request;
    uint8_t status = s->control->status;
    uint32_t expected = r->op == BLOCK_READ ? s->size + 1 : 1;
    s->request = NULL;
    r->pieces--;
    if (lost || (status != STATUS_OK && status != STATUS_UNSUPPORTED) || written < expected)
        request_fail(disk, r, -EIO);
    else if (status == STATUS_UNSUPPORTED)
        request_fail(disk, r, -EOPNOTSUPP);
    else if (r->op == BLOCK_READ && !by_address(r))
        copy(r, s->at, s->data, s->size, true);
    finish_if_done(r);
}

static void disk_end(struct virtio_blk *disk)
{
    struct slot *s;
    disk->dead = true;
    virtio_reset(disk->virtio);
    while ((s = virtq_detach(disk->queue)))
        piece_end(disk, s, 0, true);
}

bool virtio_blk_turn(struct block_device *d, bool interrupt)
{
    struct virtio_blk *disk = disk_of(d);
    struct slot *s;
    uint32_t written;
    if (interrupt)
        virtio_interrupt_begin(disk->virtio);
    while (!disk->dead && (s = virtq_pop(disk->queue, &written)))
        piece_end(disk, s, written, false);
    if (!disk->dead && virtq_broken(disk->queue))
        disk_end(disk);
    start_pieces(disk);
    bool more = false;
    if (!disk->dead) {
        virtq_kick(disk->queue);
        more = virtq_interrupts_on(disk->queue);
    }
    if (interrupt)
        virtio_interrupt_end(disk->virtio);
    return more;
}

/* ---- start ---- */

static bool slots_make(struct virtio_blk *disk)
{
    struct virtio_dma control, data;
    if (virtio_dma_alloc(&control, SLOTS * sizeof(struct control)) < 0 ||
        virtio_dma_alloc(&data, SLOTS * PIECE) < 0)
        return false;
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct slot *s = &disk->slots[i];
        s->control = (volatile struct control *)control.va + i;
        s->control_pa = control.pa + i * sizeof(struct control);
        s->data = (uint8_t *)data.va + i * PIECE;
        s->data_pa = data.pa + i * PIECE;
    }
    return true;
}

/* What the device says of itself, as far as it makes sense. False: it does not. */
static bool configure(struct virtio_blk *disk, uint64_t features)
{
    struct virtio_device *v = disk->virtio;
    uint64_t capacity = 0;
    uint32_t block = SECTOR, size_max = PIECE, discard = 0, segments = 1;
    virtio_config_read(v, CONFIG_CAPACITY, &capacity, 8);
    if (features & F_BLK_SIZE)
        virtio_config_read(v, CONFIG_BLK_SIZE, &block, 4);
    if (features & F_SIZE_MAX)
        virtio_config_read(v, CONFIG_SIZE_MAX, &size_max, 4);
    if (features & F_SEG_MAX)
        virtio_config_read(v, CONFIG_SEG_MAX, &segments, 4);
    if (features & F_DISCARD)
        virtio_config_read(v, CONFIG_DISCARD_MAX, &discard, 4);
    if (block < SECTOR || block > 4096 || (block & (block - 1)))
        block = SECTOR;
    disk->piece = (size_max < PIECE ? size_max : PIECE) & ~(block - 1);
    disk->segments = !segments ? 1 : segments < SEGMENTS ? segments : SEGMENTS;
    disk->discard_max = (uint64_t)discard * SECTOR & ~(uint64_t)(block - 1);
    disk->has_flush = features & F_FLUSH;
    disk->device.sector = block;
    disk->device.size = capacity * SECTOR & ~(uint64_t)(block - 1);
    disk->device.read_only = features & F_RO;
    disk->device.can_discard = disk->discard_max;
    disk->device.by_address = true;
    return disk->piece && capacity && capacity < SIZE_LIMIT / SECTOR;
}

struct block_device *virtio_blk_open(uint32_t index, motor_handle gate,
                                     void (*log)(const char *format, ...))
{
    struct virtio_device *v = virtio_find(VIRTIO_BLOCK, index);
    uint64_t features;
    if (!v || virtio_negotiate(v, F_SIZE_MAX | F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_DISCARD,
                               0, &features) < 0)
        return NULL;
    struct virtio_blk *disk = calloc(1, sizeof *disk);
    if (!disk)
        return NULL;
    disk->virtio = v;
    disk->last = &disk->first;
    disk->device.submit = blk_submit;
    disk->device.name = disk->name;
    disk->name[0] = 'v';
    disk->name[1] = 'd';
    disk->name[2] = (char)('a' + index % 26);
    if (!configure(disk, features) || virtio_interrupts(v, gate) < 0 ||
        virtio_queue(v, 0, QUEUE_SIZE, &disk->queue) < 0 || virtq_size(disk->queue) < 4 ||
        !slots_make(disk)) {
        log("%s: a disk that makes no sense, or no memory for it", virtio_name(v));
        virtio_reset(v);
        free(disk);
        return NULL;
    }
    if (disk->segments > virtq_size(disk->queue) - 2)
        disk->segments = virtq_size(disk->queue) - 2;
    virtio_start(v);
    return &disk->device;
}
