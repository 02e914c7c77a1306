/* SPDX-License-Identifier: MIT */
/*
 * Metadata blocks in memory: a hash table by block number, and lists of those that may leave: the
 * ones to which nobody refers, and which need not be written, neither logged nor dirty. One list is
 * of blocks that came only because they lie beside one that was asked for; the other is of those
 * that were asked for, by last use. Neighbours get a part of the cache, and so do not push out what
 * is used, however many come.
 */
#include "../../base/spare.h"
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AROUND     (32u << 10) /* bytes that one request for a block brings */
#define NEIGHBOURS 8u          /* one in so many blocks may be one that nobody asked for */
#define KEPT       4u          /* one in so many stays when memory is short */

static struct spares spares = {.size = sizeof(struct buf)};

/* Blocks of one bitmap word's worth share a part of the table, so that it is a few cache lines. */
static struct buf **bucket(struct ext4 *fs, uint64_t block)
{
    uint64_t hash = (block >> 6) * 0x9e3779b97f4a7c15ull >> 40;
    return &fs->buf_hash[(uint32_t)(hash << 6 | (block & 63)) & (fs->buf_hash_size - 1)];
}

static void list_remove(struct ext4 *fs, struct buf *b)
{
    struct buf_list *l = &fs->buf_lists[b->neighbour];
    *(b->newer ? &b->newer->older : &l->newest) = b->older;
    *(b->older ? &b->older->newer : &l->oldest) = b->newer;
    l->count--;
}

static void list_add(struct ext4 *fs, struct buf *b)
{
    struct buf_list *l = &fs->buf_lists[b->neighbour];
    b->newer = NULL;
    b->older = l->newest;
    *(b->older ? &b->older->newer : &l->oldest) = b;
    l->newest = b;
    l->count++;
}

static bool may_leave(const struct buf *b)
{
    return !b->refs && !b->logged && !b->dirty;
}

/* Whole pages are of the pool that files' pages come from, which gives them back. */
static bool data_new(struct buf *b)
{
    const struct ext4_memory *m = b->fs->options.memory;
    if (m && b->fs->block_size == PAGE_BYTES)
        b->data = m->page();
    b->pooled = b->data;
    if (!b->data)
        b->data = malloc(b->fs->block_size);
    return b->data;
}

static void buf_free(struct buf *b)
{
    if (b->pooled)
        b->fs->options.memory->page_free(b->data);
    else
        free(b->data);
    spare_give(&spares, b);
}

/* Of one that may leave: it is in a list. */
static void buf_destroy(struct ext4 *fs, struct buf *b)
{
    struct buf **link = bucket(fs, b->block);
    while (*link != b)
        link = &(*link)->hash_next;
    *link = b->hash_next;
    list_remove(fs, b);
    fs->buf_count--;
    buf_free(b);
}

int cache_init(struct ext4 *fs)
{
    uint64_t max = fs->options.cache_bytes >> fs->block_bits;
    fs->buf_max = max < 64 ? 64 : max > 1u << 20 ? 1u << 20 : (uint32_t)max;
    fs->buf_hash_size = 64;
    while (fs->buf_hash_size < fs->buf_max)
        fs->buf_hash_size *= 2;
    fs->buf_hash = calloc(fs->buf_hash_size, sizeof *fs->buf_hash);
    return fs->buf_hash ? 0 : -ENOMEM;
}

void cache_free(struct ext4 *fs)
{
    for (uint32_t i = 0; i < fs->buf_hash_size; i++) {
        struct buf *next;
        for (struct buf *b = fs->buf_hash[i]; b; b = next) {
            next = b->hash_next;
            buf_free(b);
        }
    }
    free(fs->buf_hash);
}

struct buf *buf_find(struct ext4 *fs, uint64_t block)
{
    struct buf *b = *bucket(fs, block);
    while (b && b->block != block)
        b = b->hash_next;
    return b;
}

static uint32_t bufs_evict(struct ext4 *fs, uint32_t count, uint32_t left)
{
    struct buf_list *used = &fs->buf_lists[false], *neighbours = &fs->buf_lists[true];
    uint32_t evicted = 0;
    while (evicted < count && fs->buf_count > left) {
        bool many = neighbours->count > fs->buf_max / NEIGHBOURS;
        struct buf *b = many || !used->oldest ? neighbours->oldest : used->oldest;
        if (!b)
            break;
        buf_destroy(fs, b);
        evicted++;
    }
    return evicted;
}

uint32_t bufs_reclaim(struct ext4 *fs, uint32_t count)
{
    return bufs_evict(fs, count, fs->buf_max / KEPT);
}

void buf_trim(struct ext4 *fs)
{
    const struct ext4_memory *m = fs->options.memory;
    bufs_evict(fs, UINT32_MAX, fs->buf_max);
    if (fs->buf_count > fs->buf_max / KEPT && m && m->low())
        bufs_reclaim(fs, 2);
}

