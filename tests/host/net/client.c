/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "client.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHECK(x) ((x) ? (void)0 : (fprintf(stderr, "client.c:%d: %s\n", __LINE__, #x), abort()))

void client_open(struct client *c, const struct host_api *api, uint32_t ring_order)
{
    struct motor_event ev = {.op = IO_SESSION_OPEN, .nhandles = 2};
    struct host_reply r;
    void *page;
    memset(c, 0, sizeof *c);
    c->api = api;
    c->connector = api->connector();
    ev.handle[0] = api->process();
    ev.handle[1] = api->page(&page);
    api->call(c->connector, &ev, NULL, 0, &r);
    CHECK(r.status == 0 && r.handles == 2);
    c->session = r.handle[0];
    c->arena = api->memory(r.handle[1]);
    c->bell = page;
    c->header = (struct io_session *)c->arena;
    CHECK(c->header->magic == IO_SESSION_MAGIC);
    c->to_client = (struct io_bitmap *)(c->arena + IO_ARENA_TO_CLIENT);
    c->to_engine = (struct io_bitmap *)(c->arena + IO_ARENA_TO_ENGINE);
    c->slots = (struct io_slot *)(c->arena + IO_ARENA_SLOTS);
    c->next_page = IO_ARENA_CLIENT_RINGS / 4096;
    c->ring_page = calloc(IO_SLOTS, 4);
    c->free_page = calloc(IO_SLOTS, 4);
    c->ring_order = ring_order;
}

void client_die(struct client *c)
{
    c->api->close(c->session);
    c->session = 0;
    free(c->ring_page);
    free(c->free_page);
}

/* A slot is free for the engine again: its ring is ours again. */
static void reap(struct client *c)
{
    for (uint32_t i = 0; i < IO_SLOTS / 64; i++) {
        uint64_t bits = __atomic_exchange_n(&c->to_client->bits[i], 0, __ATOMIC_SEQ_CST);
        for (; bits; bits &= bits - 1) {
            uint32_t slot = i * 64 + (uint32_t)__builtin_ctzll(bits);
            if (slot < c->header->slots_used && c->slots[slot].kind == IO_SLOT_FREE &&
                c->ring_page[slot] >> 31) {
                c->free_page[c->free_pages++] = c->ring_page[slot] & 0x7fffffff;
                c->ring_page[slot] = 0;
            }
        }
    }
}

static uint32_t ring_take(struct client *c)
{
    uint32_t pages = 1u << (c->ring_order - 12);
    if (c->free_pages)
        return c->free_page[--c->free_pages];
    uint32_t page = c->next_page;
    c->next_page += pages;
    /* a touch commits */
    mprotect(c->arena + (uint64_t)page * 4096, (size_t)pages * 4096, PROT_READ | PROT_WRITE);
    return page;
}

static void ring_bell(struct csock *s)
{
    struct client *c = s->c;
    uint32_t word = s->slot / 64;
    __atomic_fetch_or(&c->to_engine->bits[word], 1ull << s->slot % 64, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&c->to_engine->summary[word / 64], 1ull << word % 64, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&c->header->engine_asleep, 0, __ATOMIC_SEQ_CST))
        c->api->notify(c->session);
}

static void attach(struct csock *s, struct client *c, motor_handle gate, uint32_t slot)
{
    *s = (struct csock){.c = c, .gate = gate, .slot = slot, .s = &c->slots[slot]};
    if (c->ring_page[slot] >> 31) { /* freed and given out again since we looked */
        c->free_page[c->free_pages++] = c->ring_page[slot] & 0x7fffffff;
        c->ring_page[slot] = 0;
    }
}

int64_t csock_open(struct csock *s, struct client *c, int family, int type, int protocol)
{
    struct motor_event ev = {.op = IO_SOCKET,
                             .word = {(uint64_t)family, (uint64_t)type, (uint64_t)protocol}};
    struct host_reply r;
    c->api->call(c->session, &ev, NULL, 0, &r);
    if (r.status < 0)
        return r.status;
    reap(c);
    attach(s, c, r.handle[0], (uint32_t)r.word[0]);
    return 0;
}

int64_t csock_call(struct csock *s, uint32_t op, uint64_t w0, uint64_t w1, const void *in,
                   size_t size, struct host_reply *r)
{
    struct motor_event ev = {.op = op, .word = {w0, w1}};
    struct host_reply scratch;
    s->c->api->call(s->gate, &ev, in, size, r ? r : &scratch);
    return r ? r->status : scratch.status;
}

uint32_t ip4(int a, int b, int c, int d)
{
    return (uint32_t)(a | b << 8 | c << 16) | (uint32_t)d << 24;
}

static void make4(uint8_t bytes[16], uint32_t address, uint16_t port)
{
    memset(bytes, 0, 16);
    bytes[0] = 2;
    bytes[2] = (uint8_t)(port >> 8);
    bytes[3] = (uint8_t)port;
    memcpy(bytes + 4, &address, 4);
}

int64_t csock_bind4(struct csock *s, uint32_t address, uint16_t port)
{
    uint8_t bytes[16];
    make4(bytes, address, port);
    return csock_call(s, IO_BIND, 0, 0, bytes, 16, NULL);
}

int64_t csock_connect4(struct csock *s, uint32_t address, uint16_t port)
{
    uint8_t bytes[16];
    make4(bytes, address, port);
    return csock_call(s, IO_CONNECT, 0, 0, bytes, 16, NULL);
}

/* ---- rings ---- */

