/* SPDX-License-Identifier: MIT */
/*
 * The tty engine on the host: motor-run's channel over a device of this file's making, with random
 * sizes, a device that is slow, callers that give up, and a host that talks nonsense. Bytes must
 * come out exactly as they went in.
 */
#include "../../../sysio/tty/session.h"
#include "../../../sysio/virtio/virtio.h"
#include "../lib/fake_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <motor/channel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHECK(c) ((c) ? (void)0 : (fprintf(stderr, "tty_unit.c:%d: %s\n", __LINE__, #c), abort()))

/* ---- a device ---- */

struct chain {
    uint64_t pa;
    uint32_t size, written;
    void *token;
};
struct virtq {
    struct chain waiting[16], used[16];
    unsigned nwaiting, nused;
};
static struct virtq queues[6]; /* 2, 3: control; 4, 5: the port */
#define PORT_TO_GUEST   queues[4]
#define PORT_FROM_GUEST queues[5]

struct virtio_device *virtio_find(uint32_t type, uint32_t index)
{
    (void)type, (void)index;
    return (struct virtio_device *)queues;
}
int virtio_negotiate(struct virtio_device *d, uint64_t w, uint64_t r, uint64_t *a)
{
    (void)d, (void)w, (void)r, *a = 0;
    return 0;
}
int virtio_queue(struct virtio_device *d, uint32_t i, uint32_t s, struct virtq **q)
{
    (void)d, (void)s, *q = &queues[i];
    return 0;
}
int virtio_interrupts(struct virtio_device *d, motor_handle gate)
{
    (void)d;
    fake_close(gate);
    return 0;
}
void virtio_start(struct virtio_device *d)
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
void virtq_kick(struct virtq *q)
{
    (void)q;
}
bool virtq_broken(const struct virtq *q)
{
    (void)q;
    return false;
}
bool virtq_interrupts_on(struct virtq *q)
{
    return q->nused;
}

int virtio_dma_alloc(struct virtio_dma *dma, uint64_t size)
{
    dma->va = calloc(1, size);
    dma->pa = (uint64_t)(uintptr_t)dma->va;
    return 0;
}

int virtq_add(struct virtq *q, const struct virtio_buffer *b, uint32_t out, uint32_t in,
              void *token)
{
    CHECK(out + in == 1 && q->nwaiting < 8 && b->size);
    q->waiting[q->nwaiting++] = (struct chain){b->pa, b->size, 0, token};
    return 0;
}

void *virtq_pop(struct virtq *q, uint32_t *written)
{
    if (!q->nused)
        return NULL;
    struct chain c = q->used[0];
    memmove(q->used, q->used + 1, --q->nused * sizeof *q->used);
    *written = c.written;
    return c.token;
}

static struct chain finish_first(struct virtq *q)
{
    struct chain c = q->waiting[0];
    memmove(q->waiting, q->waiting + 1, --q->nwaiting * sizeof *q->waiting);
    return c;
}

/* ---- the host's end ---- */

static uint8_t received[4][1 << 21]; /* by frame type: stdout 2, stderr 3 */
static uint32_t received_size[4];
static uint8_t pending[16];
static uint32_t pending_size, frame_left, frame_type, others;

static void host_takes(const uint8_t *at, uint32_t size)
{
    while (size) {
        if (!frame_left) {
            pending[pending_size++] = *at++, size--;
            if (pending_size == 8) {
                memcpy(&frame_type, pending, 4), memcpy(&frame_left, pending + 4, 4);
                pending_size = 0;
                if (!frame_left || frame_type > 7)
                    fprintf(stderr, "type %u length %u\n", frame_type, frame_left);
                CHECK(frame_left && frame_left <= MOTOR_FRAME_MAX && frame_type >= 1 &&
                      frame_type <= 7);
            }
            continue;
        }
        uint32_t n = size < frame_left ? size : frame_left;
        if (frame_type == 2 || frame_type == 3) {
            memcpy(received[frame_type] + received_size[frame_type], at, n);
            received_size[frame_type] += n;
        } else {
            others++;
        }
        at += n, size -= n, frame_left -= n;
    }
}

static uint8_t to_guest[1 << 21];
static uint32_t to_guest_at, to_guest_size;

static void interrupt(void)
{
    channel_interrupt();
}

