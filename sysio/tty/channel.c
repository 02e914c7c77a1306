/* SPDX-License-Identifier: MIT */
/*
 * The channel to motor-run: frames over a port of a virtio-console. Writers fill a buffer, bytes of
 * one kind sharing a frame; the buffer goes to the device when the device has nothing else to do or
 * the buffer is well filled, so that many small writes become few transfers. When every buffer is
 * full or under way, writers wait. Received buffers are given back to the device as their bytes
 * find room, so a program that does not read stops motor-run, not us.
 */
#include "port.h"
#include "tty.h"

#include <errno.h>
#include <motor/channel.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define BUFFERS    4u
#define TX_SIZE    32768u
#define RX_SIZE    8192u
#define STDIN_SIZE 65536u
#define NO_FRAME   UINT32_MAX

struct tx_buffer {
    uint8_t *bytes;
    uint64_t pa;
    uint32_t used;
    bool in_flight;
};

struct rx_buffer {
    uint8_t *bytes;
    uint64_t pa;
    uint32_t used, taken;
};

static struct virtio_device *device;
static struct virtq *rx, *tx;
static struct tx_buffer tx_buffers[BUFFERS], *filling;
static uint32_t last_frame = NO_FRAME; /* offset of the last frame's header in `filling` */
static struct rx_buffer rx_buffers[BUFFERS], *parsing[BUFFERS]; /* received, oldest first */
static uint32_t parsing_count;
static struct motor_frame header; /* of the frame being received */
static uint32_t header_got, payload_left;
static struct bytes stdin_bytes;
static bool stdin_eof, broken;
static int32_t last_write; /* bytes that undo takes back */
static uint32_t last_read_tail;
static uint64_t frames_out, bytes_in;

/* ---- to the host ---- */

static uint32_t in_flight(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < BUFFERS; i++)
        n += tx_buffers[i].in_flight;
    return n;
}

static void submit(void)
{
    struct virtio_buffer b = {filling->pa, filling->used};
    if (!port_is_open() || virtq_add(tx, &b, 1, 0, filling) < 0)
        return; /* not yet, or the queue is broken or full: stays ours, tried again */
    filling->in_flight = true;
    filling = NULL;
    last_frame = NO_FRAME;
    virtq_kick(tx);
}

static bool have_filling(void)
{
    for (uint32_t i = 0; !filling && i < BUFFERS; i++)
        if (!tx_buffers[i].in_flight) {
            filling = &tx_buffers[i];
            filling->used = 0;
            last_frame = NO_FRAME;
        }
    return filling;
}

/* The last frame's header: it starts where the frame before ended, at any address. */
static struct motor_frame last_header(void)
{
    struct motor_frame f;
    memcpy(&f, filling->bytes + last_frame, sizeof f);
    return f;
}

static void last_header_set(struct motor_frame f)
{
    memcpy(filling->bytes + last_frame, &f, sizeof f);
}

/*
 * Room for more payload of this kind; 0: none now. Opens a frame if the last one is of another
 * kind.
 */
static uint32_t frame_room(uint32_t type)
{
    if (broken || !have_filling())
        return 0;
    if (last_frame == NO_FRAME || last_header().type != type) {
        if (TX_SIZE - filling->used <= sizeof(struct motor_frame) + 8) {
            submit();
            return filling ? 0 : frame_room(type);
        }
        last_frame = filling->used;
        last_header_set((struct motor_frame){.type = type});
        filling->used += (uint32_t)sizeof(struct motor_frame);
        frames_out++;
    }
    if (filling->used == TX_SIZE) {
        submit();
        return filling ? 0 : frame_room(type);
    }
    return TX_SIZE - filling->used;
}

static void frame_grew(int32_t bytes)
{
    struct motor_frame f = last_header();
    f.length += (uint32_t)bytes;
    last_header_set(f);
    filling->used += (uint32_t)bytes;
}

/* A frame is never left empty by a failed copy: take its header back. */
static void frame_close_empty(void)
{
    if (filling && last_frame != NO_FRAME && !last_header().length) {
        filling->used = last_frame;
        last_frame = NO_FRAME;
    }
}

/* One piece, as much as the buffer being filled takes: so that it can be taken back. */
static int64_t channel_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    last_write = 0;
    if (broken || !size)
        return (int64_t)size; /* nobody listens any more: as to a terminal that was unplugged */
    uint32_t room = frame_room(o->channel_frame);
    if (!room)
        return 0;
    int64_t got = token_read(token, 0, filling->bytes + filling->used, size < room ? size : room);
    if (got <= 0) {
        frame_close_empty();
        return got ? got : -EFAULT;
    }
    frame_grew((int32_t)got);
    last_write = (int32_t)got;
    return got;
}

static void channel_undo(struct tty_object *o, bool write)
{
    (void)o;
    if (!write) {
        stdin_bytes.tail = last_read_tail;
    } else if (last_write) {
        frame_grew(-last_write);
        frame_close_empty();
    }
}

bool channel_frame(uint32_t type, const void *data, uint32_t size)
{
    if (broken || !have_filling())
        return broken;
    if (TX_SIZE - filling->used < sizeof(struct motor_frame) + size) {
        submit();
        if (filling || !have_filling())
            return false;
    }
    struct motor_frame f = {type, size};
    memcpy(filling->bytes + filling->used, &f, sizeof f);
    memcpy(filling->bytes + filling->used + sizeof f, data, size);
    filling->used += (uint32_t)sizeof f + size;
    last_frame = NO_FRAME;
    frames_out++;
    return true;
}

static void reap(void)
{
    struct tx_buffer *b;
    uint32_t written;
    do {
        while ((b = virtq_pop(tx, &written)))
            b->in_flight = false;
    } while (virtq_interrupts_on(tx));
}

