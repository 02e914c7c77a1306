/* SPDX-License-Identifier: MIT */
/*
 * A net engine of the simplest kind: TCP-like streams between sockets of one session, by port. It
 * follows <motor/io.h> and nothing else, and does everything at random moments: moves a few bytes,
 * places rings anew, asks for space, falls asleep.
 */
#define _GNU_SOURCE
#include "host.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS  4096u
#define RX_PAGES 64u /* of each socket's place in the engine's region: eight rings of 8 pages */
#define TX_LIMIT 16384u

enum state { FREE, NEW, LISTENING, CONNECTED };
struct sock {
    enum state state;
    uint32_t slot;
    uint16_t port;
    struct sock *peer;
    struct io_slot *shared;
    uint32_t rx_head, tx_tail, rx_page, rx_order, rx_base;
    bool closed, fin_in, shut;
    struct sock *pending[64]; /* accepted, record not yet pushed */
    unsigned npending;
};

void *engine_connector = &engine_connector;
bool engine_hostile;
unsigned engine_delay_us;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sock socks[SOCKETS];
static uint8_t *arena;
static struct io_session *header;
static struct io_doorbell *bell;
static motor_handle arena_vmo;
static int session_object;
static uint64_t seed = 88172645463325252u;
static uint32_t notified;
static bool rung;

static struct io_bitmap *bitmap(uint64_t offset)
{
    return (struct io_bitmap *)(arena + offset);
}

static uint32_t randomly(uint32_t below)
{
    return (uint32_t)(next_random(&seed) % below);
}

static void signal_slot(struct sock *s)
{
    struct io_bitmap *m = bitmap(IO_ARENA_TO_CLIENT);
    __atomic_fetch_add(&s->shared->seq, 1, __ATOMIC_SEQ_CST);
    kernel_pause();
    __atomic_fetch_or(&m->bits[s->slot / 64], 1ull << s->slot % 64, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&m->summary[s->slot / 4096], 1ull << s->slot / 64 % 64, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&s->shared->sleepers, __ATOMIC_SEQ_CST))
        kernel_wake(&s->shared->seq);
    rung = true;
}

static void flush(void)
{
    if (!rung)
        return;
    rung = false;
    if (io_doorbell_ring(bell))
        kernel_wake(&bell->word);
}

static struct sock *sock_new(void)
{
    for (uint32_t i = 0; i < SOCKETS; i++)
        if (socks[i].state == FREE) {
            struct sock *s = &socks[i];
            memset(s, 0, sizeof *s);
            s->slot = i;
            s->state = NEW;
            s->shared = (struct io_slot *)(arena + IO_ARENA_SLOTS) + i;
            uint32_t generation = s->shared->generation + 1;
            memset(s->shared, 0, sizeof *s->shared);
            s->shared->generation = generation;
            s->shared->tx_limit = TX_LIMIT;
            __atomic_store_n(&s->shared->kind, IO_SLOT_STREAM, __ATOMIC_RELEASE);
            return s;
        }
    return NULL;
}

static void sock_free(struct sock *s)
{
    __atomic_store_n(&s->shared->kind, (uint16_t)IO_SLOT_FREE, __ATOMIC_RELEASE);
    signal_slot(s);
    if (s->peer)
        s->peer->peer = NULL;
    s->state = FREE;
}

static void state_set(struct sock *s, uint32_t bits)
{
    __atomic_fetch_or(&s->shared->state, bits, __ATOMIC_SEQ_CST);
}

/* ---- moving bytes ---- */

