/* SPDX-License-Identifier: MIT */
/*
 * Two machines and a wire that loses, duplicates, reorders and delays, from a seed. Connections
 * carry checked bytes both ways, end in every way there is, and at the end nothing may be left: no
 * socket, no session, no memory.
 *
 *   simulate ENGINE.so [SEED [ROUNDS]]
 */
#define _GNU_SOURCE
#include "client.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x) \
    ((x) ? (void)0 \
         : (fprintf(stderr, "simulate.c:%d: %s (seed %u)\n", __LINE__, #x, seed), abort()))
#define MS    1000000ull
#define STALL (30000 * MS) /* as long nothing moves on no connection, whatever is lost */

static uint32_t seed;
static uint64_t rng, now = 1000 * MS;

static uint32_t rnd(uint32_t n)
{
    rng = rng * 6364136223846793005ull + 1442695040888963407ull;
    return n ? (uint32_t)((rng >> 33) % n) : 0;
}

/* ---- the wire ---- */

struct frame {
    struct frame *next;
    uint64_t at;
    int to;
    uint32_t size;
    uint8_t bytes[];
};
static struct frame *in_flight;
static uint32_t loss, duplication, reordering; /* in 1000 */
static uint64_t delay = MS / 10, frames_carried;

struct machine {
    const struct host_api *api;
    int index;
};
static struct machine machines[2];

static void enqueue(int to, const uint8_t *bytes, uint32_t size)
{
    struct frame *f = malloc(sizeof *f + size), **link = &in_flight;
    f->at = now + delay + (rnd(1000) < reordering ? rnd(20) * MS : 0);
    f->to = to;
    f->size = size;
    memcpy(f->bytes, bytes, size);
    while (*link && (*link)->at <= f->at)
        link = &(*link)->next;
    f->next = *link;
    *link = f;
}

static void on_frame(void *context, const uint8_t *bytes, uint32_t size)
{
    struct machine *m = context;
    if (rnd(1000) < loss)
        return;
    enqueue(!m->index, bytes, size);
    if (rnd(1000) < duplication)
        enqueue(!m->index, bytes, size);
}

static void deliver(void)
{
    while (in_flight && in_flight->at <= now) {
        struct frame *f = in_flight;
        in_flight = f->next;
        machines[f->to].api->inject(f->bytes, f->size);
        frames_carried++;
        free(f);
    }
}

static uint64_t next_event(void)
{
    uint64_t at = in_flight ? in_flight->at : UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        uint64_t d = machines[i].api->deadline();
        at = d < at ? d : at;
    }
    return at;
}

static void run(void)
{
    deliver();
    for (int i = 0; i < 2; i++)
        machines[i].api->turn();
}

static void advance(uint64_t most)
{
    uint64_t at = next_event(), limit = now + most;
    now = at < now ? now : at < limit ? at : limit;
    for (int i = 0; i < 2; i++)
        machines[i].api->set_time(now);
    run();
}

static void pass(uint64_t ns)
{
    uint64_t end = now + ns;
    while (now < end)
        advance(end - now);
}

/* ---- loading ---- */

static const struct host_api *load(const char *path, int index)
{
    char copy[64];
    snprintf(copy, sizeof copy, "/tmp/motor-net-%d-%d.so", getpid(), index);
    char command[512];
    snprintf(command, sizeof command, "cp '%s' '%s'", path, copy);
    CHECK(system(command) == 0);
    void *so = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
    if (!so)
        fprintf(stderr, "%s\n", dlerror());
    unlink(copy);
    CHECK(so);
    return ((host_api_get)dlsym(so, "host_api"))();
}

static void start(const char *path)
{
    for (int i = 0; i < 2; i++) {
        struct host_options o = {.memory = i ? 1u << 30 : 128u << 20,
                                 .ip = i ? "10.0.0.2/24" : "10.0.0.1/24",
                                 .mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
                                 .checksums = i == 0,
                                 .merge = true,
                                 .large = true,
                                 .seed = seed + (uint32_t)i,
                                 .start_ns = now,
                                 .frame = on_frame,
                                 .context = &machines[i],
                                 .quiet = !getenv("VERBOSE")};
        machines[i] = (struct machine){load(path, i), i};
        CHECK(machines[i].api->start(&o));
    }
    pass(2000 * MS);
}

/* ---- a connection that checks what it carries ---- */

static uint8_t pattern(uint32_t id, uint32_t index)
{
    uint32_t x = (id * 2654435761u) ^ (index * 40503u + (index >> 7));
    return (uint8_t)(x ^ x >> 13);
}

struct flow {
    struct csock s;
    uint32_t id;
    uint32_t send, sent, received;
    uint8_t *echo;
    uint32_t echo_size, echo_sent;
    bool open, connecting, shut, want_reset, drop_early;
    uint64_t moved;  /* when */
    uint64_t asleep; /* until then it reads nothing, and its window shuts */
};

static bool reads(struct flow *f)
{
    if (now >= f->asleep && rnd(200) == 0)
        f->asleep = now + rnd(4000) * MS;
    return now >= f->asleep;
}

/* Of some sockets it is small, so that the window shuts soon. */
static void choose_buffer(struct csock *s)
{
    uint32_t size = 2048u << rnd(6);
    if (rnd(3) == 0)
        CHECK(csock_call(s, IO_SETSOCKOPT, 1, 8, &size, 4, NULL) == 0);
}

static void must_move(uint64_t *moved, bool now_moved)
{
    if (now_moved || !*moved)
        *moved = now;
    CHECK(now - *moved < STALL);
}

static void flow_step(struct flow *f)
{
    static uint8_t buffer[65536];
    if (!f->open)
        return;
    uint32_t state = f->s.s->state, before = f->sent + f->received;
    if (state & IO_STATE_ERROR)
        CHECK(f->want_reset || f->drop_early);
    if (state & IO_STATE_CONNECTING)
        return;
    uint32_t n = 1 + rnd(rnd(4) ? 2000 : sizeof buffer);
    if (n > f->send - f->sent)
        n = f->send - f->sent;
    for (uint32_t i = 0; i < n; i++)
        buffer[i] = pattern(f->id, f->sent + i);
    f->sent += csock_send(&f->s, buffer, n);
    if (f->sent == f->send && !f->shut && !(state & IO_STATE_TX_CLOSED)) {
        csock_call(&f->s, IO_SHUTDOWN, 1, 0, NULL, 0, NULL);
        f->shut = true;
    }
    if (reads(f) && rnd(3)) {
        n = csock_recv(&f->s, buffer, 1 + rnd(sizeof buffer));
        for (uint32_t i = 0; i < n; i++)
            CHECK(buffer[i] == pattern(f->id, f->received + i));
        f->received += n;
    }
    must_move(&f->moved, before != f->sent + f->received);
}

static bool flow_done(struct flow *f)
{
    return !f->open || (f->shut && csock_eof(&f->s));
}

static void flow_close(struct flow *f)
{
    if (!f->open)
        return;
    if (!f->want_reset && !f->drop_early && !(f->s.s->state & IO_STATE_ERROR))
        CHECK(f->received == f->send);
    csock_close(&f->s);
    f->open = false;
}

/* An echo server's end; what it could not send waits in f->echo. */
static void echo_step(struct flow *f)
{
    static uint8_t buffer[30000];
    uint32_t state = f->s.s->state;
    if (!f->echo_size && reads(f)) {
        f->echo_size = csock_recv(&f->s, buffer, 1 + rnd(sizeof buffer));
        f->echo = realloc(f->echo, f->echo_size + 1);
        memcpy(f->echo, buffer, f->echo_size);
        f->received += f->echo_size;
    }
    f->echo_sent += csock_send(&f->s, f->echo + f->echo_sent, f->echo_size - f->echo_sent);
    if (f->echo_sent == f->echo_size)
        f->echo_size = f->echo_sent = 0;
    if (state & IO_STATE_ERROR || (!f->echo_size && csock_eof(&f->s))) {
        csock_close(&f->s);
        f->open = false;
    }
}

static uint32_t left_over(const struct host_api *api, const char *name)
{
    char text[4096];
    uint32_t n = api->info(3, text, sizeof text - 1);
    text[n] = 0;
    char *p = strstr(text, name);
    CHECK(p);
    return (uint32_t)strtoul(p + strlen(name), NULL, 10);
}

static void settle(void)
{
    for (int i = 0; i < 2; i++) {
        char text[4096];
        uint32_t n = machines[i].api->info(3, text, sizeof text - 1);
        text[n] = 0;
        if (left_over(machines[i].api, "sockets ") || left_over(machines[i].api, "\nsessions "))
            fprintf(stderr, "machine %d:\n%s", i, text);
        CHECK(left_over(machines[i].api, "sockets ") == 0);
        CHECK(left_over(machines[i].api, "\nsessions ") == 0);
    }
}

/* n connections at once from machine 0 to machine 1 (or to itself), all kinds of ends. */
static void transfer(uint32_t count, uint32_t bytes, bool loopback, bool wild)
{
    struct client client, server;
    struct csock listener;
    struct flow *out = calloc(count, sizeof *out), *in = calloc(count, sizeof *in);
    int target = loopback ? 0 : 1;
    uint32_t accepted = 0, opened = 0;
    uint16_t port = (uint16_t)(1024 + rnd(20000));
    uint64_t deadline = now + 4000000ull * MS;
    client_open(&client, machines[0].api, 12 + rnd(6));
    client_open(&server, machines[target].api, 12 + rnd(6));
    CHECK(csock_open(&listener, &server, 2, 1, 0) == 0);
    uint32_t one = 1;
    CHECK(csock_call(&listener, IO_SETSOCKOPT, 1, 2, &one, 4, NULL) == 0);
    CHECK(csock_bind4(&listener, loopback ? 0 : ip4(10, 0, 0, 2), port) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 511, 0, NULL, 0, NULL) == 0);
    for (;;) {
        while (opened < count && rnd(2)) {
            struct flow *f = &out[opened];
            f->id = opened;
            f->send = rnd(bytes + 1);
            f->want_reset = wild && rnd(8) == 0;
            CHECK(csock_open(&f->s, &client, 2, 1, 0) == 0);
            CHECK(csock_call(&f->s, IO_SETSOCKOPT, 6, 1, &one, 4, NULL) == 0);
            choose_buffer(&f->s);
            int64_t e = csock_connect4(
                &f->s, loopback ? rnd(2) ? ip4(127, 0, 0, 3) : ip4(10, 0, 0, 1) : ip4(10, 0, 0, 2),
                port);
            CHECK(e == -EINPROGRESS);
            f->open = true;
            opened++;
        }
        struct csock s;
        while (csock_accept(&listener, &s)) {
            CHECK(accepted < count);
            choose_buffer(&s);
            in[accepted++] = (struct flow){.s = s, .open = true};
        }
        bool all = opened == count && accepted == count;
        for (uint32_t i = 0; i < count; i++) {
            if (out[i].open) {
                flow_step(&out[i]);
                if (out[i].want_reset && rnd(50) == 0) {
                    out[i].drop_early = true;
                    flow_close(&out[i]);
                } else if (flow_done(&out[i])) {
                    flow_close(&out[i]);
                }
                all = all && !out[i].open;
            }
            if (i < accepted && in[i].open) {
                echo_step(&in[i]);
                all = all && !in[i].open;
            }
        }
        if (all)
            break;
        run();
        advance(5 * MS);
        if (now > deadline) {
            for (uint32_t i = 0; i < count; i++)
                if (out[i].open || (i < accepted && in[i].open))
                    fprintf(
                        stderr,
                        "flow %u: out open %d sent %u/%u state %x; in open %d recv %u sent %u/%u state %x\n",
                        i, out[i].open, out[i].sent, out[i].send,
                        out[i].open ? out[i].s.s->state : 0, i < accepted && in[i].open,
                        in[i].received, in[i].sent, in[i].send, in[i].open ? in[i].s.s->state : 0);
            CHECK(!"it does not come to an end");
        }
        /* resets before accept: those never come */
        if (wild && opened == count && accepted < count && rnd(2000) == 0) {
            bool waiting = false;
            for (uint32_t i = 0; i < count; i++)
                waiting |= out[i].open;
            if (!waiting)
                break;
        }
    }
    for (uint32_t i = 0; i < accepted; i++) {
        if (in[i].open)
            csock_close(&in[i].s);
        free(in[i].echo);
    }
    csock_close(&listener);
    client_die(&client);
    client_die(&server);
    pass(400000 * MS);
    settle();
    free(out);
    free(in);
}

/* Bytes through one connection, one way, checked: client bytes follow the pattern of the id. */
static void verify(uint32_t bytes, uint32_t order, bool loopback)
{
    struct client client, server;
    struct csock listener, a, b = {0};
    static uint8_t buffer[100000];
    uint32_t sent = 0, received = 0, before = 0;
    uint64_t moved = now;
    bool shut = false;
    client_open(&client, machines[0].api, order);
    client_open(&server, machines[!loopback].api, order);
    CHECK(csock_open(&listener, &server, 2, 1, 0) == 0);
    CHECK(csock_bind4(&listener, 0, 7777) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 5, 0, NULL, 0, NULL) == 0);
    CHECK(csock_open(&a, &client, 2, 1, 0) == 0);
    CHECK(csock_connect4(&a, loopback ? ip4(127, 0, 0, 1) : ip4(10, 0, 0, 2), 7777) ==
          -EINPROGRESS);
    while (!b.c || !csock_eof(&b)) {
        if (!b.c)
            csock_accept(&listener, &b);
        if (!(a.s->state & IO_STATE_CONNECTING) && sent < bytes) {
            uint32_t n = 1 + rnd(sizeof buffer);
            if (n > bytes - sent)
                n = bytes - sent;
            for (uint32_t i = 0; i < n; i++)
                buffer[i] = pattern(seed, sent + i);
            sent += csock_send(&a, buffer, n);
        }
        if (sent == bytes && !shut) {
            csock_call(&a, IO_SHUTDOWN, 1, 0, NULL, 0, NULL);
            shut = true;
        }
        if (b.c) {
            uint32_t n = csock_recv(&b, buffer, 1 + rnd(sizeof buffer));
            for (uint32_t i = 0; i < n; i++)
                CHECK(buffer[i] == pattern(seed, received + i));
            received += n;
        }
        must_move(&moved, before != received);
        before = received;
        run();
        advance(5 * MS);
        CHECK(!(a.s->state & IO_STATE_ERROR));
    }
    CHECK(received == bytes);
    csock_close(&b);
    csock_close(&a);
    csock_close(&listener);
    client_die(&client);
    client_die(&server);
    pass(400000 * MS);
    settle();
}

