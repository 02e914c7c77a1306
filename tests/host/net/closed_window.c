/* SPDX-License-Identifier: MIT */
/*
 * The peer loses a segment and shuts its window: what was lost is sent first when it opens again,
 * whether duplicate acknowledgements or the timer noticed the loss (RFC 9293 3.8.6.1, RFC 6582).
 * What the client sends meanwhile, and the end of its stream, come after everything before.
 *
 *   closed_window ENGINE.so
 */
#include "client.h"
#include "peer.h"

#include <stdio.h>
#include <string.h>

#define BEFORE 40000u /* after these the congestion window is no limit */
#define BYTES  12000u
#define LATER  3000u

static struct client client;
static struct csock listener;
static uint16_t next_port = 30000;

static struct peer connect_peer(struct csock *s, bool stamped)
{
    struct segment got;
    struct peer c = {.port = next_port++, .engine_port = 80, .seq = 1000, .stamped = stamped};
    forget_sent();
    answer(&c, SYN, 0);
    got = expect_only(&c, SYN | ACK);
    c.ack = got.seq + 1;
    answer(&c, ACK, 0);
    CHECK(csock_accept(&listener, s));
    return c;
}

static uint8_t byte_at(uint32_t n)
{
    return (uint8_t)(n * 2654435761u >> 11);
}

/* Takes what comes in order until there is no more for a second, or it is over. Segments that come
 * before what they follow are lost. true: the stream has ended. */
static bool receive_all(struct peer *c, uint32_t first)
{
    struct segment got;
    for (int quiet = 0; quiet < 100; quiet++) {
        while (next_sent(&got)) {
            if (got.seq != c->ack || (!got.size && !(got.flags & FIN)))
                continue;
            for (uint32_t i = 0; i < got.size; i++)
                CHECK(got.start[i] == byte_at(c->ack - first + i));
            c->ack += got.size;
            answer(c, ACK, 0);
            quiet = 0;
            if (got.flags & FIN)
                return true;
        }
        pass(100 * MS);
    }
    return false;
}

/* How the peer loses a segment, and what the engine's client does. */
struct loss {
    uint32_t taken;      /* segments that arrive before it */
    uint32_t duplicates; /* acknowledgements that tell so, with the window shut */
    uint64_t shut;       /* ms for which it stays so */
    uint32_t piece;      /* bytes of a segment */
    uint32_t later;      /* bytes that the client sends meanwhile, before it ends the stream */
    bool stamped;
};

/* The bytes from `from` to `to` of the stream, in pieces. */
static void send_bytes(struct csock *s, uint32_t from, uint32_t to, uint32_t piece)
{
    uint8_t bytes[BYTES];
    for (uint32_t n; from < to; from += n) {
        n = to - from < piece ? to - from : piece;
        for (uint32_t i = 0; i < n; i++)
            bytes[i] = byte_at(from + i);
        CHECK(csock_send(s, bytes, n) == n);
        settle();
    }
}

static void take_some(struct peer *c, uint32_t segments)
{
    struct segment got;
    for (uint32_t i = 0; i < segments && next_sent(&got); i++) {
        CHECK(got.seq == c->ack);
        c->ack += got.size;
    }
    forget_sent();
}

static void stay_shut(struct peer *c, uint64_t ms)
{
    struct segment got;
    for (uint64_t waited = 0; waited < ms; waited += 100) {
        pass(100 * MS);
        while (next_sent(&got)) /* a probe of the window begins where the peer stands */
            CHECK(got.seq == c->ack || !got.size);
    }
    c->closed = false;
}

static void lose_one(const struct loss *l)
{
    static char text[100];
    struct csock s;
    struct peer c = connect_peer(&s, l->stamped);
    uint32_t first = c.ack;
    snprintf(text, sizeof text, "%u taken, %u duplicates, shut for %llu ms, pieces of %u, %u later",
             l->taken, l->duplicates, (unsigned long long)l->shut, l->piece, l->later);
    step = text;
    s.s->client_flags |= IO_CLIENT_NODELAY;
    send_bytes(&s, 0, BEFORE, BYTES);
    CHECK(!receive_all(&c, first) && c.ack - first == BEFORE);
    send_bytes(&s, BEFORE, BEFORE + BYTES, l->piece);
    take_some(&c, l->taken);
    c.closed = true;
    for (uint32_t i = 0; i <= l->duplicates; i++)
        answer(&c, ACK, 0);
    send_bytes(&s, BEFORE + BYTES, BEFORE + BYTES + l->later, l->piece);
    CHECK(csock_call(&s, IO_SHUTDOWN, 1, 0, NULL, 0, NULL) == 0);
    stay_shut(&c, l->shut);
    answer(&c, ACK, 0);
    CHECK(receive_all(&c, first) && c.ack - first == BEFORE + BYTES + l->later);
    emit(&c, RST, c.seq, 0, 0);
    csock_close(&s);
    pass(5 * MS);
}

static void lose(uint32_t taken, uint32_t duplicates, uint64_t shut)
{
    static const uint32_t pieces[] = {BYTES, 700};
    struct loss l = {taken, duplicates, shut, .stamped = duplicates % 2};
    for (uint32_t i = 0; i < 4; i++) {
        l.piece = pieces[i % 2];
        l.later = i / 2 * LATER;
        lose_one(&l);
    }
}

/* A peer whose window is shut takes the byte of a probe, and that was the last one. */
static void probe_taken(void)
{
    struct csock s;
    struct segment got;
    struct peer c = connect_peer(&s, false);
    uint32_t first = c.ack, one = 1;
    step = "the byte of a probe is taken";
    CHECK(csock_call(&s, IO_SETSOCKOPT, 1, 9, &one, sizeof one, NULL) == 0); /* timers stay on */
    send_bytes(&s, 0, 10, 10);
    take_some(&c, 1);
    c.closed = true;
    answer(&c, ACK, 0);
    send_bytes(&s, 10, 11, 1);
    CHECK(!next_sent(&got));
    for (int i = 0; c.ack == first + 10; i++) {
        CHECK(i < 100);
        pass(100 * MS);
        while (next_sent(&got))
            c.ack += got.seq == c.ack ? got.size : 0;
    }
    answer(&c, ACK, 0);
    pass(10000 * MS);
    CHECK(!next_sent(&got));
    c.closed = false;
    answer(&c, ACK, 0);
    send_bytes(&s, 11, 1000, 1000);
    CHECK(!receive_all(&c, first) && c.ack - first == 1000);
    emit(&c, RST, c.seq, 0, 0);
    csock_close(&s);
    pass(5 * MS);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    client_open(&client, peer_start(argv[1], false), 18);
    CHECK(csock_open(&listener, &client, 2, 1, 0) == 0);
    CHECK(csock_bind4(&listener, 0, 80) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 511, 0, NULL, 0, NULL) == 0);
    for (uint32_t taken = 1; taken < 5; taken++)
        for (uint32_t duplicates = 0; duplicates < 7; duplicates++)
            for (uint64_t shut = 100; shut < 15000; shut *= 3)
                lose(taken, duplicates, shut);
    probe_taken();
    puts("ok");
    return 0;
}
