/* SPDX-License-Identifier: MIT */
/*
 * What options change on the wire: IP_MTU_DISCOVER, TCP_SYNCNT, TCP_QUICKACK.
 *
 *   options ENGINE.so
 */
#include "client.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>

enum { TCP = 6, TCP_SYNCNT = 7, TCP_QUICKACK = 12 };
enum { IP = 0, IP_MTU_DISCOVER = 10, PMTUDISC_WANT = 1, PMTUDISC_DO = 2 };

static struct client client;

static void set(struct csock *s, uint64_t level, uint64_t name, uint32_t value)
{
    CHECK(csock_call(s, IO_SETSOCKOPT, level, name, &value, sizeof value, NULL) == 0);
}

static uint32_t take_error(struct csock *s)
{
    return __atomic_exchange_n(&s->s->error, 0, __ATOMIC_SEQ_CST);
}

/* What one datagram of `size` bytes becomes. */
static struct datagrams_seen sent_as(struct csock *s, uint32_t size)
{
    static uint8_t bytes[3000];
    datagrams_seen = (struct datagrams_seen){0};
    CHECK(csock_send_to(s, ip4(10, 0, 0, 2), 53, bytes, size));
    settle();
    return datagrams_seen;
}

static void whole_or_cut(void)
{
    struct csock s;
    struct datagrams_seen seen;
    CHECK(csock_open(&s, &client, 2, 2, 0) == 0);
    step = "as it is at first";
    seen = sent_as(&s, 1472);
    CHECK(seen.frames == 1 && !seen.uncut && !seen.fragments);
    seen = sent_as(&s, 1473);
    CHECK(seen.frames == 2 && seen.fragments == 2 && !seen.uncut && !take_error(&s));
    step = "not to be cut";
    set(&s, IP, IP_MTU_DISCOVER, PMTUDISC_DO);
    seen = sent_as(&s, 1472);
    CHECK(seen.frames == 1 && seen.uncut == 1 && !seen.fragments);
    seen = sent_as(&s, 1473);
    CHECK(!seen.frames && take_error(&s) == EMSGSIZE);
    set(&s, IP, IP_MTU_DISCOVER, PMTUDISC_WANT);
    seen = sent_as(&s, 1473);
    CHECK(seen.frames == 2 && !seen.uncut && !take_error(&s));
    csock_close(&s);
}

/* How long, in tenths of a second, a peer that does not answer is tried. */
static int patience(uint32_t retries)
{
    struct csock s;
    int tenths = 0;
    CHECK(csock_open(&s, &client, 2, 1, 0) == 0);
    set(&s, TCP, TCP_SYNCNT, retries);
    CHECK(csock_connect4(&s, ip4(10, 0, 0, 2), 81) == -EINPROGRESS);
    for (; !(s.s->state & IO_STATE_ERROR); tenths++) {
        CHECK(tenths < 600);
        pass(100 * MS);
    }
    CHECK(take_error(&s) == ETIMEDOUT);
    csock_close(&s);
    forget_sent();
    return tenths;
}

/* As long as Linux tries: 1, 2, 4 seconds more for each retry, after one for the first attempt. */
static void attempts(void)
{
    step = "attempts to connect";
    int one = patience(1), two = patience(2), three = patience(3);
    CHECK(one >= 25 && one <= 45);
    CHECK(two >= 60 && two <= 90);
    CHECK(three >= 130 && three <= 170);
}

/* A byte from the peer is acknowledged before any time passes. */
static bool acknowledged_at_once(struct peer *c)
{
    struct segment got;
    forget_sent();
    answer(c, ACK | PSH, 1);
    return next_sent(&got) && got.flags == ACK && got.ack == c->seq;
}

/* The same of one that answers a byte of ours. */
static bool answer_acknowledged_at_once(struct csock *s, struct peer *c)
{
    CHECK(csock_send(s, "?", 1) == 1);
    settle();
    c->ack++;
    return acknowledged_at_once(c);
}

/* Where bytes go back and forth an acknowledgement waits for bytes to ride on. */
static void acknowledgements(void)
{
    struct csock s;
    struct segment got;
    struct peer c = {.port = 82};
    step = "acknowledgements";
    CHECK(csock_open(&s, &client, 2, 1, 0) == 0);
    CHECK(csock_connect4(&s, ip4(10, 0, 0, 2), c.port) == -EINPROGRESS);
    settle();
    CHECK(next_sent(&got) && got.flags == SYN);
    c.engine_port = got.from;
    c.ack = got.seq + 1;
    answer(&c, SYN | ACK, 0);
    answer_acknowledged_at_once(&s, &c);
    CHECK(!answer_acknowledged_at_once(&s, &c));
    step = "TCP_QUICKACK";
    set(&s, TCP, TCP_QUICKACK, 1);
    settle();
    CHECK(next_sent(&got) && got.flags == ACK && got.ack == c.seq);
    CHECK(acknowledged_at_once(&c) && answer_acknowledged_at_once(&s, &c));
    CHECK(acknowledged_at_once(&c));
    set(&s, TCP, TCP_QUICKACK, 0);
    CHECK(!answer_acknowledged_at_once(&s, &c));
    pass(200 * MS);
    CHECK(next_sent(&got) && got.flags == ACK && got.ack == c.seq);
    emit(&c, RST, c.seq, 0, 0);
    csock_close(&s);
}

int main(int argc, char **argv)
{
    client_open(&client, peer_start(argc > 1 ? argv[1] : "", false), 16);
    whole_or_cut();
    attempts();
    acknowledgements();
    client_die(&client);
    puts("ok");
    return 0;
}