/* ---- a wire that is cut ---- */

struct pair {
    struct client client, server;
    struct csock a, b; /* from machine 0, accepted on machine 1 */
};

static void pair_open(struct pair *p, uint16_t port)
{
    struct csock listener;
    client_open(&p->client, machines[0].api, 18);
    client_open(&p->server, machines[1].api, 18);
    CHECK(csock_open(&listener, &p->server, 2, 1, 0) == 0);
    CHECK(csock_bind4(&listener, 0, port) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 5, 0, NULL, 0, NULL) == 0);
    CHECK(csock_open(&p->a, &p->client, 2, 1, 0) == 0);
    CHECK(csock_connect4(&p->a, ip4(10, 0, 0, 2), port) == -EINPROGRESS);
    while (!csock_accept(&listener, &p->b))
        pass(5 * MS);
    csock_close(&listener);
}

static void pair_end(struct pair *p)
{
    loss = 0;
    csock_close(&p->a);
    if (p->b.gate)
        csock_close(&p->b);
    client_die(&p->client);
    client_die(&p->server);
    pass(400000 * MS);
    settle();
}

static void set(struct csock *s, uint32_t level, uint32_t name, uint32_t value)
{
    CHECK(csock_call(s, IO_SETSOCKOPT, level, name, &value, sizeof value, NULL) == 0);
}

