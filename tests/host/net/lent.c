/* SPDX-License-Identifier: MIT */
/*
 * Rings on loan to the two ends of a connection (sysio/net/lent.c): whatever ends a loan, each byte
 * that was on its way arrives once and in order, and the slots are as they were; what a ring cannot
 * carry is never lent; and nonsense in a ring harms nobody else. Random, by a seed:
 *
 *   lent ENGINE.so [SEED [ROUNDS]]
 */
#include "client.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOME ip4(127, 0, 0, 1)
enum { SOL_SOCKET_ = 1, SOL_TCP_ = 6, SO_KEEPALIVE_ = 9, SHUT_RD_ = 0, SHUT_WR_ = 1 };
enum { TCP_CORK_ = 3, TCP_USER_TIMEOUT_ = 18 };

static const struct host_api *api;
static struct client client[2];
static struct csock listener, end[2];
static motor_handle process;
static uint64_t state;

static uint32_t rnd(uint32_t n)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)((state * 0x2545f4914f6cdd1dull) >> 33) % n;
}

static uint64_t counter(const char *name)
{
    char text[4096];
    uint32_t n = api->info(3, text, sizeof text - 1);
    text[n] = 0;
    const char *p = strstr(text, name);
    CHECK(p);
    return strtoull(p + strlen(name), NULL, 10);
}

/* ---- a connection ---- */

static void meet(bool same_process)
{
    struct client *c = &client[!same_process];
    CHECK(csock_open(&end[0], c, 2, 1, 0) == 0);
    CHECK(csock_connect4(&end[0], HOME, 80) == -EINPROGRESS);
    for (int i = 0; !csock_accept(&listener, &end[1]); i++) {
        pass(MS);
        CHECK(i < 50);
    }
}

static void part(void)
{
    for (int e = 0; e < 2; e++)
        if (end[e].gate)
            csock_close(&end[e]);
    settle();
    for (int i = 0; i < 20 && counter("connections_active ") + counter("connections_parked "); i++)
        pass(250 * MS);
    CHECK(counter("connections_active ") + counter("connections_parked ") == 0);
}

/* ---- a loan ---- */

static struct loan {
    struct io_loan *page;
    uint8_t *bytes;
    uint32_t size, side, capacity;
} loan[2];

static int64_t ask(int e)
{
    struct motor_event ev = {.op = IO_LOAN, .nhandles = 1, .handle = {process}};
    struct host_reply r;
    api->call(end[e].gate, &ev, NULL, 0, &r);
    if (r.status < 0)
        return r.status;
    CHECK(r.status == 0 && r.handles == 1 && r.word[0] < 2);
    loan[e].page = api->memory(r.handle[0]);
    loan[e].bytes = (uint8_t *)loan[e].page + IO_LOAN_BYTES;
    loan[e].side = (uint32_t)r.word[0];
    loan[e].size = (uint32_t)r.word[1];
    loan[e].capacity = (uint32_t)r.word[2];
    CHECK(loan[e].capacity <= loan[e].size && r.word[3] == 1);
    api->close(r.handle[0]);
    return 0;
}

static int64_t say_ready(int e)
{
    return csock_call(&end[e], IO_LOAN, 1, 0, NULL, 0, NULL);
}

/* The first to ask may have to ask again: until then the other one has not said that it wants one.
 */
static bool borrow(void)
{
    int first = (int)rnd(2);
    bool early = ask(first) == 0;
    if (ask(!first) < 0 || (!early && ask(first) < 0))
        return false;
    return say_ready(first) == 0 && say_ready(!first) == 0;
}

static bool is_lent(int e)
{
    return end[e].s->state & IO_STATE_LENT;
}

static struct io_loan_ring *ring_from(int from)
{
    return &loan[from].page->ring[loan[from].side];
}

/* ---- a stream in each direction: by the end that sends ---- */

static uint64_t sent[2], had[2];