struct control { /* virtio 1.2, 5.3.6.2 */
    uint32_t port;
    uint16_t event, value;
};
static bool port_ready, port_open;
static uint32_t said; /* control messages to the guest */

/* Some that mean nothing to it, and PORT_ADD more than once. */
static void control_to_guest(void)
{
    static const struct control script[] = {{0, 1, 1}, {7, 1, 1}, {1, 9, 0},
                                            {1, 1, 1}, {1, 1, 1}, {1, 7, 99},
                                            {1, 6, 1}, {1, 1, 1}, {~0u, ~0, ~0}};
    if (said == sizeof script / sizeof *script)
        return;
    struct chain c = finish_first(&queues[2]);
    memset((void *)(uintptr_t)c.pa, 'n', c.size);
    memcpy((void *)(uintptr_t)c.pa, &script[said], sizeof script[said]);
    c.written = script[said].event == 7 ? c.size : script[said].event == 9 ? 3 : 8;
    queues[2].used[queues[2].nused++] = c;
    said++;
}

static void control_from_guest(void)
{
    struct control m;
    struct chain c = finish_first(&queues[3]);
    CHECK(c.size == sizeof m);
    memcpy(&m, (void *)(uintptr_t)c.pa, sizeof m);
    CHECK(m.value == 1);
    CHECK(m.event == 0 ? !said : m.port == MOTOR_CHANNEL_PORT && said);
    CHECK(m.event == 0 || (m.event == 3 && !port_ready) || (m.event == 6 && !port_open));
    port_ready |= m.event == 3;
    port_open |= m.event == 6;
    if (m.event == 0)
        control_to_guest();
    queues[3].used[queues[3].nused++] = c;
}

/* The device works a little; maybe not at all. */
static void device_step(void)
{
    if (queues[3].nwaiting && rand() % 3)
        control_from_guest();
    else if (said && queues[2].nwaiting && rand() % 3)
        control_to_guest();
    if (PORT_FROM_GUEST.nwaiting && rand() % 3) {
        struct chain c = finish_first(&PORT_FROM_GUEST);
        CHECK(said >= 4);
        host_takes((uint8_t *)(uintptr_t)c.pa, c.size);
        PORT_FROM_GUEST.used[PORT_FROM_GUEST.nused++] = c;
    }
    if (PORT_TO_GUEST.nwaiting && to_guest_at < to_guest_size && rand() % 3) {
        struct chain c = finish_first(&PORT_TO_GUEST);
        uint32_t n = 1 + (uint32_t)rand() % c.size;
        if (rand() % 2)
            n = 1 + n % 20;
        if (n > to_guest_size - to_guest_at)
            n = to_guest_size - to_guest_at;
        memcpy((void *)(uintptr_t)c.pa, to_guest + to_guest_at, n);
        to_guest_at += n;
        c.written = n;
        PORT_TO_GUEST.used[PORT_TO_GUEST.nused++] = c;
    }
    interrupt();
}

static int give_up; /* one in so many calls is given up while its answer is under way */

static void turn(void)
{
    engine_turn(&tty_engine, false);
    device_step();
    engine_turn(&tty_engine, false);
}

/* Gives up the call in the moment before its reply is looked at. */
int64_t __real_motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                 uint64_t e, uint64_t f);
int64_t __wrap_motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                 uint64_t e, uint64_t f);
static bool gave_up;
int64_t __wrap_motor_raw_syscall(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                 uint64_t e, uint64_t f)
{
    if (n == MOTOR_SYS_serve && c == 1 && e == 0 && give_up && rand() % give_up == 0) {
        fake_cancel();
        gave_up = true;
    }
    return __real_motor_raw_syscall(n, a, b, c, d, e, f);
}

static int64_t call(motor_handle h, uint32_t op, const void *in, uint64_t in_size, void *out,
                    uint64_t out_size, uint64_t w1)
{
    struct motor_msg m = {.op = op,
                          .word = {~0ull, w1},
                          .in = in,
                          .in_size = in_size,
                          .out = out,
                          .out_size = out_size};
    do {
        gave_up = false;
        fake_call(h, &m, 0, 0, turn);
    } while (gave_up); /* as the runtime restarts a call that a signal ended */
    return m.status;
}

static void frame_to_guest(uint32_t type, const void *data, uint32_t size)
{
    memcpy(to_guest + to_guest_size, &type, 4), memcpy(to_guest + to_guest_size + 4, &size, 4);
    memcpy(to_guest + to_guest_size + 8, data, size);
    to_guest_size += 8 + size;
}

