/* SPDX-License-Identifier: MIT */
/*
 * Replay at mount, in two passes over the log: the first finds the last transaction that is whole,
 * and what is revoked; the second writes blocks to their places. A transaction is whole when its
 * commit block is there and its checksums fit; with the first that is not, the log ends.
 */
#include "journal_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct revoked {
    uint64_t block;
    uint32_t sequence;
};

struct replay {
    struct ext4 *fs;
    struct journal *j;
    uint8_t *block, *data;
    bool write;   /* the second pass */
    uint32_t end; /* sequence of the first transaction that is not replayed */
    struct revoked *revoked;
    uint32_t revoked_count, revoked_room;
    uint32_t replayed;
};

static int log_read(struct replay *r, uint32_t at, uint8_t *block)
{
    return block_transfer(r->fs->device, BLOCK_READ,
                          journal_disk_block(r->j, at) << r->fs->block_bits, block,
                          r->fs->block_size);
}

static bool has_checksums(const struct journal *j)
{
    return j->features & (JFEATURE_CSUM_V2 | JFEATURE_CSUM_V3);
}

static bool tail_good(struct replay *r, uint8_t *block)
{
    uint32_t stored, size = r->fs->block_size;
    if (!has_checksums(r->j))
        return true;
    memcpy(&stored, block + size - 4, 4);
    memset(block + size - 4, 0, 4);
    return be32(stored) == crc32c(r->j->csum_seed, block, size);
}

static bool commit_good(struct replay *r, uint8_t *block)
{
    struct jb_commit *c = (struct jb_commit *)block;
    if (!has_checksums(r->j))
        return true;
    uint32_t stored = be32(c->checksum[0]);
    c->checksum[0] = 0;
    return stored == crc32c(r->j->csum_seed, block, r->fs->block_size);
}

struct tag {
    uint64_t block;
    uint32_t flags, checksum, size;
};

/* The tag at an offset; false: the block is broken. */
static bool tag_read(const struct replay *r, const uint8_t *block, uint32_t offset, struct tag *out)
{
    uint32_t end = r->fs->block_size - (has_checksums(r->j) ? 4 : 0);
    bool v3 = r->j->features & JFEATURE_CSUM_V3, wide = r->j->features & JFEATURE_64BIT;
    /* without CSUM_V3 a tag is 8 bytes, 12 with 64BIT, and two more with CSUM_V2 */
    uint32_t size = v3 ? 16 : 8 + (wide ? 4 : 0) + (r->j->features & JFEATURE_CSUM_V2 ? 2 : 0);
    if (offset + size > end)
        return false;
    if (v3) {
        struct jb_tag3 t;
        memcpy(&t, block + offset, sizeof t);
        out->block = be32(t.block);
        if (wide)
            out->block |= (uint64_t)be32(t.block_high) << 32;
        out->flags = be32(t.flags);
        out->checksum = be32(t.checksum);
    } else {
        struct jb_tag t = {0};
        memcpy(&t, block + offset, wide ? 12 : 8);
        out->block = be32(t.block);
        if (wide)
            out->block |= (uint64_t)be32(t.block_high) << 32;
        out->flags = __builtin_bswap16(t.flags);
        out->checksum = __builtin_bswap16(t.checksum);
    }
    out->size = size + (out->flags & TAG_SAME_UUID ? 0 : 16);
    return offset + out->size <= end || (out->flags & TAG_LAST);
}

static int by_block(const void *a, const void *b)
{
    const struct revoked *x = a, *y = b;
    return x->block < y->block ? -1 : x->block > y->block;
}

/* Sorted by block, each once, with the last transaction that revoked it. */
static void sort_revoked(struct replay *r)
{
    uint32_t kept = 0;
    if (r->revoked_count)
        qsort(r->revoked, r->revoked_count, sizeof *r->revoked, by_block);
    for (uint32_t i = 0; i < r->revoked_count; i++) {
        struct revoked *last = kept ? &r->revoked[kept - 1] : NULL;
        if (!last || last->block != r->revoked[i].block)
            r->revoked[kept++] = r->revoked[i];
        else if ((int32_t)(r->revoked[i].sequence - last->sequence) > 0)
            last->sequence = r->revoked[i].sequence;
    }
    r->revoked_count = kept;
}

static bool is_revoked(const struct replay *r, uint64_t block, uint32_t sequence)
{
    struct revoked key = {.block = block}, *found = NULL;
    if (r->revoked_count)
        found = bsearch(&key, r->revoked, r->revoked_count, sizeof key, by_block);
    return found && (int32_t)(found->sequence - sequence) >= 0;
}