static uint8_t byte_at(int from, uint64_t i)
{
    return (uint8_t)((i * 0x9e3779b97f4a7c15u >> 56) + (unsigned)from);
}

static void send_slot(int from, uint32_t n)
{
    static uint8_t bytes[60000];
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = byte_at(from, sent[from] + i);
    sent[from] += csock_send(&end[from], bytes, n);
}

static uint32_t receive_slot(int from, uint32_t n)
{
    static uint8_t bytes[60000];
    uint32_t done = csock_recv(&end[1 - from], bytes, n);
    for (uint32_t i = 0; i < done; i++)
        CHECK(bytes[i] == byte_at(from, had[from] + i));
    had[from] += done;
    return done;
}

static void send_ring(int from)
{
    struct io_loan_ring *r = ring_from(from);
    uint32_t room = loan[from].capacity - io_loan_used(r->head, r->tail), n = rnd(room + 1);
    uint8_t *bytes = loan[from].bytes + loan[from].side * loan[from].size;
    for (uint32_t i = 0; i < n; i++)
        bytes[(r->head + i) & (loan[from].size - 1)] = byte_at(from, sent[from] + i);
    r->head = (r->head + n) & ~IO_LOAN_GONE;
    r->pieces++;
    sent[from] += n;
}

static void receive_ring(int from)
{
    struct io_loan_ring *r = ring_from(from);
    uint32_t n = rnd(io_loan_used(r->head, r->tail) + 1);
    const uint8_t *bytes = loan[from].bytes + loan[from].side * loan[from].size;
    for (uint32_t i = 0; i < n; i++)
        CHECK(bytes[(r->tail + i) & (loan[from].size - 1)] == byte_at(from, had[from] + i));
    r->tail = (r->tail + n) & ~IO_LOAN_GONE;
    had[from] += n;
}

static void drain(int from)
{
    for (int i = 0; i < 200 && had[from] < sent[from]; i++) {
        while (receive_slot(from, 1 + rnd(50000)))
            settle();
        pass(10 * MS);
    }
    CHECK(had[from] == sent[from]);
}

/* ---- what ends it ---- */

static void mark(int e)
{
    struct client *c = end[e].c;
    uint32_t word = end[e].slot / 64;
    c->to_engine->bits[word] |= 1ull << end[e].slot % 64;
    c->to_engine->summary[word / 64] |= 1ull << word % 64;
    if (__atomic_exchange_n(&c->header->engine_asleep, 0, __ATOMIC_SEQ_CST))
        api->notify(c->session);
    settle();
}

static int64_t option(int e, int level, int name, uint32_t value)
{
    return csock_call(&end[e], IO_SETSOCKOPT, (uint64_t)level, (uint64_t)name, &value, 4, NULL);
}

enum ending { GIVE_BACK, CALL, SHUT, MARK, GONE, CLOSE, NONSENSE, ENDINGS };

static void end_loan(enum ending how, int e)
{
    switch (how) {
    case GIVE_BACK:
        CHECK(csock_call(&end[e], IO_LOAN, 2, rnd(100000), NULL, 0, NULL) == 0);
        break;
    case CALL:
        CHECK(option(e, SOL_SOCKET_, SO_KEEPALIVE_, 0) == 0);
        break;
    case SHUT:
        CHECK(csock_call(&end[e], IO_SHUTDOWN, SHUT_WR_, 0, NULL, 0, NULL) == 0);
        break;
    case MARK:
        mark(e);
        break;
    case GONE: /* the kernel says so of who dies; the other one finds it */
        ring_from(e)->head |= IO_LOAN_GONE;
        ring_from(1 - e)->tail |= IO_LOAN_GONE;
        CHECK(csock_call(&end[1 - e], IO_LOAN, 2, 0, NULL, 0, NULL) == 0);
        break;
    case CLOSE:
        csock_close(&end[e]);
        settle();
        break;
    default: /* it is as if there were nothing in that ring */
        ring_from(e)->head += 0x12345678;
        ring_from(e)->pieces = rnd(1u << 30);
        sent[e] = had[e];
        CHECK(csock_call(&end[1 - e], IO_LOAN, 2, 0, NULL, 0, NULL) == 0);
    }
}

