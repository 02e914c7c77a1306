/* SPDX-License-Identifier: MIT */
/*
 * The peer loses a segment and shuts its window: what was lost is sent first when it opens again,
 * whether duplicate acknowledgements or the timer noticed the loss (RFC 9293 3.8.6.1, RFC 6582).
 *
 *   closed_window ENGINE.so
 */
#include "client.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>

#define BYTES 12000u

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

/* Takes what comes in order until there is no more for a second; segments that come before what
 * they follow are lost. */
static void receive_all(struct peer *c, uint32_t last)
{
    struct segment got;
    for (int quiet = 0; quiet < 200 && c->ack != last; quiet++) {
        while (next_sent(&got)) {
            if (got.seq != c->ack || !got.size)
                continue;
            c->ack += got.size;
            quiet = 0;
            answer(c, ACK, 0);
        }
        pass(100 * MS);
    }
    CHECK(c->ack == last);
}

/*
 * The engine sends; the first `taken` segments arrive and the next is lost. `duplicates` tell so,
 * with the window shut, which stays so for `shut` ms.
 */
static void lose_one(uint32_t taken, uint32_t duplicates, uint64_t shut, bool stamped)
{
    static const uint8_t bytes[BYTES];
    static char text[100];
    struct csock s;
    struct segment got;
    struct peer c = connect_peer(&s, stamped);
    uint32_t last = c.ack + BYTES;
    snprintf(text, sizeof text, "%u taken, %u duplicates, shut for %llu ms", taken, duplicates,
             (unsigned long long)shut);
    step = text;
    CHECK(csock_send(&s, bytes, BYTES) == BYTES);
    settle();
    for (uint32_t i = 0; i < taken && next_sent(&got); i++) {
        CHECK(got.seq == c.ack);
        c.ack += got.size;
    }
    forget_sent();
    c.closed = true;
    for (uint32_t i = 0; i <= duplicates; i++)
        answer(&c, ACK, 0);
    for (uint64_t ms = 0; ms < shut; ms += 100) {
        pass(100 * MS);
        while (next_sent(&got)) /* a probe of the window begins where the peer stands */
            CHECK(got.seq == c.ack || !got.size);
    }
    c.closed = false;
    answer(&c, ACK, 0);
    receive_all(&c, last);
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
                lose_one(taken, duplicates, shut, duplicates % 2);
    puts("ok");
    return 0;
}
