/* SPDX-License-Identifier: MIT */
/*
 * Growing a file system to the size of its device: the last group gets the blocks that it lacked,
 * and new groups follow, with their bitmaps and inode tables inside them. All of it is one
 * transaction. What is in memory still has the old size afterwards: unmount and mount again.
 *
 * The new groups' descriptors lie in the descriptor blocks that there are; what these cannot hold
 * (more than 8 GiB, with one block of 4 KiB) is left alone. Linux and e2fsck look at the copies of
 * super block and descriptors only when the originals are lost, and resize2fs renews them; here
 * they stay as they are. More descriptor blocks than a transaction may have are left to resize2fs.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORTH_A_GROUP 64u /* blocks for files, less than which are not worth a group's tables */

static uint32_t descriptor_blocks(const struct ext4 *fs)
{
    return (fs->groups + fs->desc_per_block - 1) / fs->desc_per_block;
}

static uint32_t table_blocks(const struct ext4 *fs)
{
    return fs->inodes_per_group / (fs->block_size / fs->inode_size);
}

/* What a group has for itself. */
static uint32_t own_blocks(const struct ext4 *fs, uint32_t group)
{
    return group_base_blocks(fs, group) + 2 + table_blocks(fs);
}

static uint32_t groups_of(const struct ext4 *fs, uint64_t blocks)
{
    return (uint32_t)((blocks - fs->first_data_block + fs->blocks_per_group - 1) /
                      fs->blocks_per_group);
}

/* How many blocks the file system should have; what it has, when there is nothing to gain. */
static uint64_t wanted_blocks(const struct ext4 *fs)
{
    uint64_t device = fs->device->size >> fs->block_bits,
             groups = (uint64_t)descriptor_blocks(fs) * fs->desc_per_block,
             most = UINT32_MAX / fs->inodes_per_group;
    groups = groups < most ? groups : most;
    uint64_t limit = fs->first_data_block + groups * fs->blocks_per_group;
    uint64_t wanted = device < limit ? device : limit;
    if (!fs->has_64bit && wanted > UINT32_MAX)
        wanted = UINT32_MAX;
    if (wanted <= fs->blocks)
        return fs->blocks;
    uint32_t tail = (uint32_t)((wanted - fs->first_data_block) % fs->blocks_per_group),
             last = groups_of(fs, wanted) - 1;
    if (tail && last >= fs->groups && tail < own_blocks(fs, last) + WORTH_A_GROUP)
        wanted -= tail;
    return wanted;
}

bool ext4_can_grow(const struct ext4 *fs)
{
    return !fs->read_only && fs->has_csum && descriptor_blocks(fs) + 3 <= TX_CREDITS_MAX &&
           wanted_blocks(fs) > fs->blocks;
}

static void free_set(struct ext4 *fs, uint32_t group, uint32_t count)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    d->bg_free_blocks_lo = (uint16_t)count;
    if (fs->desc_size >= 64)
        d->bg_free_blocks_hi = (uint16_t)(count >> 16);
}

/* The bits of the last group's bitmap that stood for blocks behind the end. */
static int bitmap_extend(struct ext4 *fs, uint32_t group, uint32_t from, uint32_t end)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    struct buf *b;
    if (d->bg_flags & BG_BLOCK_UNINIT)
        return 0;
    int error = buf_read(fs, fs->group[group].block_bitmap, &b);
    if (error)
        return error;
    if (!bitmap_check(fs, group, false, b->data)) {
        error = ext4_damage(fs, "the checksum of a block bitmap", group);
    } else {
        bits_clear(b->data, from, end - from);
        error = seal_bitmap(b, group, false);
    }
    buf_put(b);
    return error;
}

static int extend_last(struct ext4 *fs, uint32_t group, uint32_t from)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    uint32_t end = group_blocks(fs, group),
             left = group_get16(d->bg_free_blocks_lo, d->bg_free_blocks_hi, fs);
    if (from >= end)
        return 0;
    int error = bitmap_extend(fs, group, from, end);
    if (error)
        return error;
    free_set(fs, group, left + end - from);
    fs->free_blocks += end - from;
    return group_changed(fs, group);
}

