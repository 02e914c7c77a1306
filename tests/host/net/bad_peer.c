/* SPDX-License-Identifier: MIT */
/*
 * Peers that know their connections and break every rule: segments at, around and beyond the edges
 * of the window, behind gaps, over each other, with acknowledgements of anything, windows that shut
 * and shrink, FINs, SYNs and resets among them; while the client writes, reads, ends and closes.
 * Nothing may break, others are served, and at the end nothing is left.
 *
 *   bad_peer ENGINE.so [SEED [STEPS]]
 */
#include "client.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNS    12u
#define LISTENER 80u

enum { URG = 32 };

/* What a peer knows of the engine's side. */
struct conn {
    struct peer peer;
    struct csock s;
    bool open, taken;     /* the peer has begun; the client has its end */
    uint32_t scale;       /* of the engine's window */
    uint32_t first, next; /* of the engine's numbers: acknowledged so far; sent so far */
    uint32_t wanted;      /* of the peer's numbers: what the engine waits for */
    uint32_t edge;        /* and where its window ends */
    uint32_t last_ack;
};

static struct conn conns[CONNS];
static struct client client;
static struct csock listener;
static uint64_t rng;
static uint16_t next_port = 10000;

static uint32_t rnd(uint32_t n)
{
    rng = rng * 6364136223846793005ull + 1442695040888963407ull;
    return n ? (uint32_t)((rng >> 33) % n) : 0;
}

/* ---- what the engine says ---- */

static struct conn *conn_of(const struct segment *got)
{
    for (uint32_t i = 0; i < CONNS; i++)
        if (conns[i].open && got->to == conns[i].peer.port &&
            got->from == conns[i].peer.engine_port)
            return &conns[i];
    return NULL;
}

static void observe(void)
{
    struct segment got;
    while (next_sent(&got)) {
        struct conn *c = conn_of(&got);
        if (!c)
            continue;
        uint32_t end = got.seq + got.size + !!(got.flags & (SYN | FIN));
        if (got.flags & SYN)
            c->first = c->next = got.seq;
        if ((int32_t)(end - c->next) > 0)
            c->next = end;
        c->wanted = got.ack;
        c->edge = got.ack + ((uint32_t)got.window << (got.flags & SYN ? 0 : c->scale));
        if (got.stamped)
            c->peer.stamp++;
    }
}

static void wait(uint32_t ms)
{
    for (uint32_t waited = 0; waited < ms; waited += 100) {
        pass((ms - waited < 100 ? ms - waited : 100) * MS);
        observe();
    }
}

/* ---- connections ---- */

static void connect_here(struct conn *c)
{
    static const uint8_t options[] = {2, 4, 1460 >> 8, 1460 & 255, 1, 3, 3, 2, 4, 2, 1, 1};
    *c = (struct conn){.open = true};
    c->peer = (struct peer){
        .port = next_port++, .engine_port = LISTENER, .seq = rnd(0xffffffff), .stamped = rnd(2)};
    if (rnd(2)) {
        c->scale = 5;
        memcpy(c->peer.options, options, sizeof options);
        c->peer.options_size = sizeof options;
    }
    answer(&c->peer, SYN, 0);
    c->peer.options_size = 0;
    observe();
    if (rnd(8))
        emit(&c->peer, ACK, c->peer.seq, c->next, rnd(8) ? 0 : rnd(1400));
    observe();
}

static void take(void)
{
    struct csock s;
    while (csock_accept(&listener, &s)) {
        uint32_t i = 0;
        while (i < CONNS && (!conns[i].open || conns[i].taken))
            i++;
        if (i == CONNS) {
            csock_close(&s);
            continue;
        }
        conns[i].s = s; /* perhaps another's: the peers do not mind */
        conns[i].taken = true;
    }
}

static void give_up(struct conn *c)
{
    emit(&c->peer, RST, c->wanted, 0, 0);
    if (c->taken)
        csock_close(&c->s);
    c->open = c->taken = false;
}

/* ---- what a bad peer sends ---- */

static uint32_t some_number(const struct conn *c)
{
    switch (rnd(9)) {
    case 0:
        return c->wanted + rnd(3000);
    case 1:
        return c->edge - rnd(1500);
    case 2:
        return c->edge + rnd(5) - 2;
    case 3:
        return c->wanted - rnd(3000);
    case 4:
        return c->wanted + 1460 * rnd(8);
    case 5:
        return rnd(20) ? c->wanted + 1 : rnd(0xffffffff);
    default:
        return c->wanted;
    }
}

static uint32_t some_size(const struct conn *c, uint32_t seq)
{
    uint32_t to_edge = c->edge - seq;
    switch (rnd(6)) {
    case 0:
        return 0;
    case 1:
        return 1 + rnd(3);
    case 2:
        return to_edge < 1400 ? to_edge + rnd(3) : 1400;
    default:
        return rnd(1401);
    }
}

static uint32_t some_ack(const struct conn *c)
{
    uint32_t in_flight = c->next - c->last_ack;
    switch (rnd(8)) {
    case 0:
        return c->last_ack;
    case 1:
        return c->last_ack + rnd(in_flight + 1);
    case 2:
        return c->next + rnd(3) - 1;
    case 3:
        return c->last_ack + (in_flight < 1448 ? in_flight : 1448);
    case 4:
        return rnd(20) ? c->last_ack - rnd(2000) : rnd(0xffffffff);
    default:
        return c->next;
    }
}

