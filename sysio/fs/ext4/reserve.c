/* SPDX-License-Identifier: MIT */
/*
 * Space that is kept for what will be appended to a file, so that it cannot fail for want of it.
 * Kept blocks are only counted: nobody else may take the last ones. An append spends of them what
 * it takes, data and metadata; the rest is enough for the rest.
 */
#include "ext4_impl.h"

#include <errno.h>

#define METADATA \
    24u /* blocks of the extents of what is appended: two leaves that part, to the root */
#define PLENTY 64u /* so many times as much has to be there */

uint64_t reserve_give_up(struct ext4_node *n)
{
    uint64_t kept = n->reserved;
    n->fs->reserved -= kept;
    n->reserved = 0;
    return kept;
}

static void keep(struct ext4_node *n, uint64_t blocks)
{
    n->fs->reserved += blocks;
    n->reserved = blocks;
}

static int reserve(struct ext4_node *n, uint64_t bytes)
{
    struct ext4 *fs = n->fs;
    uint64_t blocks = (bytes >> fs->block_bits) + 1 + METADATA;
    int error = data_writable(n);
    if (error)
        return error;
    if (n->size + bytes > (uint64_t)EXTENT_BLOCK_MAX << fs->block_bits)
        return -EFBIG;
    uint64_t kept = reserve_give_up(n);
    if (blocks_available(fs) / PLENTY < blocks) {
        keep(n, kept);
        return -ENOSPC;
    }
    keep(n, blocks);
    return 0;
}

int ext4_reserve(struct ext4_node *n, uint64_t bytes)
{
    int error = 0;
    fiber_lock(&n->fs->lock);
    if (bytes)
        error = reserve(n, bytes);
    else
        reserve_give_up(n);
    fiber_unlock(&n->fs->lock);
    return error;
}

int64_t ext4_append(struct ext4_node *n, uint64_t size, ext4_mover *move, void *context)
{
    struct ext4 *fs = n->fs;
    fiber_lock(&fs->lock);
    uint64_t kept = reserve_give_up(n), before = fs->free_blocks;
    int64_t result = data_put(n, n->size, size, move, context);
    uint64_t spent = before > fs->free_blocks ? before - fs->free_blocks : 0;
    keep(n, kept > spent ? kept - spent : 0);
    fiber_unlock(&fs->lock);
    return result;
}