/*
 * The bitmap of the last group when that is new and not whole: Linux does not make one of itself.
 * It is on the disk before the transaction, in which it cannot be: a replay does not know the new
 * size yet. *out is to be freed; NULL: none is needed.
 */
static int bitmap_prepare(struct ext4 *fs, uint64_t wanted, uint8_t **out)
{
    uint32_t group = groups_of(fs, wanted) - 1;
    uint64_t first = group_first_block(fs, group);
    uint32_t blocks = (uint32_t)(wanted - first), base = group_base_blocks(fs, group);
    *out = NULL;
    if (group < fs->groups || blocks == fs->blocks_per_group)
        return 0;
    *out = calloc(1, fs->block_size);
    if (!*out)
        return -ENOMEM;
    bits_set(*out, 0, own_blocks(fs, group));
    bits_set(*out, blocks, fs->block_size * 8 - blocks);
    int error = block_transfer(fs->device, BLOCK_WRITE, (first + base) << fs->block_bits, *out,
                               fs->block_size);
    return error ? error : block_flush(fs->device);
}

/* bitmap: of the last group, see bitmap_prepare() */
static int group_add(struct ext4 *fs, uint32_t group, const uint8_t *bitmap)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    uint32_t blocks = group_blocks(fs, group), used = own_blocks(fs, group),
             inodes = fs->inodes_per_group;
    uint64_t at = group_first_block(fs, group) + group_base_blocks(fs, group);
    bool whole = blocks == fs->blocks_per_group, large = fs->desc_size >= 64;
    int error = journal_change(fs, fs->desc_bufs[group / fs->desc_per_block]);
    if (error)
        return error;
    memset(d, 0, fs->desc_size);
    d->bg_block_bitmap_lo = (uint32_t)at;
    d->bg_inode_bitmap_lo = (uint32_t)(at + 1);
    d->bg_inode_table_lo = (uint32_t)(at + 2);
    d->bg_free_inodes_lo = d->bg_itable_unused_lo = (uint16_t)inodes;
    d->bg_flags = BG_INODE_UNINIT | (whole ? BG_BLOCK_UNINIT : 0);
    if (large) {
        d->bg_block_bitmap_hi = (uint32_t)(at >> 32);
        d->bg_inode_bitmap_hi = (uint32_t)((at + 1) >> 32);
        d->bg_inode_table_hi = (uint32_t)((at + 2) >> 32);
        d->bg_free_inodes_hi = d->bg_itable_unused_hi = (uint16_t)(inodes >> 16);
    }
    free_set(fs, group, blocks - used);
    fs->free_blocks += blocks - used;
    fs->free_inodes += inodes;
    if (!whole)
        bitmap_set_checksum(fs, group, false, bitmap);
    d->bg_checksum = group_checksum(fs, group, d); /* fs->group does not have it yet */
    return 0;
}

static void super_grow(struct ext4 *fs, uint32_t groups)
{
    struct ext4_super *s = fs->super;
    s->s_blocks_count_lo = (uint32_t)fs->blocks;
    if (fs->has_64bit)
        s->s_blocks_count_hi = (uint32_t)(fs->blocks >> 32);
    s->s_inodes_count = groups * fs->inodes_per_group;
    s->s_overhead_clusters = 0; /* whoever wants to know counts */
    super_counts(fs);
}

int ext4_grow(struct ext4 *fs)
{
    fiber_lock(&fs->lock);
    uint64_t wanted = wanted_blocks(fs);
    uint32_t last = fs->groups - 1, from = group_blocks(fs, last), groups = groups_of(fs, wanted);
    uint8_t *bitmap = NULL;
    int error = ext4_can_grow(fs) ? bitmap_prepare(fs, wanted, &bitmap) : -ENOSPC;
    if (!error)
        error = tx_begin(fs, descriptor_blocks(fs) + 3);
    if (!error) {
        fs->blocks = wanted;
        error = extend_last(fs, last, from);
        for (uint32_t g = last + 1; g < groups && !error; g++)
            error = group_add(fs, g, bitmap);
        if (!error)
            super_grow(fs, groups);
        error = tx_end(fs, error);
    }
    free(bitmap);
    fiber_unlock(&fs->lock);
    return error;
}
