/* SPDX-License-Identifier: MIT */
/* The net engine on Motor: the loop of base/engine.h, windows over memory objects, virtio-net. */
#include "../base/engine.h"
#include "config.h"
#include "engine.h"
#include "linger.h"
#include "port.h"
#include "socket.h"
#include "start.h"
#include "virtio_net.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOWS_BASE 0x100000000000ull /* of heap slabs */
#define ARENAS_BASE  0x200000000000ull
#define STACK_SIZE   (128u << 10)

static struct engine engine;
static struct engine_timer timer;
static struct net_device *card;
static bool interrupted;
static struct object interrupt_object;

uint64_t port_now(void)
{
    return engine.now;
}

uint64_t port_realtime(void)
{
    return clock_realtime_ns();
}

/*
 * SplitMix over a seed of the kernel's, renewed now and then: cheap enough for every port and
 * sequence number.
 */
uint32_t port_random(void)
{
    static uint64_t state, left;
    if (!left--) {
        motor_random(&state, sizeof state, 0);
        left = 4096;
    }
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)(z ^ z >> 31);
}

void port_log(const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0 && n < (int)sizeof line && line[n - 1] == '\n')
        line[n - 1] = 0;
    log_info("net", "%s", line);
}

/* ---- windows ---- */

/* Addresses are given out once and reused by size: slabs, spans, arenas. */
struct addresses {
    uint64_t size, stride, next;
    uint64_t *free;
    uint32_t count, capacity;
};
static struct addresses ranges[4];

static struct addresses *range_for(uint64_t size, uint64_t align)
{
    for (int i = 0; i < 4; i++) {
        if (ranges[i].size == size)
            return &ranges[i];
        if (ranges[i].size)
            continue;
        ranges[i].size = size;
        ranges[i].stride = size > align ? size : align;
        ranges[i].next = (size > 1u << 30 ? ARENAS_BASE : WINDOWS_BASE) + ((uint64_t)i << 43);
        return &ranges[i];
    }
    return NULL;
}

static uint64_t address_take(uint64_t size, uint64_t align)
{
    struct addresses *r = range_for(size, align);
    if (!r)
        return 0;
    if (r->count)
        return r->free[--r->count];
    uint64_t address = r->next;
    r->next += r->stride;
    return address;
}

static void address_give(uint64_t size, uint64_t address)
{
    struct addresses *r = range_for(size, size);
    if (r && r->count == r->capacity) {
        uint32_t capacity = r->capacity ? r->capacity * 2 : 32;
        uint64_t *list = realloc(r->free, capacity * sizeof *list);
        if (!list)
            return; /* addresses are plenty */
        r->free = list;
        r->capacity = capacity;
    }
    if (r)
        r->free[r->count++] = address;
}

int port_window_create(struct window *w, uint64_t size, uint64_t align)
{
    uint64_t address = address_take(size, align);
    int64_t vmo = address ? motor_vmo_create(size, 0) : -MOTOR_ENOMEM;
    *w = (struct window){0};
    if (vmo < 0)
        return -ENOMEM;
    int64_t at = motor_map(0, (motor_handle)vmo, 0, address, size,
                           MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_NOREPLACE);
    if (at < 0) {
        motor_handle_close((motor_handle)vmo);
        return -ENOMEM;
    }
    *w = (struct window){.base = (uint8_t *)at, .size = size, .vmo = (motor_handle)vmo};
    return 0;
}

int port_window_charge(struct window *w, motor_handle process)
{
    return motor_vmo_control(w->vmo, MOTOR_VMO_CHARGE, process, 0, NULL) < 0 ? -ENOMEM : 0;
}

/*
 * The page is pinned, so that its owner can neither shrink the object nor take the page away under
 * us.
 */
int port_window_adopt(struct window *w, motor_handle vmo)
{
    uint64_t physical;
    *w = (struct window){0};
    int64_t at = motor_vmo_control(vmo, MOTOR_VMO_PHYSICAL, 0, MOTOR_PAGE_SIZE, &physical);
    if (at >= 0)
        at = motor_map(0, vmo, 0, 0, MOTOR_PAGE_SIZE, MOTOR_PROT_READ | MOTOR_PROT_WRITE);
    if (at < 0) {
        motor_handle_close(vmo);
        return -ENOMEM;
    }
    *w = (struct window){.base = (uint8_t *)at, .size = MOTOR_PAGE_SIZE, .vmo = vmo};
    return 0;
}

void port_window_destroy(struct window *w)
{
    motor_unmap(0, (uint64_t)w->base, w->size);
    motor_handle_close(w->vmo);
    if (w->size > MOTOR_PAGE_SIZE)
        address_give(w->size, (uint64_t)w->base);
}

int port_window_commit(struct window *w, uint64_t offset, uint64_t size)
{
    return motor_vmo_control(w->vmo, MOTOR_VMO_COMMIT, offset, size, NULL) < 0 ? -ENOMEM : 0;
}

void port_window_decommit(struct window *w, uint64_t offset, uint64_t size)
{
    motor_vmo_control(w->vmo, MOTOR_VMO_DECOMMIT, offset, size, NULL);
}

int port_window_pin(struct window *w, uint64_t offset, uint64_t size, uint64_t *physical)
{
    return motor_vmo_control(w->vmo, MOTOR_VMO_PHYSICAL, offset, size, physical) < 0 ? -ENOMEM : 0;
}

