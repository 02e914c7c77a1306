/* SPDX-License-Identifier: MIT */
/*
 * The engine against a hostile wire and hostile clients. Input is a program: each byte chooses a
 * step (a frame, made of the next bytes or repaired into something plausible; a call with arbitrary
 * operation and words; bytes written into the client's part of an arena, or into the engine's;
 * time). A well-behaved client in the same engine must be served after every program.
 *
 *   fuzz ENGINE.so FILE...      runs files        fuzz ENGINE.so -r SEED SECONDS      runs random
 * programs With -DLIBFUZZER it is a libFuzzer target; ENGINE is in the environment.
 */
#define _GNU_SOURCE
#include "client.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(x) ((x) ? (void)0 : (fprintf(stderr, "fuzz.c:%d: %s\n", __LINE__, #x), abort()))
#define MS       1000000ull

static const struct host_api *api;
static uint64_t now = 1000 * MS;
static struct client good, bad;
static struct csock echo_listener, bad_socks[16];
static const char *engine;

static uint8_t last_frame[2048];
static uint32_t last_size;

static void on_frame(void *context, const uint8_t *bytes, uint32_t size)
{
    (void)context;
    last_size = size < sizeof last_frame ? size : sizeof last_frame;
    memcpy(last_frame, bytes, last_size);
}

static void turn(uint64_t ns)
{
    now += ns;
    api->set_time(now);
    api->turn();
}

static void start(void)
{
    struct host_options o = {.memory = 64u << 20,
                             .ip = "10.0.0.1/24",
                             .mac = {2, 0, 0, 0, 0, 1},
                             .merge = true,
                             .large = true,
                             .seed = 1,
                             .start_ns = now,
                             .frame = on_frame,
                             .quiet = true};
    void *so = dlopen(engine, RTLD_NOW | RTLD_LOCAL);
    if (!so)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(so);
    api = ((host_api_get)dlsym(so, "host_api"))();
    CHECK(api->start(&o));
    client_open(&good, api, 14);
    CHECK(csock_open(&echo_listener, &good, 2, 1, 0) == 0);
    CHECK(csock_bind4(&echo_listener, ip4(127, 0, 0, 1), 7) == 0);
    CHECK(csock_call(&echo_listener, IO_LISTEN, 16, 0, NULL, 0, NULL) == 0);
}

/* ---- the input ---- */

struct input {
    const uint8_t *p, *end;
};