bool channel_drained(void)
{
    if (broken)
        return true;
    reap();
    return !in_flight() && (!filling || !filling->used);
}

/* ---- from the host ---- */

static void rx_offer(struct rx_buffer *b)
{
    struct virtio_buffer v = {b->pa, RX_SIZE};
    b->used = b->taken = 0;
    if (virtq_add(rx, &v, 0, 1, b) == 0)
        virtq_kick(rx);
}

static void fail(const char *why)
{
    broken = true;
    stdin_eof = true;
    log_error("tty", "motor-run's channel: %s", why);
}

static void frame_begin(void)
{
    payload_left = header.length;
    if (header.length > MOTOR_FRAME_MAX)
        fail("a frame is too long");
    else if (header.type == MOTOR_FRAME_STDIN_EOF)
        stdin_eof = true;
    else if (header.type != MOTOR_FRAME_STDIN)
        fail("a frame of unknown type");
}

/* Consumes what it can of a buffer; true: all. */
static bool parse(struct rx_buffer *b)
{
    while (b->taken < b->used && !broken) {
        if (!payload_left) {
            ((uint8_t *)&header)[header_got++] = b->bytes[b->taken++];
            if (header_got == sizeof header) {
                header_got = 0;
                frame_begin();
            }
            continue;
        }
        uint32_t n = b->used - b->taken < payload_left ? b->used - b->taken : payload_left;
        if (n > bytes_free(&stdin_bytes))
            n = bytes_free(&stdin_bytes);
        if (!n)
            return false;
        for (uint32_t i = 0; i < n; i++)
            bytes_put(&stdin_bytes, b->bytes[b->taken++]);
        payload_left -= n;
        bytes_in += n;
    }
    return true;
}

static void receive(void)
{
    struct rx_buffer *b;
    uint32_t written;
    do {
        while (parsing_count < BUFFERS && (b = virtq_pop(rx, &written))) {
            b->used = written < RX_SIZE ? written : RX_SIZE;
            parsing[parsing_count++] = b;
        }
    } while (parsing_count < BUFFERS && virtq_interrupts_on(rx));
    while (parsing_count && parse(parsing[0])) {
        b = parsing[0];
        memmove(parsing, parsing + 1, --parsing_count * sizeof *parsing);
        rx_offer(b);
    }
}

static int64_t channel_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                            bool *eof, uint64_t *again)
{
    (void)o, (void)since, (void)again;
    if (!bytes_used(&stdin_bytes) && parsing_count)
        receive();
    last_read_tail = stdin_bytes.tail;
    if (!bytes_used(&stdin_bytes)) {
        *eof = stdin_eof;
        return 0;
    }
    /* what follows it comes in at the end of the turn */
    return bytes_to_caller(&stdin_bytes, token, size);
}

static uint32_t channel_ready(struct tty_object *o)
{
    if (!o->channel_frame)
        return bytes_used(&stdin_bytes) || stdin_eof ? POLLIN | POLLRDNORM : 0;
    return broken || in_flight() < BUFFERS ? POLLOUT | POLLWRNORM : 0;
}

const struct tty_ops channel_ops = {
    .read = channel_read,
    .write = channel_write,
    .undo = channel_undo,
    .ready = channel_ready,
};

/* ---- the device ---- */

void channel_interrupt(void)
{
    bool more;
    virtio_interrupt_begin(device);
    do { /* an entry that came before the interrupt was asked for again brings none */
        port_turn();
        reap();
        receive();
        more = virtq_interrupts_on(tx);
        more |= virtq_interrupts_on(rx);
    } while (more && !virtq_broken(tx) && !virtq_broken(rx));
    virtio_interrupt_end(device);
}

void channel_turn_end(void)
{
    if (parsing_count)
        receive();
    bool idle = !in_flight() || (filling && filling->used > TX_SIZE / 2);
    if (filling && filling->used && !broken && idle)
        submit();
    if (virtq_broken(rx) || virtq_broken(tx) || port_broken())
        broken = stdin_eof = true;
}

bool channel_init(void)
{
    struct virtio_dma memory;
    device = virtio_find(VIRTIO_CONSOLE, 0);
    if (!device) {
        log_error("tty", "no virtio-console for motor-run's channel");
        return false;
    }
    int64_t gate = engine_gate(&tty_engine, TTY_CHANNEL_IRQ + 1);
    stdin_bytes = (struct bytes){.at = malloc(STDIN_SIZE), .size = STDIN_SIZE};
    if (gate < 0 || !stdin_bytes.at ||
        virtio_dma_alloc(&memory, BUFFERS * (TX_SIZE + RX_SIZE)) < 0 ||
        !port_init(device, (motor_handle)gate, &rx, &tx)) {
        log_error("tty", "the virtio-console does not work");
        return false;
    }
    for (uint32_t i = 0; i < BUFFERS; i++) {
        uint64_t at = i * (uint64_t)(TX_SIZE + RX_SIZE);
        tx_buffers[i] =
            (struct tx_buffer){.bytes = (uint8_t *)memory.va + at, .pa = memory.pa + at};
        rx_buffers[i] = (struct rx_buffer){.bytes = (uint8_t *)memory.va + at + TX_SIZE,
                                           .pa = memory.pa + at + TX_SIZE};
    }
    virtio_start(device);
    port_start();
    for (uint32_t i = 0; i < BUFFERS; i++)
        rx_offer(&rx_buffers[i]);
    receive();
    counter_register("tty", "frames_out", &frames_out);
    counter_register("tty", "stdin_bytes", &bytes_in);
    uint32_t version = 1;
    channel_frame(MOTOR_FRAME_HELLO, &version, sizeof version);
    channel_turn_end();
    return true;
}
