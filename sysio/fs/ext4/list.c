/* SPDX-License-Identifier: MIT */
/*
 * Listing a directory. Where there may be an index, now or soon, entries are told in the order of
 * their hashes, and the cookie is the hash: so who lists while others create and remove sees each
 * entry that stays exactly once, though it may move to another block. Else the cookie is the place.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t key;
    struct ext4_dirent *dirent;
};

struct collection {
    struct ext4_node *dir;
    uint32_t version;
    struct buf **bufs; /* whose bytes the entries are */
    uint32_t buf_count;
    struct entry *entries; /* twice the room: see sort() */
    uint32_t count, room;
};

typedef bool tell(void *context, uint64_t ino, uint64_t next, unsigned type, const char *name,
                  size_t length);

static unsigned type_of(const struct ext4_dirent *e)
{
    static const uint8_t types[] = {0, 8, 4, 2, 6, 1, 12, 10}; /* DT_* */
    return e->file_type < sizeof types ? types[e->file_type] : 0;
}

static bool is_dots(const struct ext4_dirent *e)
{
    return (e->name_len == 1 && e->name[0] == '.') ||
           (e->name_len == 2 && e->name[0] == '.' && e->name[1] == '.');
}

static void collection_end(struct collection *c)
{
    while (c->buf_count)
        buf_put(c->bufs[--c->buf_count]);
    free(c->bufs);
    free(c->entries);
    c->bufs = NULL;
    c->entries = NULL;
    c->count = c->room = 0;
}

static int collect_entry(struct collection *c, struct ext4_dirent *e, uint64_t from)
{
    struct dir_hash hash;
    if (!e->inode || !e->name_len || is_dots(e))
        return 0;
    if (!dir_hash(c->dir->fs, c->version, e->name, e->name_len, &hash))
        return -EIO;
    uint64_t key = (uint64_t)(hash.major >> 1) << 32 | hash.minor;
    if (key < from)
        return 0;
    if (c->count == c->room) {
        uint32_t room = c->room ? c->room * 2 : 128;
        struct entry *entries = realloc(c->entries, 2 * room * sizeof *entries);
        if (!entries)
            return -ENOMEM;
        c->entries = entries;
        c->room = room;
    }
    c->entries[c->count++] = (struct entry){key, e};
    return 0;
}

static int collect_block(struct collection *c, uint32_t block, uint64_t from)
{
    uint32_t space = dir_space(c->dir->fs);
    struct buf **bufs = realloc(c->bufs, (c->buf_count + 1) * sizeof *bufs);
    struct ext4_dirent *e;
    if (!bufs)
        return -ENOMEM;
    c->bufs = bufs;
    int error = dir_block(c->dir, block, &bufs[c->buf_count]);
    if (error)
        return error;
    struct buf *b = bufs[c->buf_count++];
    for (uint32_t at = 0; at < space && !error; at += e->rec_len) {
        e = dir_entry_at(b->data, at, space);
        if (!e)
            return ext4_damage(c->dir->fs, "the entries of a directory", c->dir->ino);
        error = collect_entry(c, e, from);
    }
    return error;
}

/* Merges two sorted halves of from[0 .. count) into to[]. */
static void merge(const struct entry *from, uint32_t half, uint32_t count, struct entry *to)
{
    for (uint32_t a = 0, b = half, i = 0; i < count; i++)
        to[i] = b == count || (a < half && from[a].key <= from[b].key) ? from[a++] : from[b++];
}

/*
 * By key: each pass merges neighbours that are sorted into a run of twice the size, into the other
 * array; in which one they are in the end. qsort() calls a function for each comparison, which was
 * a third of what a listing cost.
 */
static const struct entry *sort(struct entry *from, struct entry *other, uint32_t count)
{
    for (uint32_t run = 1; run < count; run *= 2) {
        for (uint32_t at = 0; at < count; at += 2 * run) {
            uint32_t left = count - at;
            merge(from + at, left < run ? left : run, left < 2 * run ? left : 2 * run, other + at);
        }
        struct entry *sorted = other;
        other = from;
        from = sorted;
    }
    return from;
}