static uint8_t some_flags(void)
{
    uint8_t flags = rnd(60) ? ACK : 0;
    flags |= rnd(12) ? 0 : FIN;
    flags |= rnd(2) ? 0 : PSH;
    flags |= rnd(80) ? 0 : SYN;
    flags |= rnd(150) ? 0 : RST;
    return flags | (uint8_t)(rnd(60) ? 0 : URG);
}

static void some_window(struct peer *p)
{
    p->closed = rnd(6) == 0;
    p->window = (uint16_t)(rnd(3) ? 0 : rnd(2) ? 1 + rnd(1500) : rnd(65536));
}

static void send_anything(struct conn *c)
{
    uint32_t seq = some_number(c), size = some_size(c, seq), ack = some_ack(c);
    uint8_t flags = some_flags();
    if (rnd(3) == 0)
        some_window(&c->peer);
    c->peer.stamp += rnd(20) ? rnd(2) : rnd(0xffffffff);
    c->peer.damaged = rnd(100) == 0;
    for (uint32_t times = rnd(6) ? 1 : 2 + rnd(5); times--;)
        emit(&c->peer, flags, seq, ack, size);
    c->peer.damaged = false;
    c->last_ack = ack;
    observe();
}

/* ---- what the client does ---- */

static void use(struct conn *c)
{
    static uint8_t bytes[60000];
    static const struct {
        uint32_t level, name;
    } options[] = {{6, 1}, {6, 3}, {1, 7}, {1, 8}, {1, 9}, {6, 10}, {6, 12}};
    uint32_t which = rnd(sizeof options / sizeof *options), value = rnd(2) ? rnd(2) : rnd(70000);
    switch (rnd(12)) {
    case 0:
    case 1:
    case 2:
        csock_send(&c->s, bytes, 1 + rnd(rnd(3) ? 3000 : sizeof bytes));
        break;
    case 3:
    case 4:
    case 5:
        csock_recv(&c->s, bytes, 1 + rnd(rnd(2) ? 3000 : sizeof bytes));
        break;
    case 6:
        csock_call(&c->s, IO_SETSOCKOPT, options[which].level, options[which].name, &value,
                   sizeof value, NULL);
        break;
    case 7:
        if (rnd(10) == 0)
            csock_call(&c->s, IO_SHUTDOWN, rnd(3), 0, NULL, 0, NULL);
        break;
    case 8:
        if (rnd(20) == 0) {
            csock_close(&c->s);
            c->taken = false;
        }
        break;
    default:
        break;
    }
    settle();
    observe();
}

/* ---- the others ---- */

/* A connection that keeps the rules: the bytes of both ways arrive. */
static void check_service(void)
{
    static uint8_t bytes[3000];
    struct segment got;
    struct csock s;
    struct peer c = {.port = next_port++, .engine_port = LISTENER, .seq = 1};
    take();
    forget_sent();
    answer(&c, SYN, 0);
    for (uint32_t i = 0; c.ack == 0; i++) {
        CHECK(i < 1000);
        while (next_sent(&got))
            if (got.to == c.port && got.flags & SYN)
                c.ack = got.seq + 1;
        pass(MS);
    }
    answer(&c, ACK | PSH, 1000);
    for (uint32_t i = 0; !csock_accept(&listener, &s); i++) {
        CHECK(i < 1000);
        pass(MS);
    }
    CHECK(csock_recv(&s, bytes, sizeof bytes) == 1000);
    CHECK(csock_send(&s, bytes, 1000) == 1000);
    uint32_t came = 0;
    for (uint32_t i = 0; came < 1000; i++) {
        CHECK(i < 1000);
        pass(MS);
        while (next_sent(&got))
            if (got.to == c.port && got.seq == c.ack + came)
                came += got.size;
    }
    emit(&c, RST, c.seq, 0, 0);
    csock_close(&s);
}

static uint32_t count_of(const struct host_api *api, const char *name)
{
    char text[4096];
    uint32_t n = api->info(3, text, sizeof text - 1);
    text[n] = 0;
    char *p = strstr(text, name);
    CHECK(p);
    return (uint32_t)strtoul(p + strlen(name), NULL, 10);
}

static void run(uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        struct conn *c = &conns[rnd(CONNS)];
        if (!c->open)
            connect_here(c);
        else if (rnd(300) == 0)
            give_up(c);
        else if (rnd(3))
            send_anything(c);
        else if (c->taken)
            use(c);
        take();
        if (rnd(10) == 0)
            wait(rnd(8) ? rnd(50) : rnd(10) ? rnd(2000) : rnd(60000));
        if (rnd(2000) == 0)
            check_service();
    }
}

int main(int argc, char **argv)
{
    static char text[40];
    if (argc < 2)
        return 2;
    rng = argc > 2 ? (uint32_t)atoi(argv[2]) : 1;
    snprintf(text, sizeof text, "seed %u", (uint32_t)rng);
    step = text;
    const struct host_api *api = peer_start(argv[1], rnd(2));
    client_open(&client, api, 18);
    CHECK(csock_open(&listener, &client, 2, 1, 0) == 0);
    CHECK(csock_bind4(&listener, 0, LISTENER) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 64, 0, NULL, 0, NULL) == 0);
    run(argc > 3 ? (uint32_t)atoi(argv[3]) : 40000);
    check_service();
    for (uint32_t i = 0; i < CONNS; i++)
        if (conns[i].open)
            give_up(&conns[i]);
    take();
    csock_close(&listener);
    client_die(&client);
    wait(600000);
    CHECK(count_of(api, "sockets ") == 0);
    CHECK(count_of(api, "\nsessions ") == 0);
    puts("ok");
    return 0;
}
