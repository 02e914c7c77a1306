/* SPDX-License-Identifier: MIT */
/*
 * The virtio-blk driver over a device that answers in random order, fails, lies about what it did,
 * breaks its queue, has no flush, or is read-only. What it reads is what was written; what failed
 * says so; every request ends, once.
 */
#include "../../../sysio/block/virtio_blk.h"
#include "../../../sysio/base/fiber.h"
#include "../../../sysio/virtio/virtio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE (4u << 20)
#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static uint64_t seed = 1;
static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((seed >> 33) % n);
}

/* ---- the device, and sysio/virtio in its place ---- */

struct chain {
    struct virtio_buffer buffers[66];
    uint32_t out, in;
    void *token;
};
static struct {
    uint64_t offered;
    uint32_t fail, lie, size_max, seg_max; /* one in so many answers; 0: none */
    bool broken;
    uint32_t break_after;
    struct chain chains[64], used[64];
    uint32_t count, used_count, written[64], flushes;
    uint8_t bytes[SIZE];
} machine;

struct virtio_device *virtio_find(uint32_t type, uint32_t index)
{
    return type == VIRTIO_BLOCK && !index ? (struct virtio_device *)&machine : NULL;
}
const char *virtio_name(const struct virtio_device *d)
{
    return d ? "test" : NULL;
}
int virtio_negotiate(struct virtio_device *d, uint64_t wanted, uint64_t required, uint64_t *agreed)
{
    (void)d, (void)required;
    *agreed = wanted & machine.offered;
    return 0;
}
int virtio_queue(struct virtio_device *d, uint32_t index, uint32_t size, struct virtq **queue)
{
    (void)d, (void)index, (void)size;
    *queue = (struct virtq *)&machine;
    return 0;
}
int virtio_interrupts(struct virtio_device *d, motor_handle gate)
{
    (void)d, (void)gate;
    return 0;
}
void virtio_start(struct virtio_device *d)
{
    (void)d;
}
void virtio_reset(struct virtio_device *d)
{
    (void)d;
}
bool virtio_interrupt_begin(struct virtio_device *d)
{
    (void)d;
    return false;
}
void virtio_interrupt_end(struct virtio_device *d)
{
    (void)d;
}
static void *memory[4];
static uint32_t memory_count;

int virtio_dma_alloc(struct virtio_dma *dma, uint64_t size)
{
    *dma = (struct virtio_dma){calloc(1, size), 0, size};
    CHECK(memory_count < 4);
    memory[memory_count++] = dma->va;
    dma->pa = (uint64_t)(uintptr_t)dma->va;
    return 0;
}
void virtio_config_read(struct virtio_device *d, uint32_t offset, void *buffer, uint32_t size)
{
    uint64_t value = offset == 0    ? SIZE / 512
                     : offset == 8  ? machine.size_max
                     : offset == 12 ? machine.seg_max
                     : offset == 20 ? 512
                                    : 1000;
    (void)d;
    memcpy(buffer, &value, size);
}
uint32_t virtq_size(const struct virtq *q)
{
    (void)q;
    return 64;
}
int virtq_add(struct virtq *q, const struct virtio_buffer *buffers, uint32_t out, uint32_t in,
              void *token)
{
    (void)q;
    CHECK(out + in >= 2 && out + in <= 3 + (machine.offered >> 2 & 1 ? machine.seg_max - 1 : 0));
    if (machine.broken || machine.count == 12) /* fewer than the driver has slots */
        return -MOTOR_EAGAIN;
    struct chain *c = &machine.chains[machine.count++];
    *c = (struct chain){.out = out, .in = in, .token = token};
    memcpy(c->buffers, buffers, (out + in) * sizeof *buffers);
    return 0;
}
void virtq_kick(struct virtq *q)
{
    (void)q;
}
void *virtq_pop(struct virtq *q, uint32_t *written)
{
    (void)q;
    if (machine.broken || !machine.used_count)
        return NULL;
    *written = machine.written[--machine.used_count];
    return machine.used[machine.used_count].token;
}
bool virtq_broken(const struct virtq *q)
{
    (void)q;
    return machine.broken;
}
bool virtq_interrupts_on(struct virtq *q)
{
    (void)q;
    return false;
}
void *virtq_detach(struct virtq *q)
{
    (void)q;
    if (machine.used_count)
        return machine.used[--machine.used_count].token;
    return machine.count ? machine.chains[--machine.count].token : NULL;
}

