/* SPDX-License-Identifier: MIT */
/*
 * The pages of a memory object: a radix tree of 64-way nodes that is as high as the largest page
 * number needs; height 0 is the single page 0. An entry is a page's physical address, and in the
 * bits below it what vmo_paged.c notes of the page. Everything with vmo.lock.
 */
#include "frame.h"
#include "vmo_impl.h"

#define BITS   VMO_TREE_BITS
#define FANOUT (1u << BITS)

struct node {
    uint64_t entry[FANOUT]; /* height 1: a page; above: struct node * */
};

static unsigned height_for(uint64_t page)
{
    unsigned h = 0;
    for (; page; page >>= BITS) {
        h++;
    }
    return h;
}

uint64_t *vmo_tree_find(struct vmo *v, uint64_t page)
{
    if (height_for(page) > v->height) {
        return NULL;
    }
    uint64_t *slot = (uint64_t *)&v->tree;
    for (unsigned h = v->height; h && *slot; h--) {
        slot = &((struct node *)*slot)->entry[page >> (h - 1) * BITS & (FANOUT - 1)];
    }
    return *slot ? slot : NULL;
}

uint64_t vmo_tree_get(const struct vmo *v, uint64_t page)
{
    const uint64_t *slot = vmo_tree_find((struct vmo *)v, page);
    return slot ? *slot : 0;
}

uint64_t *vmo_tree_slot(struct vmo *v, uint64_t page)
{
    while (v->height < height_for(page)) {
        if (v->tree) {
            struct node *n = kzalloc(sizeof(*n));
            if (!n) {
                return NULL;
            }
            n->entry[0] = (uint64_t)v->tree;
            v->tree = n;
        }
        v->height++;
    }
    uint64_t *slot = (uint64_t *)&v->tree;
    for (unsigned h = v->height; h; h--) {
        if (!*slot) {
            *slot = (uint64_t)kzalloc(sizeof(struct node));
            if (!*slot) {
                return NULL;
            }
        }
        slot = &((struct node *)*slot)->entry[page >> (h - 1) * BITS & (FANOUT - 1)];
    }
    return slot;
}

/* Skips empty subtrees. */
uint64_t vmo_tree_take_next(struct vmo *v, uint64_t *page, uint64_t end)
{
    while (*page < end && height_for(*page) <= v->height && v->tree) {
        uint64_t *slot = (uint64_t *)&v->tree;
        unsigned h = v->height;
        for (; h && *slot; h--) {
            slot = &((struct node *)*slot)->entry[*page >> (h - 1) * BITS & (FANOUT - 1)];
        }
        if (*slot) {
            uint64_t found = *slot;
            *slot = 0;
            return found;
        }
        uint64_t step = 1ull << h * BITS;
        *page = (*page | (step - 1)) + 1;
    }
    *page = end;
    return 0;
}

void vmo_tree_free_nodes(struct vmo *v)
{
    struct node *stack[12];
    unsigned at[12], depth = 0;
    if (!v->height || !v->tree) {
        return;
    }
    stack[0] = v->tree;
    at[0] = 0;
    for (;;) {
        unsigned level = v->height - depth;
        if (level > 1 && at[depth] < FANOUT) {
            struct node *child = (struct node *)stack[depth]->entry[at[depth]++];
            if (child) {
                stack[++depth] = child;
                at[depth] = 0;
            }
            continue;
        }
        kfree(stack[depth]);
        if (!depth--) {
            break;
        }
    }
    v->tree = NULL;
}
