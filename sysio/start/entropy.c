/* SPDX-License-Identifier: MIT */
/*
 * virtio-rng: some bytes for the kernel's generator when the machine starts, and some more now and
 * then.
 */
#include "start.h"

#include "../virtio/virtio.h"

#define BYTES    64u
#define EVERY_NS (300ull * 1000000000u)

static struct virtio_device *device;
static struct virtq *queue;
static struct virtio_dma memory;
static struct engine *engine;
static struct engine_timer timer;

static void ask(struct engine *e, struct engine_timer *t)
{
    (void)e, (void)t;
    struct virtio_buffer b = {memory.pa, BYTES};
    if (virtq_add(queue, &b, 0, 1, &memory) == 0)
        virtq_kick(queue);
}

void entropy_ready(void)
{
    uint32_t written;
    if (!device)
        return;
    virtio_interrupt_begin(device);
    do {
        while (virtq_pop(queue, &written)) {
            if (written && written <= BYTES)
                motor_random(memory.va, written, 1);
            engine_timer_set(engine, &timer, clock_monotonic_ns() + EVERY_NS);
        }
    } while (virtq_interrupts_on(queue));
    virtio_interrupt_end(device);
}

void entropy_init(struct engine *e, uint64_t badge)
{
    uint64_t features;
    struct virtio_device *d = virtio_find(VIRTIO_RNG, 0);
    int64_t gate = d ? engine_gate(e, badge) : -1;
    if (gate < 0 || virtio_dma_alloc(&memory, MOTOR_PAGE_SIZE) < 0 ||
        virtio_negotiate(d, 0, 0, &features) < 0 || virtio_interrupts(d, (motor_handle)gate) < 0 ||
        virtio_queue(d, 0, 2, &queue) < 0)
        return;
    engine = e;
    device = d;
    timer.fire = ask;
    virtio_start(d);
    ask(e, &timer);
    entropy_ready(); /* arms the interrupt */
}
