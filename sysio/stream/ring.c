/* SPDX-License-Identifier: MIT */
/*
 * Rings in an arena. The engine's come from stacks, one for each size, so that the memory used last
 * is used next. What has lain idle for a second, or lies idle beyond a bound, or is wanted
 * elsewhere, is given back to the system: its pages are forgotten, its place is kept.
 */
#include "session.h"
#include <stdlib.h>
#include <string.h>

#define RINGS_STAY \
    32u /* for each session: a program with some dozen connections uses them again and again */
#define ENGINE_FIRST (IO_ARENA_ENGINE_RINGS / 4096)
#define ENGINE_END   (IO_ARENA_CLIENT_RINGS / 4096)
#define CLIENT_END   (IO_ARENA_SIZE / 4096)

static uint32_t committed_bytes(const struct session *s, uint32_t page, uint32_t pages)
{
    const uint8_t *committed = s->committed + page - ENGINE_FIRST;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < pages; i++)
        bytes += committed[i] ? 4096 : 0;
    return bytes;
}

/* Gives the ring's pages back to the system. */
static void forget_pages(struct session *s, uint32_t page, uint32_t pages)
{
    session_uncharge(s, committed_bytes(s, page, pages));
    port_window_decommit(&s->arena, (uint64_t)page * 4096, (uint64_t)pages * 4096);
    memset(s->committed + page - ENGINE_FIRST, 0, pages);
}

static void set_idle(struct session *s, uint32_t bytes)
{
    s->idle_bytes = bytes;
    if (bytes < s->idle_least)
        s->idle_least = bytes;
}

/* Gives back `bytes` of what lies idle, or a little more: the largest rings, those unused longest.
 */
static void forget_idle(struct session *s, uint32_t bytes)
{
    for (uint32_t class = RING_CLASSES; class -- > 0;) {
        uint32_t pages = 1u << (class + IO_RING_ORDER_MIN - 12);
        for (uint32_t i = 0; i < s->free_rings[class].count && bytes; i++) {
            uint32_t page = s->free_rings[class].pages[i], idle = committed_bytes(s, page, pages);
            if (!idle)
                continue;
            forget_pages(s, page, pages);
            set_idle(s, s->idle_bytes - idle);
            bytes -= idle < bytes ? idle : bytes;
        }
    }
}

void ring_age(struct session *s)
{
    if (s->idle_least)
        forget_idle(s, s->idle_least);
    s->idle_least = s->idle_bytes;
}

/* Memory for a page of a ring; what others keep without using it has to go first. */
static bool commit_page(struct session *s, uint32_t page)
{
    if (!session_charge(s, 4096)) {
        forget_idle(s, s->idle_bytes);
        if (!session_charge(s, 4096))
            return false;
    }
    if (port_window_commit(&s->arena, (uint64_t)page * 4096, 4096) < 0) {
        session_uncharge(s, 4096);
        return false;
    }
    s->committed[page - ENGINE_FIRST] = 1;
    return true;
}

bool ring_alloc(struct session *s, uint32_t order, struct ring *r)
{
    if (order < IO_RING_ORDER_MIN)
        order = IO_RING_ORDER_MIN;
    if (order > IO_RING_ORDER_MAX)
        order = IO_RING_ORDER_MAX;
    uint32_t pages = 1u << (order - 12);
    struct ring_stack *stack = &s->free_rings[order - IO_RING_ORDER_MIN];
    if (stack->count) {
        r->page = stack->pages[--stack->count];
    } else {
        if (s->rings_end + pages > ENGINE_END)
            return false;
        r->page = s->rings_end;
        s->rings_end += pages;
    }
    set_idle(s, s->idle_bytes - committed_bytes(s, r->page, pages));
    r->order = order;
    r->base = 0;
    s->rings_least += order == IO_RING_ORDER_MIN;
    return true;
}

bool ring_may_stay(const struct session *s, const struct ring *r)
{
    return r->order == IO_RING_ORDER_MIN && s->rings_least <= RINGS_STAY;
}

void ring_free(struct session *s, struct ring *r)
{
    if (!r->page)
        return;
    s->rings_least -= r->order == IO_RING_ORDER_MIN;
    struct ring_stack *stack = &s->free_rings[r->order - IO_RING_ORDER_MIN];
    uint32_t pages = 1u << (r->order - 12), idle = committed_bytes(s, r->page, pages);
    if (idle && s->idle_bytes + idle > session_idle_most()) {
        forget_pages(s, r->page, pages);
        idle = 0;
    }
    if (stack->count == stack->capacity) {
        uint32_t capacity = stack->capacity ? stack->capacity * 2 : 16;
        uint32_t *list = realloc(stack->pages, capacity * sizeof *list);
        if (!list) { /* its addresses are lost, its memory is not */
            forget_pages(s, r->page, pages);
            r->page = 0;
            return;
        }
        stack->pages = list;
        stack->capacity = capacity;
    }
    set_idle(s, s->idle_bytes + idle);
    stack->pages[stack->count++] = r->page;
    r->page = 0;
}

bool ring_commit(struct session *s, const struct ring *r, uint32_t index, uint32_t size)
{
    uint32_t pages = 1u << (r->order - 12), first = ((index - r->base) & (ring_size(r) - 1)) / 4096;
    uint32_t count = (((index - r->base) & 4095) + size + 4095) / 4096;
    if (count > pages)
        count = pages;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t page = r->page + ((first + i) & (pages - 1));
        if (!s->committed[page - ENGINE_FIRST] && !commit_page(s, page))
            return false;
    }
    return true;
}

bool ring_check(uint64_t place, struct ring *r)
{
    uint32_t page = (uint32_t)(place >> 40), order = (uint32_t)(place >> 32) & 0xff;
    if (order < IO_RING_ORDER_MIN || order > IO_RING_ORDER_MAX || page < ENGINE_END ||
        (uint64_t)page + (1u << (order - 12)) > CLIENT_END)
        return false;
    *r = (struct ring){.page = page, .order = order, .base = (uint32_t)place};
    return true;
}

bool ring_pin(struct session *s, const struct ring *r, uint32_t index, uint32_t size)
{
    uint32_t pages = 1u << (r->order - 12), first = ((index - r->base) & (ring_size(r) - 1)) / 4096;
    uint32_t count = (((index - r->base) & 4095) + size + 4095) / 4096;
    if (count > pages)
        count = pages;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t page = r->page + ((first + i) & (pages - 1));
        uint64_t *physical = &s->physical[page - ENGINE_END];
        if (!*physical && port_window_pin(&s->arena, (uint64_t)page * 4096, 4096, physical) < 0)
            return false;
    }
    return true;
}