motor_handle port_window_share(struct window *w)
{
    int64_t h = motor_handle_dup(w->vmo, MOTOR_RIGHT_READ | MOTOR_RIGHT_WRITE | MOTOR_RIGHT_DUP);
    return h < 0 ? 0 : (motor_handle)h;
}

uint64_t port_memory_total(void)
{
    struct motor_memory_info info;
    return motor_system_info(MOTOR_SINFO_MEMORY, &info, sizeof info) < 0 ? 64u << 20 : info.total;
}

/* ---- objects ---- */

int64_t port_gate_install(motor_handle process, void *object, uint64_t *badge)
{
    *badge = badge_add(&engine.badges, object);
    if (!*badge)
        return -ENOMEM;
    int64_t gate = engine_gate_in(&engine, *badge, process);
    if (gate < 0) {
        badge_remove(&engine.badges, *badge);
        *badge = 0;
    }
    return gate;
}

int64_t port_gate_create(void *object, uint64_t *badge)
{
    return port_gate_install(0, object, badge);
}

void port_gate_forget(uint64_t badge)
{
    badge_remove(&engine.badges, badge);
}

void *port_gate_object(uint64_t badge)
{
    return badge_get(&engine.badges, badge);
}

void port_handle_close(motor_handle h)
{
    if (h)
        motor_handle_close(h);
}

motor_handle port_take_handle(const struct motor_event *ev, uint32_t index)
{
    return event_take_handle((struct motor_event *)(uintptr_t)ev, index);
}

int64_t port_call_read(const struct motor_event *ev, uint64_t offset, void *buffer, uint64_t size)
{
    return event_read(ev, offset, buffer, size);
}

int64_t port_call_write(const struct motor_event *ev, uint64_t offset, const void *buffer,
                        uint64_t size)
{
    return event_write(ev, offset, buffer, size);
}

void port_wake(uint32_t *const *words, uint32_t count)
{
    motor_futex_wake_list(words, count, MOTOR_FUTEX_SHARED);
}

/* ---- the loop ---- */

static void answer(struct motor_event *ev, void *object)
{
    struct net_reply r;
    net_call(object, ev, &r);
    struct motor_reply *reply = engine_reply(&engine, ev->token, r.status);
    memcpy(reply->word, r.word, sizeof r.word);
    if (r.size)
        engine_reply_data(reply, &engine, r.data, r.size);
    for (uint32_t i = 0; i < r.handles; i++)
        engine_reply_handle(reply, r.handle[i], r.rights[i]);
}

static void on_event(struct engine *e, struct motor_event *ev)
{
    void *object = badge_get(&e->badges, ev->badge);
    if (ev->kind == MOTOR_EVENT_CALL)
        answer(ev, object);
    else if (ev->kind == MOTOR_EVENT_NOTIFY && object == &interrupt_object)
        interrupted = true;
    else if (ev->kind == MOTOR_EVENT_NOTIFY)
        net_notified(object);
    else if (ev->kind == MOTOR_EVENT_CLOSED && object != net_connector)
        net_closed(object);
}

static char resolv[2][256];
static const char *volatile resolv_now = resolv[0];

static void publish_resolv_conf(void)
{
    char text[256];
    static int shown;
    uint32_t n = net_resolver_text(text, sizeof text - 1);
    text[n] = 0;
    if (!strcmp(text, resolv[shown]))
        return;
    shown = !shown;
    memcpy(resolv[shown], text, n + 1);
    resolv_now = resolv[shown];
}

const char *net_resolv_conf(void)
{
    return resolv_now;
}

static void on_turn_end(struct engine *e)
{
    static uint64_t published;
    net_after_sleep();
    if (interrupted && card)
        virtio_net_interrupt_begin(card);
    bool more = net_turn();
    if (interrupted && card)
        virtio_net_interrupt_end(card);
    interrupted = false;
    if (net_config_changed != published) {
        published = net_config_changed;
        publish_resolv_conf();
    }
    if (more || linger(card) || net_before_sleep())
        e->again = true;
    else
        engine_timer_set(e, &timer, net_deadline());
}

static void on_timer(struct engine *e, struct engine_timer *t)
{
    (void)e, (void)t; /* on_turn_end() does the work */
}

motor_handle net_start(void)
{
    static struct net_config config;
    char text[128];
    if (!engine_init(&engine, "net", on_event))
        return 0;
    engine.turn_end = on_turn_end;
    timer.fire = on_timer;
    uint64_t badge = badge_add(&engine.badges, net_connector);
    int64_t connector = badge ? engine_gate(&engine, badge) : -ENOMEM;
    int64_t gate = port_gate_create(&interrupt_object, &interrupt_object.badge);
    config.memory = port_memory_total();
    if (gate >= 0)
        card = virtio_net_open((motor_handle)gate, config.memory);
    config.device = card;
    if (boot_option("ip", text, sizeof text) && strcmp(text, "dhcp") &&
        !net_config_parse(&config, text))
        log_error("net", "ip=%s: expected ADDRESS/PREFIX[:GATEWAY[:DNS]]; using DHCP", text);
    if (boot_option("hostname", text, sizeof text))
        snprintf(config.hostname, sizeof config.hostname, "%.63s", text);
    if (!card)
        log_info("net", "no virtio-net device: loopback only");
    engine.again = true;
    return connector > 0 && net_init(&config) && engine_start(&engine, STACK_SIZE)
               ? (motor_handle)connector
               : 0;
}
