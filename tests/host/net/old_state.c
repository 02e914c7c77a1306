/* SPDX-License-Identifier: MIT */
/*
 * A SYN meets what is left of an older connection between the same two ends, in every state, with
 * sequence numbers and timestamps before, at and after what the old one had; and the other side of
 * it: our SYN is answered by someone who still has the old connection (RFC 9293 3.10.7, RFC 6191,
 * RFC 1122 4.2.2.13). Linux does the same.
 *
 *   old_state ENGINE.so
 */
#define _GNU_SOURCE
#include "client.h"
#include "peer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_STAMP, OLDER, EQUAL, NEWER, STAMPS };

/* ---- the engine's states ---- */

static struct client client;
static struct csock listener;
static uint16_t next_port = 20000;

static struct peer new_peer(bool stamped)
{
    return (struct peer){.port = next_port++,
                         .engine_port = 80,
                         .seq = 0xffff0000u + next_port * 7919u, /* some wrap on the way */
                         .stamped = stamped,
                         .stamp = 0xfffffff0u};
}

static void syn_received(struct peer *c)
{
    answer(c, SYN, 0);
    struct segment s = expect_only(c, SYN | ACK);
    CHECK(s.ack == c->seq);
    c->ack = s.seq + 1;
}

static void established(struct peer *c, struct csock *s)
{
    uint8_t bytes[100];
    syn_received(c);
    answer(c, ACK, 0);
    CHECK(csock_accept(&listener, s));
    answer(c, ACK | PSH, sizeof bytes);
    CHECK(csock_recv(s, bytes, sizeof bytes) == sizeof bytes);
    pass(200 * MS); /* it is acknowledged */
    forget_sent();
}

static void close_wait(struct peer *c, struct csock *s)
{
    established(c, s);
    answer(c, FIN | ACK, 0);
    CHECK(expect_only(c, ACK).ack == c->seq);
}

static void close_engine(struct peer *c, struct csock *s)
{
    csock_close(s);
    s->c = NULL;
    settle();
    CHECK(expect_only(c, FIN | ACK).seq == c->ack);
    c->ack++;
}

static void last_ack(struct peer *c, struct csock *s)
{
    close_wait(c, s);
    close_engine(c, s);
}

static void fin_wait_1(struct peer *c, struct csock *s)
{
    established(c, s);
    close_engine(c, s);
}

static void fin_wait_2(struct peer *c, struct csock *s)
{
    fin_wait_1(c, s);
    answer(c, ACK, 0);
}

static void closing(struct peer *c, struct csock *s)
{
    fin_wait_1(c, s);
    c->ack--;
    answer(c, FIN | ACK, 0);
    c->ack++;
    expect_only(c, ACK);
}

static void time_wait(struct peer *c, struct csock *s)
{
    fin_wait_2(c, s);
    answer(c, FIN | ACK, 0);
    CHECK(expect_only(c, ACK).ack == c->seq);
}

/* What the engine sends was faster than the clock that initial sequence numbers follow. */
static void time_wait_after_much(struct peer *c, struct csock *s)
{
    static const uint8_t bytes[60000];
    struct segment got;
    syn_received(c);
    answer(c, ACK, 0);
    CHECK(csock_accept(&listener, s));
    uint32_t last = c->ack + sizeof bytes;
    CHECK(csock_send(s, bytes, sizeof bytes) == sizeof bytes);
    settle();
    while (c->ack != last) {
        CHECK(next_sent(&got) && got.seq == c->ack);
        c->ack += got.size;
        answer(c, ACK, 0);
    }
    close_engine(c, s);
    answer(c, FIN | ACK, 0);
    CHECK(expect_only(c, ACK).ack == c->seq);
}

static void syn_received_state(struct peer *c, struct csock *s)
{
    (void)s;
    syn_received(c);
}

static const struct state {
    const char *name;
    void (*reach)(struct peer *c, struct csock *s);
    bool reopens;
} states[] = {
    {"SYN-RECEIVED", syn_received_state, false},
    {"ESTABLISHED", established, false},
    {"CLOSE-WAIT", close_wait, false},
    {"LAST-ACK", last_ack, false},
    {"FIN-WAIT-1", fin_wait_1, false},
    {"FIN-WAIT-2", fin_wait_2, false},
    {"CLOSING", closing, false},
    {"TIME-WAIT", time_wait, true},
    {"TIME-WAIT after much data", time_wait_after_much, true},
};