static int buf_get(struct ext4 *fs, uint64_t block, struct buf **out)
{
    struct buf *b = buf_find(fs, block);
    if (b) {
        if (may_leave(b))
            list_remove(fs, b);
        b->neighbour = false;
    } else {
        if (block >= fs->blocks)
            return ext4_damage(fs, "a block beyond the end", block);
        buf_trim(fs);
        b = spare_take(&spares);
        if (!b)
            return -ENOMEM;
        b->fs = fs;
        if (!data_new(b)) {
            spare_give(&spares, b);
            return -ENOMEM;
        }
        b->block = block;
        b->hash_next = *bucket(fs, block);
        *bucket(fs, block) = b;
        fs->buf_count++;
    }
    b->refs++;
    *out = b;
    return 0;
}

static void filled(struct buf *b)
{
    b->valid = true;
    b->kind = KIND_NONE;
}

/* Adds the reads of b and of the blocks around it that are not here. */
static uint32_t add_around(struct ext4 *fs, struct buf *b, struct block_batch *batch,
                           struct buf **others)
{
    uint64_t window = AROUND >> fs->block_bits, count = 0;
    uint64_t first = b->block & ~(window - 1);
    uint64_t end = first + window < fs->blocks ? first + window : fs->blocks;
    for (uint64_t at = first; at < end; at++) {
        struct buf *other = b;
        if (at != b->block) {
            if (buf_find(fs, at) || buf_get(fs, at, &other))
                continue;
            others[count++] = other;
        }
        block_batch_add(batch, BLOCK_READ, at << fs->block_bits, other->data, fs->block_size);
    }
    return (uint32_t)count;
}

/*
 * Inodes, directories and bitmaps of what is used together lie together, and to wait for a request
 * takes longer than a larger one does. What is around may be anything, also a file's bytes: a block
 * that becomes metadata later is made by buf_new(), which does not look at what is here.
 */
static int read_around(struct ext4 *fs, struct buf *b)
{
    struct buf *others[AROUND / 1024];
    struct block_batch batch;
    block_batch_begin(&batch, fs->device);
    uint32_t count = add_around(fs, b, &batch, others);
    int error = block_batch_wait(&batch);
    for (uint32_t i = 0; i < count; i++) {
        if (!error)
            filled(others[i]);
        others[i]->neighbour = true;
        buf_put(others[i]);
        if (error && may_leave(others[i]))
            buf_destroy(fs, others[i]);
    }
    return error;
}

int buf_read(struct ext4 *fs, uint64_t block, struct buf **out)
{
    int error = buf_get(fs, block, out);
    if (error || (*out)->valid)
        return error;
    error = read_around(fs, *out);
    if (error) /* of this block, or of another one */
        error = block_transfer(fs->device, BLOCK_READ, block << fs->block_bits, (*out)->data,
                               fs->block_size);
    if (error) {
        buf_put(*out);
        return error;
    }
    filled(*out);
    return 0;
}

int buf_new(struct ext4 *fs, uint64_t block, struct buf **out)
{
    struct buf *b = buf_find(fs, block);
    if (b && (b->refs || b->logged))
        return ext4_damage(fs, "a block is in use twice", block);
    int error = buf_get(fs, block, out);
    if (error)
        return error;
    memset((*out)->data, 0, fs->block_size);
    filled(*out);
    return 0;
}

void buf_put(struct buf *b)
{
    if (!b)
        return;
    b->refs--;
    if (may_leave(b))
        list_add(b->fs, b);
}

void buf_set_dirty(struct buf *b, bool dirty)
{
    b->fs->buf_dirty += dirty - b->dirty;
    b->logged = false;
    b->dirty = dirty;
    if (may_leave(b))
        list_add(b->fs, b);
}

void buf_forget(struct ext4 *fs, uint64_t block)
{
    struct buf *b = buf_find(fs, block);
    if (!b)
        return;
    b->forgotten = b->logged;
    if (!b->logged && b->dirty)
        buf_set_dirty(b, false);
    if (may_leave(b))
        buf_destroy(fs, b);
}

bool cache_has_many_dirty(const struct ext4 *fs)
{
    const struct ext4_memory *m = fs->options.memory;
    return fs->buf_dirty > fs->buf_max / 4 * 3 ||
           (fs->buf_dirty > fs->buf_max / KEPT && m && m->low());
}

static int by_block(const void *a, const void *b)
{
    const struct buf *const *x = a, *const *y = b;
    return (*x)->block < (*y)->block ? -1 : (*x)->block > (*y)->block;
}

int cache_write(struct ext4 *fs)
{
    uint32_t count = 0;
    struct buf **dirty = malloc((fs->buf_dirty + 1) * sizeof(struct buf *));
    if (!dirty)
        return -ENOMEM;
    for (uint32_t i = 0; i < fs->buf_hash_size; i++)
        for (struct buf *b = fs->buf_hash[i]; b; b = b->hash_next)
            if (b->dirty)
                dirty[count++] = b;
    qsort(dirty, count, sizeof(struct buf *), by_block);
    struct block_batch batch;
    block_batch_begin(&batch, fs->device);
    for (uint32_t i = 0; i < count; i++)
        block_batch_add(&batch, BLOCK_WRITE, dirty[i]->block << fs->block_bits, dirty[i]->data,
                        fs->block_size);
    int error = block_batch_wait(&batch);
    for (uint32_t i = 0; i < count && !error; i++)
        buf_set_dirty(dirty[i], false);
    free(dirty);
    return error;
}