static uint32_t rx_put(struct sock *s, const void *from, uint32_t n)
{
    uint32_t tail = __atomic_load_n(&s->shared->rx_tail, __ATOMIC_ACQUIRE),
             used = s->rx_head - tail;
    CHECK(used <= 1u << 15);
    if (!used) { /* anew, somewhere else */
        s->rx_order = 12 + randomly(4);
        s->rx_page =
            (uint32_t)(IO_ARENA_ENGINE_RINGS / 4096) + s->slot * RX_PAGES + randomly(8) * 8;
        s->rx_base = s->rx_head - (randomly(2) ? 0 : randomly(4096));
        __atomic_store_n(&s->shared->rx_place, io_place(s->rx_page, s->rx_order, s->rx_base),
                         __ATOMIC_RELAXED);
    }
    uint32_t size = 1u << s->rx_order;
    n = n < size - used ? n : size - used;
    for (uint32_t i = 0; i < n; i++)
        arena[(uint64_t)s->rx_page * 4096 + ((s->rx_head + i - s->rx_base) & (size - 1))] =
            ((const uint8_t *)from)[i];
    s->rx_head += n;
    __atomic_store_n(&s->shared->rx_head, s->rx_head, __ATOMIC_RELEASE);
    return n;
}

static bool want(struct sock *s, bool on)
{
    if (on)
        __atomic_fetch_or(&s->shared->state, IO_STATE_WANT_SPACE, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&s->shared->state, ~IO_STATE_WANT_SPACE, __ATOMIC_SEQ_CST);
    return on;
}

static void push_accepts(struct sock *l)
{
    while (l->npending) {
        struct sock *s = l->pending[0];
        struct io_accept record = {.slot = s->slot,
                                   .handle = kernel_gate(s),
                                   .family = 2,
                                   .port = s->port,
                                   .address = {127, 0, 0, 1}};
        bool room =
            l->rx_head - __atomic_load_n(&l->shared->rx_tail, __ATOMIC_ACQUIRE) <= 4096 - 64;
        CHECK(room || engine_hostile);
        if (!room)
            return;
        CHECK(rx_put(l, &record, sizeof record) == sizeof record);
        memmove(l->pending, l->pending + 1, --l->npending * sizeof *l->pending);
        signal_slot(l);
    }
}

/* Moves some of what s has sent to its peer. true: there is more that could move at once. */
static bool pump(struct sock *s)
{
    uint8_t piece[8192];
    if (s->state == CONNECTED && !s->shut && /* before the head, which is final then */
        __atomic_load_n(&s->shared->client_flags, __ATOMIC_SEQ_CST) & IO_CLIENT_SHUT) {
        s->shut = true;
        state_set(s, IO_STATE_TX_CLOSED);
    }
    uint32_t head = __atomic_load_n(&s->shared->tx_head, __ATOMIC_ACQUIRE),
             used = head - s->tx_tail;
    uint64_t place = __atomic_load_n(&s->shared->tx_place, __ATOMIC_RELAXED);
    if (s->state != CONNECTED)
        return false;
    if (used) {
        uint32_t order = (uint32_t)(place >> 32) & 0xff, size = 1u << order;
        uint64_t page = place >> 40;
        CHECK(order >= IO_RING_ORDER_MIN && order <= IO_RING_ORDER_MAX && used <= size &&
              used <= TX_LIMIT);
        CHECK(page >= IO_ARENA_CLIENT_RINGS / 4096 && page + (size >> 12) <= IO_ARENA_SIZE / 4096);
        uint32_t n = 1 + randomly(used < sizeof piece ? used : sizeof piece);
        if (randomly(3) == 0)
            n = used < sizeof piece ? used : sizeof piece;
        for (uint32_t i = 0; i < n; i++)
            piece[i] = arena[page * 4096 + ((s->tx_tail + i - (uint32_t)place) & (size - 1))];
        uint32_t moved = s->peer && !s->peer->closed ? rx_put(s->peer, piece, n) : n;
        if (moved) {
            s->tx_tail += moved;
            __atomic_store_n(&s->shared->tx_tail, s->tx_tail, __ATOMIC_SEQ_CST);
            uint32_t queued = head - s->tx_tail;
            if (__atomic_load_n(&s->shared->client_flags, __ATOMIC_SEQ_CST) &
                    IO_CLIENT_WANT_SPACE &&
                queued <= TX_LIMIT - TX_LIMIT / 3)
                signal_slot(s);
            if (s->peer && !s->peer->closed) {
                want(s->peer, false);
                signal_slot(s->peer);
            }
        }
        if (moved < n && want(s->peer, true))
            return s->peer->rx_head - __atomic_load_n(&s->peer->shared->rx_tail, __ATOMIC_SEQ_CST) <
                   1u << s->peer->rx_order;
        return true;
    }
    if ((s->closed || s->shut) && s->peer && !s->peer->fin_in) {
        s->peer->fin_in = true;
        state_set(s->peer, IO_STATE_RX_EOF | (s->closed ? IO_STATE_TX_CLOSED : 0));
        signal_slot(s->peer);
    }
    if (s->closed)
        sock_free(s);
    return false;
}

