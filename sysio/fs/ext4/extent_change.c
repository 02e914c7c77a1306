/* SPDX-License-Identifier: MIT */
/*
 * Changes of an extent tree. An insertion that finds its leaf full first makes room, one level at a
 * time: each step (the root moves into a block, a node splits) leaves a valid tree, after which the
 * way is searched anew. So a step that finds no free block leaves nothing to be undone.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int level_changed(struct ext4_node *n, struct extent_level *l)
{
    return l->buf ? seal_extents(n, l->buf) : 0; /* the caller writes the inode */
}

/* The first block of a node has changed: so do the keys that lead to it. */
static int keys_correct(struct ext4_node *n, struct extent_path *p, uint32_t level)
{
    for (; level; level--) {
        struct extent_level *up = &p->level[level - 1];
        uint32_t first = extent_entries(p->level[level].header)[0].ee_block;
        if (extent_indexes(up->header)[up->at].ei_block == first)
            return 0;
        extent_indexes(up->header)[up->at].ei_block = first;
        int error = level_changed(n, up);
        if (error)
            return error;
        if (up->at)
            return 0;
    }
    return 0;
}

/* A block for a node of the tree. */
static int node_allocate(struct ext4_node *n, struct buf **out)
{
    struct ext4 *fs = n->fs;
    uint64_t block;
    uint32_t got;
    int error = blocks_allocate(fs, n->goal, 1, &block, &got);
    if (error)
        return error;
    error = buf_new(fs, block, out);
    if (error)
        return error;
    (*out)->kind = KIND_EXTENTS;
    node_add_blocks(n, 1);
    struct ext4_extent_header *h = (struct ext4_extent_header *)(*out)->data;
    h->eh_magic = EXTENT_MAGIC;
    h->eh_max = (uint16_t)((fs->block_size - sizeof *h) / 12);
    return 0;
}

static struct ext4_extent_index index_to(uint32_t first, uint64_t block)
{
    return (struct ext4_extent_index){first, (uint32_t)block, (uint16_t)(block >> 32), 0};
}

/* The root's entries move into a block; the root leads to it. */
static int root_grow(struct ext4_node *n)
{
    struct ext4_extent_header *root = (struct ext4_extent_header *)n->raw.i_block;
    struct buf *b;
    if (root->eh_depth == EXTENT_DEPTH_MAX)
        return -ENOSPC;
    int error = node_allocate(n, &b);
    if (error)
        return error;
    struct ext4_extent_header *h = (struct ext4_extent_header *)b->data;
    h->eh_entries = root->eh_entries;
    h->eh_depth = root->eh_depth;
    memcpy(h + 1, root + 1, root->eh_entries * 12u);
    extent_indexes(root)[0] = index_to(extent_entries(h)[0].ee_block, b->block);
    root->eh_entries = 1;
    root->eh_depth++;
    error = seal_extents(n, b);
    buf_put(b);
    return error;
}

static void entry_insert(struct ext4_extent_header *h, uint32_t at, const void *entry)
{
    uint8_t *place = (uint8_t *)(h + 1) + at * 12u;
    memmove(place + 12, place, (h->eh_entries - at) * 12u);
    memcpy(place, entry, 12);
    h->eh_entries++;
}

static void entry_remove(struct ext4_extent_header *h, uint32_t at)
{
    uint8_t *place = (uint8_t *)(h + 1) + at * 12u;
    h->eh_entries--;
    memmove(place, place + 12, (h->eh_entries - at) * 12u);
}

/*
 * The full node at `level` gives its upper half to a new one, which its parent has room for. Files
 * grow at their end: there the new node gets one entry, so that the old ones stay full.
 */
static int node_split(struct ext4_node *n, struct extent_path *p, uint32_t level)
{
    struct extent_level *l = &p->level[level], *up = &p->level[level - 1];
    uint32_t entries = l->header->eh_entries;
    bool end = l->at + 1 == entries;
    uint32_t keep = end ? entries - 1 : entries / 2;
    struct buf *b;
    if (entries < 2)
        return ext4_damage(n->fs, "a node of extents that is full with one", n->ino);
    int error = node_allocate(n, &b);
    if (error)
        return error;
    struct ext4_extent_header *h = (struct ext4_extent_header *)b->data;
    h->eh_depth = l->header->eh_depth;
    h->eh_entries = (uint16_t)(entries - keep);
    memcpy(h + 1, (uint8_t *)(l->header + 1) + keep * 12u, h->eh_entries * 12u);
    l->header->eh_entries = (uint16_t)keep;
    struct ext4_extent_index x = index_to(extent_entries(h)[0].ee_block, b->block);
    entry_insert(up->header, up->at + 1, &x);
    error = seal_extents(n, b);
    buf_put(b);
    if (!error)
        error = level_changed(n, l);
    return error ? error : level_changed(n, up);
}

