/* SPDX-License-Identifier: MIT */
/*
 * A TCP peer of the engine that is made by hand, segment by segment: 10.0.0.2, where the engine is
 * 10.0.0.1. What the engine sends waits in a queue until it is looked at.
 */
#ifndef TEST_NET_PEER_H
#define TEST_NET_PEER_H

#include "host.h"

#define MS       1000000ull
#define CHECK(x) ((x) ? (void)0 : peer_failed(__FILE__, __LINE__, #x))

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct segment {
    uint16_t from, to;
    uint32_t seq, ack, size;
    uint16_t window;
    uint8_t flags;
    bool stamped;
    uint32_t stamp;
    uint8_t start[1460]; /* of what it carries: as much of it as there is room for */
};

/* One end of a connection. */
struct peer {
    uint16_t port, engine_port;
    uint32_t seq, ack; /* the next of ours, the next of the engine's */
    bool stamped;
    uint32_t stamp;
    uint16_t window; /* 0: all that goes without scaling */
    bool closed;     /* but the window is shut */
    bool damaged;    /* checksums are wrong */
    uint8_t options[16], options_size; /* more of them, in whole words */
};

/* What the engine has sent by UDP, in frames. */
struct datagrams_seen {
    uint32_t frames, fragments, uncut; /* uncut: with DF */
};
extern struct datagrams_seen datagrams_seen;

extern const char *step; /* what is being tested, for failures */

_Noreturn void peer_failed(const char *file, int line, const char *what);
/* The engine of a shared object, started; large: its device cuts segments that are longer than a
 * frame. */
const struct host_api *peer_start(const char *path, bool large);
/* Turns without letting time pass, until nothing more happens. */
void settle(void);
void pass(uint64_t ns);
void emit(const struct peer *c, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t size);
/* A report that what the engine sent to the peer (`protocol`, of TCP: `seq`) did not arrive. */
void emit_report(const struct peer *c, uint8_t type, uint8_t code, uint8_t protocol, uint32_t seq);
/* emit() with the numbers that come next. */
void answer(struct peer *c, uint8_t flags, uint32_t size);
bool next_sent(struct segment *s); /* false: the engine has sent nothing more */
void forget_sent(void);
/* The next segment for the peer must be this one, and nothing else may follow. */
struct segment expect_only(const struct peer *c, uint8_t flags);

#endif
