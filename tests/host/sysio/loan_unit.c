/* SPDX-License-Identifier: MIT */
/*
 * Rings on loan, as the tty engine lends them and takes them back: whatever ends a loan, each byte
 * that was on its way arrives once and in order, readiness and counts are those of the indices, and
 * what a ring cannot carry is never lent. Random, by a seed:
 *
 *   loan_unit [SEED [ROUNDS]]
 */
#include "lent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#define CHECK(c) ((c) ? (void)0 : (fprintf(stderr, "loan_unit.c:%d: %s\n", __LINE__, #c), abort()))

static uint64_t state;

static uint32_t rnd(uint32_t n)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)((state * 0x2545f4914f6cdd1dull) >> 33) % n;
}

/* ---- a stream in each direction: by the end that sends ---- */

static struct lent l;
static uint64_t sent[2], had[2];

static uint8_t byte_at(uint32_t from, uint64_t i)
{
    return (uint8_t)((i * 0x9e3779b97f4a7c15u >> 56) + from);
}

static uint32_t ring_of(uint32_t from)
{
    return l.pipe ? 0 : from;
}

static bool sends(uint32_t end)
{
    return !l.pipe || end == 1;
}

static void send_by_call(uint32_t from, uint32_t n)
{
    static uint8_t bytes[8192];
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = byte_at(from, sent[from] + i);
    int64_t done = lent_send(&l, from, bytes, n);
    CHECK(done > 0 || done == -EAGAIN || done == INT64_MIN);
    sent[from] += done > 0 ? (uint64_t)done : 0;
}

/* 0: the end; else bytes, or an errno. */
static int64_t receive_by_call(uint32_t from, uint32_t n)
{
    static uint8_t bytes[8192];
    int64_t done = lent_receive(&l, 1 - from, bytes, n);
    for (int64_t i = 0; i < done; i++)
        CHECK(bytes[i] == byte_at(from, had[from] + (uint64_t)i));
    had[from] += done > 0 ? (uint64_t)done : 0;
    return done;
}

static struct io_loan page(void)
{
    struct io_loan p;
    CHECK(fake_vmo_read(l.loan[0], 0, &p, sizeof p) == sizeof p);
    return p;
}

static void set_word(uint64_t at, uint32_t value)
{
    CHECK(fake_vmo_write(l.loan[0], at, &value, sizeof value) == sizeof value);
}

static uint64_t at_ring(uint32_t ring)
{
    return offsetof(struct io_loan, ring) + ring * sizeof(struct io_loan_ring);
}

static void send_by_ring(uint32_t from)
{
    uint32_t ring = ring_of(from);
    struct io_loan_ring r = page().ring[ring];
    uint32_t used = io_loan_used(r.head, r.tail), n = rnd(l.capacity[from] - used + 1);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t byte = byte_at(from, sent[from] + i);
        uint64_t at = (uint64_t)ring * l.size + ((r.head + i) & (l.size - 1));
        CHECK(fake_vmo_write(l.loan[0], IO_LOAN_BYTES + at, &byte, 1) == 1);
    }
    sent[from] += n;
    set_word(at_ring(ring) + offsetof(struct io_loan_ring, head), (r.head + n) & ~IO_LOAN_GONE);
}

static void receive_by_ring(uint32_t from)
{
    uint32_t ring = ring_of(from);
    struct io_loan_ring r = page().ring[ring];
    uint32_t n = rnd(io_loan_used(r.head, r.tail) + 1);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t byte;
        uint64_t at = (uint64_t)ring * l.size + ((r.tail + i) & (l.size - 1));
        CHECK(fake_vmo_read(l.loan[0], IO_LOAN_BYTES + at, &byte, 1) == 1);
        CHECK(byte == byte_at(from, had[from] + i));
    }
    had[from] += n;
    set_word(at_ring(ring) + offsetof(struct io_loan_ring, tail), (r.tail + n) & ~IO_LOAN_GONE);
}

