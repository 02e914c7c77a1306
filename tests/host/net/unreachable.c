/* SPDX-License-Identifier: MIT */
/*
 * Reports by ICMP that something did not arrive: what the sockets that sent it hear of them (RFC
 * 1122 4.1.3.3 and 4.2.3.9, RFC 5927), and that nobody else does.
 *
 *   unreachable ENGINE.so
 */
#include "client.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>

enum { UNREACHABLE = 3, EXCEEDED = 11, ECHO_REPLY = 0 };
enum { HOST = 1, PORT = 3 };
enum { TCP = 6, UDP = 17 };

static struct client client;
static uint16_t next_port = 20000;

static uint32_t take_error(struct csock *s)
{
    return __atomic_exchange_n(&s->s->error, 0, __ATOMIC_SEQ_CST);
}

/* A connection that has been begun: the peer has its SYN. */
static struct peer connecting(struct csock *s, uint32_t *seq)
{
    struct peer c = {.port = next_port++};
    struct segment syn;
    forget_sent();
    CHECK(csock_open(s, &client, 2, 1, 0) == 0);
    CHECK(csock_connect4(s, ip4(10, 0, 0, 2), c.port) == -EINPROGRESS);
    settle();
    CHECK(next_sent(&syn) && syn.flags == SYN && syn.to == c.port);
    c.engine_port = syn.from;
    c.ack = syn.seq + 1;
    *seq = syn.seq;
    return c;
}

static void streams(void)
{
    struct csock s;
    uint32_t seq;
    struct peer c = connecting(&s, &seq), other;
    step = "reports that do not count";
    emit_report(&c, UNREACHABLE, HOST, TCP, seq + 1);
    emit_report(&c, UNREACHABLE, HOST, UDP, seq);
    emit_report(&c, UNREACHABLE, 200, TCP, seq);
    emit_report(&c, ECHO_REPLY, 0, TCP, seq);
    c.damaged = true;
    emit_report(&c, UNREACHABLE, HOST, TCP, seq);
    c.damaged = false;
    other = c;
    other.port++;
    emit_report(&other, UNREACHABLE, HOST, TCP, seq);
    CHECK(s.s->state & IO_STATE_CONNECTING && !take_error(&s));
    step = "while it connects";
    emit_report(&c, UNREACHABLE, HOST, TCP, seq);
    CHECK(!(s.s->state & IO_STATE_CONNECTING) && s.s->state & IO_STATE_TX_CLOSED);
    CHECK(take_error(&s) == EHOSTUNREACH);
    csock_close(&s);
    step = "once it is connected";
    c = connecting(&s, &seq);
    c.seq = 5000;
    answer(&c, SYN | ACK, 0);
    CHECK(s.s->state & IO_STATE_CONNECTED);
    emit_report(&c, UNREACHABLE, PORT, TCP, seq);
    emit_report(&c, UNREACHABLE, PORT, TCP, seq + 1);
    CHECK(s.s->state & IO_STATE_CONNECTED && !take_error(&s));
    emit(&c, RST, c.seq, 0, 0);
    csock_close(&s);
}

static void datagrams(void)
{
    struct csock s;
    struct peer c = {.port = 53, .engine_port = 4444}, other;
    step = "datagrams";
    CHECK(csock_open(&s, &client, 2, 2, 0) == 0 && csock_bind4(&s, 0, c.engine_port) == 0);
    CHECK(csock_send_to(&s, ip4(10, 0, 0, 2), c.port, "x", 1));
    settle();
    emit_report(&c, UNREACHABLE, PORT, UDP, 0);
    CHECK(!take_error(&s)); /* not connected */
    CHECK(csock_connect4(&s, ip4(10, 0, 0, 2), c.port) == 0);
    emit_report(&c, UNREACHABLE, HOST, UDP, 0); /* may pass */
    emit_report(&c, EXCEEDED, 0, UDP, 0);
    emit_report(&c, UNREACHABLE, PORT, TCP, 0);
    other = c;
    other.port++;
    emit_report(&other, UNREACHABLE, PORT, UDP, 0);
    CHECK(!take_error(&s));
    emit_report(&c, UNREACHABLE, PORT, UDP, 0);
    CHECK(take_error(&s) == ECONNREFUSED);
    csock_close(&s);
}

int main(int argc, char **argv)
{
    const struct host_api *api = peer_start(argc > 1 ? argv[1] : "", false);
    client_open(&client, api, 16);
    streams();
    datagrams();
    client_die(&client);
    return 0;
}
