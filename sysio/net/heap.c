/* SPDX-License-Identifier: MIT */
/*
 * A slab is one 64 KiB-aligned window: a header, then cells. Pages are committed (and pinned, for
 * the device) a few at a time as the bump pointer reaches them. What is larger than a slab's cells
 * takes a span of its own.
 */
#include "heap.h"
#include "port.h"
#include <stdlib.h>
#include <string.h>

#define SLAB_SIZE   65536u
#define SLAB_PAGES  (SLAB_SIZE / 4096u)
#define SPAN_SIZE   131072u
#define COMMIT_STEP 16384u
#define HEADER      256u

static const uint32_t class_size[] = {32,  48,  64,   96,   128,  192,  256,  320,   384,  448,
                                      512, 768, 1024, 1536, 2048, 4096, 8192, 16384, 61440};
#define CLASSES (sizeof class_size / sizeof *class_size)
#define SPAN    CLASSES

struct cell {
    struct cell *next;
};

struct slab {
    struct slab *next, *prev; /* among its class's slabs with room */
    struct cell *free;
    uint32_t class, used, capacity, touched; /* touched: cells ever handed out */
    uint32_t committed;                      /* bytes from the slab's start */
    bool listed;
    struct window window;
    uint64_t physical[SLAB_PAGES];
};
_Static_assert(sizeof(struct slab) <= HEADER, "the header has its place");

struct span { /* header page of a span, mapped like a slab */
    struct slab slab;
    uint64_t physical[SPAN_SIZE / 4096];
};

static struct slab *with_room[CLASSES];
static struct slab *spare[CLASSES]; /* one empty slab of each class */
static uint8_t class_of[(2048 + 31) / 32 + 1];
static struct slab *spare_span; /* its pages are pinned and counted */
static uint64_t heap_limit, heap_used;

static uint32_t first_cell(uint32_t class)
{
    uint32_t size = class_size[class];
    return size >= 4096     ? 4096
           : size >= HEADER ? (HEADER + size - 1) / size * size
                            : (HEADER + 15) & ~15u;
}

bool net_heap_init(uint64_t limit)
{
    heap_limit = limit;
    uint32_t class = 0;
    for (uint32_t i = 0; i < sizeof class_of; i++) {
        while (class_size[class] < i * 32)
            class ++;
        class_of[i] = (uint8_t) class;
    }
    return true;
}

/* ---- slabs ---- */

static int slab_commit(struct slab *s, uint32_t upto)
{
    while (s->committed < upto) {
        uint32_t step =
            SLAB_SIZE - s->committed < COMMIT_STEP ? SLAB_SIZE - s->committed : COMMIT_STEP;
        if (heap_used + step > heap_limit ||
            port_window_pin(&s->window, s->committed, step, &s->physical[s->committed / 4096]) < 0)
            return -1;
        s->committed += step;
        heap_used += step;
    }
    return 0;
}

static struct slab *slab_create(uint32_t class)
{
    struct window w;
    uint64_t physical;
    if (heap_used + 4096 > heap_limit || port_window_create(&w, SLAB_SIZE, SLAB_SIZE) < 0)
        return NULL;
    if (port_window_pin(&w, 0, 4096, &physical) < 0) {
        port_window_destroy(&w);
        return NULL;
    }
    struct slab *s = (struct slab *)w.base;
    memset(s, 0, sizeof *s);
    s->window = w;
    s->class = class;
    s->capacity = (SLAB_SIZE - first_cell(class)) / class_size[class];
    s->committed = 4096;
    s->physical[0] = physical;
    heap_used += 4096;
    return s;
}

static void slab_destroy(struct slab *s)
{
    struct window w = s->window;
    heap_used -= s->committed;
    port_window_destroy(&w);
}

static void slab_list(struct slab *s)
{
    s->prev = NULL;
    s->next = with_room[s->class];
    if (s->next)
        s->next->prev = s;
    with_room[s->class] = s;
    s->listed = true;
}

static void slab_unlist(struct slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        with_room[s->class] = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->listed = false;
}

static void *slab_take(struct slab *s)
{
    struct cell *c = s->free;
    if (c) {
        s->free = c->next;
    } else {
        uint32_t at = first_cell(s->class) + s->touched * class_size[s->class];
        if (slab_commit(s, at + class_size[s->class]) < 0)
            return NULL;
        s->touched++;
        c = (struct cell *)((uint8_t *)s + at);
    }
    if (++s->used == s->capacity)
        slab_unlist(s);
    return c;
}

/* ---- spans ---- */

static void *span_alloc(void)
{
    struct window w;
    uint64_t physical[SPAN_SIZE / 4096];
    if (spare_span) {
        w = spare_span->window;
        spare_span = NULL;
        return w.base + 4096;
    }
    if (heap_used + SPAN_SIZE > heap_limit || port_window_create(&w, SPAN_SIZE, SPAN_SIZE) < 0)
        return NULL;
    if (port_window_pin(&w, 0, SPAN_SIZE, physical) < 0) {
        port_window_destroy(&w);
        return NULL;
    }
    struct span *s = (struct span *)w.base;
    memset(s, 0, sizeof *s);
    s->slab.window = w;
    s->slab.class = SPAN;
    memcpy(s->physical, physical, sizeof physical);
    heap_used += SPAN_SIZE;
    return w.base + 4096;
}

static void span_free(struct slab *s)
{
    struct window w = s->window;
    if (!spare_span) {
        spare_span = s;
        return;
    }
    heap_used -= SPAN_SIZE;
    port_window_destroy(&w);
}

/* ---- */

void *net_heap_alloc(size_t size)
{
    if (size > class_size[CLASSES - 1])
        return size <= SPAN_SIZE / 2 + 8192 ? span_alloc() : NULL;
    uint32_t class;
    if (size <= 2048) {
        class = class_of[(size + 31) / 32];
        while (class_size[class] < size)
            class ++;
    } else {
        for (class = 15; class_size[class] < size; class ++)
            ;
    }
    struct slab *s = with_room[class];
    if (!s) {
        s = spare[class] ? spare[class] : slab_create(class);
        spare[class] = NULL;
        if (!s)
            return NULL;
        slab_list(s);
    }
    return slab_take(s);
}

void *net_heap_zalloc(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    void *p = net_heap_alloc(n);
    if (p)
        memset(p, 0, n);
    return p;
}

/* Cells lie in the first 64 KiB of their slab or span, so this finds both. */
static struct slab *slab_of(const void *p)
{
    return (struct slab *)((uintptr_t)p & ~(uintptr_t)(SLAB_SIZE - 1));
}

void net_heap_free(void *p)
{
    if (!p)
        return;
    struct slab *s = slab_of(p);
    if (s->class == SPAN) {
        span_free(s);
        return;
    }
    struct cell *c = p;
    c->next = s->free;
    s->free = c;
    if (s->used-- == s->capacity)
        slab_list(s);
    if (s->used)
        return;
    slab_unlist(s);
    if (spare[s->class])
        slab_destroy(s);
    else
        spare[s->class] = s;
}

/* p: a byte of an allocation that begins at `allocation`. */
uint64_t net_heap_physical_in(const void *allocation, const void *p)
{
    struct slab *s = slab_of(allocation);
    uint64_t offset = (uint64_t)((const uint8_t *)p - (const uint8_t *)s);
    const uint64_t *pages = s->class == SPAN ? ((struct span *)s)->physical : s->physical;
    return pages[offset / 4096] + offset % 4096;
}

uint64_t net_heap_used(void)
{
    return heap_used;
}