/* ---- a SYN meets them ---- */

static void end_half_open(struct peer *c)
{
    emit(c, RST, c->seq, 0, 0);
    forget_sent();
}

/* A new connection takes the old one's place. */
static void check_reopened(struct peer *c, const struct peer *old)
{
    struct segment s = expect_only(c, SYN | ACK);
    CHECK(s.ack == c->seq + 1);
    CHECK(!old || (int32_t)(s.seq - old->ack) > 65535);
    c->seq++;
    end_half_open(c);
}

/* It stays, and says so; the peer's reset removes it, and the SYN comes through. */
static void check_challenged(struct peer *c, const struct peer *old)
{
    struct segment s = expect_only(c, ACK);
    CHECK(s.seq == old->ack && s.ack == old->seq);
    emit(c, RST, s.ack + 5000000, 0, 0); /* not in the window: nothing */
    forget_sent();
    emit(c, SYN, c->seq, 0, 0);
    s = expect_only(c, ACK);
    CHECK(s.seq == old->ack && s.ack == old->seq);
    struct peer unstamped = *c;
    unstamped.stamped = false;
    emit(&unstamped, RST, s.ack, 0, 0);
    forget_sent();
    emit(c, SYN, c->seq, 0, 0);
    check_reopened(c, NULL);
}

static void meet(const struct state *state, int32_t offset, int stamp)
{
    struct peer old = new_peer(stamp != NO_STAMP), c;
    struct csock s = {0};
    static char text[100];
    snprintf(text, sizeof text, "%s, sequence %+d, timestamp %d", state->name, offset, stamp);
    step = text;
    forget_sent();
    state->reach(&old, &s);
    c = old;
    c.seq += (uint32_t)offset;
    c.stamp += (uint32_t)(stamp == OLDER ? -5 : stamp == NEWER ? 5 : 0);
    emit(&c, SYN, c.seq, 0, 0);
    if (state->reach == syn_received_state && offset == -1) { /* the same SYN again */
        CHECK(expect_only(&c, SYN | ACK).ack == c.seq + 1);
        end_half_open(&old);
    } else if (state->reopens && stamp != OLDER && (offset > 0 || stamp == NEWER)) {
        check_reopened(&c, &old);
    } else {
        check_challenged(&c, &old);
    }
    if (s.c)
        csock_close(&s);
    pass(5 * MS);
}

static void syn_meets_states(void)
{
    static const int32_t offsets[] = {-100000000, -1000, -1, 0, 1, 1000, 100000000};
    for (uint32_t i = 0; i < sizeof states / sizeof *states; i++)
        for (uint32_t k = 0; k < sizeof offsets / sizeof *offsets; k++)
            for (int stamp = 0; stamp < STAMPS; stamp++)
                meet(&states[i], offsets[k], stamp);
}

/* Without a listener a SYN does not end TIME-WAIT. */
static void time_wait_without_listener(void)
{
    struct peer c = new_peer(false);
    struct csock s;
    step = "TIME-WAIT without a listener";
    time_wait(&c, &s);
    csock_close(&listener);
    settle();
    forget_sent();
    emit(&c, SYN, c.seq + 1000, 0, 0);
    struct segment got = expect_only(&c, ACK);
    CHECK(got.seq == c.ack && got.ack == c.seq);
}

static void listen_again(void)
{
    uint32_t one = 1;
    CHECK(csock_open(&listener, &client, 2, 1, 0) == 0);
    CHECK(csock_call(&listener, IO_SETSOCKOPT, 1, 2, &one, 4, NULL) == 0);
    CHECK(csock_bind4(&listener, 0, 80) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 511, 0, NULL, 0, NULL) == 0);
}

/* A damaged segment changes nothing. */
static void time_wait_damaged(void)
{
    struct peer c = new_peer(false);
    struct csock s;
    step = "TIME-WAIT and a damaged SYN";
    time_wait(&c, &s);
    c.damaged = true;
    emit(&c, SYN, c.seq + 1000, 0, 0);
    c.damaged = false;
    struct segment got;
    CHECK(!next_sent(&got));
    emit(&c, SYN, c.seq - 1000, 0, 0);
    CHECK(expect_only(&c, ACK).ack == c.seq);
}

