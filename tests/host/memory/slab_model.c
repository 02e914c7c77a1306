/* SPDX-License-Identifier: MIT */
/*
 * The kernel's heap: objects of all sizes come and go at random, filled with a pattern that must
 * still be there when they go, with frames that run out now and then; then blocks of frames of all
 * orders. In the end all frames are back, but for one empty slab of each size.
 *
 * slab_model [ROUNDS [SEED]]
 */
#include "host.h"

#include <string.h>

#define RAM     (24ull << 20)
#define OBJECTS 4000u
#define BLOCKS  200u

static struct {
    unsigned char *p;
    size_t size;
    unsigned char pattern;
} objects[OBJECTS];

static struct {
    uint64_t page;
    unsigned order;
} blocks[BLOCKS];

static size_t draw_size(void)
{
    switch (below(8)) {
    case 0:
        return below(20);
    case 1:
        return 1 + below(3 * PAGE_SIZE);
    case 2:
        return below(40) ? 1 + below(64) : 1 + below(2ull << 20);
    default:
        return 1 + below(2016);
    }
}

static void let_go(unsigned i)
{
    for (size_t k = 0; k < objects[i].size; k++) {
        REQUIRE(objects[i].p[k] == objects[i].pattern);
    }
    kfree(objects[i].p);
    objects[i].p = NULL;
}

static void object_round(void)
{
    unsigned i = (unsigned)below(OBJECTS);
    if (objects[i].p) {
        let_go(i);
        return;
    }
    bool zeroed = below(2);
    size_t size = draw_size();
    inject(below(10) ? 0 : 1);
    unsigned char *p = zeroed ? kzalloc(size) : kmalloc(size);
    if (!p) {
        REQUIRE(injected() || frame_free_count() < frame_total() / 2);
        return;
    }
    injected();
    REQUIRE((uint64_t)p % 16 == 0);
    for (size_t k = 0; zeroed && k < size; k++) {
        REQUIRE(p[k] == 0);
    }
    objects[i].p = p;
    objects[i].size = size;
    objects[i].pattern = (unsigned char)draw();
    memset(p, objects[i].pattern, size);
}

/* As object_round(), for some of one size: all that could be got have their patterns until the end.
 */
static void many_round(void)
{
    void *many[64];
    size_t size = 1 + below(2000);
    unsigned n = (unsigned)below(64) + 1;
    inject(below(4) ? 0 : 1);
    unsigned got = kmalloc_many(size, n, many);
    REQUIRE(got <= n && (got == n || injected() || frame_free_count() < frame_total() / 2));
    injected();
    for (unsigned i = 0; i < got; i++) {
        REQUIRE((uint64_t)many[i] % 16 == 0);
        memset(many[i], (int)i, size);
    }
    for (unsigned i = 0; i < got; i++) {
        for (size_t k = 0; k < size; k++) {
            REQUIRE(((unsigned char *)many[i])[k] == i);
        }
    }
    for (unsigned i = 0; got && i < 8; i++) { /* in another order */
        unsigned a = (unsigned)below(got), b = (unsigned)below(got);
        void *t = many[a];
        many[a] = many[b];
        many[b] = t;
    }
    kfree_many(many, got);
}

static uint64_t *stamp(unsigned i)
{
    return phys_to_virt(blocks[i].page + (PAGE_SIZE << blocks[i].order) - 8);
}

/* Blocks are aligned, and nobody else writes where they end. */
static void block_round(void)
{
    unsigned i = (unsigned)below(BLOCKS);
    if (blocks[i].page) {
        REQUIRE(*stamp(i) == blocks[i].page);
        frame_free(blocks[i].page);
        blocks[i].page = 0;
        return;
    }
    blocks[i].order = (unsigned)below(below(4) ? 3 : FRAME_ORDER_MAX + 1);
    blocks[i].page = frame_alloc_order(blocks[i].order);
    if (blocks[i].page) {
        REQUIRE(blocks[i].page % (PAGE_SIZE << blocks[i].order) == 0);
        *stamp(i) = blocks[i].page;
    }
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 100000;
    draw_seed(argc > 2 ? strtoul(argv[2], NULL, 0) : 1);
    host_init(RAM);
    kfree(kmalloc(1));
    uint64_t before = frame_free_count() + kmalloc_bytes() / PAGE_SIZE;
    for (host_round = 0; host_round < rounds; host_round++) {
        if (!below(16)) {
            host_doing = "many objects";
            many_round();
        } else if (below(8)) {
            host_doing = "objects";
            object_round();
        } else {
            host_doing = "blocks";
            block_round();
        }
    }
    host_doing = "the end";
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (objects[i].p) {
            let_go(i);
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (blocks[i].page) {
            frame_free(blocks[i].page);
        }
    }
    REQUIRE(kmalloc_bytes() <= 14 * PAGE_SIZE); /* sizes of slabs */
    REQUIRE(frame_free_count() + kmalloc_bytes() / PAGE_SIZE == before);
    printf("slab_model: %lu rounds\n", (unsigned long)rounds);
    return 0;
}
