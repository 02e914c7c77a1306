/* SPDX-License-Identifier: MIT */
/*
 * Which inodes are in use: a bitmap for each group. Files go where their directory is, so that what
 * is used together is near; directories of the root are spread over the groups, those below stay
 * near their parent while there is room.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <string.h>

int inode_place(struct ext4 *fs, uint32_t ino, uint64_t *block, uint32_t *offset)
{
    if (!ino || ino > fs->inodes)
        return ext4_damage(fs, "an inode's number", ino);
    uint32_t group = (ino - 1) / fs->inodes_per_group, index = (ino - 1) % fs->inodes_per_group;
    uint32_t per_block = fs->block_size / fs->inode_size;
    *block = fs->group[group].inode_table + index / per_block;
    *offset = index % per_block * fs->inode_size;
    return 0;
}

static int bitmap_read(struct ext4 *fs, uint32_t group, struct buf **out)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    int error = buf_read(fs, fs->group[group].inode_bitmap, out);
    if (error || (*out)->kind == KIND_INODE_BITMAP)
        return error;
    if ((d->bg_flags & BG_INODE_UNINIT) && groups_have_checksums(fs)) {
        memset((*out)->data, 0, fs->block_size);
        bits_set((*out)->data, fs->inodes_per_group, fs->block_size * 8 - fs->inodes_per_group);
    } else if (!bitmap_check(fs, group, true, (*out)->data)) {
        buf_put(*out);
        return ext4_damage(fs, "the checksum of an inode bitmap", group);
    }
    (*out)->kind = KIND_INODE_BITMAP;
    return 0;
}

static uint32_t free_get(struct ext4 *fs, uint32_t group)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    return group_get16(d->bg_free_inodes_lo, d->bg_free_inodes_hi, fs);
}

static uint32_t free_blocks_get(struct ext4 *fs, uint32_t group)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    return group_get16(d->bg_free_blocks_lo, d->bg_free_blocks_hi, fs);
}

/* The counts of a group after `index` was taken (+1) or freed (-1). */
static int account(struct ext4 *fs, uint32_t group, struct buf *bitmap, uint32_t index,
                   bool directory, int change)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    uint32_t left = free_get(fs, group) - (uint32_t)change;
    uint32_t directories = group_get16(d->bg_used_dirs_lo, d->bg_used_dirs_hi, fs);
    uint32_t unused = group_get16(d->bg_itable_unused_lo, d->bg_itable_unused_hi, fs);
    directories += directory ? (uint32_t)change : 0;
    if (left > fs->inodes_per_group || directories > fs->inodes_per_group ||
        unused > fs->inodes_per_group)
        return ext4_damage(fs, "the counts of inodes of a group", group);
    if (change > 0 && groups_have_checksums(fs)) {
        unused = d->bg_flags & BG_INODE_UNINIT ? fs->inodes_per_group : unused;
        if (index >= fs->inodes_per_group - unused)
            unused = fs->inodes_per_group - index - 1;
        d->bg_flags &= (uint16_t)~BG_INODE_UNINIT;
    }
    d->bg_free_inodes_lo = (uint16_t)left;
    d->bg_used_dirs_lo = (uint16_t)directories;
    d->bg_itable_unused_lo = (uint16_t)unused;
    if (fs->desc_size >= 64) {
        d->bg_free_inodes_hi = (uint16_t)(left >> 16);
        d->bg_used_dirs_hi = (uint16_t)(directories >> 16);
        d->bg_itable_unused_hi = (uint16_t)(unused >> 16);
    }
    fs->free_inodes -= (uint64_t)(int64_t)change;
    int error = seal_bitmap(bitmap, group, true);
    return error ? error : group_changed(fs, group);
}

/* Of the groups that are not fuller than the average, the one with most free blocks. */
static uint32_t spread(struct ext4 *fs, uint32_t fallback)
{
    uint64_t average = fs->free_inodes / fs->groups;
    uint32_t best = fallback, best_blocks = 0;
    for (uint32_t g = 0; g < fs->groups; g++) {
        if (free_get(fs, g) >= average && free_get(fs, g) && free_blocks_get(fs, g) > best_blocks) {
            best = g;
            best_blocks = free_blocks_get(fs, g);
        }
    }
    return best;
}

int inode_allocate(struct ext4 *fs, struct ext4_node *parent, bool directory, uint32_t *ino)
{
    uint32_t start = (parent->ino - 1) / fs->inodes_per_group;
    if (directory &&
        (parent->ino == EXT4_ROOT_INO || free_get(fs, start) * 8 < fs->inodes_per_group))
        start = spread(fs, start);
    for (uint32_t i = 0; i < fs->groups; i++) {
        uint32_t group = (uint32_t)(((uint64_t)start + i) % fs->groups);
        struct buf *bitmap;
        if (!free_get(fs, group))
            continue;
        int error = bitmap_read(fs, group, &bitmap);
        if (error)
            return error;
        uint32_t from = group ? 0 : fs->first_ino - 1;
        uint32_t index = from < fs->inodes_per_group
                             ? bits_find(bitmap->data, from, fs->inodes_per_group, false)
                             : fs->inodes_per_group;
        if (index == fs->inodes_per_group) {
            buf_put(bitmap);
            continue;
        }
        bits_set(bitmap->data, index, 1);
        error = account(fs, group, bitmap, index, directory, 1);
        buf_put(bitmap);
        *ino = group * fs->inodes_per_group + index + 1;
        return error;
    }
    return -ENOSPC;
}

int inode_free(struct ext4 *fs, uint32_t ino, bool directory)
{
    uint32_t group = (ino - 1) / fs->inodes_per_group, index = (ino - 1) % fs->inodes_per_group;
    struct buf *bitmap;
    if (ino < fs->first_ino || ino > fs->inodes)
        return ext4_damage(fs, "an inode is freed that is no file's", ino);
    int error = bitmap_read(fs, group, &bitmap);
    if (error)
        return error;
    if (!bit_test(bitmap->data, index)) {
        error = ext4_damage(fs, "an inode is freed twice", ino);
    } else {
        bits_clear(bitmap->data, index, 1);
        error = account(fs, group, bitmap, index, directory, -1);
    }
    buf_put(bitmap);
    return error;
}
