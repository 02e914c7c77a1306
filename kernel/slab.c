/* SPDX-License-Identifier: MIT */
/*
 * The kernel heap. Each size class has slabs: single frames that begin with a header and hold
 * objects of one size; a slab with free objects is on its class's list, an empty one is given back
 * (one is kept). Larger requests are blocks of frames. An object's slab is found by rounding its
 * address down to the frame; a block of frames is at a frame's start, where no slab object can be.
 */
#include "arch/x86_64/arch.h"
#include "frame.h"
#include "list.h"
#include "log.h"
#include "spinlock.h"

#define SLAB_MAGIC 0x51abu

static const uint16_t sizes[] = {16,  32,  48,  64,  96,   128,  192,
                                 256, 384, 512, 672, 1008, 1344, 2016};
#define CLASSES       (sizeof(sizes) / sizeof(sizes[0]))
#define SIZE_STEP     16u /* all sizes are multiples of it */
#define SIZE_MAX_SLAB 2016u

struct slab {
    struct list link; /* [class lock] on the class's list while it has free objects */
    void *free;       /* [class lock] chain of free objects */
    uint16_t used, magic, class, count;
};
#define SLAB_SPACE (PAGE_SIZE - 64)

static struct size_class {
    struct spinlock lock;
    struct list partial;
    uint32_t empty; /* slabs on the list without any object in use */
} classes[CLASSES];
static uint8_t class_by[SIZE_MAX_SLAB / SIZE_STEP + 1]; /* the class for up to i steps of bytes */
static bool ready;
static uint64_t held; /* [atomic] bytes of frames */

static __attribute__((noinline)) void init(void)
{
    for (unsigned i = 0; i < CLASSES; i++) {
        list_init(&classes[i].partial);
    }
    for (unsigned steps = 0, class = 0; steps * SIZE_STEP <= SIZE_MAX_SLAB; steps++) {
        class += sizes[class] < steps * SIZE_STEP;
        class_by[steps] = (uint8_t) class;
    }
    ready = true;
}

static unsigned class_of(size_t size)
{
    return class_by[(size + SIZE_STEP - 1) / SIZE_STEP];
}

static struct slab *slab_of(void *p)
{
    return (struct slab *)((uint64_t)p & ~(PAGE_SIZE - 1));
}

static __attribute__((noinline)) struct slab *slab_make(unsigned class)
{
    uint64_t paddr = frame_current_may() ? frame_alloc() : 0;
    if (!paddr) {
        return NULL;
    }
    struct slab *s = phys_to_virt(paddr);
    *s = (struct slab){.magic = SLAB_MAGIC,
                       .class = (uint16_t) class,
                       .count = (uint16_t)(SLAB_SPACE / sizes[class])};
    list_init(&s->link);
    for (unsigned i = 0; i < s->count; i++) {
        void **object = (void **)((char *)s + 64 + i * sizes[class]);
        *object = s->free;
        s->free = object;
    }
    __atomic_fetch_add(&held, PAGE_SIZE, __ATOMIC_RELAXED);
    return s;
}

/* [c->lock] An object of a slab that has one free. */
static inline __attribute__((always_inline)) void *take(struct size_class *c)
{
    struct slab *s = container_of(c->partial.next, struct slab, link);
    void **object = s->free;
    s->free = *object;
    c->empty -= s->used++ == 0;
    if (!s->free) {
        list_remove(&s->link);
    }
    return object;
}

static __attribute__((noinline)) void *alloc_from_new(struct size_class *c)
{
    struct slab *fresh = slab_make((unsigned)(c - classes));
    if (!fresh) {
        return NULL;
    }
    spin_lock(&c->lock);
    list_append(&c->partial, &fresh->link);
    c->empty++;
    void *object = take(c);
    spin_unlock(&c->lock);
    return object;
}

static void *slab_alloc(struct size_class *c)
{
    spin_lock(&c->lock);
    if (list_empty(&c->partial)) {
        spin_unlock(&c->lock);
        return alloc_from_new(c);
    }
    void *object = take(c);
    spin_unlock(&c->lock);
    return object;
}