/* The socket ends with ETIMEDOUT between these two times from now on. */
static void expect_timeout(struct csock *s, uint64_t after, uint64_t before)
{
    pass(after);
    CHECK(!s->s->error);
    pass(before - after);
    CHECK(s->s->error == ETIMEDOUT);
}

enum { LEVEL_SOCKET = 1, LEVEL_TCP = 6, KEEPALIVE = 9, KEEPIDLE = 4, KEEPINTVL, KEEPCNT };
enum { USER_TIMEOUT = 18 };

/* Ours is shut down, so only the peer could speak: is it still there? */
static void keepalive_half_closed(void)
{
    struct pair p;
    pair_open(&p, 5001);
    set(&p.a, LEVEL_SOCKET, KEEPALIVE, 1);
    set(&p.a, LEVEL_TCP, KEEPIDLE, 2);
    set(&p.a, LEVEL_TCP, KEEPINTVL, 1);
    set(&p.a, LEVEL_TCP, KEEPCNT, 3);
    csock_call(&p.a, IO_SHUTDOWN, 1, 0, NULL, 0, NULL);
    pass(20000 * MS);
    CHECK(!p.a.s->error); /* it answers */
    loss = 1000;
    expect_timeout(&p.a, 2000 * MS, 8000 * MS);
    pair_end(&p);
}