static uint8_t *at(struct csock *s, uint64_t place, uint32_t index, uint32_t *room)
{
    uint32_t page = (uint32_t)(place >> 40), order = (uint32_t)(place >> 32) & 0xff,
             base = (uint32_t)place;
    uint32_t size = 1u << order, offset = (index - base) & (size - 1);
    *room = size - offset;
    return s->c->arena + (uint64_t)page * 4096 + offset;
}

static uint32_t take(struct csock *s, void *bytes, uint32_t size)
{
    uint32_t head = __atomic_load_n(&s->s->rx_head, __ATOMIC_ACQUIRE), done = 0;
    uint64_t place = s->s->rx_place;
    if (size > head - s->rx_tail)
        size = head - s->rx_tail;
    while (done < size) {
        uint32_t room;
        const uint8_t *from = at(s, place, s->rx_tail + done, &room);
        uint32_t n = size - done < room ? size - done : room;
        memcpy((uint8_t *)bytes + done, from, n);
        done += n;
    }
    s->rx_tail += done;
    __atomic_store_n(&s->s->rx_tail, s->rx_tail, __ATOMIC_SEQ_CST);
    if (done && __atomic_load_n(&s->s->state, __ATOMIC_SEQ_CST) & IO_STATE_WANT_SPACE)
        ring_bell(s);
    return done;
}

uint32_t csock_recv(struct csock *s, void *bytes, uint32_t size)
{
    return take(s, bytes, size);
}

bool csock_eof(struct csock *s)
{
    uint32_t state = s->s->state;
    return s->rx_tail == __atomic_load_n(&s->s->rx_head, __ATOMIC_ACQUIRE) &&
           state & IO_STATE_RX_EOF;
}

static bool put(struct csock *s, const void *bytes, uint32_t size, uint32_t index)
{
    uint32_t done = 0;
    while (done < size) {
        uint32_t room;
        uint8_t *to = at(s, s->s->tx_place, index + done, &room);
        uint32_t n = size - done < room ? size - done : room;
        memcpy(to, (const uint8_t *)bytes + done, n);
        done += n;
    }
    return true;
}

static uint32_t space(struct csock *s)
{
    uint32_t limit = 1u << s->c->ring_order;
    if (limit > s->s->tx_limit && s->s->kind == IO_SLOT_STREAM)
        limit = s->s->tx_limit;
    uint32_t used = s->tx_head - __atomic_load_n(&s->s->tx_tail, __ATOMIC_SEQ_CST);
    if (!used) {
        reap(s->c);
        if (!s->c->ring_page[s->slot])
            s->c->ring_page[s->slot] = ring_take(s->c);
        s->s->tx_place = io_place(s->c->ring_page[s->slot], s->c->ring_order, s->tx_head);
    }
    return used < limit ? limit - used : 0;
}

uint32_t csock_send(struct csock *s, const void *bytes, uint32_t size)
{
    if (s->s->state & IO_STATE_TX_CLOSED)
        return 0;
    uint32_t room = space(s);
    if (size > room) {
        size = room;
        __atomic_store_n(&s->s->client_flags, IO_CLIENT_WANT_SPACE, __ATOMIC_SEQ_CST);
    }
    if (!size)
        return 0;
    put(s, bytes, size, s->tx_head);
    s->tx_head += size;
    __atomic_store_n(&s->s->tx_head, s->tx_head, __ATOMIC_RELEASE);
    ring_bell(s);
    return size;
}

bool csock_send_to(struct csock *s, uint32_t address, uint16_t port, const void *bytes,
                   uint32_t size)
{
    struct io_datagram d = {.length = size,
                            .family = address || port ? 2 : 0,
                            .port = (uint16_t)(port << 8 | port >> 8)};
    uint32_t total = (uint32_t)sizeof d + ((size + 15) & ~15u);
    memcpy(d.address, &address, 4);
    if (space(s) < total)
        return false;
    put(s, &d, sizeof d, s->tx_head);
    put(s, bytes, size, s->tx_head + (uint32_t)sizeof d);
    s->tx_head += total;
    __atomic_store_n(&s->s->tx_head, s->tx_head, __ATOMIC_RELEASE);
    ring_bell(s);
    return true;
}

int csock_recv_from(struct csock *s, struct io_datagram *from, void *bytes, uint32_t size)
{
    static uint8_t record[70000];
    if (s->s->rx_head == s->rx_tail)
        return -1;
    take(s, from, sizeof *from);
    CHECK(from->length <= 65535);
    take(s, record, (from->length + 15) & ~15u);
    memcpy(bytes, record, from->length < size ? from->length : size);
    return (int)from->length;
}

bool csock_accept(struct csock *listener, struct csock *s)
{
    struct io_accept a;
    if (listener->s->rx_head == listener->rx_tail)
        return false;
    CHECK(take(listener, &a, sizeof a) == sizeof a);
    reap(listener->c);
    attach(s, listener->c, a.handle, a.slot);
    return true;
}

void csock_close(struct csock *s)
{
    struct client *c = s->c;
    uint32_t page = c->ring_page[s->slot];
    if (page) {
        if (s->s->tx_tail == s->tx_head) {
            c->free_page[c->free_pages++] = page;
            c->ring_page[s->slot] = 0;
        } else {
            c->ring_page[s->slot] |= 0x80000000u; /* the engine's until the slot is free */
        }
    }
    motor_handle gate = s->gate;
    s->gate = 0;
    c->api->close(gate);
}
