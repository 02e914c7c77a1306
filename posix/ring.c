/* SPDX-License-Identifier: MIT */
/*
 * Rings: memory for what the process sends, and reading what engines send.
 *
 * Ring memory is virtual space until it is touched, so a stream's ring has the size of its tx_limit
 * at once; while it is empty writing begins at its first byte again. Few bytes in flight touch few
 * pages. Free rings lie on stacks, one for each size, so that the memory used last is used next. A
 * stream keeps its ring until it is found drained: by its own calls, when others have rings, too,
 * or by another stream that needs one.
 */
#include "watch.h"

#define LOOKS 8 /* at streams that hold rings, for each ring that is needed */

/* ---- sending ---- */

static void list_remove(struct px_session *s, struct px_file *f)
{
    struct px_stream *t = &f->stream;
    *(t->older ? &t->older->stream.newer : &s->oldest) = t->newer;
    *(t->newer ? &t->newer->stream.older : &s->newest) = t->older;
    t->older = t->newer = NULL;
    PX_SET(s->rings_held, s->rings_held - 1);
}

static void list_append(struct px_session *s, struct px_file *f)
{
    f->stream.older = s->newest;
    f->stream.newer = NULL;
    *(s->newest ? &s->newest->stream.newer : &s->oldest) = f;
    s->newest = f;
    PX_SET(s->rings_held, s->rings_held + 1);
}

static bool push(struct px_ring_stack *stack, uint32_t page)
{
    if (stack->count == stack->capacity) {
        uint32_t capacity = stack->capacity ? stack->capacity * 2 : 32;
        uint32_t *pages = px_alloc(capacity * sizeof *pages);
        if (!pages)
            return false;
        memcpy(pages, stack->pages, stack->count * sizeof *pages);
        px_free(stack->pages);
        stack->pages = pages;
        stack->capacity = capacity;
    }
    stack->pages[stack->count] = page;
    PX_SET(stack->count, stack->count + 1);
    return true;
}

static bool drained(const struct px_file *f)
{
    return __atomic_load_n(&f->stream.slot->tx_tail, __ATOMIC_ACQUIRE) ==
           PX_GLANCE(f->stream.tx_head);
}

static void release_locked(struct px_session *s, struct px_file *f)
{
    list_remove(s, f);
    /* without memory its address is lost: harmless */
    push(&s->free_rings[f->stream.ring_order - IO_RING_ORDER_MIN], f->stream.ring_page);
    PX_SET(f->stream.ring_page, 0);
}

/* Rings of others that are drained become free. true: one of this order. */
static bool reclaim_locked(struct px_session *s, struct px_file *self, uint32_t order)
{
    struct px_file *f = s->oldest;
    for (uint32_t i = 0; i < LOOKS && f; i++) {
        struct px_file *next = f->stream.newer;
        if (f != self && drained(f) && px_trylock(&f->stream.tx_lock)) {
            bool take = drained(f);
            struct px_mutex *lock = &f->stream.tx_lock;
            uint32_t got = f->stream.ring_order;
            if (take)
                release_locked(s, f);
            px_unlock(lock);
            if (take && got == order)
                return true;
        } else if (f != self) {
            list_remove(s, f);
            list_append(s, f);
        }
        f = next;
    }
    return s->free_rings[order - IO_RING_ORDER_MIN].count != 0;
}

static uint32_t take_locked(struct px_session *s, struct px_file *f, uint32_t order)
{
    struct px_ring_stack *stack = &s->free_rings[order - IO_RING_ORDER_MIN];
    uint32_t pages = 1u << (order - 12);
    if (stack->count || (s->rings_held >= PX_RINGS_KEPT && reclaim_locked(s, f, order))) {
        PX_SET(stack->count, stack->count - 1);
        return stack->pages[stack->count];
    }
    if ((uint64_t)s->rings_end + pages > IO_ARENA_SIZE / 4096)
        return 0;
    s->rings_end += pages;
    return s->rings_end - pages;
}

bool px_ring_get(struct px_file *f, uint32_t order)
{
    struct px_session *s = f->stream.session;
    struct px_net *n = px_net();
    /* rings of closed streams wait in signals that nobody has taken */
    if (!PX_GLANCE(s->free_rings[order - IO_RING_ORDER_MIN].count)) {
        px_lock(&n->lock);
        px_drain_locked(n);
        px_unlock(&n->lock);
    }
    px_lock(&s->ring_lock);
    uint32_t page = take_locked(s, f, order);
    while (!page && order > IO_RING_ORDER_MIN)
        page = take_locked(s, f, --order);
    if (page) {
        PX_SET(f->stream.ring_page, page);
        PX_SET(f->stream.ring_order, order);
        list_append(s, f);
    }
    px_unlock(&s->ring_lock);
    return page;
}

void px_ring_put(struct px_file *f)
{
    struct px_session *s = f->stream.session;
    px_lock(&s->ring_lock);
    release_locked(s, f);
    px_unlock(&s->ring_lock);
}

void px_ring_forget(struct px_file *f)
{
    struct px_session *s = f->stream.session;
    px_lock(&s->ring_lock);
    list_remove(s, f);
    PX_SET(f->stream.ring_page, 0);
    px_unlock(&s->ring_lock);
}

void px_ring_free(struct px_session *s, uint32_t page, uint32_t order)
{
    px_lock(&s->ring_lock);
    push(&s->free_rings[order - IO_RING_ORDER_MIN], page);
    px_unlock(&s->ring_lock);
}

/* ---- receiving ---- */

bool px_rx_check(uint64_t place, uint32_t tail, uint32_t head)
{
    uint64_t page = place >> 40;
    uint32_t order = (uint32_t)(place >> 32) & 0xff;
    if (order < IO_RING_ORDER_MIN || order > IO_RING_ORDER_MAX ||
        page < IO_ARENA_ENGINE_RINGS / 4096)
        return false;
    return page + (1u << (order - 12)) <= IO_ARENA_CLIENT_RINGS / 4096 &&
           head - tail <= 1u << order;
}

const uint8_t *px_rx_at(const struct px_session *s, uint64_t place, uint32_t index,
                        uint32_t *contiguous)
{
    uint32_t size = 1u << ((place >> 32) & 0xff);
    uint32_t at = (index - (uint32_t)place) & (size - 1);
    *contiguous = size - at;
    return s->arena + (place >> 40) * 4096 + at;
}

bool px_rx_copy(const struct px_session *s, uint64_t place, uint32_t tail, uint32_t head, void *to,
                uint32_t size)
{
    if (head - tail < size || !px_rx_check(place, tail, head))
        return false;
    for (uint32_t done = 0, step, room; done < size; done += step) {
        const uint8_t *from = px_rx_at(s, place, tail + done, &room);
        step = PX_MIN(size - done, room);
        memcpy((uint8_t *)to + done, from, step);
    }
    return true;
}
