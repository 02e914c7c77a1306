/* SPDX-License-Identifier: MIT */
/*
 * An ordered set of nodes by 64-bit key (equal keys keep arrival order): run queues and timers. A
 * treap: each node carries a random rank, and parents rank above children, so depth is logarithmic
 * whatever keys a hostile program chooses. Nodes are embedded; nothing is allocated; no recursion.
 * The caller locks.
 */
#ifndef KERNEL_TREE_H
#define KERNEL_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct tree_node {
    struct tree_node *left, *right, *parent;
    uint64_t key;
    uint32_t rank;
    bool linked;
};

struct tree {
    struct tree_node *root;
    struct tree_node *first; /* smallest key */
    uint64_t count;
};

void tree_insert(struct tree *t, struct tree_node *n, uint64_t key); /* n must not be linked */
/* the same for a key whose place is right behind `before`, a node of it; NULL: at the front */
void tree_insert_after(struct tree *t, struct tree_node *before, struct tree_node *n, uint64_t key);
/*
 * The same for a copy of a node of another tree, whose key is not below that of `last`, the tree's
 * last node (NULL: it is empty). A tree that is copied in order has the other's shape.
 */
void tree_append_copy(struct tree *t, struct tree_node *last, struct tree_node *n,
                      const struct tree_node *of);
void tree_remove(struct tree *t, struct tree_node *n); /* n must be linked in t */
struct tree_node *tree_next(struct tree_node *n);      /* NULL after the last */
/* The first is taken out of a tree that is emptied: only this may follow. NULL: it is empty. */
struct tree_node *tree_drain(struct tree *t);

#endif
