/* SPDX-License-Identifier: MIT */
/*
 * The one port of a virtio-console that the channel uses, and the control dialogue that opens it
 * (virtio 1.2, 5.3.6). Not port 0: a host may drop a console's output when its reader is slow, and
 * QEMU does; a port's output it holds back, which is what byte-exact streams need.
 *
 * The device says PORT_ADD, we say PORT_READY and PORT_OPEN; each of our messages is sent once
 * whatever the device repeats, so three slots are enough for them.
 */
#include "port.h"

#include <string.h>

#define F_MULTIPORT (1ull << 1)

#define CONTROL_RX 2u /* queue numbers */
#define CONTROL_TX 3u
#define PORT_RX    (2u + 2u * MOTOR_CHANNEL_PORT)
#define PORT_TX    (3u + 2u * MOTOR_CHANNEL_PORT)

#define DEVICE_READY 0u
#define PORT_ADD     1u
#define PORT_REMOVE  2u
#define PORT_READY   3u
#define PORT_OPEN    6u

#define EVENTS     4u
#define EVENT_SIZE 64u /* a control message, and as much of a port's name as nobody reads */
#define ANSWERS    3u

struct control {
    uint32_t port;
    uint16_t event, value;
};

static struct virtq *events, *answers;
static uint8_t *event_bytes; /* EVENTS of EVENT_SIZE, then ANSWERS messages */
static uint64_t event_pa;
static uint32_t answered;
static bool open, removed;

static void event_offer(uint8_t *at)
{
    struct virtio_buffer b = {event_pa + (uint64_t)(at - event_bytes), EVENT_SIZE};
    if (virtq_add(events, &b, 0, 1, at) == 0)
        virtq_kick(events);
}

static void answer(uint32_t port, uint16_t event)
{
    struct control c = {port, event, 1};
    uint64_t at = EVENTS * EVENT_SIZE + answered * sizeof c;
    if (answered == ANSWERS)
        return;
    memcpy(event_bytes + at, &c, sizeof c);
    struct virtio_buffer b = {event_pa + at, sizeof c};
    if (virtq_add(answers, &b, 1, 0, event_bytes + at) == 0) {
        answered++;
        virtq_kick(answers);
    }
}

static void handle(const struct control *c)
{
    if (c->port != MOTOR_CHANNEL_PORT)
        return;
    if (c->event == PORT_ADD && !open) {
        answer(MOTOR_CHANNEL_PORT, PORT_READY);
        answer(MOTOR_CHANNEL_PORT, PORT_OPEN);
        open = true;
    } else if (c->event == PORT_REMOVE) {
        removed = true;
    }
}

void port_turn(void)
{
    uint32_t written;
    uint8_t *at;
    do {
        while (virtq_pop(answers, &written))
            ;
        while ((at = virtq_pop(events, &written))) {
            struct control c;
            memcpy(&c, at, sizeof c);
            if (written >= sizeof c)
                handle(&c);
            event_offer(at);
        }
    } while (virtq_interrupts_on(events) && !virtq_broken(events));
}

bool port_is_open(void)
{
    return open;
}

bool port_broken(void)
{
    return removed || virtq_broken(events) || virtq_broken(answers);
}

bool port_init(struct virtio_device *d, motor_handle gate, struct virtq **rx, struct virtq **tx)
{
    struct virtio_dma memory;
    uint64_t features;
    if (virtio_negotiate(d, F_MULTIPORT, F_MULTIPORT, &features) < 0 ||
        virtio_dma_alloc(&memory, EVENTS * EVENT_SIZE + ANSWERS * sizeof(struct control)) < 0 ||
        virtio_interrupts(d, gate) < 0 || virtio_queue(d, CONTROL_RX, EVENTS, &events) < 0 ||
        virtio_queue(d, CONTROL_TX, ANSWERS + 1, &answers) < 0 ||
        virtio_queue(d, PORT_RX, 8, rx) < 0 || virtio_queue(d, PORT_TX, 8, tx) < 0)
        return false;
    event_bytes = memory.va;
    event_pa = memory.pa;
    return true;
}

void port_start(void)
{
    for (uint32_t i = 0; i < EVENTS; i++)
        event_offer(event_bytes + i * EVENT_SIZE);
    answer(0, DEVICE_READY);
}