/* Tells what was collected; false: no more is wanted. */
static bool tell_all(struct collection *c, tell *entry, void *context)
{
    const struct entry *sorted = sort(c->entries, c->entries + c->room, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct ext4_dirent *e = sorted[i].dirent;
        if (!entry(context, e->inode, sorted[i].key + 1, type_of(e), e->name, e->name_len))
            return false;
    }
    return true;
}

static int list_indexed(struct ext4_node *dir, uint64_t cookie, tell *entry, void *context)
{
    struct collection c = {.dir = dir};
    int error = htree_version(dir, &c.version);
    uint32_t hash = (uint32_t)(cookie >> 32) << 1, block, next;
    for (bool more = true; more && !error; hash = next & ~1u) {
        /* leaves that share a hash are told together */
        do {
            error = htree_leaf(dir, hash, &block, &next);
            if (!error)
                error = collect_block(&c, block, cookie);
            hash = next;
        } while (!error && (next & 1));
        if (!error)
            more = tell_all(&c, entry, context) && next;
        collection_end(&c);
    }
    return error;
}

static int list_one_block(struct ext4_node *dir, uint64_t cookie, tell *entry, void *context)
{
    uint32_t version = dir->fs->super->s_def_hash_version;
    struct collection c = {.dir = dir, .version = version <= HASH_TEA ? version : HASH_HALF_MD4};
    int error = collect_block(&c, 0, cookie);
    if (!error)
        tell_all(&c, entry, context);
    collection_end(&c);
    return error;
}

static int list_linear(struct ext4_node *dir, uint64_t cookie, tell *entry, void *context)
{
    uint32_t bits = dir->fs->block_bits, space = dir_space(dir->fs);
    for (uint64_t block = cookie >> bits; block < dir_block_count(dir); block++) {
        struct buf *b;
        struct ext4_dirent *e;
        int error = dir_block(dir, block, &b);
        if (error)
            return error;
        bool more = true;
        for (uint32_t at = 0; at < space && more; at += e->rec_len) {
            uint64_t place = (block << bits) + at;
            e = dir_entry_at(b->data, at, space);
            if (!e) {
                buf_put(b);
                return ext4_damage(dir->fs, "the entries of a directory", dir->ino);
            }
            if (place >= cookie && e->inode && e->name_len && !is_dots(e))
                more = entry(context, e->inode, place + 1, type_of(e), e->name, e->name_len);
        }
        buf_put(b);
        if (!more)
            return 0;
    }
    return 0;
}

int ext4_list(struct ext4_node *dir, uint64_t cookie, tell *entry, void *context)
{
    struct ext4 *fs = dir->fs;
    int error;
    fiber_lock(&fs->lock);
    if (dir->raw.i_flags & INODE_INLINE_DATA)
        error = -EOPNOTSUPP;
    else if (htree_usable(dir))
        error = list_indexed(dir, cookie, entry, context);
    else if (dir_block_count(dir) == 1 && (fs->super->s_feature_compat & COMPAT_DIR_INDEX))
        error = list_one_block(dir, cookie, entry, context);
    else
        error = list_linear(dir, cookie, entry, context);
    fiber_unlock(&fs->lock);
    return error;
}

static bool not_empty(void *context, uint64_t ino, uint64_t next, unsigned type, const char *name,
                      size_t length)
{
    (void)ino, (void)next, (void)type, (void)name, (void)length;
    *(bool *)context = false;
    return false;
}

int dir_is_empty(struct ext4_node *dir)
{
    bool empty = true;
    int error;
    if (dir->raw.i_flags & INODE_INLINE_DATA)
        return -EOPNOTSUPP;
    if (htree_usable(dir))
        error = list_indexed(dir, 0, not_empty, &empty);
    else
        error = list_linear(dir, 0, not_empty, &empty);
    return error ? error : empty;
}

int ext4_empty(struct ext4_node *dir)
{
    fiber_lock(&dir->fs->lock);
    int result = dir_is_empty(dir);
    fiber_unlock(&dir->fs->lock);
    return result;
}
