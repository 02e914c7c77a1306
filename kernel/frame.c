/* SPDX-License-Identifier: MIT */
/*
 * Physical memory. A buddy allocator: free blocks of 2^order frames, aligned to their size, in a
 * list for each order; a block is split on demand and merges with its free buddy when freed. Before
 * it, each CPU keeps a few single frames of its own, so that the common page fault and unmap take
 * no lock.
 *
 * The descriptors lie in the largest range of RAM. They come into use chunk by chunk, from low
 * addresses up, when the lists have no block left: start-up does not touch them, and a machine with
 * much memory pays for what it uses.
 *
 * Locks: `lock` guards lists and the descriptors of free blocks; `block_lock` the splitting of
 * allocated ones; they do not nest. A CPU's cache belongs to the CPU (interrupts are off).
 */
#include "frame.h"
#include "arch/x86_64/early.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "spinlock.h"

#define ORDERS      (FRAME_ORDER_MAX + 1)
#define NONE        0xffffffffu
#define CACHE_MAX   64u
#define CACHE_BATCH 32u
#define ZEROED_MAX  32u
#define CHUNK       2048u /* frames whose descriptors come into use together: 8 MiB */
#define RESERVE_MIN 64u
#define RESERVE_MAX 1024u

enum { STATE_RESERVED = 0, STATE_FREE, STATE_ALLOCATED, STATE_CACHED };

struct frame_cache { /* frame numbers */
    uint32_t count, zeroed_count;
    uint32_t frame[CACHE_MAX];
    uint32_t zeroed[ZEROED_MAX]; /* whose bytes are zero */
};

static struct spinlock lock;
static struct spinlock block_lock; /* whether a block is split, while references to it change */
struct frame *frame_table;
static uint32_t frames_end;   /* numbers below have descriptors */
static uint32_t list[ORDERS]; /* [lock] first free block of each order, or NONE */
static struct boot_range range[BOOT_RANGES_MAX]; /* [lock] what is not in use yet: the rest */
static unsigned ranges, next_range;              /* [lock] */
static uint8_t *ready;                           /* [lock to set] chunks whose descriptors are */
static uint64_t total;
static uint64_t free_in_lists;  /* [lock] and in ranges that are not in use yet */
static uint64_t free_in_caches; /* [atomic] */

/* ---- lists [lock] ---- */

static void list_push(uint32_t n, unsigned order)
{
    struct frame *f = &frame_table[n];
    f->state = STATE_FREE;
    f->order = (uint8_t)order;
    f->prev = NONE;
    f->next = list[order];
    if (f->next != NONE) {
        frame_table[f->next].prev = n;
    }
    list[order] = n;
}

static void list_take(uint32_t n)
{
    struct frame *f = &frame_table[n];
    if (f->prev != NONE) {
        frame_table[f->prev].next = f->next;
    } else {
        list[f->order] = f->next;
    }
    if (f->next != NONE) {
        frame_table[f->next].prev = f->prev;
    }
    f->state = STATE_ALLOCATED;
}

static void block_insert(uint32_t n, unsigned order)
{
    while (order < FRAME_ORDER_MAX) {
        uint32_t buddy = n ^ 1u << order;
        if (buddy >= frames_end || frame_table[buddy].state != STATE_FREE ||
            frame_table[buddy].order != order) {
            break;
        }
        list_take(buddy);
        n &= ~(1u << order);
        order++;
    }
    list_push(n, order);
}

static void block_free(uint32_t n, unsigned order)
{
    free_in_lists += 1u << order;
    block_insert(n, order);
}

/* Into the lists, in the largest blocks. */
static void insert_range(uint32_t n, uint32_t last)
{
    while (n < last) {
        unsigned order = n ? (unsigned)__builtin_ctz(n) : FRAME_ORDER_MAX;
        if (order > FRAME_ORDER_MAX) {
            order = FRAME_ORDER_MAX;
        }
        while (n + (1u << order) > last) {
            order--;
        }
        block_insert(n, order);
        n += 1u << order;
    }
}

/* The next chunk comes into use, or as much of it as a range of RAM has. False: that was all. */
static bool use_more(void)
{
    while (next_range < ranges && range[next_range].start >= range[next_range].end) {
        next_range++;
    }
    if (next_range == ranges) {
        return false;
    }
    struct boot_range *r = &range[next_range];
    uint32_t n = (uint32_t)(r->start / PAGE_SIZE), chunk = n / CHUNK, last = (chunk + 1) * CHUNK;
    last = last < r->end / PAGE_SIZE ? last : (uint32_t)(r->end / PAGE_SIZE);
    if (!ready[chunk]) {
        uint32_t first = chunk * CHUNK,
                 count = frames_end - first < CHUNK ? frames_end - first : CHUNK;
        __builtin_memset(&frame_table[first], 0, count * sizeof(struct frame));
        ready[chunk] = true;
    }
    r->start = (uint64_t)last * PAGE_SIZE;
    insert_range(n, last);
    return true;
}

