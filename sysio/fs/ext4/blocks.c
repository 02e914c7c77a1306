/* SPDX-License-Identifier: MIT */
/*
 * Which blocks are in use: a bitmap for each group. What the running transaction frees is noted in
 * a second bitmap in memory (`held`) and not given out before the commit: until then a crash brings
 * the old owner back.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Groups looked at for a run of full length, before the longest that was seen is taken. */
#define GROUPS_SEARCHED 16u

bool bit_test(const uint8_t *map, uint32_t bit)
{
    return map[bit / 8] >> bit % 8 & 1;
}

void bits_set(uint8_t *map, uint32_t bit, uint32_t count)
{
    for (; count; count--, bit++)
        map[bit / 8] |= (uint8_t)(1u << bit % 8);
}

void bits_clear(uint8_t *map, uint32_t bit, uint32_t count)
{
    for (; count; count--, bit++)
        map[bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

uint32_t bits_find(const uint8_t *map, uint32_t from, uint32_t end, bool set)
{
    uint64_t skip = set ? 0 : ~0ull;
    while (from < end) {
        uint64_t word;
        if (from % 64 == 0 && end - from >= 64) {
            memcpy(&word, map + from / 8, 8);
            if (word == skip) {
                from += 64;
                continue;
            }
        }
        if (bit_test(map, from) == set)
            return from;
        from++;
    }
    return end;
}

static uint32_t free_get(struct ext4 *fs, uint32_t group)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    return group_get16(d->bg_free_blocks_lo, d->bg_free_blocks_hi, fs);
}

/* After a change of `count` bits of the bitmap. */
static int account(struct ext4 *fs, uint32_t group, struct buf *bitmap, int64_t count)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    int64_t left = (int64_t)free_get(fs, group) - count;
    if (left < 0 || left > group_blocks(fs, group))
        return ext4_damage(fs, "the free blocks of a group", group);
    d->bg_free_blocks_lo = (uint16_t)left;
    if (fs->desc_size >= 64)
        d->bg_free_blocks_hi = (uint16_t)(left >> 16);
    d->bg_flags &= (uint16_t)~BG_BLOCK_UNINIT;
    fs->free_blocks = (uint64_t)((int64_t)fs->free_blocks - count);
    int error = seal_bitmap(bitmap, group, false);
    return error ? error : group_changed(fs, group);
}

/* The bitmap of a group that was never used: its own structures, and what is behind the end. */
static void bitmap_init(struct ext4 *fs, uint32_t group, uint8_t *map)
{
    uint64_t first = group_first_block(fs, group);
    uint32_t blocks = group_blocks(fs, group);
    memset(map, 0, fs->block_size);
    for (uint32_t i = 0; i < fs->system_count; i++) {
        uint64_t from = fs->system[i].first, end = fs->system[i].end;
        if (end <= first || from >= first + blocks)
            continue;
        from = from < first ? first : from;
        end = end > first + blocks ? first + blocks : end;
        bits_set(map, (uint32_t)(from - first), (uint32_t)(end - from));
    }
    bits_set(map, blocks, fs->block_size * 8 - blocks);
}

static int bitmap_read(struct ext4 *fs, uint32_t group, struct buf **out)
{
    struct ext4_group_desc *d = group_desc(fs, group);
    int error = buf_read(fs, fs->group[group].block_bitmap, out);
    if (error || (*out)->kind == KIND_BLOCK_BITMAP)
        return error;
    if ((d->bg_flags & BG_BLOCK_UNINIT) && groups_have_checksums(fs)) {
        bitmap_init(fs, group, (*out)->data);
    } else if (!bitmap_check(fs, group, false, (*out)->data)) {
        buf_put(*out);
        return ext4_damage(fs, "the checksum of a block bitmap", group);
    }
    (*out)->kind = KIND_BLOCK_BITMAP;
    return 0;
}

/* The first run of `want` free bits from `from` on, else the longest; its length. */
static uint32_t search(const uint8_t *map, const uint8_t *held, uint32_t from, uint32_t end,
                       uint32_t want, uint32_t *at)
{
    uint32_t best = 0;
    while ((from = bits_find(map, from, end, false)) < end) {
        uint32_t limit = end - from > want ? from + want : end;
        uint32_t stop = bits_find(map, from, limit, true);
        if (held && bit_test(held, from)) {
            from = bits_find(held, from, end, false);
            continue;
        }
        if (held)
            stop = bits_find(held, from, stop, true);
        if (stop - from > best) {
            best = stop - from;
            *at = from;
            if (best == want)
                break;
        }
        from = stop;
    }
    return best;
}

