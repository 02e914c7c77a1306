/* SPDX-License-Identifier: MIT */
/*
 * A peer sends more than the window has room for, behind a gap and to its very end, with and
 * without a FIN. Nothing beyond the window is kept, and what fills the gap is taken (RFC
 * 9293 3.10.7.4).
 *
 *   overrun ENGINE.so
 */
#include "client.h"
#include "peer.h"

#include <stdio.h>
#include <string.h>

#define PIECE 1000u
#define LEFT  1500u /* about as many bytes does the window have left at the end */

static struct client client;
static struct csock listener;
static uint16_t next_port = 30000;

/* Where the window ends, of a connection that was asked for. */
static uint32_t ask(struct peer *c)
{
    struct segment got;
    *c = (struct peer){.port = next_port++, .engine_port = 80, .seq = 1000};
    forget_sent();
    answer(c, SYN, 0);
    got = expect_only(c, SYN | ACK);
    c->ack = got.seq + 1;
    return c->seq + got.window;
}

static struct peer connect_peer(struct csock *s)
{
    struct peer c;
    ask(&c);
    answer(&c, ACK, 0);
    CHECK(csock_accept(&listener, s));
    return c;
}

/* The window's right edge, as the engine has told last. */
static uint32_t right_edge(void)
{
    static uint32_t edge;
    struct segment got;
    pass(500 * MS);
    while (next_sent(&got))
        edge = got.ack + got.window;
    return edge;
}

/* Nobody reads, until little of the window is left. Result: where it ends. */
static uint32_t use_up(struct peer *c)
{
    answer(c, ACK, PIECE);
    while (right_edge() - c->seq > LEFT)
        answer(c, ACK, right_edge() - c->seq > 2 * PIECE ? PIECE : 200);
    return right_edge();
}

static void take_all(struct csock *s, uint32_t wanted)
{
    static uint8_t bytes[100000];
    uint32_t got = 0;
    for (int i = 0; i < 100 && got < wanted; i++) {
        got += csock_recv(s, bytes, sizeof bytes);
        pass(MS);
    }
    CHECK(got == wanted);
}

/* A segment behind a gap of `gap` bytes that ends `beyond` bytes behind the window, its FIN among
 * them; then the gap is filled, and what was sent is sent again as it fits. */
static void overrun(uint32_t gap, uint32_t beyond, bool fin)
{
    static char text[80];
    struct csock s;
    struct peer c = connect_peer(&s);
    uint32_t first = c.seq, edge, size;
    snprintf(text, sizeof text, "gap of %u, %u beyond, FIN %d", gap, beyond, fin);
    step = text;
    edge = use_up(&c);
    size = edge - c.seq - gap + beyond - fin;
    emit(&c, fin ? ACK | FIN : ACK, c.seq + gap, c.ack, size);
    answer(&c, ACK, gap);
    CHECK(right_edge() == edge);
    take_all(&s, c.seq - first + (beyond ? 0 : size));
    if (!beyond)
        c.seq += size + fin;
    else
        answer(&c, ACK | fin, size);
    take_all(&s, beyond ? size : 0);
    if (!fin)
        answer(&c, ACK | FIN, 0);
    pass(500 * MS);
    CHECK(csock_eof(&s));
    emit(&c, RST, c.seq, 0, 0);
    csock_close(&s);
    pass(5 * MS);
}

/* The handshake's last acknowledgement comes with such a segment. */
static void overrun_at_once(uint32_t beyond)
{
    struct csock s;
    struct peer c;
    uint32_t edge = ask(&c), first = c.seq;
    step = "with the handshake";
    emit(&c, ACK, edge - PIECE + beyond, c.ack, PIECE);
    while (c.seq + PIECE < edge - PIECE + beyond) {
        answer(&c, ACK, PIECE);
        pass(MS);
    }
    answer(&c, ACK, edge - PIECE + beyond - c.seq);
    CHECK(csock_accept(&listener, &s));
    pass(500 * MS);
    take_all(&s, c.seq - first + (beyond ? 0 : PIECE));
    emit(&c, RST, beyond ? c.seq : edge, 0, 0);
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
    for (uint32_t gap = 1; gap < 600; gap += 131)
        for (uint32_t beyond = 0; beyond < 300; beyond = beyond * 3 + 1)
            for (uint32_t fin = 0; fin < 2; fin++)
                overrun(gap, beyond, fin);
    for (uint32_t beyond = 0; beyond < 3; beyond++)
        overrun_at_once(beyond);
    puts("ok");
    return 0;
}