/* ---- our SYN meets the peer's old connection ---- */

static struct peer connect_to(struct csock *s, uint16_t port, uint16_t own)
{
    uint32_t one = 1;
    struct segment got;
    CHECK(csock_open(s, &client, 2, 1, 0) == 0);
    CHECK(csock_call(s, IO_SETSOCKOPT, 1, 2, &one, 4, NULL) == 0);
    if (own)
        CHECK(csock_bind4(s, 0, own) == 0);
    CHECK(csock_connect4(s, ip4(10, 0, 0, 2), port) == -EINPROGRESS);
    settle();
    settle();
    CHECK(next_sent(&got) && got.flags == SYN && got.to == port);
    return (struct peer){
        .port = port, .engine_port = got.from, .seq = 7000, .ack = got.seq + 1, .stamped = true};
}

static uint32_t count_sent(uint8_t flags, uint32_t seq)
{
    struct segment s;
    uint32_t n = 0;
    while (next_sent(&s)) {
        CHECK(s.seq == seq);
        CHECK((s.flags & ~ACK) == (flags & ~ACK));
        n++;
    }
    return n;
}

static void syn_answered_by_old_state(void)
{
    struct csock s;
    struct segment got;
    step = "our SYN and an old connection's acknowledgement";
    struct peer c = connect_to(&s, 9000, 0);
    emit(&c, ACK, 123456, c.ack + 5000, 0);
    CHECK(next_sent(&got) && got.flags & RST && got.seq == c.ack + 5000);
    CHECK(next_sent(&got) && got.flags == SYN && got.seq == c.ack - 1);
    for (int i = 0; i < 200; i++) /* each is answered, but the SYN waits for its time */
        emit(&c, ACK, 123456, c.ack + 5000, 0);
    CHECK(count_sent(RST, c.ack + 5000) == 200);
    emit(&c, ACK, 123456, c.ack, 0); /* the right number, but no SYN */
    CHECK(count_sent(RST, 0) == 0);
    emit(&c, RST | ACK, 0, c.ack + 5000, 0); /* not about our SYN */
    pass(1500 * MS);
    CHECK(count_sent(SYN, c.ack - 1) >= 1);
    CHECK(s.s->state & IO_STATE_CONNECTING);
    answer(&c, SYN | ACK, 0);
    CHECK(s.s->state & IO_STATE_CONNECTED && !(s.s->state & IO_STATE_CONNECTING));
    forget_sent();
    emit(&c, RST, c.seq, 0, 0);
    csock_close(&s);
}

/* Nobody answers. */
static void syn_unanswered(void)
{
    struct csock s;
    step = "nobody answers our SYN";
    struct peer c = connect_to(&s, 9001, 0);
    pass(40000 * MS);
    CHECK(count_sent(SYN, c.ack - 1) > 10);
    CHECK(s.s->state & IO_STATE_CONNECTING);
    pass(90000 * MS);
    CHECK(s.s->state & IO_STATE_ERROR && !(s.s->state & IO_STATE_CONNECTING));
    forget_sent();
    csock_close(&s);
}

/* We closed first, and want the same two ends again. */
static void own_time_wait(void)
{
    struct csock s;
    step = "our own TIME-WAIT";
    struct peer c = connect_to(&s, 9002, 30000);
    answer(&c, SYN | ACK, 0);
    forget_sent();
    close_engine(&c, &s);
    answer(&c, FIN | ACK, 0);
    pass(500 * MS);
    CHECK(csock_open(&s, &client, 2, 1, 0) == 0);
    uint32_t one = 1;
    CHECK(csock_call(&s, IO_SETSOCKOPT, 1, 2, &one, 4, NULL) == 0);
    CHECK(csock_bind4(&s, 0, 30000) == 0);
    CHECK(csock_connect4(&s, ip4(10, 0, 0, 2), 9002) == -EADDRNOTAVAIL);
    csock_close(&s);
    pass(600 * MS);
    forget_sent();
    struct peer d = connect_to(&s, 9002, 30000);
    CHECK((int32_t)(d.ack - c.ack) > 65536);
    emit(&d, RST | ACK, 0, d.ack, 0);
    csock_close(&s);
    forget_sent();
}

/* ---- a window smaller than the last segment: it is split, and the end stays at the end ---- */