static uint32_t byte(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

static uint32_t word(struct input *in)
{
    uint32_t w = byte(in);
    w |= byte(in) << 8;
    w |= byte(in) << 16;
    return w | byte(in) << 24;
}

static uint32_t sum(const uint8_t *p, uint32_t n, uint32_t s)
{
    for (uint32_t i = 0; i < n; i++)
        s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* Makes lengths and checksums right, so that the input is not all lost at the door. */
static void repair(uint8_t *f, uint32_t size)
{
    static const uint8_t to[] = {2, 0, 0, 0, 0, 1};
    memcpy(f, to, 6);
    if (f[12] == 0x86 && f[13] == 0xdd && size >= 54) {
        f[14] = 0x60;
        put16(f + 18, size - 54);
        return;
    }
    put16(f + 12, 0x0800);
    f[14] = (uint8_t)(0x40 | (f[14] % 8 == 0 ? 6 : 5));
    uint32_t header = (f[14] & 15) * 4u, length = size - 14;
    if (length < header + 20)
        return;
    put16(f + 16, length);
    if (f[20] & 0x20 && f[22] & 1)
        f[20] = f[21] = 0;
    memcpy(f + 30, "\x0a\x00\x00\x01", 4);
    f[26] = 10, f[27] = f[28] = 0;
    put16(f + 24, 0);
    put16(f + 24, ~sum(f + 14, header, 0) & 0xffff);
    uint8_t *l4 = f + 14 + header;
    uint32_t n = length - header, at = f[23] == 6 ? 16 : f[23] == 17 ? 6 : f[23] == 1 ? 2 : 0;
    if (!at)
        return;
    if (f[23] == 17)
        put16(l4 + 4, n);
    put16(l4 + at, 0);
    uint32_t pseudo = f[23] == 1 ? 0 : sum(f + 26, 8, f[23] + n);
    put16(l4 + at, ~sum(l4, n, pseudo) & 0xffff);
}

static void step_frame(struct input *in, bool answer)
{
    uint8_t frame[2048] = {0};
    uint32_t size = 14 + word(in) % 600;
    /* what the engine sent, turned round, with some bytes changed */
    if (answer && last_size >= 54) {
        memcpy(frame, last_frame, last_size);
        size = last_size;
        memcpy(frame + 26, last_frame + 30, 4);
        memcpy(frame + 30, last_frame + 26, 4);
        memcpy(frame + 34, last_frame + 36, 2);
        memcpy(frame + 36, last_frame + 34, 2);
        memcpy(frame + 38, last_frame + 42, 4);
        uint32_t seq = (uint32_t)last_frame[38] << 24 | (uint32_t)last_frame[39] << 16 |
                       (uint32_t)last_frame[40] << 8 | last_frame[41];
        seq += byte(in) % 4;
        put16(frame + 42, seq >> 16);
        put16(frame + 44, seq & 0xffff);
        for (uint32_t i = byte(in) % 4; i--;) {
            uint32_t at = word(in) % size;
            frame[at] = (uint8_t)byte(in);
        }
    } else {
        for (uint32_t i = 0; i < size && in->p < in->end; i++)
            frame[i] = (uint8_t)byte(in);
        if (!(frame[34] % 4)) /* often to a port that listens */
            put16(frame + 36, 80);
    }
    if (byte(in) % 8)
        repair(frame, size);
    api->inject(frame, size);
}

static void step_call(struct input *in)
{
    uint32_t which = byte(in) % 17;
    struct motor_event ev = {.op = IO_SESSION_OPEN + byte(in) % 14};
    uint8_t bytes[256];
    struct host_reply r;
    uint32_t size = byte(in);
    for (int i = 0; i < 6; i++)
        ev.word[i] = byte(in) % 3 ? byte(in) : word(in);
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)byte(in);
    if (size >= 16 && ev.op >= IO_BIND && ev.op <= IO_CONNECT && byte(in) % 4) {
        bytes[0] = 2, bytes[1] = 0, bytes[2] = 0;
        bytes[3] = (uint8_t)(80 + bytes[3] % 4);
        bytes[4] = bytes[4] & 1 ? 127 : 10;
        bytes[5] = bytes[6] = 0;
        bytes[7] = bytes[7] % 3;
    }
    if (which == 16) {
        if (ev.op == IO_SESSION_OPEN) /* handles that are not there are refused by the port */
            return;
        api->call(bad.session, &ev, bytes, size, &r);
        if (r.status >= 0 && ev.op == IO_SOCKET)
            api->close(r.handle[0]);
        return;
    }
    struct csock *s = &bad_socks[which];
    if (!s->gate) {
        static const int kinds[][2] = {{1, 0}, {1, 0}, {2, 0}, {3, 1}, {2, 1}};
        uint32_t k = byte(in) % 5;
        if (csock_open(s, &bad, byte(in) % 4 ? 2 : 10, kinds[k][0], kinds[k][1]) < 0)
            s->gate = 0;
        return;
    }
    if (byte(in) % 16 == 0) {
        csock_close(s);
        return;
    }
    ev.nhandles = 0;
    api->call(s->gate, &ev, bytes, size, &r);
}

static void step_memory(struct input *in)
{
    uint32_t slot = byte(in) % 24, where = byte(in) % 8;
    struct io_slot *s = &bad.slots[slot];
    uint32_t value = byte(in) % 2 ? word(in) : byte(in) * 16;
    switch (where) {
    case 0:
        s->tx_head += value % 5000;
        break;
    case 1:
        s->tx_head = value;
        break;
    case 2:
        s->tx_place =
            io_place(IO_ARENA_CLIENT_RINGS / 4096 + byte(in), 12 + byte(in) % 12, s->tx_head);
        break;
    case 3:
        s->tx_place = (uint64_t)value << 32 | word(in);
        break;
    case 4:
        s->rx_tail = byte(in) % 2 ? s->rx_head : value;
        break;
    case 5:
        s->client_flags = value;
        break;
    case 6:
        ((uint32_t *)s)[value % 32] = word(in);
        break;
    default:
        bad.arena[IO_ARENA_TO_CLIENT + value % (6 * 4096)] = (uint8_t)byte(in);
        break;
    }
    __atomic_fetch_or(&bad.to_engine->bits[0], 1ull << slot, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&bad.to_engine->summary[0], 1, __ATOMIC_SEQ_CST);
    api->notify(bad.session);
}

/* The good client talks to itself over loopback. */
static void check_service(void)
{
    struct csock a, b = {0};
    char text[64];
    CHECK(csock_open(&a, &good, 2, 1, 0) == 0);
    CHECK(csock_connect4(&a, ip4(127, 0, 0, 1), 7) == -EINPROGRESS);
    for (int i = 0; i < 2000 && !b.c; i++) {
        turn(50 * MS);
        csock_accept(&echo_listener, &b);
    }
    CHECK(b.c);
    CHECK(csock_send(&a, "hello", 5) == 5);
    for (int i = 0; i < 2000 && b.s->rx_head == b.rx_tail; i++)
        turn(50 * MS);
    CHECK(csock_recv(&b, text, sizeof text) == 5 && !memcmp(text, "hello", 5));
    csock_close(&a);
    csock_close(&b);
    turn(MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    uint32_t steps = 0;
    if (!api) {
        engine = engine ? engine : getenv("ENGINE");
        start();
    }
    client_open(&bad, api, 13);
    memset(bad_socks, 0, sizeof bad_socks);
    csock_open(&bad_socks[0], &bad, 2, 1, 0);
    csock_bind4(&bad_socks[0], 0, 80);
    csock_call(&bad_socks[0], IO_LISTEN, 16, 0, NULL, 0, NULL);
    csock_open(&bad_socks[1], &bad, 2, 2, 0);
    csock_bind4(&bad_socks[1], 0, 80);
    while (in.p < in.end && steps++ < 400) {
        switch (byte(&in) % 8) {
        case 0:
        case 1:
            step_frame(&in, false);
            break;
        case 2:
            step_frame(&in, true);
            break;
        case 3:
        case 4:
            step_call(&in);
            break;
        case 5:
        case 6:
            step_memory(&in);
            break;
        default:
            turn(byte(&in) * MS * (byte(&in) % 4 ? 1 : 50));
            break;
        }
        if (byte(&in) % 3)
            turn(0);
        if (byte(&in) == 77)
            api->fail_memory(4);
        else
            api->fail_memory(0);
    }
    api->fail_memory(0);
    for (int i = 0; i < 16; i++)
        if (bad_socks[i].gate)
            csock_close(&bad_socks[i]);
    /* accepted connections it never took stay, as with a client that leaks them */
    client_die(&bad);
    turn(1000 * MS);
    check_service();
    return 0;
}

#ifndef LIBFUZZER
int main(int argc, char **argv)
{
    static uint8_t data[1 << 16];
    if (argc < 3)
        return 2;
    engine = argv[1];
    if (!strcmp(argv[2], "-r") && argc == 5) {
        uint64_t seed = strtoull(argv[3], NULL, 10), runs = 0;
        time_t end = time(NULL) + atoi(argv[4]);
        while (time(NULL) < end) {
            uint64_t rng = seed + runs * 1000003;
            for (size_t i = 0; i < 8192; i++) {
                rng = rng * 6364136223846793005ull + 1442695040888963407ull;
                data[i] = (uint8_t)(rng >> 33);
            }
            FILE *f = getenv("FUZZ_SAVE") ? fopen(getenv("FUZZ_SAVE"), "w") : NULL;
            if (f) {
                fwrite(data, 1, 8192, f);
                fclose(f);
            }
            LLVMFuzzerTestOneInput(data, 8192);
            runs++;
        }
        printf("%llu programs\n", (unsigned long long)runs);
        return 0;
    }
    for (int i = 2; i < argc; i++) {
        FILE *f = fopen(argv[i], "r");
        CHECK(f);
        size_t n = fread(data, 1, sizeof data, f);
        fclose(f);
        LLVMFuzzerTestOneInput(data, n);
    }
    return 0;
}
#endif