static __attribute__((noinline)) void give_back(struct slab *s)
{
    s->magic = 0;
    frame_free(virt_to_phys(s));
    __atomic_fetch_sub(&held, PAGE_SIZE, __ATOMIC_RELAXED);
}

/* [c->lock] True: the slab is empty, and another one is already: it is the caller's. */
static inline __attribute__((always_inline)) bool put(struct size_class *c, struct slab *s,
                                                      void **object)
{
    bool spare = false;
    if (!s->free) {
        list_append(&c->partial, &s->link);
    }
    *object = s->free;
    s->free = object;
    if (--s->used == 0) {
        spare = c->empty > 0;
        if (spare) {
            list_remove(&s->link);
        } else {
            c->empty++;
        }
    }
    return spare;
}

static void slab_free(struct slab *s, void **object)
{
    struct size_class *c = &classes[s->class];
    spin_lock(&c->lock);
    bool spare = put(c, s, object);
    spin_unlock(&c->lock);
    if (spare) {
        give_back(s);
    }
}

static unsigned order_for(size_t size)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < size) {
        order++;
    }
    return order;
}

static __attribute__((noinline)) void *block_alloc(size_t size)
{
    if (size > PAGE_SIZE << FRAME_ORDER_MAX) {
        return NULL;
    }
    unsigned order = order_for(size);
    uint64_t paddr = frame_alloc_order(order);
    if (!paddr) {
        return NULL;
    }
    __atomic_fetch_add(&held, PAGE_SIZE << order, __ATOMIC_RELAXED);
    return phys_to_virt(paddr);
}

static __attribute__((noinline)) void block_free(void *p)
{
    uint64_t paddr = virt_to_phys(p);
    __atomic_fetch_sub(&held, PAGE_SIZE << frame_of(paddr)->order, __ATOMIC_RELAXED);
    frame_free(paddr);
}

/* What is seldom is not inlined here: most calls take an object and go. */
void *kmalloc(size_t size)
{
    if (!ready) {
        init();
    }
    return size <= SIZE_MAX_SLAB ? slab_alloc(&classes[class_of(size)]) : block_alloc(size);
}

void *kzalloc(size_t size)
{
    void *p = kmalloc(size);
    if (p) {
        __builtin_memset(p, 0, size);
    }
    return p;
}

void kfree(void *p)
{
    if (!p) {
        return;
    }
    if ((uint64_t)p % PAGE_SIZE == 0) {
        block_free(p);
        return;
    }
    struct slab *s = slab_of(p);
    KASSERT(s->magic == SLAB_MAGIC);
    slab_free(s, p);
}

unsigned kmalloc_many(size_t size, unsigned n, void **to)
{
    if (!ready) {
        init();
    }
    KASSERT(size <= SIZE_MAX_SLAB);
    struct size_class *c = &classes[class_of(size)];
    unsigned got = 0;
    spin_lock(&c->lock);
    while (got < n && !list_empty(&c->partial)) {
        to[got++] = take(c);
    }
    spin_unlock(&c->lock);
    while (got < n && (to[got] = slab_alloc(c))) {
        got++;
    }
    return got;
}

/* The lock is kept from one to the next of a class. */
void kfree_many(void *const *objects, unsigned n)
{
    struct size_class *locked = NULL;
    for (unsigned i = 0; i < n; i++) {
        struct slab *s = slab_of(objects[i]);
        KASSERT(s->magic == SLAB_MAGIC);
        struct size_class *c = &classes[s->class];
        if (c != locked) {
            if (locked) {
                spin_unlock(&locked->lock);
            }
            spin_lock(&c->lock);
            locked = c;
        }
        if (put(c, s, objects[i])) {
            spin_unlock(&c->lock);
            give_back(s);
            locked = NULL;
        }
    }
    if (locked) {
        spin_unlock(&locked->lock);
    }
}

uint64_t kmalloc_bytes(void)
{
    return __atomic_load_n(&held, __ATOMIC_RELAXED);
}