static uint8_t perform(const struct chain *c, uint32_t *written)
{
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    CHECK(c->buffers[0].size == sizeof header);
    memcpy(&header, (void *)c->buffers[0].pa, sizeof header);
    uint8_t *data = (void *)c->buffers[1].pa;
    uint32_t segments = c->out + c->in - 2;
    uint64_t size = segments ? c->buffers[1].size : 0, at = header.sector * 512;
    *written = 1;
    if (machine.fail && below(machine.fail) == 0)
        return 1;
    switch (header.type) {
    case 0:
    case 1:
        CHECK(c->in == (header.type ? 1 : segments + 1));
        for (uint32_t i = 1; i <= segments; i++, at += size) {
            size = c->buffers[i].size;
            data = (void *)c->buffers[i].pa;
            CHECK(at + size <= SIZE && size <= machine.size_max);
            memcpy(header.type ? machine.bytes + at : data, header.type ? data : machine.bytes + at,
                   size);
            *written += header.type ? 0 : (uint32_t)size;
        }
        return 0;
    case 4:
        machine.flushes++;
        return 0;
    case 11:
        CHECK(size == 16);
        memcpy(&header.sector, data, 8);
        memcpy(&header.reserved, data + 8, 4);
        CHECK((header.sector + header.reserved) * 512 <= SIZE && header.reserved <= 1000);
        memset(machine.bytes + header.sector * 512, 0, header.reserved * 512ull);
        return 0;
    }
    return 2;
}

/* One chain, any of them, is done. */
static void device_step(void)
{
    if (!machine.count || machine.broken)
        return;
    if (machine.break_after && --machine.break_after == 0) {
        machine.broken = true;
        return;
    }
    uint32_t i = below(machine.count), n = machine.used_count++;
    struct chain c = machine.chains[i];
    machine.chains[i] = machine.chains[--machine.count];
    uint8_t *status = (void *)c.buffers[c.out + c.in - 1].pa;
    *status = perform(&c, &machine.written[n]);
    if (machine.lie && below(machine.lie) == 0) {
        if (below(2))
            machine.written[n] = 0;
        else
            *status = (uint8_t)(3 + below(200));
    }
    machine.used[n] = c;
}

/* ---- the user ---- */

static struct block_device *disk;
static uint8_t shadow[SIZE];
static bool unsure[SIZE / 512]; /* a write that failed may have been done or not */
static uint32_t failures, finished;