/* One step towards room in the leaf. */
static int make_room(struct ext4_node *n, struct extent_path *p)
{
    for (uint32_t level = p->depth; level; level--) {
        struct ext4_extent_header *up = p->level[level - 1].header;
        if (up->eh_entries < up->eh_max)
            return node_split(n, p, level);
    }
    return root_grow(n);
}

static struct ext4_extent extent_of(uint64_t block, uint64_t disk, uint32_t count, bool unwritten)
{
    return (struct ext4_extent){(uint32_t)block,
                                (uint16_t)(count + (unwritten ? EXTENT_LEN_MAX : 0)),
                                (uint16_t)(disk >> 32), (uint32_t)disk};
}

/* b follows a on the disk and in the file, and both fit into one. */
static bool joins(const struct ext4_extent *a, const struct ext4_extent *b)
{
    uint32_t count = extent_count(a) + extent_count(b);
    return extent_unwritten(a) == extent_unwritten(b) && count < EXTENT_LEN_MAX &&
           (uint64_t)a->ee_block + extent_count(a) == b->ee_block &&
           extent_disk(a) + extent_count(a) == extent_disk(b);
}

static void lengthen(struct ext4_extent *e, uint32_t count)
{
    e->ee_len = (uint16_t)(e->ee_len + count);
}

/* Joins entry `at` of the leaf with its neighbours. */
static void join_around(struct ext4_extent_header *h, uint32_t at)
{
    struct ext4_extent *e = extent_entries(h);
    if (at + 1 < h->eh_entries && joins(&e[at], &e[at + 1])) {
        lengthen(&e[at], extent_count(&e[at + 1]));
        entry_remove(h, at + 1);
    }
    if (at && joins(&e[at - 1], &e[at])) {
        lengthen(&e[at - 1], extent_count(&e[at]));
        entry_remove(h, at);
    }
}

/* Into the leaf of a path; ENOSPC: it is full. */
static int leaf_insert(struct ext4_node *n, struct extent_path *p, const struct ext4_extent *new)
{
    struct extent_level *leaf = &p->level[p->depth];
    struct ext4_extent_header *h = leaf->header;
    struct ext4_extent *e = extent_entries(h);
    uint32_t at = leaf->at + 1;
    if (at && (uint64_t)e[at - 1].ee_block + extent_count(&e[at - 1]) > new->ee_block)
        return ext4_damage(n->fs, "extents overlap", n->ino);
    if (at && joins(&e[at - 1], new)) {
        lengthen(&e[at - 1], extent_count(new));
        join_around(h, at - 1);
    } else if (at < h->eh_entries && joins(new, &e[at])) {
        uint32_t count = extent_count(&e[at]);
        e[at] = *new;
        lengthen(&e[at], count);
    } else {
        if (h->eh_entries == h->eh_max)
            return -ENOSPC;
        entry_insert(h, at, new);
    }
    int error = level_changed(n, leaf);
    return error ? error : keys_correct(n, p, p->depth);
}

int extent_insert(struct ext4_node *n, uint64_t block, uint64_t disk, uint32_t count,
                  bool unwritten)
{
    struct ext4_extent new = extent_of(block, disk, count, unwritten);
    n->mapped = n->fs->tx_number;
    for (uint32_t steps = 0; steps < 4 * EXTENT_DEPTH_MAX; steps++) {
        struct extent_path p;
        int error = extent_find(n, block, &p);
        if (error)
            return error;
        error = leaf_insert(n, &p, &new);
        if (error != -ENOSPC) {
            extent_path_put(&p);
            return error;
        }
        error = make_room(n, &p);
        extent_path_put(&p);
        if (error)
            return error;
    }
    return ext4_damage(n->fs, "an extent tree that does not grow", n->ino);
}

/* ---- remove ---- */

/* The entry at the end of the path goes, with all nodes that are empty then. */
static int entry_drop(struct ext4_node *n, struct extent_path *p)
{
    for (uint32_t level = p->depth;; level--) {
        struct extent_level *l = &p->level[level];
        entry_remove(l->header, l->at);
        if (!level) {
            if (!l->header->eh_entries)
                l->header->eh_depth = 0;
            return 0;
        }
        if (l->header->eh_entries) {
            int error = level_changed(n, l);
            return error || l->at ? error : keys_correct(n, p, level);
        }
        uint64_t block = l->buf->block;
        buf_put(l->buf);
        l->buf = NULL;
        int error = block_free_metadata(n->fs, block);
        if (error)
            return error;
        node_add_blocks(n, -1);
    }
}

/*
 * Takes [from, end) out of the leaf entry of the path, which it overlaps. A hole in the middle
 * needs an entry more.
 */