static uint32_t control(uint32_t end, uint64_t request)
{
    uint32_t n = UINT32_MAX;
    struct motor_msg m = {.op = IO_CONTROL, .word = {request}, .out = &n, .out_size = sizeof n};
    CHECK(lent_call(l.end[end], &m) == 0);
    return n;
}

static int64_t ready(uint32_t end)
{
    struct motor_msg m = {.op = IO_POLL, .word = {POLLIN | POLLOUT | POLLRDHUP}};
    return lent_call(l.end[end], &m);
}

static void check_looks(void)
{
    for (uint32_t from = 0; from < 2; from++) {
        if (!sends(from))
            continue;
        CHECK(control(1 - from, FIONREAD) == sent[from] - had[from]);
        CHECK((ready(1 - from) & POLLIN) == (sent[from] > had[from] ? POLLIN : 0));
        if (!l.pipe)
            CHECK(control(from, TIOCOUTQ) == sent[from] - had[from]);
    }
    CHECK(page().active && !(page().ring[0].head & IO_LOAN_GONE)); /* who looks ends nothing */
}

/* ---- what ends it ---- */

static int64_t option(uint32_t end, uint64_t name, int32_t value)
{
    struct motor_msg m = {.op = IO_SETSOCKOPT, .in = &value, .in_size = sizeof value};
    m.word[0] = SOL_SOCKET;
    m.word[1] = name;
    return lent_call(l.end[end], &m);
}

static int64_t simple(uint32_t end, uint32_t op, uint64_t word0)
{
    struct motor_msg m = {.op = op, .word = {word0, SIGIO, op == IO_ASYNC}};
    return lent_call(l.end[end], &m);
}

static void close_end(uint32_t end)
{
    fake_close(l.end[end]);
    l.end[end] = 0;
    for (int i = 0; i < 4; i++)
        lent_turn();
}

enum ending { SEND, RECEIVE, CLOSE, OTHER_CALL, ARM, ASK, OWNER_GONE, ENDINGS };

static void end_loan(enum ending how, uint32_t end)
{
    struct motor_msg arm = {.op = IO_POLL, .word = {POLLPRI, 1}, .nhandles = 1};
    struct motor_msg ask = {.op = IO_LOAN, .nhandles = 1, .handle = {l.end[end]}};
    arm.handle[0] = l.end[end];
    switch (how) {
    case SEND:
        send_by_call(l.pipe ? 1 : end, 1 + rnd(3000));
        break;
    case RECEIVE:
        receive_by_call(l.pipe ? 1 : end, 1 + rnd(3000));
        break;
    case CLOSE:
        close_end(end);
        break;
    case OTHER_CALL:
        if (l.pipe)
            CHECK(simple(end, IO_PIPE_SIZE, 65536) == 65536);
        else if (rnd(3) == 0)
            CHECK(option(end, SO_PASSCRED, 1) == 0);
        else if (rnd(2))
            CHECK(simple(end, IO_SHUTDOWN, SHUT_WR) == 0);
        else
            CHECK(simple(end, IO_ASYNC, 0) == 0);
        break;
    case ARM: /* it is no session: after the loan has ended, it is refused */
        CHECK(lent_call(l.end[end], &arm) == -EINVAL);
        break;
    case ASK: /* by another process that has the same end */
        CHECK(lent_call(l.end[end], &ask) == 0 && ask.nhandles == 1);
        fake_close(ask.handle[0]);
        break;
    default: /* the kernel says so when its process dies; the next call by anybody finds it */
        set_word(at_ring(0) + offsetof(struct io_loan_ring, head),
                 page().ring[0].head | IO_LOAN_GONE);
        receive_by_call(l.pipe ? 1 : 0, 1);
    }
}

static void check_ended(void)
{
    struct io_loan p = page();
    for (uint32_t i = 0; i < (l.pipe ? 1 : 2); i++)
        CHECK(p.ring[i].head & p.ring[i].tail & IO_LOAN_GONE);
}

