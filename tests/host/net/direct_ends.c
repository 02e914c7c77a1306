/* SPDX-License-Identifier: MIT */
/*
 * Connections with both ends here, that begin and end without segments: when they do, when they
 * must not, and that what follows, by segments or not, finds both ends in step.
 *
 *   direct_ends ENGINE.so
 */
#include "client.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOME ip4(127, 0, 0, 1)
enum { SOL_SOCKET_ = 1, SO_REUSEADDR_ = 2, SHUT_WR_ = 1 };

static const struct host_api *api;
static struct client client;
static struct csock listener;

static uint64_t counter(const char *name)
{
    char text[4096];
    uint32_t n = api->info(3, text, sizeof text - 1);
    text[n] = 0;
    const char *p = strstr(text, name);
    CHECK(p);
    return strtoull(p + strlen(name), NULL, 10);
}

/* How many segments went over the loopback, and connections began without, since the last time. */
static uint64_t segments(void)
{
    static uint64_t before;
    uint64_t now = counter("loop_packets "), since = now - before;
    before = now;
    return since;
}

static uint64_t beginnings(void)
{
    static uint64_t before;
    uint64_t now = counter("direct_connections "), since = now - before;
    before = now;
    return since;
}

static void begin(struct csock *s, uint16_t port)
{
    uint32_t one = 1;
    CHECK(csock_open(s, &client, 2, 1, 0) == 0);
    if (port) {
        CHECK(csock_call(s, IO_SETSOCKOPT, SOL_SOCKET_, SO_REUSEADDR_, &one, 4, NULL) == 0);
        CHECK(csock_bind4(s, HOME, port) == 0);
    }
    CHECK(csock_connect4(s, HOME, 80) == -EINPROGRESS);
}

/* Connected and accepted; `port` of the connecting end, 0: any. */
static void meet(struct csock *s, struct csock *accepted, uint16_t port)
{
    begin(s, port);
    for (int i = 0; !csock_accept(&listener, accepted); i++) {
        pass(MS);
        CHECK(i < 50);
    }
    CHECK(s->s->state & IO_STATE_CONNECTED);
}

/* Bytes from one end arrive at the other. */
static void passes(struct csock *from, struct csock *to)
{
    static const char text[] = "anything";
    char got[sizeof text] = "";
    CHECK(csock_send(from, text, sizeof text) == sizeof text);
    settle();
    CHECK(csock_recv(to, got, sizeof got) == sizeof text && !memcmp(got, text, sizeof text));
}

static void without_segments(void)
{
    struct csock a, b;
    step = "a whole life";
    segments();
    beginnings();
    uint64_t waiting = counter("\ntime_wait ");
    meet(&a, &b, 0);
    CHECK(beginnings() == 1);
    passes(&a, &b);
    passes(&b, &a);
    CHECK(csock_call(&a, IO_SHUTDOWN, SHUT_WR_, 0, NULL, 0, NULL) == 0);
    settle();
    CHECK(csock_eof(&b) && !csock_eof(&a));
    passes(&b, &a); /* one direction is open still */
    csock_close(&b);
    settle();
    CHECK(csock_eof(&a));
    csock_close(&a);
    settle();
    CHECK(segments() == 0);
    CHECK(counter("\ntime_wait ") == waiting + 1); /* of who ended first */
    CHECK(counter("connections_active ") + counter("connections_parked ") == 0);
}

/* The next connection of the same two ends: by segments while the old one's TIME-WAIT is young. */
static void again(void)
{
    struct csock a, b;
    for (int i = 0; i < 4; i++) {
        step = i % 2 ? "again, later" : "again, at once";
        meet(&a, &b, 31000);
        CHECK(beginnings() == (i != 2)); /* 1 and 3 are late, 0 is the first */
        passes(&a, &b);
        csock_close(&b);
        settle();
        CHECK(csock_eof(&a));
        csock_close(&a);
        settle();
        pass(i == 1 ? MS : 1500 * MS);
    }
    CHECK(counter("\ntime_wait ") >= 1);
}

/* Begun without segments, and reset, kept alive, or ended with them. */
static void followed_by_segments(void)
{
    struct csock a, b;
    uint32_t one = 1;
    step = "reset: unread bytes";
    segments();
    meet(&a, &b, 0);
    CHECK(csock_send(&a, "x", 1) == 1);
    settle();
    csock_close(&b);
    settle();
    CHECK(segments() == 1 && a.s->state & IO_STATE_ERROR);
    csock_close(&a);

    step = "reset: unread bytes that the engine had not seen";
    meet(&a, &b, 0);
    CHECK(csock_send(&a, "x", 1) == 1);
    csock_close(&b);
    settle();
    CHECK(segments() == 1 && a.s->state & IO_STATE_ERROR && a.s->error == ECONNRESET);
    csock_close(&a);

    step = "keepalive finds both ends in step";
    meet(&a, &b, 0);
    CHECK(csock_call(&a, IO_SETSOCKOPT, 6, 4, &one, 4, NULL) == 0); /* TCP_KEEPIDLE */
    CHECK(csock_call(&a, IO_SETSOCKOPT, 6, 5, &one, 4, NULL) == 0); /* TCP_KEEPINTVL */
    CHECK(csock_call(&a, IO_SETSOCKOPT, SOL_SOCKET_, 9, &one, 4, NULL) == 0);
    segments();
    for (int i = 0; i < 300; i++)
        pass(100 * MS);
    CHECK(segments() >= 20); /* a probe and its answer about every second */
    CHECK(!(a.s->state & (IO_STATE_ERROR | IO_STATE_RX_EOF)));
    passes(&a, &b);
    passes(&b, &a);
    csock_close(&a);
    settle();
    CHECK(csock_eof(&b));
    csock_close(&b);
    settle();
    CHECK(counter("connections_active ") + counter("connections_parked ") == 0);
}

