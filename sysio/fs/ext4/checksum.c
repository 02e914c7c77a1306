/* SPDX-License-Identifier: MIT */
/*
 * Checksums of metadata: crc32c over the structure and over what tells where it belongs (the file
 * system, the inode or group), so that a good block in a wrong place is found too.
 */
#include "ext4_impl.h"

#include <string.h>

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */
#define CRC16_POLYNOMIAL  0xa001u     /* reflected */

static uint32_t table[8][256];

static void table_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? CRC32C_POLYNOMIAL : 0);
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

uint32_t crc32c(uint32_t seed, const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t c = seed;
    if (!table[0][1])
        table_init();
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + 4, 4);
        low ^= c;
        c = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^
            table[4][low >> 24] ^ table[3][high & 255] ^ table[2][high >> 8 & 255] ^
            table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    while (size--)
        c = c >> 8 ^ table[0][(c ^ *p++) & 255];
    return c;
}

static uint16_t crc16(uint16_t c, const void *data, size_t size)
{
    for (const uint8_t *p = data; size--; p++) {
        c ^= *p;
        for (int k = 0; k < 8; k++)
            c = (uint16_t)(c >> 1 ^ (c & 1 ? CRC16_POLYNOMIAL : 0));
    }
    return c;
}

static uint32_t crc_u32(uint32_t seed, uint32_t value)
{
    return crc32c(seed, &value, 4);
}

uint32_t super_checksum(const struct ext4_super *s)
{
    return crc32c(~0u, s, offsetof(struct ext4_super, s_checksum));
}

uint16_t group_checksum(struct ext4 *fs, uint32_t group, const struct ext4_group_desc *d)
{
    size_t at = offsetof(struct ext4_group_desc, bg_checksum), after = at + 2;
    if (fs->has_csum) {
        uint16_t zero = 0;
        uint32_t c = crc_u32(fs->csum_seed, group);
        c = crc32c(c, d, at);
        c = crc32c(c, &zero, 2);
        c = crc32c(c, (const uint8_t *)d + after, fs->desc_size - after);
        return (uint16_t)c;
    }
    uint16_t c = crc16(0xffff, fs->super->s_uuid, 16);
    c = crc16(c, &group, 4);
    c = crc16(c, d, at);
    return crc16(c, (const uint8_t *)d + after, fs->desc_size - after);
}

static uint32_t bitmap_checksum(struct ext4 *fs, bool inodes, const uint8_t *bitmap)
{
    return crc32c(fs->csum_seed, bitmap,
                  (inodes ? fs->inodes_per_group : fs->blocks_per_group) / 8);
}

void bitmap_set_checksum(struct ext4 *fs, uint32_t group, bool inodes, const uint8_t *bitmap)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    if (!fs->has_csum)
        return;
    uint32_t c = bitmap_checksum(fs, inodes, bitmap);
    *(inodes ? &d->bg_inode_bitmap_csum_lo : &d->bg_block_bitmap_csum_lo) = (uint16_t)c;
    if (fs->desc_size >= 64)
        *(inodes ? &d->bg_inode_bitmap_csum_hi : &d->bg_block_bitmap_csum_hi) = (uint16_t)(c >> 16);
}

bool bitmap_check(struct ext4 *fs, uint32_t group, bool inodes, const uint8_t *bitmap)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    if (!fs->has_csum)
        return true;
    uint32_t c = bitmap_checksum(fs, inodes, bitmap);
    uint32_t low = inodes ? d->bg_inode_bitmap_csum_lo : d->bg_block_bitmap_csum_lo;
    if (fs->desc_size < 64)
        return low == (c & 0xffff);
    uint32_t high = inodes ? d->bg_inode_bitmap_csum_hi : d->bg_block_bitmap_csum_hi;
    return (low | high << 16) == c;
}

uint32_t node_csum_seed(struct ext4 *fs, uint32_t ino, uint32_t generation)
{
    return crc_u32(crc_u32(fs->csum_seed, ino), generation);
}

uint32_t inode_checksum(struct ext4 *fs, uint32_t ino, const uint8_t *raw)
{
    const struct ext4_inode *i = (const struct ext4_inode *)raw;
    size_t low = offsetof(struct ext4_inode, i_checksum_lo);
    size_t high = offsetof(struct ext4_inode, i_checksum_hi);
    uint16_t zero = 0;
    uint32_t c = crc32c(node_csum_seed(fs, ino, i->i_generation), raw, low);
    c = crc32c(c, &zero, 2);
    c = crc32c(c, raw + low + 2, EXT4_OLD_INODE - low - 2);
    if (fs->inode_size == EXT4_OLD_INODE)
        return c & 0xffff;
    c = crc32c(c, raw + EXT4_OLD_INODE, high - EXT4_OLD_INODE);
    if (i->i_extra_isize < 4) {
        c = crc32c(c, raw + high, fs->inode_size - high);
        return c & 0xffff;
    }
    c = crc32c(c, &zero, 2);
    return crc32c(c, raw + high + 2, fs->inode_size - high - 2);
}

