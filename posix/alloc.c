/* SPDX-License-Identifier: MIT */
/*
 * The runtime's own memory: powers of two from 32 bytes to 16 KiB, cut from 64 KiB mappings and
 * kept in free lists; larger ones are mappings of their own. Each piece has a 16-byte head that
 * tells which.
 */
#include "internal.h"

#define CLASSES 10u
#define CHUNK   (64u * 1024u)

struct head {
    uint64_t size; /* of the mapping; below CLASSES: the class */
    struct head *next;
};
_Static_assert(sizeof(struct head) == 16, "keeps alignment");

static PX_HOT struct {
    struct px_mutex lock;
    struct head *free[CLASSES];
    char *chunk, *chunk_end;
    uint64_t above; /* [atomic] where the next mapping goes; 0: there was none yet */
} heap __attribute__((aligned(MOTOR_PAGE_SIZE)));

static uint64_t whole_pages(size_t size)
{
    return (size + MOTOR_PAGE_SIZE - 1) & ~(uint64_t)(MOTOR_PAGE_SIZE - 1);
}

void *px_map_below(size_t size)
{
    int64_t address =
        motor_map(0, 0, 0, 0, size, MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE);
    return address < 0 ? NULL : (void *)address;
}

/*
 * One after the other above the runtime's image. The kernel places mappings below, each next to the
 * last one, so a program that writes over the end of one of its own would find ours there.
 */
void *px_map(size_t size)
{
    uint64_t above = __atomic_load_n(&heap.above, __ATOMIC_RELAXED);
    uint64_t hint = above ? above : ((uint64_t)_end + 2 * CHUNK) & ~(uint64_t)(CHUNK - 1);
    int64_t address =
        motor_map(0, 0, 0, hint, size, MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE);
    if ((uint64_t)address == hint) {
        uint64_t end = hint + whole_pages(size);
        __atomic_compare_exchange_n(&heap.above, &above, end, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    }
    return address < 0 ? NULL : (void *)address;
}

/*
 * Apart from everything else, so that fork has nothing to undo for it: 512 GiB that hold nothing
 * for a child are left out at the root of the page tables. An arena takes 16 GiB of the half where
 * things begin, so a place that chance names is often taken: another one is asked for, since what
 * the kernel would take instead is among what a child gets.
 */
#define UNFORKED_BASE  0x0000600000000000ull
#define UNFORKED_PAGES (1ull << 26)
#define UNFORKED_TRIES 16

int64_t px_map_unforked(motor_handle vmo, size_t size)
{
    uint32_t flags = MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_NOFORK;
    int64_t at = -MOTOR_EEXIST;
    for (int i = 0; at == -MOTOR_EEXIST && i < UNFORKED_TRIES; i++) {
        uint64_t random = 0;
        motor_random(&random, sizeof(random), 0);
        at = motor_map(0, vmo, 0, UNFORKED_BASE + random % UNFORKED_PAGES * MOTOR_PAGE_SIZE, size,
                       flags | MOTOR_MAP_NOREPLACE);
    }
    return at == -MOTOR_EEXIST ? motor_map(0, vmo, 0, 0, size, flags) : at;
}

void px_unmap(void *p, size_t size)
{
    uint64_t start = (uint64_t)p, end = start + whole_pages(size);
    motor_unmap(0, start, size);
    __atomic_compare_exchange_n(&heap.above, &end, start, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

void px_heap_lock(void)
{
    px_lock(&heap.lock);
}

void px_heap_unlock(void)
{
    px_unlock(&heap.lock);
}

/* [lock held] */
static struct head *cut(size_t size)
{
    if ((size_t)(heap.chunk_end - heap.chunk) < size) {
        char *chunk = px_map(CHUNK);
        if (!chunk) {
            return NULL;
        }
        heap.chunk = chunk;
        heap.chunk_end = chunk + CHUNK;
    }
    struct head *h = (struct head *)heap.chunk;
    heap.chunk += size;
    return h;
}

/* *mapped: it is a mapping of its own, whose pages are zero */
static void *alloc(size_t size, bool *mapped)
{
    size_t total = size + sizeof(struct head);
    if (total < size) {
        return NULL;
    }
    unsigned class = 0;
    while (class < CLASSES && (32u << class) < total) {
        class ++;
    }
    struct head *h;
    *mapped = class == CLASSES;
    if (*mapped) {
        total = (total + MOTOR_PAGE_SIZE - 1) & ~(size_t)(MOTOR_PAGE_SIZE - 1);
        h = total ? px_map(total) : NULL;
        if (h) {
            h->size = total;
        }
        return h ? h + 1 : NULL;
    }
    px_lock(&heap.lock);
    h = heap.free[class];
    if (h) {
        heap.free[class] = h->next;
    } else {
        h = cut(32u << class);
    }
    px_unlock(&heap.lock);
    if (!h) {
        return NULL;
    }
    h->size = class;
    return h + 1;
}

void *px_alloc_raw(size_t size)
{
    bool mapped;
    return alloc(size, &mapped);
}

void *px_alloc(size_t size)
{
    bool mapped;
    void *p = alloc(size, &mapped);
    if (p && !mapped) {
        memset(p, 0, size);
    }
    return p;
}

void px_free(void *p)
{
    if (!p) {
        return;
    }
    struct head *h = (struct head *)p - 1;
    if (h->size >= CLASSES) {
        px_unmap(h, h->size);
        return;
    }
    px_lock(&heap.lock);
    h->next = heap.free[h->size];
    heap.free[h->size] = h;
    px_unlock(&heap.lock);
}