static void check_ended(void)
{
    for (int r = 0; r < 2; r++)
        CHECK(loan[0].page->ring[r].head & loan[0].page->ring[r].tail & IO_LOAN_GONE);
    for (int e = 0; e < 2; e++)
        if (end[e].gate)
            CHECK(!is_lent(e) && end[e].s->tx_head == end[e].tx_head);
}

static void one_loan(bool counts)
{
    uint64_t before = counter("direct_bytes "), was = sent[0] + sent[1];
    CHECK(is_lent(0) && is_lent(1) && loan[0].page == loan[1].page && loan[0].page->active);
    CHECK(end[0].s->tx_head != end[0].tx_head && end[1].s->tx_head != end[1].tx_head);
    for (uint32_t i = rnd(30); i; i--) {
        int from = (int)rnd(2);
        if (rnd(2))
            send_ring(from);
        else
            receive_ring(from);
    }
    if (counts)
        CHECK(counter("direct_bytes ") - before == sent[0] + sent[1] - was);
    CHECK(csock_call(&end[rnd(2)], IO_GETNAME, 1, 0, NULL, 0, NULL) > 0);
    settle();
    CHECK(is_lent(0) && is_lent(1)); /* neither looking nor time ends it */
}

static void one(bool memory_fails)
{
    memset(sent, 0, sizeof sent);
    memset(had, 0, sizeof had);
    meet(rnd(2));
    send_slot(0, 1 + rnd(3000));
    send_slot(1, 1 + rnd(3000));
    settle();
    drain(0);
    drain(1);
    if (memory_fails)
        api->fail_memory(6);
    bool lent = false;
    for (int i = 0; i < 20 && !lent; i++)
        lent = borrow();
    CHECK(lent || memory_fails);
    enum ending how = rnd(ENDINGS);
    int e = (int)rnd(2);
    if (lent) {
        one_loan(true);
        end_loan(how, e);
        check_ended();
    }
    api->fail_memory(0);
    bool reset = lent && how == CLOSE && sent[1 - e] > had[1 - e];
    if (!end[e].gate) {
        drain(e);
        pass(MS);
        CHECK(!(end[1 - e].s->state & IO_STATE_ERROR) == !reset && csock_eof(&end[1 - e]));
        CHECK(!reset || end[1 - e].s->error == ECONNRESET);
        part();
        return;
    }
    for (int from = 0; from < 2; from++)
        if (!(lent && how == SHUT && from == e))
            send_slot(from, 1 + rnd(3000));
    settle();
    drain(0);
    drain(1);
    CHECK(csock_eof(&end[1 - e]) == (lent && how == SHUT));
    part();
}

/* One after the other, over the same connection: larger ones for who needs them, fewer for others.
 */
static void many(void)
{
    uint32_t loans = 0, size = 0;
    step = "one after the other";
    memset(sent, 0, sizeof sent);
    memset(had, 0, sizeof had);
    meet(true);
    for (int i = 0; i < 400; i++) {
        send_slot(i % 2, 10);
        settle();
        drain(i % 2);
        if (!borrow())
            continue;
        loans++;
        one_loan(false);
        size = loan[0].size;
        CHECK(csock_call(&end[i % 2], IO_LOAN, 2, i < 100 ? 1000000 : 0, NULL, 0, NULL) == 0);
        check_ended();
        drain(0);
        drain(1);
    }
    CHECK(size == 256u << 10 && loans >= 8 && loans < 40);
    part();
}