static int add_revoked(struct replay *r, const uint8_t *block, uint32_t sequence)
{
    uint32_t size = r->j->features & JFEATURE_64BIT ? 8 : 4;
    uint32_t end = be32(((const struct jb_revoke *)block)->count);
    if (end > r->fs->block_size)
        return -EINVAL;
    for (uint32_t at = sizeof(struct jb_revoke); at + size <= end; at += size) {
        uint32_t narrow;
        uint64_t wide;
        if (r->revoked_count == r->revoked_room) {
            uint32_t room = r->revoked_room ? r->revoked_room * 2 : 64;
            struct revoked *more = realloc(r->revoked, room * sizeof *more);
            if (!more)
                return -ENOMEM;
            r->revoked = more;
            r->revoked_room = room;
        }
        memcpy(&narrow, block + at, 4);
        memcpy(&wide, block + at, size == 8 ? 8 : 4);
        r->revoked[r->revoked_count++] =
            (struct revoked){size == 8 ? __builtin_bswap64(wide) : be32(narrow), sequence};
    }
    return 0;
}

/* One logged block; EINVAL: its checksum does not fit. */
static int logged_block(struct replay *r, uint32_t at, const struct tag *t, uint32_t sequence)
{
    struct ext4 *fs = r->fs;
    uint32_t be_sequence = be32(sequence), magic = be32(JOURNAL_MAGIC);
    int error = log_read(r, at, r->data);
    if (error)
        return error;
    if (has_checksums(r->j)) {
        uint32_t crc = crc32c(crc32c(r->j->csum_seed, &be_sequence, 4), r->data, fs->block_size);
        if (t->checksum != (r->j->features & JFEATURE_CSUM_V3 ? crc : crc & 0xffff))
            return -EINVAL;
    }
    if (!r->write || is_revoked(r, t->block, sequence))
        return 0;
    if (t->flags & TAG_ESCAPED)
        memcpy(r->data, &magic, 4);
    if (t->block < fs->first_data_block || t->block >= fs->blocks)
        return ext4_damage(fs, "the journal names a block beyond the end", t->block);
    r->replayed++;
    return block_transfer(fs->device, BLOCK_WRITE, t->block << fs->block_bits, r->data,
                          fs->block_size);
}

/* The blocks that a descriptor describes; moves *at behind them. */
static int described(struct replay *r, uint32_t *at, uint32_t *left, uint32_t sequence)
{
    struct tag t = {0};
    if (!tail_good(r, r->block))
        return -EINVAL;
    for (uint32_t offset = sizeof(struct jb_header); !(t.flags & TAG_LAST); offset += t.size) {
        if (!tag_read(r, r->block, offset, &t))
            return -EINVAL;
        if (!*left)
            return -EINVAL;
        int error = logged_block(r, *at, &t, sequence);
        if (error)
            return error;
        *at = journal_next(r->j, *at);
        --*left;
    }
    return 0;
}

/* One pass; EINVAL inside of a transaction means: it is not whole. */
static int pass(struct replay *r)
{
    struct journal *j = r->j;
    uint32_t at = be32(j->super->start), sequence = be32(j->super->sequence);
    uint32_t left = j->end - j->first, whole_revoked = 0;
    int error = 0;
    while (left && !(r->write && sequence == r->end)) {
        struct jb_header *h = (struct jb_header *)r->block;
        error = log_read(r, at, r->block);
        if (error || be32(h->magic) != JOURNAL_MAGIC || be32(h->sequence) != sequence)
            break;
        uint32_t type = be32(h->type);
        at = journal_next(j, at);
        left--;
        if (type == JB_DESCRIPTOR) {
            error = described(r, &at, &left, sequence);
        } else if (type == JB_REVOKE && !r->write) {
            error = tail_good(r, r->block) ? add_revoked(r, r->block, sequence) : -EINVAL;
        } else if (type == JB_COMMIT) {
            if (!commit_good(r, r->block))
                break;
            sequence++;
            whole_revoked = r->revoked_count;
        } else if (type != JB_REVOKE) {
            break;
        }
        if (error)
            break;
    }
    if (!r->write) {
        r->end = sequence;
        r->revoked_count = whole_revoked;
        sort_revoked(r);
    }
    return error == -EINVAL ? 0 : error;
}

int journal_replay(struct ext4 *fs)
{
    struct journal *j = fs->journal;
    struct replay r = {.fs = fs, .j = j};
    if (!j->super->start)
        return 0;
    r.block = malloc(fs->block_size);
    r.data = malloc(fs->block_size);
    int error = r.block && r.data ? pass(&r) : -ENOMEM;
    if (!error) {
        r.write = true;
        error = pass(&r);
    }
    if (!error)
        error = block_flush(fs->device);
    if (!error) {
        /* nothing that is in the log may be taken for part of what comes */
        j->sequence = r.end + 1;
        fs->options.log("journal: %u blocks replayed", r.replayed);
        error = journal_write_super(fs, 0, j->sequence);
    }
    free(r.block);
    free(r.data);
    free(r.revoked);
    return error;
}