static void one_batch(void)
{
    static uint8_t buffers[48][70000];
    struct {
        uint64_t at;
        uint32_t size;
    } parts[48];
    struct block_batch b;
    enum block_op op = below(2) ? BLOCK_WRITE : BLOCK_READ;
    uint32_t count = 1 + below(47);
    uint64_t at = below(SIZE / 512) * 512ull;
    bool by_address = below(2);
    block_batch_begin(&b, disk);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = 512 * (1 + below(below(4) ? 8 : 130));
        if (below(3) == 0 || i == 0)
            at = i * (SIZE / 48 / 512 * 512ull);
        if (at + size > (i + 1) * (uint64_t)(SIZE / 48 / 512 * 512) ||
            at < i * (SIZE / 48 / 512 * 512ull))
            at = i * (SIZE / 48 / 512 * 512ull);
        parts[i].at = at;
        parts[i].size = size;
        for (uint32_t k = 0; k < size && op == BLOCK_WRITE; k += 1 + below(64))
            buffers[i][k] = (uint8_t)below(256);
        if (below(20) == 0) /* both kinds, in one batch */
            by_address = !by_address;
        uint32_t half = size / 2 & ~511u;
        if (!by_address)
            block_batch_add(&b, op, at, buffers[i], size);
        if (by_address && half) /* these lie side by side */
            block_batch_add_address(&b, op, at, (uint64_t)buffers[i], half);
        if (by_address)
            block_batch_add_address(&b, op, at + half, (uint64_t)buffers[i] + half, size - half);
        at += size;
    }
    int error = block_batch_wait(&b);
    failures += error != 0;
    finished++;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < parts[i].size; k += 512) {
            uint64_t sector = (parts[i].at + k) / 512;
            if (op == BLOCK_WRITE && !disk->read_only) {
                memcpy(shadow + sector * 512, buffers[i] + k, 512);
                unsure[sector] = error != 0;
            } else if (op == BLOCK_READ && !error && !unsure[sector]) {
                CHECK(!memcmp(shadow + sector * 512, buffers[i] + k, 512));
            }
        }
    }
    if (error)
        CHECK(error == -EIO || (error == -EROFS && disk->read_only && op == BLOCK_WRITE));
    else
        CHECK(op == BLOCK_READ || !disk->read_only);
}

static void use(void *rounds)
{
    for (uint32_t i = 0; i < *(uint32_t *)rounds; i++) {
        one_batch();
        if (below(4) == 0)
            failures += block_flush(disk) != 0;
        if (below(8) == 0 && disk->can_discard && !disk->read_only) {
            uint64_t at = below(SIZE / 2 / 512) * 512ull, size = 512ull * (1 + below(3000));
            int error = block_transfer(disk, BLOCK_DISCARD, at, NULL, (uint32_t)size);
            failures += error != 0;
            memset(shadow + at, 0, size);
            for (uint64_t k = 0; k < size; k += 512)
                unsure[(at + k) / 512] = error;
        }
    }
}

static void quiet(const char *format, ...)
{
    (void)format;
}

static void run(uint64_t features, uint32_t fail, uint32_t lie, uint32_t break_after,
                uint32_t size_max, uint32_t seg_max, bool must_fail)
{
    uint32_t rounds = 150;
    memset(&machine, 0, sizeof machine);
    memset(shadow, 0, sizeof shadow);
    memset(unsure, 0, sizeof unsure);
    machine.offered = features;
    machine.fail = fail;
    machine.lie = lie;
    machine.break_after = break_after;
    machine.size_max = size_max;
    machine.seg_max = seg_max;
    failures = finished = 0;
    disk = virtio_blk_open(0, 0, quiet);
    CHECK(disk && disk->size == SIZE);
    CHECK(fiber_start(use, &rounds));
    for (uint64_t turns = 0; fiber_count(); turns++) {
        CHECK(turns < 10000000);
        virtio_blk_turn(disk, below(2));
        for (uint32_t i = below(4); i; i--)
            device_step();
        fiber_run();
    }
    CHECK(finished == rounds && !!failures == must_fail);
    CHECK(!!machine.flushes == (features >> 9 & 1) || machine.broken || disk->read_only);
    free(disk);
    while (memory_count)
        free(memory[--memory_count]);
}

int main(int argc, char **argv)
{
    uint64_t all = ~(1ull << 5);
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    CHECK(!virtio_blk_open(1, 0, quiet));
    run(all, 0, 0, 0, 1u << 20, 62, false);
    run(all, 0, 0, 0, 4096, 5, false);
    run(all, 0, 0, 0, 4096, 1, false);
    run(0, 0, 0, 0, 1u << 20, 62, false);    /* no flush, no discard, one segment */
    run(~0ull, 0, 0, 0, 1u << 20, 62, true); /* read-only: writes fail */
    run(all, 20, 0, 0, 1u << 20, 62, true);
    run(all, 0, 20, 0, 1u << 20, 62, true);
    run(all, 0, 0, 500, 1u << 20, 62, true);
    printf("ok: virtio-blk\n");
    return 0;
}