/* One that the engine meant to look at again, for its bytes were corked, has a loan by then. */
static void looked_at_again(void)
{
    step = "looked at again";
    memset(sent, 0, sizeof sent);
    memset(had, 0, sizeof had);
    meet(true);
    end[0].s->client_flags |= IO_CLIENT_CORK;
    send_slot(0, 1000);
    settle();
    CHECK(receive_slot(0, 1000) == 0);
    end[0].s->client_flags &= ~IO_CLIENT_CORK;
    mark(0);
    CHECK(receive_slot(0, 1000) == 1000 && borrow());
    for (int i = 0; i < 30; i++)
        pass(10 * MS);
    CHECK(is_lent(0) && is_lent(1));
    part();
}

/* ---- what is not lent ---- */

static void refuse(const char *name, void (*prepare)(void), bool late)
{
    step = name;
    meet(true);
    if (!late)
        prepare();
    bool granted = ask(0) == -EAGAIN && ask(1) == 0 && ask(0) == 0 && say_ready(0) == 0;
    if (late)
        prepare();
    CHECK(granted == late && say_ready(1) == -EAGAIN && !is_lent(0) && !is_lent(1));
    part();
}

static void set_timeout(void)
{
    CHECK(option(0, SOL_TCP_, TCP_USER_TIMEOUT_, 5000) == 0);
}

static void set_cork(void)
{
    end[1].s->client_flags |= IO_CLIENT_CORK;
}

static void set_shut(void)
{
    end[1].s->client_flags |= IO_CLIENT_SHUT;
}

static void shut(void)
{
    CHECK(csock_call(&end[0], IO_SHUTDOWN, SHUT_RD_, 0, NULL, 0, NULL) == 0);
}

static void unread(void)
{
    CHECK(csock_send(&end[0], "unread", 6) == 6);
    settle();
}

static void unseen(void)
{
    CHECK(csock_send(&end[0], "unseen", 6) == 6);
}

/* Of an end that another session has, too, and one whose other end is elsewhere. */
static void refuse_others(void)
{
    struct csock s;
    struct motor_event ev = {.op = IO_LOAN, .nhandles = 1, .handle = {process}};
    struct host_reply r;
    step = "not connected";
    CHECK(csock_open(&s, &client[0], 2, 1, 0) == 0);
    api->call(s.gate, &ev, NULL, 0, &r);
    CHECK(r.status == -EAGAIN);
    csock_close(&s);
    CHECK(csock_open(&s, &client[0], 2, 2, 0) == 0);
    api->call(s.gate, &ev, NULL, 0, &r);
    CHECK(r.status == -EOPNOTSUPP);
    csock_close(&s);
    step = "nobody has asked";
    meet(true);
    CHECK(say_ready(0) == -EAGAIN && csock_call(&end[0], IO_LOAN, 2, 0, NULL, 0, NULL) == 0);
    part();
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 400;
    api = peer_start(argc > 1 ? argv[1] : "", false);
    state = seed * 0x9e3779b97f4a7c15ull | 1;
    process = api->process();
    for (int i = 0; i < 2; i++)
        client_open(&client[i], api, 16);
    CHECK(csock_open(&listener, &client[0], 2, 1, 0) == 0);
    CHECK(csock_bind4(&listener, 0, 80) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 128, 0, NULL, 0, NULL) == 0);
    refuse_others();
    refuse("a timeout", set_timeout, false);
    refuse("a cork", set_cork, false);
    refuse("sending ended", set_shut, false);
    refuse("receiving ended", shut, false);
    refuse("bytes that nobody has read", unread, true);
    refuse("bytes that the engine has not seen", unseen, true);
    many();
    looked_at_again();
    for (unsigned i = 0; i < rounds; i++) {
        step = i % 4 ? "a loan" : "a loan, memory is short";
        one(i % 4 == 0);
    }
    csock_close(&listener);
    settle();
    CHECK(counter("sockets ") == 0);
    for (int i = 0; i < 2; i++)
        client_die(&client[i]);
    printf("ok: seed %llu, %u rounds\n", (unsigned long long)seed, rounds);
    return 0;
}