/* Begun without segments, the bytes in segments, at once: because nobody has accepted it. */
static void bytes_in_segments(void)
{
    static uint8_t bytes[60000], got[60000];
    uint32_t on = 1, off = 0;
    struct csock a, b;
    step = "bytes in segments";
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 13 >> 4);
    CHECK(csock_call(&listener, IO_SETSOCKOPT, 6, 9, &on, 4, NULL) == 0); /* TCP_DEFER_ACCEPT */
    beginnings();
    begin(&a, 0);
    settle();
    CHECK(beginnings() == 1 && a.s->state & IO_STATE_CONNECTED && !csock_accept(&listener, &b));
    segments();
    CHECK(csock_send(&a, bytes, sizeof bytes) == sizeof bytes);
    settle();
    CHECK(segments() > 0 && csock_accept(&listener, &b));
    for (uint32_t at = 0, n; at < sizeof bytes; at += n) {
        n = csock_recv(&b, got + at, (uint32_t)sizeof got - at);
        CHECK(n > 0);
        settle();
    }
    CHECK(!memcmp(bytes, got, sizeof got));
    passes(&b, &a);
    csock_close(&a);
    csock_close(&b);
    settle();
    CHECK(csock_call(&listener, IO_SETSOCKOPT, 6, 9, &off, 4, NULL) == 0);
}

/* A receiver without room: the end comes after the last byte. */
static void end_behind_bytes(void)
{
    static uint8_t bytes[65536];
    struct csock a, b;
    uint32_t sent = 0, got = 0;
    step = "an end behind bytes";
    meet(&a, &b, 0);
    for (uint32_t n; (n = csock_send(&a, bytes, sizeof bytes)); sent += n)
        settle();
    csock_close(&a);
    settle();
    while (!csock_eof(&b)) {
        got += csock_recv(&b, bytes, sizeof bytes);
        pass(MS);
    }
    CHECK(got == sent);
    csock_close(&b);
    settle();
    CHECK(counter("connections_active ") + counter("connections_parked ") == 0);
}

static void refused(void)
{
    struct csock s;
    step = "nobody listens";
    beginnings();
    CHECK(csock_open(&s, &client, 2, 1, 0) == 0);
    CHECK(csock_connect4(&s, HOME, 81) == -EINPROGRESS);
    settle();
    CHECK(s.s->state & IO_STATE_ERROR && s.s->error == ECONNREFUSED && beginnings() == 0);
    csock_close(&s);
}

/* What a listener has no room for waits, and its SYNs are dropped. */
static void no_room(void)
{
    enum { BACKLOG = 2, MORE = 5 };
    struct csock s[MORE], accepted[MORE];
    uint32_t open = 0, connected = 0;
    step = "a full listener";
    CHECK(csock_call(&listener, IO_LISTEN, BACKLOG, 0, NULL, 0, NULL) == 0);
    beginnings();
    for (uint32_t i = 0; i < MORE; i++)
        begin(&s[i], 0);
    settle();
    for (uint32_t i = 0; i < MORE; i++)
        connected += !!(s[i].s->state & IO_STATE_CONNECTED);
    CHECK(connected == BACKLOG + 1 && beginnings() == BACKLOG + 1);
    CHECK(counter("syns_dropped ") > 0);
    for (int i = 0; i < 100 && open < MORE; i++) {
        open += csock_accept(&listener, &accepted[open]);
        pass(200 * MS);
    }
    CHECK(open == MORE);
    for (uint32_t i = 0; i < MORE; i++) {
        csock_close(&s[i]);
        csock_close(&accepted[i]);
    }
    settle();
    CHECK(csock_call(&listener, IO_LISTEN, 128, 0, NULL, 0, NULL) == 0);
}

/* Of a listener that goes, what nobody has accepted is reset. */
static void listener_goes(void)
{
    struct csock s;
    step = "a listener goes";
    begin(&s, 0);
    settle();
    CHECK(s.s->state & IO_STATE_CONNECTED);
    csock_close(&listener);
    settle();
    CHECK(s.s->state & IO_STATE_ERROR && s.s->error == ECONNRESET);
    csock_close(&s);
}

int main(int argc, char **argv)
{
    api = peer_start(argc > 1 ? argv[1] : "", false);
    client_open(&client, api, 16);
    CHECK(csock_open(&listener, &client, 2, 1, 0) == 0);
    CHECK(csock_bind4(&listener, 0, 80) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 128, 0, NULL, 0, NULL) == 0);
    without_segments();
    again();
    followed_by_segments();
    bytes_in_segments();
    end_behind_bytes();
    refused();
    no_room();
    listener_goes();
    client_die(&client);
    puts("ok");
    return 0;
}
