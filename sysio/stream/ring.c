/* SPDX-License-Identifier: MIT */
/*
 * Rings in an arena. The engine's come from stacks, one for each size, so that the memory used last
 * is used next. What lies idle beyond a bound is given back to the system at once: its pages are
 * forgotten, its place is kept.
 */
#include "session.h"
#include <stdlib.h>

#define IDLE_BYTES_MAX (512u << 10)
#define ENGINE_FIRST   (IO_ARENA_ENGINE_RINGS / 4096)
#define ENGINE_END     (IO_ARENA_CLIENT_RINGS / 4096)
#define CLIENT_END     (IO_ARENA_SIZE / 4096)

/* Gives the ring's pages back to the system. */
static void forget_pages(struct session *s, uint32_t page, uint32_t pages)
{
    uint8_t *committed = s->committed + page - ENGINE_FIRST;
    port_window_decommit(&s->arena, (uint64_t)page * 4096, (uint64_t)pages * 4096);
    for (uint32_t i = 0; i < pages; i++) {
        session_uncharge(s, committed[i] ? 4096 : 0);
        committed[i] = 0;
    }
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
    for (uint32_t i = 0; i < pages; i++)
        if (s->committed[r->page - ENGINE_FIRST + i])
            s->free_ring_bytes -= s->free_ring_bytes >= 4096 ? 4096 : 0;
    r->order = order;
    r->base = 0;
    return true;
}

void ring_free(struct session *s, struct ring *r)
{
    if (!r->page)
        return;
    struct ring_stack *stack = &s->free_rings[r->order - IO_RING_ORDER_MIN];
    uint32_t pages = 1u << (r->order - 12), idle = 0;
    uint8_t *committed = s->committed + r->page - ENGINE_FIRST;
    for (uint32_t i = 0; i < pages; i++)
        idle += committed[i] ? 4096 : 0;
    if (s->free_ring_bytes + idle > IDLE_BYTES_MAX && idle) {
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
    s->free_ring_bytes += idle;
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
        if (s->committed[page - ENGINE_FIRST])
            continue;
        if (!session_charge(s, 4096))
            return false;
        if (port_window_commit(&s->arena, (uint64_t)page * 4096, 4096) < 0) {
            session_uncharge(s, 4096);
            return false;
        }
        s->committed[page - ENGINE_FIRST] = 1;
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
