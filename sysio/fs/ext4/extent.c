/* SPDX-License-Identifier: MIT */
/*
 * The extent tree of a file, for reading: from a block of the file to a block of the disk. The root
 * is in the inode; each node below is a block. Every node is checked when it is visited.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <string.h>

#define ROOT_ENTRIES ((EXT4_N_BLOCKS * 4 - sizeof(struct ext4_extent_header)) / 12)

struct ext4_extent *extent_entries(struct ext4_extent_header *h)
{
    return (struct ext4_extent *)(h + 1);
}

struct ext4_extent_index *extent_indexes(struct ext4_extent_header *h)
{
    return (struct ext4_extent_index *)(h + 1);
}

uint32_t extent_count(const struct ext4_extent *e)
{
    return e->ee_len <= EXTENT_LEN_MAX ? e->ee_len : e->ee_len - EXTENT_LEN_MAX;
}

bool extent_unwritten(const struct ext4_extent *e)
{
    return e->ee_len > EXTENT_LEN_MAX;
}

uint64_t extent_disk(const struct ext4_extent *e)
{
    return e->ee_start_lo | (uint64_t)e->ee_start_hi << 32;
}

void extent_init_root(struct ext4_node *n)
{
    struct ext4_extent_header *h = (struct ext4_extent_header *)n->raw.i_block;
    memset(n->raw.i_block, 0, sizeof n->raw.i_block);
    h->eh_magic = EXTENT_MAGIC;
    h->eh_max = ROOT_ENTRIES;
    n->raw.i_flags |= INODE_EXTENTS;
}

/* Header and entries: in order, without overlap, within the file system. */
static bool node_good(struct ext4_node *n, struct ext4_extent_header *h, uint32_t room,
                      uint32_t depth)
{
    uint64_t next = 0;
    if (h->eh_magic != EXTENT_MAGIC || h->eh_depth != depth || !h->eh_max || h->eh_max > room ||
        h->eh_entries > h->eh_max)
        return false;
    for (uint32_t i = 0; i < h->eh_entries; i++) {
        if (depth) {
            const struct ext4_extent_index *x = &extent_indexes(h)[i];
            if (x->ei_block < next ||
                !blocks_valid(n->fs, x->ei_leaf_lo | (uint64_t)x->ei_leaf_hi << 32, 1))
                return false;
            next = (uint64_t)x->ei_block + 1;
        } else {
            const struct ext4_extent *e = &extent_entries(h)[i];
            uint32_t count = extent_count(e);
            if (!count || e->ee_block < next ||
                (uint64_t)e->ee_block + count > (uint64_t)EXTENT_BLOCK_MAX + 1 ||
                !blocks_valid(n->fs, extent_disk(e), count))
                return false;
            next = (uint64_t)e->ee_block + count;
        }
    }
    return true;
}

/* The last entry that begins at or before block; without one the first (of indexes). */
static uint32_t search(struct ext4_extent_header *h, uint64_t block)
{
    uint32_t low = 0, high = h->eh_entries;
    while (low < high) { /* both kinds of entries begin with their block */
        uint32_t middle = (low + high) / 2;
        if (extent_entries(h)[middle].ee_block <= block)
            low = middle + 1;
        else
            high = middle;
    }
    if (h->eh_depth)
        return low ? low - 1 : 0;
    return low - 1;
}

static int child_read(struct ext4_node *n, uint64_t block, uint32_t depth, struct extent_level *l)
{
    struct ext4 *fs = n->fs;
    int error = buf_read(fs, block, &l->buf);
    if (error)
        return error;
    struct ext4_extent_header *h = (struct ext4_extent_header *)l->buf->data;
    if (l->buf->kind != KIND_EXTENTS && !extents_check(n, l->buf->data)) {
        buf_put(l->buf);
        l->buf = NULL;
        return ext4_damage(fs, "the checksum of a block of extents", block);
    }
    if (!node_good(n, h, (fs->block_size - sizeof *h) / 12, depth) || !h->eh_entries) {
        buf_put(l->buf);
        l->buf = NULL;
        return ext4_damage(fs, "a block of extents", block);
    }
    l->buf->kind = KIND_EXTENTS;
    l->header = h;
    return 0;
}

void extent_path_put(struct extent_path *p)
{
    for (uint32_t i = 0; i <= EXTENT_DEPTH_MAX; i++) {
        buf_put(p->level[i].buf);
        p->level[i].buf = NULL;
    }
}

int extent_find(struct ext4_node *n, uint64_t block, struct extent_path *p)
{
    struct ext4_extent_header *h = (struct ext4_extent_header *)n->raw.i_block;
    memset(p, 0, sizeof *p);
    if (!(n->raw.i_flags & INODE_EXTENTS))
        return -EOPNOTSUPP;
    if (h->eh_depth > EXTENT_DEPTH_MAX || !node_good(n, h, ROOT_ENTRIES, h->eh_depth) ||
        (h->eh_depth && !h->eh_entries))
        return ext4_damage(n->fs, "the extents of an inode", n->ino);
    p->depth = h->eh_depth;
    p->level[0].header = h;
    for (uint32_t i = 0;; i++) {
        struct extent_level *l = &p->level[i];
        l->at = search(l->header, block);
        if (i == p->depth)
            return 0;
        const struct ext4_extent_index *x = &extent_indexes(l->header)[l->at];
        int error = child_read(n, x->ei_leaf_lo | (uint64_t)x->ei_leaf_hi << 32, p->depth - i - 1,
                               &p->level[i + 1]);
        if (error) {
            extent_path_put(p);
            return error;
        }
    }
}

/* Where the extent after the path's begins. */
static uint64_t next_block(const struct extent_path *p)
{
    const struct extent_level *l = &p->level[p->depth];
    if (l->at + 1 < l->header->eh_entries) /* also for at == UINT32_MAX */
        return extent_entries(l->header)[l->at + 1].ee_block;
    for (uint32_t i = p->depth; i-- > 0;) {
        l = &p->level[i];
        if (l->at + 1 < l->header->eh_entries)
            return extent_indexes(l->header)[l->at + 1].ei_block;
    }
    return (uint64_t)EXTENT_BLOCK_MAX + 1;
}

int extent_map(struct ext4_node *n, uint64_t block, struct extent *out)
{
    struct extent_path p;
    int error = extent_find(n, block, &p);
    if (error)
        return error;
    const struct extent_level *l = &p.level[p.depth];
    const struct ext4_extent *e = l->at == UINT32_MAX ? NULL : &extent_entries(l->header)[l->at];
    *out = (struct extent){.block = block};
    if (e && block - e->ee_block < extent_count(e)) {
        uint64_t into = block - e->ee_block;
        out->count = extent_count(e) - into;
        out->disk = extent_disk(e) + into;
        out->state = extent_unwritten(e) ? EXTENT_UNWRITTEN : EXTENT_WRITTEN;
    } else {
        uint64_t next = next_block(&p);
        out->count = next > block ? next - block : 1;
    }
    extent_path_put(&p);
    return 0;
}
