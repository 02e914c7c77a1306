/* SPDX-License-Identifier: MIT */
/* A TCP peer made by hand: see peer.h. */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 2}, engine_mac[6] = {2, 0, 0, 0, 0, 1};
static const struct host_api *api;
static uint64_t now = 1000 * MS;
const char *step = "start";

static struct segment sent[4096]; /* by the engine, not yet looked at */
static uint32_t sent_first, sent_last;
static bool arp_asked;
struct datagrams_seen datagrams_seen;

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, (uint16_t)(v >> 16));
    put16(p + 2, (uint16_t)v);
}

static uint16_t checksum(const uint8_t *p, uint32_t size, uint32_t sum)
{
    for (uint32_t i = 0; i < size; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void on_frame(void *context, const uint8_t *bytes, uint32_t size)
{
    const uint8_t *ip = bytes + 14, *tcp = ip + 20;
    (void)context;
    if (get16(bytes + 12) == 0x806 && get16(bytes + 20) == 1)
        arp_asked |= !memcmp(bytes + 38, (uint8_t[]){10, 0, 0, 2}, 4);
    if (get16(bytes + 12) == 0x800 && ip[9] == 17) {
        datagrams_seen.frames++;
        datagrams_seen.fragments += (get16(ip + 6) & 0x3fff) != 0;
        datagrams_seen.uncut += (get16(ip + 6) & 0x4000) != 0;
        CHECK(checksum(ip, 20, 0) == 0);
    }
    if (get16(bytes + 12) != 0x800 || ip[9] != 6 || size < 54)
        return;
    uint32_t header = tcp[12] >> 4 << 2;
    struct segment s = {.from = get16(tcp),
                        .to = get16(tcp + 2),
                        .seq = get32(tcp + 4),
                        .ack = get32(tcp + 8),
                        .size = get16(ip + 2) - 20 - header,
                        .window = get16(tcp + 14),
                        .flags = tcp[13]};
    for (uint32_t at = 20; at + 10 <= header; at += tcp[at] == 1 ? 1 : tcp[at + 1]) {
        if (tcp[at] == 8) {
            s.stamped = true;
            s.stamp = get32(tcp + at + 2);
        }
        if (tcp[at] == 0 || (tcp[at] != 1 && !tcp[at + 1]))
            break;
    }
    CHECK(14u + get16(ip + 2) <= size);
    memcpy(s.start, tcp + header, s.size < sizeof s.start ? s.size : sizeof s.start);
    CHECK(sent_last - sent_first < 4096);
    sent[sent_last++ % 4096] = s;
}

/* Turns without letting time pass, until nothing more happens. */
void settle(void)
{
    do {
        if (arp_asked) {
            uint8_t reply[60] = {[12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 2};
            memcpy(reply, engine_mac, 6);
            memcpy(reply + 6, own_mac, 6);
            memcpy(reply + 22, own_mac, 6);
            memcpy(reply + 28, (uint8_t[]){10, 0, 0, 2}, 4);
            memcpy(reply + 32, engine_mac, 6);
            memcpy(reply + 38, (uint8_t[]){10, 0, 0, 1}, 4);
            arp_asked = false;
            CHECK(api->inject(reply, sizeof reply));
        }
        api->turn();
    } while (arp_asked);
}

void peer_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s (%s)\n", file, line, what, step);
    abort();
}

void pass(uint64_t ns)
{
    for (uint64_t end = now + ns; now < end;) {
        uint64_t at = api->deadline();
        now = at < now ? now + 1 : at < end ? at : end;
        api->set_time(now);
        settle();
    }
}

/* Ethernet and IP headers from the peer to the engine, or back; what follows takes `size` bytes. */
static void put_ip(uint8_t *ip, bool to_engine, uint8_t protocol, uint32_t size)
{
    ip[0] = 0x45;
    put16(ip + 2, (uint16_t)(20 + size));
    ip[8] = 64;
    ip[9] = protocol;
    memcpy(ip + 12, (uint8_t[]){10, 0, 0, to_engine ? 2 : 1, 10, 0, 0, to_engine ? 1 : 2}, 8);
    put16(ip + 10, checksum(ip, 20, 0));
}

static void put_frame(uint8_t *frame, uint8_t protocol, uint32_t size)
{
    memcpy(frame, engine_mac, 6);
    memcpy(frame + 6, own_mac, 6);
    frame[12] = 8;
    put_ip(frame + 14, true, protocol, size);
}

void emit(const struct peer *c, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t size)
{
    uint8_t frame[1600] = {0}, *ip = frame + 14, *tcp = ip + 20;
    uint32_t stamp = c->stamped ? 12 : 0, header = 20 + stamp + c->options_size,
             total = 20 + header + size;
    put_frame(frame, 6, header + size);
    put16(tcp, c->port);
    put16(tcp + 2, c->engine_port);
    put32(tcp + 4, seq);
    put32(tcp + 8, flags & ACK ? ack : 0);
    tcp[12] = (uint8_t)(header << 2);
    tcp[13] = flags;
    put16(tcp + 14, c->closed ? 0 : c->window ? c->window : 65535);
    if (c->stamped) {
        memcpy(tcp + 20, (uint8_t[]){1, 1, 8, 10}, 4);
        put32(tcp + 24, c->stamp);
    }
    memcpy(tcp + 20 + stamp, c->options, c->options_size);
    put16(tcp + 16, checksum(tcp, header + size, checksum(ip + 12, 8, 6 + header + size) ^ 0xffff));
    if (c->damaged)
        tcp[16] ^= 1;
    CHECK(api->inject(frame, 14 + total));
    settle();
}

void emit_report(const struct peer *c, uint8_t type, uint8_t code, uint8_t protocol, uint32_t seq)
{
    uint8_t frame[70] = {0}, *icmp = frame + 34, *sent = icmp + 8 + 20;
    put_frame(frame, 1, 36);
    icmp[0] = type;
    icmp[1] = code;
    put_ip(icmp + 8, false, protocol, 8);
    put16(sent, c->engine_port);
    put16(sent + 2, c->port);
    put32(sent + 4, seq);
    put16(icmp + 2, checksum(icmp, 36, 0));
    if (c->damaged)
        icmp[3] ^= 1;
    CHECK(api->inject(frame, sizeof frame));
    settle();
}

void answer(struct peer *c, uint8_t flags, uint32_t size)
{
    emit(c, flags, c->seq, c->ack, size);
    c->seq += size + !!(flags & (SYN | FIN));
}

bool next_sent(struct segment *s)
{
    if (sent_first == sent_last)
        return false;
    *s = sent[sent_first++ % 4096];
    return true;
}

void forget_sent(void)
{
    sent_first = sent_last;
}

/* The next segment for the peer must be this one, and nothing else may follow. */
struct segment expect_only(const struct peer *c, uint8_t flags)
{
    struct segment s, more;
    CHECK(next_sent(&s));
    CHECK(s.to == c->port && s.from == c->engine_port && (s.flags & ~PSH) == flags);
    CHECK(!next_sent(&more));
    return s;
}

const struct host_api *peer_start(const char *path, bool large)
{
    struct host_options o = {.memory = 64u << 20,
                             .ip = "10.0.0.1/24",
                             .mac = {2, 0, 0, 0, 0, 1},
                             .merge = true,
                             .large = large,
                             .seed = 1,
                             .start_ns = now,
                             .frame = on_frame,
                             .quiet = true};
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(so);
    api = ((host_api_get)dlsym(so, "host_api"))();
    CHECK(api->start(&o));
    pass(1000 * MS);
    return api;
}