static void hostile_write(void)
{
    struct sock *s = &socks[randomly(64)];
    if (s->state == FREE)
        return;
    switch (randomly(4)) {
    case 0:
        s->shared->rx_head = (uint32_t)next_random(&seed);
        break;
    case 1:
        s->shared->rx_place = next_random(&seed);
        break;
    case 2:
        s->shared->tx_tail = (uint32_t)next_random(&seed);
        break;
    case 3:
        s->shared->state = (uint32_t)next_random(&seed);
        break;
    }
    signal_slot(s);
}

/* [lock] true: there is more to do. */
static bool turn(void)
{
    struct io_bitmap *m = bitmap(IO_ARENA_TO_ENGINE);
    bool more = false;
    if (!arena)
        return false;
    __atomic_store_n(&header->engine_asleep, 0, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < IO_SLOTS / 64; i++)
        if (__atomic_load_n(&m->bits[i], __ATOMIC_RELAXED))
            __atomic_exchange_n(&m->bits[i], 0, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < 16; i++)
        __atomic_exchange_n(&m->summary[i], 0, __ATOMIC_SEQ_CST);
    if (engine_hostile)
        hostile_write();
    for (uint32_t i = 0; i < SOCKETS; i++) {
        if (socks[i].state == LISTENING)
            push_accepts(&socks[i]);
        if (socks[i].state == CONNECTED && !engine_hostile)
            more |= pump(&socks[i]);
    }
    if (randomly(4))
        flush();
    return more || rung;
}

void engine_turn(void)
{
    pthread_mutex_lock(&lock);
    while (turn())
        ;
    flush();
    pthread_mutex_unlock(&lock);
}

void engine_notify(void)
{
    __atomic_store_n(&notified, 1, __ATOMIC_SEQ_CST);
    kernel_wake(&notified);
}

static bool anything(void)
{
    for (uint32_t i = 0; i < 16; i++)
        if (__atomic_load_n(&bitmap(IO_ARENA_TO_ENGINE)->summary[i], __ATOMIC_SEQ_CST))
            return true;
    return false;
}

int64_t motor_raw_syscall(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#include <linux/futex.h>
#include <sys/syscall.h>

static void *engine_thread(void *unused)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        bool more = turn();
        pthread_mutex_unlock(&lock);
        if (engine_delay_us && randomly(8) == 0)
            usleep(randomly(engine_delay_us) + 1);
        if (more)
            continue;
        pthread_mutex_lock(&lock);
        bool again = false;
        if (header) {
            __atomic_store_n(&header->engine_asleep, 1, __ATOMIC_SEQ_CST);
            again = anything();
        }
        pthread_mutex_unlock(&lock);
        if (again)
            continue;
        while (!__atomic_exchange_n(&notified, 0, __ATOMIC_SEQ_CST))
            syscall(SYS_futex, &notified, FUTEX_WAIT, 0, NULL, NULL, 0);
    }
    return unused;
}