static void user_timeout(void)
{
    struct pair p;
    pair_open(&p, 5002);
    set(&p.a, LEVEL_TCP, USER_TIMEOUT, 5000);
    pass(20000 * MS); /* with nothing to send it does not count */
    loss = 1000;
    CHECK(csock_send(&p.a, "x", 1) == 1);
    expect_timeout(&p.a, 4000 * MS, 8000 * MS);
    pair_end(&p);
}

/* Closed by both, the last bytes still to be sent: they are, even if the wire was cut for 40 s. */
static void last_bytes(void)
{
    static uint8_t bytes[100000], back[sizeof bytes];
    struct pair p;
    uint32_t got = 0;
    pair_open(&p, 5003);
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = pattern(seed, i);
    csock_call(&p.a, IO_SHUTDOWN, 1, 0, NULL, 0, NULL);
    while (!csock_eof(&p.b))
        pass(5 * MS);
    CHECK(csock_send(&p.b, bytes, sizeof bytes) == sizeof bytes);
    loss = 1000;
    csock_close(&p.b);
    pass(40000 * MS);
    loss = 0;
    for (uint64_t end = now + 60000 * MS; now < end && !csock_eof(&p.a); pass(5 * MS))
        got += csock_recv(&p.a, back + got, sizeof back - got);
    CHECK(got == sizeof bytes && !memcmp(bytes, back, got));
    pair_end(&p);
}