static uint32_t block_alloc(unsigned order)
{
    unsigned from;
    do {
        for (from = order; from < ORDERS && list[from] == NONE; from++) {
        }
    } while (from == ORDERS && use_more());
    if (from == ORDERS) {
        return NONE;
    }
    uint32_t n = list[from];
    list_take(n);
    while (from > order) {
        from--;
        list_push(n + (1u << from), from);
    }
    free_in_lists -= 1u << order;
    frame_table[n].state = STATE_ALLOCATED;
    frame_table[n].order = (uint8_t)order;
    return n;
}

/* ---- start ---- */

void frame_init(void)
{
    ranges = arch_boot_memory(range, BOOT_RANGES_MAX);
    unsigned largest = 0;
    for (unsigned i = 0; i < ranges; i++) {
        uint32_t end = (uint32_t)(range[i].end / PAGE_SIZE);
        frames_end = end > frames_end ? end : frames_end;
        if (range[i].end - range[i].start > range[largest].end - range[largest].start) {
            largest = i;
        }
    }
    uint64_t descriptors = (uint64_t)frames_end * sizeof(struct frame),
             chunks = frames_end / CHUNK + 1,
             size = (descriptors + chunks + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    if (!ranges || range[largest].end - range[largest].start < size + (256u << 10)) {
        klog("motor: too little memory to start\n");
        arch_power(MOTOR_POWER_EXIT, 1);
    }
    frame_table = phys_to_virt(range[largest].start);
    ready = (uint8_t *)frame_table + descriptors;
    __builtin_memset(ready, 0, chunks);
    range[largest].start += size;
    for (unsigned i = 0; i < ORDERS; i++) {
        list[i] = NONE;
    }
    for (unsigned i = 0; i < ranges; i++) {
        total += (range[i].end - range[i].start) / PAGE_SIZE;
    }
    free_in_lists = total;
}

/* ---- single frames ---- */

/*
 * A CPU's cache is a frame straight from the lists: the heap would come here for its own. NULL: no
 * memory.
 */
static __attribute__((noinline)) struct frame_cache *cache_make(void)
{
    spin_lock(&lock);
    uint32_t n = block_alloc(0);
    spin_unlock(&lock);
    if (n == NONE) {
        return NULL;
    }
    struct frame_cache *c = phys_to_virt((uint64_t)n * PAGE_SIZE);
    c->count = c->zeroed_count = 0;
    return c;
}

static inline struct frame_cache *cache_of_cpu(void)
{
    struct cpu *c = this_cpu();
    if (!c->frame_cache) {
        c->frame_cache = cache_make();
    }
    return c->frame_cache;
}

/*
 * The empty cache. Lists give ascending frames, and so does the cache, which is emptied from its
 * top: pages that are touched one after the other lie side by side, and a device that is to read
 * them is told of fewer pieces.
 */
static __attribute__((noinline)) void cache_fill(struct frame_cache *c)
{
    uint32_t at = CACHE_BATCH;
    spin_lock(&lock);
    while (at) {
        uint32_t n = block_alloc(0);
        if (n == NONE) {
            break;
        }
        frame_table[n].state = STATE_CACHED;
        c->frame[--at] = n;
    }
    spin_unlock(&lock);
    c->count = CACHE_BATCH - at;
    for (uint32_t i = 0; at && i < c->count; i++) {
        c->frame[i] = c->frame[at + i];
    }
    __atomic_fetch_add(&free_in_caches, c->count, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void cache_drain(struct frame_cache *c)
{
    spin_lock(&lock);
    for (unsigned i = 0; i < CACHE_BATCH; i++) {
        block_free(c->frame[--c->count], 0);
    }
    spin_unlock(&lock);
    __atomic_fetch_sub(&free_in_caches, CACHE_BATCH, __ATOMIC_RELAXED);
}

static uint64_t cache_take(uint32_t *count, const uint32_t *from)
{
    uint32_t n = from[--*count];
    __atomic_fetch_sub(&free_in_caches, 1, __ATOMIC_RELAXED);
    frame_table[n].state = STATE_ALLOCATED;
    frame_table[n].order = 0;
    frame_table[n].refs = 1;
    return (uint64_t)n * PAGE_SIZE;
}

uint64_t frame_alloc(void)
{
    struct frame_cache *c = cache_of_cpu();
    if (!c) {
        return 0;
    }
    if (!c->count) {
        cache_fill(c);
    }
    if (c->count) {
        return cache_take(&c->count, c->frame);
    }
    return c->zeroed_count ? cache_take(&c->zeroed_count, c->zeroed) : 0;
}

uint64_t frame_alloc_zeroed(void)
{
    struct frame_cache *c = cache_of_cpu();
    if (c && c->zeroed_count) {
        return cache_take(&c->zeroed_count, c->zeroed);
    }
    uint64_t paddr = frame_alloc();
    if (paddr) {
        CPU_COUNT(frames_zeroed);
        page_zero(phys_to_virt(paddr));
    }
    return paddr;
}

uint64_t frame_alloc_order(unsigned order)
{
    if (order == 0) {
        return frame_alloc();
    }
    if (order > FRAME_ORDER_MAX) {
        return 0;
    }
    spin_lock(&lock);
    uint32_t n = block_alloc(order);
    spin_unlock(&lock);
    if (n == NONE) {
        return 0;
    }
    frame_table[n].refs = 1;
    return (uint64_t)n * PAGE_SIZE;
}

void frame_free(uint64_t paddr)
{
    struct frame *f = frame_of(paddr);
    KASSERT(f && f->state == STATE_ALLOCATED);
    uint32_t n = (uint32_t)(paddr / PAGE_SIZE);
    struct frame_cache *c = f->order == 0 ? cache_of_cpu() : NULL;
    if (!c) {
        spin_lock(&lock);
        block_free(n, f->order);
        spin_unlock(&lock);
        return;
    }
    if (c->count == CACHE_MAX) {
        cache_drain(c);
    }
    f->state = STATE_CACHED;
    c->frame[c->count++] = n;
    __atomic_fetch_add(&free_in_caches, 1, __ATOMIC_RELAXED);
}

void frame_free_zeroed(uint64_t paddr)
{
    struct frame_cache *c = cache_of_cpu();
    if (!c || c->zeroed_count == ZEROED_MAX) {
        frame_free(paddr);
        return;
    }
    uint32_t n = (uint32_t)(paddr / PAGE_SIZE);
    frame_table[n].state = STATE_CACHED;
    c->zeroed[c->zeroed_count++] = n;
    __atomic_fetch_add(&free_in_caches, 1, __ATOMIC_RELAXED);
}

struct frame *frame_of(uint64_t paddr)
{
    uint64_t n = paddr / PAGE_SIZE;
    return n < frames_end && ready[n / CHUNK] && frame_table[n].state != STATE_RESERVED
               ? &frame_table[n]
               : NULL;
}

bool frame_unref(uint64_t paddr)
{
    if (!frame_drop(paddr)) {
        return false;
    }
    frame_free(paddr);
    return true;
}

/* ---- blocks ---- */

void frame_block_ref(uint64_t paddr)
{
    struct frame *f = &frame_table[paddr / PAGE_SIZE];
    spin_lock(&block_lock);
    for (uint32_t n = f->order ? 1 : 1u << FRAME_ORDER_MAX; n; n--, f++) {
        __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
    }
    spin_unlock(&block_lock);
}

void frame_block_unref(uint64_t paddr)
{
    spin_lock(&block_lock);
    bool whole = frame_table[paddr / PAGE_SIZE].order != 0, last = whole && frame_drop(paddr);
    spin_unlock(&block_lock);
    if (last) {
        frame_free(paddr);
    }
    for (uint32_t i = 0; !whole && i < 1u << FRAME_ORDER_MAX; i++) { /* split is for ever */
        frame_unref(paddr + i * PAGE_SIZE);
    }
}

bool frame_block_alone(uint64_t paddr)
{
    const struct frame *f = &frame_table[paddr / PAGE_SIZE];
    spin_lock(&block_lock);
    bool alone = f->order && __atomic_load_n(&f->refs, __ATOMIC_ACQUIRE) == 1;
    spin_unlock(&block_lock);
    return alone;
}

void frame_split(uint64_t paddr)
{
    struct frame *f = &frame_table[paddr / PAGE_SIZE];
    spin_lock(&block_lock);
    KASSERT(f->state == STATE_ALLOCATED && f->refs);
    uint32_t count = 1u << f->order, refs = f->refs;
    for (uint32_t i = 0; count > 1 && i < count; i++, f++) {
        f->state = STATE_ALLOCATED;
        f->order = 0;
        f->refs = refs;
    }
    spin_unlock(&block_lock);
}

bool frame_plenty(void)
{
    uint64_t reserve = total / 32;
    reserve = reserve < RESERVE_MIN ? RESERVE_MIN : reserve > RESERVE_MAX ? RESERVE_MAX : reserve;
    /* what lies in caches is not for every CPU */
    return __atomic_load_n(&free_in_lists, __ATOMIC_RELAXED) > reserve;
}

bool frame_current_may(void)
{
    const struct thread *t = this_cpu()->current;
    return frame_plenty() || !t || !t->process || t->process->first;
}

uint64_t frame_total(void)
{
    return total;
}

uint64_t frame_free_count(void)
{
    return __atomic_load_n(&free_in_lists, __ATOMIC_RELAXED) +
           __atomic_load_n(&free_in_caches, __ATOMIC_RELAXED);
}
