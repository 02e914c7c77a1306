/* SPDX-License-Identifier: MIT */
/*
 * When checksums of metadata are computed: once for each commit, not with each change. A block that
 * is changed notes what its checksum will be of (struct buf_seal); before a transaction is written,
 * all its blocks are sealed. A checksum of 4 KiB costs more than most changes, and a busy bitmap or
 * directory changes thousands of times between two commits.
 *
 * Until then a block in memory has a stale checksum. Nobody looks at it: a block stays in memory
 * while it is logged, and its checksum is verified only when it has been read from the disk
 * (buf.kind); of inodes, see seal_awaited().
 */
#include "ext4_impl.h"
#include "journal_impl.h"

int seal_bitmap(struct buf *b, uint32_t group, bool inodes)
{
    b->seal =
        (struct buf_seal){.kind = inodes ? KIND_INODE_BITMAP : KIND_BLOCK_BITMAP, .seed = group};
    return journal_change(b->fs, b);
}

int seal_inode(struct buf *b, uint32_t ino, uint32_t offset)
{
    uint32_t index = offset / b->fs->inode_size;
    b->seal.kind = KIND_PLAIN;
    b->seal.seed = ino - index;
    b->seal.inodes |= 1u << index;
    return journal_change(b->fs, b);
}

bool seal_awaited(const struct buf *b, uint32_t offset)
{
    return b->seal.inodes >> (offset / b->fs->inode_size) & 1;
}

int seal_directory(struct ext4_node *dir, struct buf *b)
{
    b->kind = KIND_DIRECTORY;
    b->seal = (struct buf_seal){.kind = KIND_DIRECTORY, .seed = dir->csum_seed};
    return journal_change(b->fs, b);
}

int seal_index(struct ext4_node *dir, struct buf *b, uint32_t entries)
{
    b->seal = (struct buf_seal){.kind = KIND_INDEX, .seed = dir->csum_seed, .offset = entries};
    return journal_change(b->fs, b);
}

int seal_extents(struct ext4_node *n, struct buf *b)
{
    b->seal = (struct buf_seal){.kind = KIND_EXTENTS, .seed = n->csum_seed};
    return journal_change(b->fs, b);
}

static void inodes_seal(struct buf *b)
{
    struct ext4 *fs = b->fs;
    for (uint32_t i = 0; b->seal.inodes >> i; i++) {
        if (b->seal.inodes >> i & 1)
            inode_set_checksum(fs, b->seal.seed + i, b->data + i * fs->inode_size);
        if (i == 31)
            break;
    }
}

static void buf_seal(struct buf *b)
{
    const struct buf_seal *s = &b->seal;
    switch (s->kind) {
    case KIND_BLOCK_BITMAP:
    case KIND_INODE_BITMAP:
        bitmap_set_checksum(b->fs, s->seed, s->kind == KIND_INODE_BITMAP, b->data);
        break;
    case KIND_PLAIN:
        inodes_seal(b);
        break;
    case KIND_DIRECTORY:
        dir_set_checksum(b->fs, s->seed, b->data);
        break;
    case KIND_INDEX:
        index_set_checksum(b->fs, s->seed, b->data, s->offset);
        break;
    case KIND_EXTENTS:
        extents_set_checksum(b->fs, s->seed, b->data);
        break;
    }
    b->seal = (struct buf_seal){.kind = KIND_NONE};
}

void seal_all(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    if (fs->has_csum)
        for (uint32_t i = 0; i < j->tx_count; i++)
            buf_seal(j->tx[i]);
    /* the descriptors, which hold the checksums of bitmaps, come after these */
    for (uint32_t g = 0; groups_have_checksums(fs) && g < fs->groups; g++) {
        struct ext4_group_desc *d = group_desc(fs, g);
        if (fs->group[g].unsealed)
            d->bg_checksum = group_checksum(fs, g, d);
        fs->group[g].unsealed = false;
    }
}