static void datagrams(void)
{
    struct client client, server;
    struct csock a, b;
    uint8_t bytes[4000], back[4000];
    struct io_datagram from;
    uint32_t got = 0;
    client_open(&client, machines[0].api, 16);
    client_open(&server, machines[1].api, 16);
    CHECK(csock_open(&a, &client, 2, 2, 0) == 0);
    CHECK(csock_open(&b, &server, 2, 2, 0) == 0);
    CHECK(csock_bind4(&b, 0, 53) == 0);
    for (int i = 0; i < 400; i++) { /* the second half only receives */
        uint32_t n = rnd(3000);
        memset(bytes, i, n);
        CHECK(i >= 200 || csock_send_to(&a, ip4(10, 0, 0, 2), 53, bytes, n));
        pass(10 * MS);
        int m;
        while ((m = csock_recv_from(&b, &from, back, sizeof back)) >= 0) {
            for (int k = 1; k < m; k++)
                CHECK(back[k] == back[0]);
            uint32_t address;
            memcpy(&address, from.address, 4);
            CHECK(from.family == 2 && address == ip4(10, 0, 0, 1));
            got++;
        }
    }
    if (!loss && !duplication)
        CHECK(got == 200);
    csock_close(&a);
    csock_close(&b);
    client_die(&client);
    client_die(&server);
    pass(1000 * MS);
    settle();
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Round trips on one connection beside n idle ones: the cost of each must not grow. */
static double idle_cost(uint32_t idle)
{
    struct client client, server;
    struct csock listener, *a = calloc(idle + 1, sizeof *a), *b = calloc(idle + 1, sizeof *b);
    uint8_t bytes[100] = {1};
    client_open(&client, machines[0].api, 12);
    client_open(&server, machines[1].api, 12);
    CHECK(csock_open(&listener, &server, 2, 1, 0) == 0);
    CHECK(csock_bind4(&listener, 0, 80) == 0);
    CHECK(csock_call(&listener, IO_LISTEN, 511, 0, NULL, 0, NULL) == 0);
    for (uint32_t i = 0; i <= idle; i++) {
        CHECK(csock_open(&a[i], &client, 2, 1, 0) == 0);
        CHECK(csock_connect4(&a[i], ip4(10, 0, 0, 2), 80) == -EINPROGRESS);
        while (!csock_accept(&listener, &b[i])) {
            run();
            advance(MS);
        }
    }
    pass(3000 * MS);
    double t = seconds();
    for (int i = 0; i < 20000; i++) {
        CHECK(csock_send(&a[idle], bytes, sizeof bytes) == sizeof bytes);
        while (csock_recv(&b[idle], bytes, sizeof bytes) == 0) {
            run();
            advance(MS);
        }
        CHECK(csock_send(&b[idle], bytes, sizeof bytes) == sizeof bytes);
        while (csock_recv(&a[idle], bytes, sizeof bytes) == 0) {
            run();
            advance(MS);
        }
    }
    t = seconds() - t;
    printf("  heap of the server with %u idle connections: %llu bytes\n", idle,
           (unsigned long long)machines[1].api->heap_used());
    for (uint32_t i = 0; i <= idle; i++) {
        csock_close(&a[i]);
        csock_close(&b[i]);
    }
    csock_close(&listener);
    client_die(&client);
    client_die(&server);
    pass(400000 * MS);
    settle();
    free(a);
    free(b);
    return t / 20000 * 1e6;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 3 ? (uint32_t)atoi(argv[3]) : 3;
    if (argc < 2)
        return 2;
    seed = argc > 2 ? (uint32_t)atoi(argv[2]) : 1;
    rng = seed;
    start(argv[1]);
    if (argc > 4 && !strcmp(argv[4], "idle")) {
        double few = idle_cost(10), many = idle_cost(10000);
        printf("a round trip beside 10 idle connections %.2f us, beside 10,000: %.2f us\n", few,
               many);
        /* a list instead of a hash costs hundreds of times more; a busy host does not */
        return many < few * 20 ? 0 : 1;
    }
    for (uint32_t r = 0; r < rounds; r++) {
        loss = duplication = reordering = 0;
        verify(3000000, 12 + rnd(6), true);
        verify(3000000, 12 + rnd(6), false);
        datagrams();
        transfer(50, 100000, true, false);
        transfer(50, 100000, false, false);
        transfer(200, 20000, false, true);
        transfer(200, 20000, true, true);
        loss = rnd(60);
        duplication = rnd(60);
        reordering = rnd(200);
        verify(1500000, 12 + rnd(6), false);
        datagrams();
        transfer(20, 40000, false, true);
        printf("round %u: %llu frames, %llu s simulated, server heap %llu\n", r,
               (unsigned long long)frames_carried, (unsigned long long)(now / 1000000000),
               (unsigned long long)machines[1].api->heap_used());
    }
    loss = duplication = reordering = 0;
    keepalive_half_closed();
    user_timeout();
    last_bytes();
    CHECK(machines[0].api->large_frames() > 100); /* of bulk, nearly all is sent so */
    CHECK(left_over(machines[0].api, "direct_bytes ") > rounds * 3000000); /* and over loopback */
    puts("ok");
    return 0;
}
