/* SPDX-License-Identifier: MIT */
/*
 * Pipes, UNIX sockets, rendezvous, parcels and message queues against nonsense: calls with any
 * operation, words, bytes and handles, made, given up and closed in any order. Sane calls are
 * frequent, so that sockets do get connected, parcels do travel, and rings are lent, into which a
 * client may write anything. In the end all handles are closed, and nothing may be left: no object
 * of the kernel, no socket in circles.
 *
 *   local_fuzz [SEED [ROUNDS]]
 */
#include "lent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CHECK(c) ((c) ? (void)0 : (fprintf(stderr, "local_fuzz.c:%d: %s\n", __LINE__, #c), abort()))
#define HANDLES  64u
#define STEPS    4000u

static uint64_t state;
static motor_handle handles[HANDLES]; /* the client's; 0: a free place */

static uint64_t rnd64(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

static uint32_t rnd(uint32_t n)
{
    return (uint32_t)(rnd64() >> 33) % n;
}

static void turn(void)
{
    engine_turn(&tty_engine, false);
}

static uint64_t some_word(void)
{
    static const uint64_t usual[] = {0,          1,
                                     2,          5,
                                     O_NONBLOCK, MSG_DONTWAIT,
                                     MSG_PEEK,   MSG_DONTWAIT | MSG_PEEK,
                                     SOL_SOCKET, SO_PASSCRED,
                                     SO_SNDBUF,  SO_PEERCRED,
                                     SO_ERROR,   7,
                                     SO_PEEK_OFF};
    switch (rnd(8)) {
    case 0:
        return rnd64();
    case 1:
        return 1ull << rnd(64);
    case 2:
        return rnd(300);
    default:
        return usual[rnd(sizeof usual / sizeof *usual)];
    }
}

/* What a handle is, as far as is known: the call that gave it. */
enum kind { CONNECTOR, SOCKET, PIPE, PARCEL, RENDEZVOUS_GATE, MQUEUE, PIDFD, KINDS };
static enum kind kinds[HANDLES];

static enum kind kind_given(uint32_t op)
{
    switch (op) {
    case IO_PIPE:
    case IO_FIFO_OPEN:
        return PIPE;
    case IO_PARCEL:
    case IO_RECEIVE:
        return PARCEL;
    case IO_MQ_OPEN:
    case IO_MQ_NOTIFY:
        return MQUEUE;
    case IO_PIDFD:
        return PIDFD;
    default:
        return SOCKET;
    }
}

static uint32_t some_op(enum kind of)
{
    static const uint32_t ops[KINDS][16] = {
        [CONNECTOR] = {IO_LOCAL_SOCKET, IO_LOCAL_SOCKET, IO_PIPE, IO_PARCEL, IO_INOTIFY, IO_MQ_OPEN,
                       IO_MQ_OPEN, IO_MQ_UNLINK, IO_PIDFD, IO_PIDFD},
        [SOCKET] = {IO_BIND, IO_LISTEN, IO_CONNECT, IO_SHUTDOWN, IO_GETNAME, IO_SETSOCKOPT,
                    IO_GETSOCKOPT, IO_SEND, IO_SEND, IO_RECEIVE, IO_RECEIVE, IO_SOCKET_ACCEPT,
                    IO_POLL, IO_ASYNC, IO_LOAN, IO_CONTROL},
        [PIPE] = {IO_READ, IO_WRITE, IO_PIPE_SIZE, IO_PIPE_SPLICE, IO_CONTROL, IO_POLL, IO_STAT,
                  IO_PATH, IO_READ, IO_WRITE, IO_LOAN, IO_NAMED_FILE, IO_ASYNC},
        [PARCEL] = {IO_PARCEL_PUT, IO_PARCEL_PUT, IO_PARCEL_TAKE, IO_PARCEL_SIGN},
        [RENDEZVOUS_GATE] = {IO_FIFO_OPEN},
        [MQUEUE] = {IO_MQ_SEND, IO_MQ_SEND, IO_MQ_RECEIVE, IO_MQ_RECEIVE, IO_MQ_NOTIFY, IO_MQ_LOOK,
                    IO_POLL, IO_STAT, IO_PATH, IO_CHMOD, IO_CHOWN, IO_MQ_SEND, IO_MQ_RECEIVE},
        [PIDFD] = {IO_PIDFD_PID, IO_PIDFD_PID, IO_POLL, IO_READ, IO_STAT}};
    uint32_t op = rnd(20) ? ops[of][rnd(16)] : rnd(120);
    return op && op != IO_SESSION_OPEN && op != IO_POWER ? op : ops[of][0];
}

static motor_handle *place(bool used)
{
    for (uint32_t i = 0; i < 4 * HANDLES; i++) {
        motor_handle *h = &handles[rnd(HANDLES)];
        if ((*h != 0) == used)
            return h;
    }
    return NULL;
}

static void keep(motor_handle h, enum kind kind)
{
    motor_handle *to = place(false);
    if (!to) {
        fake_close(h);
        return;
    }
    *to = h;
    kinds[to - handles] = kind;
}

static motor_handle *of_kind(enum kind kind)
{
    motor_handle *h = NULL;
    for (uint32_t i = 0; i < 4 * HANDLES && (!h || kinds[h - handles] != kind); i++)
        h = place(true);
    return h;
}

static void close_some(void)
{
    motor_handle *h = place(true);
    if (h) {
        fake_close(*h);
        *h = 0;
    }
}

/* Of the few that there are, so that they meet. */
static motor_handle some_rendezvous(void)
{
    uint64_t rights[] = {RENDEZVOUS_READ, RENDEZVOUS_WRITE, RENDEZVOUS_BIND,
                         RENDEZVOUS_READ | RENDEZVOUS_WRITE};
    return fake_gate(tty_engine.endpoint, RENDEZVOUS | rights[rnd(4)] | (1 + rnd(6)));
}

/* What a program would say. */
static void make_sane(struct motor_msg *m, uint8_t *in)
{
    static const uint64_t types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    motor_handle *parcel = of_kind(PARCEL);
    switch (m->op) {
    case IO_PIDFD: /* there is one process, which may have ended */
        fake_process.pid = 1 + rnd(2);
        fake_process.state = 1 + rnd(2);
        m->word[0] = 1 + rnd(2);
        break;
    case IO_LOCAL_SOCKET:
        m->word[0] = types[rnd(3)];
        m->word[1] = rnd(2);
        break;
    case IO_BIND:
    case IO_CONNECT:
        m->in_size = 2;
        in[0] = 0;
        m->nhandles = 0;
        m->word[1] = 0;
        break;
    case IO_LISTEN:
        m->word[0] = rnd(4);
        break;
    case IO_SEND:
        m->word[0] = MSG_DONTWAIT;
        m->word[1] = rnd(4) ? 0 : 2;
        in[0] = 0;
        m->nhandles = parcel && rnd(2);
        m->handle[0] = parcel ? *parcel : 0;
        break;
    case IO_RECEIVE:
        m->word[0] = MSG_DONTWAIT | (rnd(4) ? 0 : MSG_PEEK);
        m->word[1] = rnd(4);
        m->out_size = 112 + rnd(300);
        break;
    case IO_LOAN:
        m->word[0] = rnd(2);
        m->nhandles = 1;
        break;
    case IO_READ:
    case IO_WRITE:
        m->word[1] = O_NONBLOCK;
        break;
    case IO_MQ_OPEN:
        m->word[0] = O_CREAT | rnd(3);
        m->word[1] = 0600;
        m->word[2] = 1 + rnd(4);
        m->word[3] = 1 + rnd(40);
        m->word[4] = 1;
        m->word[5] = 1u << 20;
        /* fallthrough */
    case IO_MQ_UNLINK:
        in[0] = (uint8_t)('a' + rnd(5));
        m->in_size = 1;
        m->nhandles = 0;
        break;
    case IO_MQ_SEND:
        m->word[0] = rnd(3);
        m->word[1] = rnd(3) ? O_NONBLOCK : rnd(2);
        m->in_size = rnd(20);
        break;
    case IO_MQ_RECEIVE:
        m->word[0] = rnd(3) ? O_NONBLOCK : rnd(2);
        m->out_size = 40;
        break;
    case IO_MQ_NOTIFY:
        m->word[0] = rnd(3);
        m->word[1] = 0;
        m->in_size = 32;
        break;
    case IO_PARCEL_PUT:
        m->nhandles = 1 + rnd(4);
        m->in_size = 48ull * m->nhandles;
        break;
    case IO_PARCEL_TAKE:
        m->word[0] = rnd(4);
        m->out_size = 192;
        break;
    default:
        break;
    }
}

/* ---- rings on loan ---- */

#define LOANS 16u

static motor_handle loans[LOANS];
static uint32_t active;   /* loans that were seen to be */
static uint32_t received; /* messages, from queues */

static void keep_loan(motor_handle h)
{
    motor_handle *to = &loans[rnd(LOANS)];
    if (*to)
        fake_close(*to);
    *to = h;
}

/* A pipe or a pair of sockets that has a loan, among all the others. */
static void lend_some(void)
{
    struct lent l;
    lent_open(&l, rnd(2));
    lent_warm(&l);
    lent_begin(&l);
    for (int i = 0; i < 2; i++) {
        keep(l.end[i], l.pipe ? PIPE : SOCKET);
        if (l.loan[i])
            keep_loan(l.loan[i]);
    }
}

/* As its users would, or as they should not. */
static void write_into_loan(void)
{
    motor_handle h = loans[rnd(LOANS)];
    struct io_loan l;
    if (!h)
        return;
    CHECK(fake_vmo_read(h, 0, &l, sizeof l) == sizeof l);
    active += l.active;
    if (rnd(2))
        l.ring[rnd(2)].head += rnd(5000);
    else if (rnd(2))
        l.ring[rnd(2)].tail += rnd(5000);
    else
        ((uint32_t *)&l)[rnd(sizeof l / 4)] = (uint32_t)some_word();
    CHECK(fake_vmo_write(h, 0, &l, sizeof l) == sizeof l);
}

static void close_loans(void)
{
    for (uint32_t i = 0; i < LOANS; i++)
        if (loans[i])
            fake_close(loans[i]);
    memset(loans, 0, sizeof loans);
}

static void call_some(void)
{
    static uint8_t in[300000], out[300000];
    motor_handle *on = rnd(3) ? place(true) : of_kind(MQUEUE);
    if (!on)
        return;
    struct motor_msg m = {.op = some_op(kinds[on - handles]), .in = in, .out = out};
    for (uint32_t i = 0; i < MOTOR_MSG_WORDS; i++)
        m.word[i] = some_word();
    m.in_size = rnd(20) ? rnd(400) : rnd(sizeof in);
    m.out_size = rnd(20) ? rnd(400) : rnd(sizeof out);
    for (uint32_t i = 0; i < 32; i++)
        in[i] = (uint8_t)rnd(3);
    m.nhandles = rnd(3);
    for (uint32_t i = 0; i < MOTOR_MSG_HANDLES; i++) {
        motor_handle *h = place(true);
        m.handle[i] = h ? *h : *on;
    }
    if (rnd(5))
        make_sane(&m, in);
    uint32_t op = m.op;
    if (fake_call_within(*on, &m, rnd(2) * 99, rnd(2) * 99, turn, 3) < 0)
        return;
    CHECK(m.status <= (int64_t)sizeof in || op == IO_PIPE_SIZE || op == IO_MQ_RECEIVE);
    received += op == IO_MQ_RECEIVE && m.status >= 0;
    for (uint32_t i = 0; i < m.nhandles; i++)
        if (op == IO_LOAN)
            keep_loan(m.handle[i]);
        else
            keep(m.handle[i], kind_given(op));
}

static void no_queues_left(const char *engine, const char *name, uint64_t value, void *context)
{
    (void)engine, (void)context;
    CHECK((strncmp(name, "message_queue", 13) && strcmp(name, "pidfds")) || value == 0);
}

static void unlink_queues(void)
{
    motor_handle h = fake_gate(tty_engine.endpoint, TTY_CONNECTOR + 1);
    for (char name = 'a'; name < 'f'; name++) {
        struct motor_msg m = {.op = IO_MQ_UNLINK, .in = &name, .in_size = 1};
        CHECK(fake_call_within(h, &m, 0, 0, turn, 3) >= 0);
    }
    fake_close(h);
}

static void round_of(unsigned live)
{
    keep(fake_gate(tty_engine.endpoint, TTY_CONNECTOR + 1), CONNECTOR);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t what = rnd(20);
        if (what == 0)
            close_some();
        else if (what == 1)
            keep(some_rendezvous(), RENDEZVOUS_GATE);
        else if (what == 3)
            write_into_loan();
        else if (what == 4 && rnd(4) == 0)
            lend_some();
        else if (what == 2)
            keep(fake_gate(tty_engine.endpoint, TTY_CONNECTOR + 1), CONNECTOR);
        else
            call_some();
    }
    unlink_queues();
    for (uint32_t i = 0; i < HANDLES; i++)
        if (handles[i])
            fake_close(handles[i]);
    memset(handles, 0, sizeof handles);
    close_loans();
    for (int i = 0; i < 200; i++)
        turn();
    CHECK(!unix_sockets && !unix_in_flight);
    counters_each(no_queues_left, NULL);
    if (fake_live_objects() != live)
        fprintf(stderr, "%u objects of the kernel, there were %u\n", fake_live_objects(), live);
    CHECK(fake_live_objects() == live);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 30;
    fake_quiet = true;
    CHECK(tty_init(false));
    turn();
    unsigned live = fake_live_objects();
    for (unsigned round = 0; round < rounds; round++) {
        state = (seed + round) * 0x9e3779b97f4a7c15ull | 1;
        round_of(live);
    }
    printf("local_fuzz: seed %llu, %u rounds, %u looks at active loans, %u messages of queues\n",
           (unsigned long long)seed, rounds, active, received);
    return 0;
}