void engine_start(bool threaded)
{
    pthread_t t;
    if (threaded)
        CHECK(pthread_create(&t, NULL, engine_thread, NULL) == 0);
}

/* ---- calls ---- */

static int64_t open_session(struct motor_msg *m)
{
    CHECK(m->nhandles == 2);
    bell = kernel_map_vmo(m->handle[1], 4096);
    arena_vmo =
        (motor_handle)motor_raw_syscall(MOTOR_SYSCALL_BASE + 12, IO_ARENA_SIZE, 0, 0, 0, 0, 0);
    arena = kernel_map_vmo(arena_vmo, IO_ARENA_SIZE);
    header = (struct io_session *)arena;
    header->magic = IO_SESSION_MAGIC;
    header->engine_asleep = 1;
    m->nhandles = 2;
    m->handle[0] = kernel_gate(&session_object);
    m->handle[1] = arena_vmo;
    return 0;
}

static int64_t connect_to(struct sock *s, uint16_t port)
{
    struct sock *l = NULL;
    for (uint32_t i = 0; i < SOCKETS && !l; i++)
        if (socks[i].state == LISTENING && socks[i].port == port && !socks[i].closed)
            l = &socks[i];
    if (!l)
        return -ECONNREFUSED;
    if (l->npending == 64)
        return -EAGAIN;
    struct sock *n = sock_new();
    CHECK(n);
    n->state = s->state = CONNECTED;
    n->peer = s;
    s->peer = n;
    n->port = port;
    state_set(n, IO_STATE_CONNECTED);
    state_set(s, IO_STATE_CONNECTED);
    l->pending[l->npending++] = n;
    signal_slot(s);
    return -EINPROGRESS;
}

static uint16_t port_of(const struct motor_msg *m)
{
    uint16_t port;
    memcpy(&port, (const uint8_t *)m->in + 2, 2);
    return port;
}

int64_t engine_call(void *object, struct motor_msg *m)
{
    int64_t result = -EOPNOTSUPP;
    struct sock *s = object;
    if (!object)
        return -EBADF;
    pthread_mutex_lock(&lock);
    if (object == engine_connector && m->op == IO_SESSION_OPEN) {
        result = open_session(m);
    } else if (object == &session_object && m->op == IO_SOCKET) {
        s = sock_new();
        CHECK(s);
        m->nhandles = 1;
        m->handle[0] = kernel_gate(s);
        m->word[0] = s->slot;
        if (m->word[3])
            m->word[1] = (uint64_t)connect_to(s, port_of(m));
        result = 0;
    } else if (m->op == IO_BIND) {
        s->port = port_of(m);
        result = 0;
    } else if (m->op == IO_LISTEN) {
        s->state = LISTENING;
        s->shared->kind = IO_SLOT_ACCEPT;
        result = 0;
    } else if (m->op == IO_CONNECT) {
        result = connect_to(s, port_of(m));
    } else if (m->op == IO_SHUTDOWN) {
        s->shut |= m->word[0] != 0;
        state_set(s, m->word[0] ? IO_STATE_TX_CLOSED : IO_STATE_RX_EOF);
        signal_slot(s);
        result = 0;
    }
    flush();
    pthread_mutex_unlock(&lock);
    engine_notify();
    return result;
}

void engine_closed(void *object)
{
    struct sock *s = object;
    if (object == &session_object || object == engine_connector)
        return;
    pthread_mutex_lock(&lock);
    if (engine_hostile && (s->state == FREE || s->closed)) {
        pthread_mutex_unlock(&lock);
        return;
    }
    CHECK(s->state != FREE && !s->closed);
    s->closed = true;
    if (s->state != CONNECTED) {
        for (unsigned i = 0; i < s->npending; i++) /* nobody knows of these */
            s->pending[i]->closed = true;
        sock_free(s);
    } else if (!s->peer) {
        sock_free(s);
    }
    pthread_mutex_unlock(&lock);
    engine_notify();
}
