/* SPDX-License-Identifier: MIT */
#include "tree.h"
#include <stddef.h>

static uint32_t next_rank(void)
{
    static uint32_t state = 0x9e3779b9; /* a lost update between CPUs only costs quality */
    uint32_t x = state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    state = x;
    return x;
}

static void replace_child(struct tree *t, struct tree_node *parent, struct tree_node *from,
                          struct tree_node *to)
{
    if (!parent) {
        t->root = to;
    } else if (parent->left == from) {
        parent->left = to;
    } else {
        parent->right = to;
    }
    if (to) {
        to->parent = parent;
    }
}

/* n rises over its parent. */
static void rotate_up(struct tree *t, struct tree_node *n)
{
    struct tree_node *p = n->parent;
    replace_child(t, p->parent, p, n);
    if (p->left == n) {
        p->left = n->right;
        if (n->right) {
            n->right->parent = p;
        }
        n->right = p;
    } else {
        p->right = n->left;
        if (n->left) {
            n->left->parent = p;
        }
        n->left = p;
    }
    p->parent = n;
}

static void link_at(struct tree *t, struct tree_node *parent, struct tree_node **link,
                    struct tree_node *n, uint64_t key)
{
    *n = (struct tree_node){.parent = parent, .key = key, .rank = next_rank(), .linked = true};
    *link = n;
    t->count++;
    while (n->parent && n->rank < n->parent->rank) {
        rotate_up(t, n);
    }
}

/* What ranks below it on the tree's right edge becomes its left subtree. */
void tree_append_copy(struct tree *t, struct tree_node *last, struct tree_node *n,
                      const struct tree_node *of)
{
    struct tree_node *parent = last, *left = NULL;
    while (parent && of->rank < parent->rank) {
        left = parent;
        parent = parent->parent;
    }
    *n = (struct tree_node){
        .left = left, .parent = parent, .key = of->key, .rank = of->rank, .linked = true};
    *(parent ? &parent->right : &t->root) = n;
    if (left) {
        left->parent = n;
    }
    if (!last) {
        t->first = n;
    }
    t->count++;
}

void tree_insert(struct tree *t, struct tree_node *n, uint64_t key)
{
    struct tree_node *parent = NULL, **link = &t->root;
    bool leftmost = true;
    while (*link) {
        parent = *link;
        if (key < parent->key) {
            link = &parent->left;
        } else {
            link = &parent->right;
            leftmost = false;
        }
    }
    if (leftmost) {
        t->first = n;
    }
    link_at(t, parent, link, n, key);
}

void tree_insert_after(struct tree *t, struct tree_node *before, struct tree_node *n, uint64_t key)
{
    struct tree_node *parent = before ? before : t->first;
    struct tree_node **link = !parent ? &t->root : before ? &before->right : &parent->left;
    while (*link) { /* in front of all that are behind `before` */
        parent = *link;
        link = &parent->left;
    }
    if (!before) {
        t->first = n;
    }
    link_at(t, parent, link, n, key);
}

void tree_remove(struct tree *t, struct tree_node *n)
{
    if (t->first == n) {
        t->first = tree_next(n);
    }
    while (n->left && n->right) {
        rotate_up(t, n->left->rank < n->right->rank ? n->left : n->right);
    }
    replace_child(t, n->parent, n, n->left ? n->left : n->right);
    n->linked = false;
    t->count--;
}

/*
 * The first has no left child, so its right one can take its place; ranks and balance matter no
 * more.
 */
struct tree_node *tree_drain(struct tree *t)
{
    struct tree_node *n = t->first, *next = n ? n->right : NULL;
    if (!n) {
        return NULL;
    }
    replace_child(t, n->parent, n, next);
    while (next && next->left) {
        next = next->left;
    }
    t->first = next ? next : n->parent;
    n->linked = false;
    t->count--;
    return n;
}

struct tree_node *tree_next(struct tree_node *n)
{
    if (n->right) {
        n = n->right;
        while (n->left) {
            n = n->left;
        }
        return n;
    }
    while (n->parent && n->parent->right == n) {
        n = n->parent;
    }
    return n->parent;
}