static void small_window_before_the_end(void)
{
    struct peer c = new_peer(false);
    struct csock s;
    struct segment got;
    uint8_t bytes[400] = {1};
    uint32_t come = 0;
    bool end = false;
    step = "a window smaller than the last segment";
    established(&c, &s);
    c.window = 300;
    answer(&c, ACK | PSH, 1);
    pass(200 * MS);
    forget_sent();
    CHECK(csock_send(&s, bytes, sizeof bytes) == sizeof bytes);
    CHECK(csock_call(&s, IO_SHUTDOWN, 1, 0, NULL, 0, NULL) == 0);
    for (int i = 0; i < 100 && !end; i++) {
        pass(100 * MS);
        while (next_sent(&got)) {
            if (got.seq != c.ack || (!got.size && !(got.flags & FIN)))
                continue;
            CHECK(got.size <= 300);
            come += got.size;
            end = got.flags & FIN;
            c.ack += got.size + end;
            answer(&c, ACK, 0);
        }
    }
    CHECK(end && come == sizeof bytes);
    emit(&c, RST, c.seq, 0, 0);
    csock_close(&s);
    forget_sent();
}

/* ---- both ends here: the accepting one keeps TIME-WAIT ---- */

static void connect_here(struct csock *s, struct csock *accepted)
{
    uint32_t one = 1;
    CHECK(csock_open(s, &client, 2, 1, 0) == 0);
    CHECK(csock_call(s, IO_SETSOCKOPT, 1, 2, &one, 4, NULL) == 0);
    CHECK(csock_bind4(s, ip4(127, 0, 0, 1), 31000) == 0);
    CHECK(csock_connect4(s, ip4(127, 0, 0, 1), 80) == -EINPROGRESS);
    for (int i = 0; i < 100 && !csock_accept(&listener, accepted); i++) {
        pass(MS);
        CHECK(i < 50);
    }
    settle();
    CHECK(s->s->state & IO_STATE_CONNECTED);
}

static void loopback_faster_than_the_clock(void)
{
    static uint8_t bytes[65536];
    struct csock a, b;
    for (int round = 0; round < 20; round++) {
        step = "loopback, more bytes than the clock has passed";
        connect_here(&a, &b);
        for (uint32_t got = 0, left = 64 * sizeof bytes; got < 64 * sizeof bytes;) {
            left -= csock_send(&a, bytes, left < sizeof bytes ? left : sizeof bytes);
            settle();
            uint32_t n = csock_recv(&b, bytes, sizeof bytes);
            if (!n)
                pass(MS / 10);
            got += n;
        }
        csock_close(&b);
        settle();
        csock_close(&a);
        pass(round % 2 ? MS : MS / 100);
    }
}

/* ---- a port that was just in use ---- */

static uint16_t port_of(struct csock *s)
{
    struct host_reply r;
    CHECK(csock_call(s, IO_GETNAME, 0, 0, NULL, 0, &r) >= 8);
    return (uint16_t)(r.data[2] << 8 | r.data[3]);
}

/* 0: any port. */
static bool bound(struct csock *s, uint16_t port)
{
    CHECK(csock_open(s, &client, 2, 1, 0) == 0);
    if (csock_bind4(s, 0, port) == 0)
        return true;
    csock_close(s);
    return false;
}

static uint16_t some_port(void)
{
    struct csock s;
    CHECK(bound(&s, 0));
    uint16_t port = port_of(&s);
    csock_close(&s);
    return port;
}

/* Late segments for its old owner would reach the new one. It comes again after all others, however
 * many of those are taken. */
static void port_not_given_again_soon(void)
{
    enum { TAKEN = 4 };
    struct csock taken[TAKEN];
    step = "a port that was just in use";
    for (int round = 0; round < 20; round++) {
        uint16_t port = some_port();
        int count = 0;
        for (uint16_t i = 1; i <= TAKEN; i++)
            count += bound(&taken[count], port + i);
        CHECK(some_port() != some_port());
        while (count)
            csock_close(&taken[--count]);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    client_open(&client, peer_start(argv[1], true), 18);
    listen_again();
    loopback_faster_than_the_clock();
    syn_meets_states();
    syn_answered_by_old_state();
    syn_unanswered();
    own_time_wait();
    small_window_before_the_end();
    time_wait_damaged();
    time_wait_without_listener();
    port_not_given_again_soon();
    puts("ok");
    return 0;
}