static int take(struct ext4 *fs, uint32_t group, uint32_t at, uint32_t count, uint64_t *first)
{
    struct buf *bitmap;
    int error = bitmap_read(fs, group, &bitmap);
    if (error)
        return error;
    *first = group_first_block(fs, group) + at;
    if (!blocks_valid(fs, *first, count)) {
        error = ext4_damage(fs, "a block bitmap has the file system's own as free", *first);
    } else {
        bits_set(bitmap->data, at, count);
        error = account(fs, group, bitmap, count);
    }
    buf_put(bitmap);
    return error;
}

uint64_t blocks_available(const struct ext4 *fs)
{
    uint64_t kept = fs->held_blocks + fs->reserved;
    return fs->free_blocks > kept ? fs->free_blocks - kept : 0;
}

int blocks_allocate(struct ext4 *fs, uint64_t goal, uint32_t want, uint64_t *first, uint32_t *got)
{
    uint32_t best = 0, best_group = 0, best_at = 0, searched = 0;
    uint64_t available = blocks_available(fs);
    if (!available)
        return -ENOSPC;
    want = want < available ? want : (uint32_t)available;
    if (goal < fs->first_data_block || goal >= fs->blocks)
        goal = fs->first_data_block;
    uint32_t start = (uint32_t)((goal - fs->first_data_block) / fs->blocks_per_group);
    uint32_t offset = (uint32_t)((goal - fs->first_data_block) % fs->blocks_per_group);
    /* the goal's group twice: from the goal on, then all of it */
    for (uint32_t i = 0; i <= fs->groups && best < want; i++) {
        uint32_t group = (uint32_t)(((uint64_t)start + i) % fs->groups), at = 0;
        struct buf *bitmap;
        if (!free_get(fs, group) || (best && searched >= GROUPS_SEARCHED))
            continue;
        int error = bitmap_read(fs, group, &bitmap);
        if (error)
            return error;
        uint32_t found = search(bitmap->data, fs->group[group].held, i ? 0 : offset,
                                group_blocks(fs, group), want, &at);
        buf_put(bitmap);
        searched++;
        if (!i && found && at == offset) { /* exactly there: better than longer elsewhere */
            *got = found;
            return take(fs, group, at, found, first);
        }
        if (found > best) {
            best = found;
            best_group = group;
            best_at = at;
        }
    }
    if (!best)
        return -ENOSPC;
    *got = best;
    return take(fs, best_group, best_at, best, first);
}

static int free_in_group(struct ext4 *fs, uint32_t group, uint32_t at, uint32_t count)
{
    struct buf *bitmap;
    struct group *g = &fs->group[group];
    int error = bitmap_read(fs, group, &bitmap);
    if (error)
        return error;
    if (!g->held) {
        g->held = calloc(1, fs->block_size);
        fs->held_groups += g->held != NULL;
    }
    if (!g->held) {
        error = -ENOMEM;
    } else if (bits_find(bitmap->data, at, at + count, false) != at + count) {
        error = ext4_damage(fs, "a block is freed twice", group_first_block(fs, group) + at);
    } else {
        bits_clear(bitmap->data, at, count);
        bits_set(g->held, at, count);
        fs->held_blocks += count;
        error = account(fs, group, bitmap, -(int64_t)count);
    }
    buf_put(bitmap);
    return error;
}

int blocks_free(struct ext4 *fs, uint64_t first, uint64_t count)
{
    if (!blocks_valid(fs, first, count))
        return ext4_damage(fs, "a block that is no file's is freed", first);
    while (count) {
        uint64_t relative = first - fs->first_data_block;
        uint32_t group = (uint32_t)(relative / fs->blocks_per_group);
        uint32_t at = (uint32_t)(relative % fs->blocks_per_group);
        uint32_t n = fs->blocks_per_group - at;
        n = n < count ? n : (uint32_t)count;
        int error = free_in_group(fs, group, at, n);
        if (error)
            return error;
        first += n;
        count -= n;
    }
    return 0;
}

int block_free_metadata(struct ext4 *fs, uint64_t block)
{
    int error = blocks_free(fs, block, 1);
    if (!error)
        error = journal_revoke(fs, block);
    if (!error)
        buf_forget(fs, block);
    return error;
}

void blocks_release_held(struct ext4 *fs)
{
    fs->held_blocks = 0;
    for (uint32_t g = 0; fs->held_groups && g < fs->groups; g++) {
        if (!fs->group[g].held)
            continue;
        free(fs->group[g].held);
        fs->group[g].held = NULL;
        fs->held_groups--;
    }
}