static uint8_t sent[1 << 20], got[1 << 20];

static void test_stdin(motor_handle in)
{
    uint32_t size = sizeof sent, done = 0;
    for (uint32_t at = 0; at < size;) {
        uint32_t n = (uint32_t)rand() % 20000;
        n = n > size - at ? size - at : n;
        frame_to_guest(MOTOR_FRAME_STDIN, sent + at, n);
        at += n;
    }
    frame_to_guest(MOTOR_FRAME_STDIN_EOF, "", 0);
    for (;;) {
        int64_t n = call(in, IO_READ, NULL, 0, got + done, 1 + (uint32_t)rand() % 5000, 0);
        CHECK(n >= 0);
        if (n == 0)
            break;
        done += (uint32_t)n;
    }
    CHECK(done == size && !memcmp(got, sent, size));
    CHECK(call(in, IO_READ, NULL, 0, got, 100, O_NONBLOCK) == 0);
}

static void test_output(const motor_handle *out)
{
    uint32_t done[4] = {0};
    while (done[2] < sizeof sent || done[3] < sizeof sent / 4) {
        unsigned which =
            done[3] >= sizeof sent / 4 || (done[2] < sizeof sent && rand() % 4) ? 2 : 3;
        uint32_t left =
            (which == 2 ? (uint32_t)sizeof sent : (uint32_t)sizeof sent / 4) - done[which];
        uint32_t n = 1 + (uint32_t)rand() % (rand() % 4 ? 200 : 70000);
        n = n > left ? left : n;
        int64_t w = call(out[which - 2], IO_WRITE, sent + done[which], n, NULL, 0,
                         rand() % 3 ? 0 : O_NONBLOCK);
        CHECK(w == -EAGAIN || (w > 0 && w <= n));
        if (w > 0)
            done[which] += (uint32_t)w;
    }
    for (int i = 0; i < 200; i++)
        turn();
    CHECK(received_size[2] == sizeof sent && !memcmp(received[2], sent, sizeof sent));
    CHECK(received_size[3] == sizeof sent / 4 && !memcmp(received[3], sent, sizeof sent / 4));
    CHECK(channel_drained() && port_ready && port_open);
}

static void test_calls(motor_handle in, motor_handle out)
{
    struct io_stat st;
    give_up = 0;
    CHECK(call(in, IO_STAT, NULL, 0, &st, sizeof st, 0) == 0 && S_ISFIFO(st.mode));
    CHECK(call(in, IO_WRITE, "x", 1, NULL, 0, 0) == -EBADF);
    CHECK(call(out, IO_READ, NULL, 0, got, 1, 0) == -EBADF);
    CHECK(call(out, IO_CONTROL, NULL, 0, NULL, 0, 0) == -ENOTTY);
    CHECK(call(out, IO_OPEN, "x", 1, NULL, 0, 0) == -ENOTDIR);
    CHECK(call(out, 999, NULL, 0, NULL, 0, 0) == -ENOSYS);
    CHECK(call(out, IO_WRITE, "", 0, NULL, 0, 0) == 0);
    CHECK(call(out, IO_MAP, NULL, 0, NULL, 0, 0) == -ENODEV);
}

int main(int argc, char **argv)
{
    srand(argc > 1 ? (unsigned)atoi(argv[1]) : 1);
    for (uint32_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 2654435761u >> 13);
    CHECK(tty_init(true));
    motor_handle in = (motor_handle)tty_open(IO_TTY_STDIN);
    motor_handle out[2] = {(motor_handle)tty_open(IO_TTY_STDOUT),
                           (motor_handle)tty_open(IO_TTY_STDERR)};
    give_up = 5;
    test_stdin(in);
    test_output(out);
    test_calls(in, out[0]);
    CHECK(others); /* HELLO */
    /* nonsense from the host ends the channel, not us */
    frame_to_guest(77, sent, 100);
    for (int i = 0; i < 50; i++)
        turn();
    CHECK(call(in, IO_READ, NULL, 0, got, 100, 0) == 0);
    CHECK(call(out[0], IO_WRITE, sent, 100000, NULL, 0, 0) == 100000);
    printf("tty_unit: ok\n");
    return 0;
}