/* All that is on its way arrives; then what the end of it is. */
static void drain(uint32_t from, bool closed, bool reset)
{
    int64_t n;
    while ((n = receive_by_call(from, 1 + rnd(5000))) > 0)
        ;
    CHECK(had[from] == sent[from]);
    if (reset) {
        CHECK(n == -ECONNRESET);
        n = receive_by_call(from, 1);
    }
    CHECK(n == (closed ? 0 : -EAGAIN));
}

static void one(void)
{
    bool pipe = rnd(2);
    memset(sent, 0, sizeof sent);
    memset(had, 0, sizeof had);
    lent_open(&l, pipe);
    lent_warm(&l);
    if (!pipe && rnd(4) == 0) {
        CHECK(option(rnd(2), SO_SNDBUF, 3000 + (int32_t)rnd(3000)) == 0);
        lent_warm(&l);
    }
    for (uint32_t i = rnd(4); i; i--) /* what is there before */
        send_by_call(pipe ? 1 : rnd(2), 1 + rnd(1500));
    CHECK(lent_begin(&l));
    for (uint32_t i = rnd(30); i; i--) {
        uint32_t from = pipe ? 1 : rnd(2);
        if (rnd(2))
            send_by_ring(from);
        else
            receive_by_ring(from);
    }
    check_looks();
    enum ending how = rnd(ENDINGS);
    uint32_t end = rnd(2);
    end_loan(how, end);
    check_ended();
    bool shut =
        !l.pipe && l.end[end] && ready(end) >= 0 && how == OTHER_CALL && ready(1 - end) & POLLRDHUP;
    for (uint32_t from = 0; from < 2; from++) {
        bool unread = how == CLOSE && !l.pipe && sent[1 - end] > had[1 - end];
        if (sends(from) && l.end[1 - from])
            drain(from, (how == CLOSE && from == end) || (shut && from == end),
                  unread && from == end);
    }
    lent_close(&l);
}

/* ---- what is not lent ---- */

static void refuse(void (*prepare)(void))
{
    lent_open(&l, false);
    lent_warm(&l);
    prepare();
    CHECK(lent_ask(&l, 0) == -EAGAIN && lent_ask(&l, 1) == -EAGAIN);
    lent_close(&l);
}

static void set_pass(void)
{
    CHECK(option(1, SO_PASSCRED, 1) == 0);
}

static void set_async(void)
{
    CHECK(simple(0, IO_ASYNC, 0) == 0);
}

static void set_shut(void)
{
    CHECK(simple(0, IO_SHUTDOWN, SHUT_RD) == 0);
}

static void send_parcel(void)
{
    motor_handle connector = fake_gate(tty_engine.endpoint, TTY_CONNECTOR + 1);
    struct motor_msg make = {.op = IO_PARCEL}, m = {.op = IO_SEND, .in = "x", .in_size = 1};
    CHECK(lent_call(connector, &make) == 0 && make.nhandles == 1);
    m.nhandles = 1;
    m.handle[0] = make.handle[0];
    CHECK(lent_call(l.end[0], &m) == 1);
    fake_close(make.handle[0]);
    fake_close(connector);
}

/* A parcel that comes between the question and the beginning. */
static void refuse_late(void)
{
    lent_open(&l, false);
    lent_warm(&l);
    CHECK(lent_ask(&l, 0) == 0 && lent_say_ready(&l, 0) == 0 && lent_ask(&l, 1) == 0);
    send_parcel();
    CHECK(lent_say_ready(&l, 1) == -EAGAIN);
    check_ended();
    lent_close(&l);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 600;
    fake_quiet = true;
    CHECK(tty_init(false));
    lent_turn();
    unsigned live = fake_live_objects();
    refuse(set_pass);
    refuse(set_async);
    refuse(set_shut);
    refuse(send_parcel);
    refuse_late();
    for (unsigned i = 0; i < rounds; i++) {
        state = (seed + i) * 0x9e3779b97f4a7c15ull | 1;
        one();
    }
    for (int i = 0; i < 20; i++)
        lent_turn();
    CHECK(!unix_sockets && fake_live_objects() == live);
    printf("loan_unit: seed %llu, %u rounds\n", (unsigned long long)seed, rounds);
    return 0;
}