void inode_set_checksum(struct ext4 *fs, uint32_t ino, uint8_t *raw)
{
    struct ext4_inode *i = (struct ext4_inode *)raw;
    uint32_t c = inode_checksum(fs, ino, raw);
    i->i_checksum_lo = (uint16_t)c;
    if (fs->inode_size > EXT4_OLD_INODE && i->i_extra_isize >= 4)
        i->i_checksum_hi = (uint16_t)(c >> 16);
}

/* The tail of a block of extents follows the last possible entry. */
static uint32_t extents_tail(const struct ext4 *fs, const uint8_t *block)
{
    const struct ext4_extent_header *h = (const struct ext4_extent_header *)block;
    uint32_t at = (uint32_t)(sizeof *h + h->eh_max * sizeof(struct ext4_extent));
    return at + 4 <= fs->block_size ? at : 0;
}

void extents_set_checksum(struct ext4 *fs, uint32_t seed, uint8_t *block)
{
    uint32_t at = extents_tail(fs, block);
    if (!fs->has_csum || !at)
        return;
    uint32_t c = crc32c(seed, block, at);
    memcpy(block + at, &c, 4);
}

bool extents_check(struct ext4_node *n, const uint8_t *block)
{
    uint32_t at = extents_tail(n->fs, block);
    if (!n->fs->has_csum)
        return true;
    if (!at)
        return false;
    uint32_t c = crc32c(n->csum_seed, block, at);
    return !memcmp(block + at, &c, 4);
}

static struct ext4_dirent_tail *dir_tail(const struct ext4 *fs, const uint8_t *block)
{
    return (struct ext4_dirent_tail *)(uintptr_t)(block + fs->block_size - DIRENT_TAIL_SIZE);
}

void dir_set_checksum(struct ext4 *fs, uint32_t seed, uint8_t *block)
{
    if (fs->has_csum)
        dir_tail(fs, block)->checksum = crc32c(seed, block, fs->block_size - DIRENT_TAIL_SIZE);
}

bool dir_check(struct ext4_node *n, const uint8_t *block)
{
    struct ext4_dirent_tail *t = dir_tail(n->fs, block);
    if (!n->fs->has_csum)
        return true;
    return !t->zero && t->rec_len == DIRENT_TAIL_SIZE && !t->zero_name_len &&
           t->type == DIRENT_TAIL_TYPE &&
           t->checksum == crc32c(n->csum_seed, block, n->fs->block_size - DIRENT_TAIL_SIZE);
}

/* The tail of an index block: behind the room of its last entry; 0: there is none. */
static uint32_t index_checksum(const struct ext4 *fs, uint32_t seed, const uint8_t *block,
                               uint32_t entries, uint32_t *tail)
{
    const struct ext4_dx_count *c = (const struct ext4_dx_count *)(block + entries);
    uint32_t at = entries + c->limit * 8u, zero = 0;
    *tail = at + 8 <= fs->block_size && c->count <= c->limit ? at : 0;
    if (!*tail)
        return 0;
    uint32_t crc = crc32c(seed, block, entries + c->count * 8u);
    crc = crc32c(crc, block + at, 4);
    return crc32c(crc, &zero, 4);
}

void index_set_checksum(struct ext4 *fs, uint32_t seed, uint8_t *block, uint32_t entries)
{
    uint32_t tail;
    if (!fs->has_csum)
        return;
    uint32_t c = index_checksum(fs, seed, block, entries, &tail);
    if (tail)
        memcpy(block + tail + 4, &c, 4);
}

bool index_check(struct ext4_node *n, const uint8_t *block, uint32_t entries)
{
    uint32_t tail;
    if (!n->fs->has_csum)
        return true;
    uint32_t c = index_checksum(n->fs, n->csum_seed, block, entries, &tail);
    return tail && !memcmp(block + tail + 4, &c, 4);
}

uint32_t xattr_checksum(struct ext4 *fs, uint64_t block, const uint8_t *data)
{
    size_t at = offsetof(struct ext4_xattr_header, h_checksum);
    uint32_t zero = 0;
    uint32_t c = crc32c(fs->csum_seed, &block, 8);
    c = crc32c(c, data, at);
    c = crc32c(c, &zero, 4);
    return crc32c(c, data + at + 4, fs->block_size - at - 4);
}