static int entry_cut(struct ext4_node *n, struct extent_path *p, uint64_t from, uint64_t end)
{
    struct extent_level *leaf = &p->level[p->depth];
    struct ext4_extent *e = &extent_entries(leaf->header)[leaf->at];
    uint64_t first = e->ee_block, disk = extent_disk(e);
    uint32_t count = extent_count(e);
    bool unwritten = extent_unwritten(e);
    from = from < first ? first : from;
    end = end > first + count ? first + count : end;
    if (from == first && end == first + count)
        return entry_drop(n, p);
    if (from > first) {
        *e = extent_of(first, disk, (uint32_t)(from - first), unwritten);
        int error = level_changed(n, leaf);
        if (error || end == first + count)
            return error;
        error =
            extent_insert(n, end, disk + (end - first), (uint32_t)(first + count - end), unwritten);
        if (error == -ENOSPC) { /* nodes may have split: the entry is searched anew */
            struct extent_path again;
            if (extent_find(n, first, &again))
                return -EIO;
            leaf = &again.level[again.depth];
            extent_entries(leaf->header)[leaf->at] = extent_of(first, disk, count, unwritten);
            if (level_changed(n, leaf))
                error = -EIO;
            extent_path_put(&again);
        }
        return error;
    }
    *e = extent_of(end, disk + (end - first), (uint32_t)(first + count - end), unwritten);
    int error = level_changed(n, leaf);
    return error || leaf->at ? error : keys_correct(n, p, p->depth);
}

/* A directory's blocks are metadata: they may be in the journal. */
static int contents_free(struct ext4_node *n, uint64_t disk, uint64_t count)
{
    int error = 0;
    if (node_type(n) != S_IFDIR)
        return blocks_free(n->fs, disk, count);
    for (; count && !error; count--, disk++)
        error = block_free_metadata(n->fs, disk);
    return error;
}

/* The last extent that overlaps [from, end): its overlap goes. 1: there was one. */
static int remove_last(struct ext4_node *n, uint64_t from, uint64_t end)
{
    struct extent_path p;
    int error = extent_find(n, end - 1, &p);
    if (error)
        return error;
    struct extent_level *leaf = &p.level[p.depth];
    const struct ext4_extent *e =
        leaf->at == UINT32_MAX ? NULL : &extent_entries(leaf->header)[leaf->at];
    uint64_t last = e ? (uint64_t)e->ee_block + extent_count(e) : 0;
    if (!e || last <= from) {
        extent_path_put(&p);
        return 0;
    }
    uint64_t first = from > e->ee_block ? from : e->ee_block;
    last = last < end ? last : end;
    uint64_t disk = extent_disk(e) + (first - e->ee_block);
    error = entry_cut(n, &p, first, last);
    extent_path_put(&p);
    if (!error)
        error = contents_free(n, disk, last - first);
    if (!error)
        node_add_blocks(n, -(int64_t)(last - first));
    return error ? error : 1;
}

int extent_remove(struct ext4_node *n, uint64_t from, uint64_t end)
{
    while (from < end) {
        int error = node_write(n);
        if (!error)
            error = tx_more(n->fs, 32);
        n->mapped = n->fs->tx_number;
        if (!error)
            error = remove_last(n, from, end);
        if (error <= 0)
            return error ? error : node_write(n);
    }
    return 0;
}

int extent_convert(struct ext4_node *n, uint64_t block, uint32_t count)
{
    struct extent_path p;
    n->mapped = n->fs->tx_number;
    int error = extent_find(n, block, &p);
    if (error)
        return error;
    struct extent_level *leaf = &p.level[p.depth];
    struct ext4_extent *e = leaf->at == UINT32_MAX ? NULL : &extent_entries(leaf->header)[leaf->at];
    if (!e || !extent_unwritten(e) || block - e->ee_block >= extent_count(e) ||
        count > extent_count(e) - (block - e->ee_block)) {
        extent_path_put(&p);
        return ext4_damage(n->fs, "an extent that is to be written", n->ino);
    }
    uint64_t disk = extent_disk(e) + (block - e->ee_block);
    bool whole = block == e->ee_block && count == extent_count(e);
    if (whole) {
        *e = extent_of(block, disk, count, false);
        join_around(leaf->header, leaf->at);
        error = level_changed(n, leaf);
    } else {
        error = entry_cut(n, &p, block, block + count);
    }
    extent_path_put(&p);
    if (whole || error)
        return error;
    error = extent_insert(n, block, disk, count, false);
    if (error == -ENOSPC && !blocks_free(n->fs, disk, count)) /* then it is a hole */
        node_add_blocks(n, -(int64_t)count);
    return error;
}
