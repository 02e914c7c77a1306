/* SPDX-License-Identifier: MIT */
/*
 * The index of large directories: a tree of hashes, of at most two levels, whose root is the
 * directory's first block and whose leaves are ordinary blocks of entries. A leaf holds the names
 * whose hash is at least its entry's and less than the next one's; when names with equal hashes are
 * in two leaves, the second one's entry has the low bit set.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS_MAX 2u

struct frame {
    struct buf *buf;
    uint32_t offset; /* of the entries */
    struct ext4_dx_entry *entries;
    uint32_t at;
};

struct probe {
    struct frame frame[LEVELS_MAX];
    uint32_t levels;
    uint32_t leaf;
};

static struct ext4_dx_count *counts(const struct frame *f)
{
    return (struct ext4_dx_count *)f->entries;
}

static struct ext4_dx_info *root_info(struct buf *root)
{
    return (struct ext4_dx_info *)(root->data + DX_ROOT_INFO);
}

bool htree_usable(const struct ext4_node *dir)
{
    return (dir->raw.i_flags & INODE_INDEX) &&
           (dir->fs->super->s_feature_compat & COMPAT_DIR_INDEX);
}

static uint32_t limit_of(const struct ext4 *fs, uint32_t offset)
{
    return (fs->block_size - offset - (fs->has_csum ? 8 : 0)) / 8;
}

static int damaged(struct ext4_node *dir)
{
    return ext4_damage(dir->fs, "the index of a directory", dir->ino);
}

static int frame_open(struct ext4_node *dir, uint32_t block, uint32_t offset, struct frame *f)
{
    int error = dir_block_any(dir, block, &f->buf);
    if (error)
        return error;
    f->offset = offset;
    f->entries = (struct ext4_dx_entry *)(f->buf->data + offset);
    const struct ext4_dx_count *c = counts(f);
    if (c->limit != limit_of(dir->fs, offset) || !c->count || c->count > c->limit ||
        (f->buf->kind != KIND_INDEX && !index_check(dir, f->buf->data, offset))) {
        buf_put(f->buf);
        f->buf = NULL;
        return damaged(dir);
    }
    f->buf->kind = KIND_INDEX;
    return 0;
}

static int frame_changed(struct ext4_node *dir, struct frame *f)
{
    return seal_index(dir, f->buf, f->offset);
}

static void frame_search(struct frame *f, uint32_t hash)
{
    uint32_t low = 1, high = counts(f)->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (f->entries[middle].hash <= hash)
            low = middle + 1;
        else
            high = middle;
    }
    f->at = low - 1;
}

static void probe_end(struct probe *p)
{
    for (uint32_t i = 0; i < LEVELS_MAX; i++)
        buf_put(p->frame[i].buf);
    memset(p, 0, sizeof *p);
}

static int root_open(struct ext4_node *dir, struct probe *p)
{
    memset(p, 0, sizeof *p);
    int error = frame_open(dir, 0, DX_ROOT_INFO + 8, &p->frame[0]);
    if (error)
        return error;
    const struct ext4_dx_info *info = root_info(p->frame[0].buf);
    if (info->zero || info->info_length != 8 || info->hash_version > HASH_TEA ||
        info->indirect_levels >= LEVELS_MAX) {
        probe_end(p);
        return damaged(dir);
    }
    p->levels = info->indirect_levels + 1u;
    return 0;
}

/* The way to the leaf for a hash. */
static int probe(struct ext4_node *dir, uint32_t hash, struct probe *p)
{
    int error = root_open(dir, p);
    for (uint32_t i = 0; !error; i++) {
        struct frame *f = &p->frame[i];
        frame_search(f, hash);
        uint32_t block = f->entries[f->at].block & 0x0fffffff;
        if (i + 1 == p->levels) {
            p->leaf = block;
            return 0;
        }
        error = frame_open(dir, block, DX_NODE, &p->frame[i + 1]);
    }
    probe_end(p);
    return error;
}

int htree_version(struct ext4_node *dir, uint32_t *version)
{
    struct probe p;
    int error = root_open(dir, &p);
    if (!error) {
        *version = root_info(p.frame[0].buf)->hash_version;
        probe_end(&p);
    }
    return error;
}

static uint32_t next_hash(const struct probe *p)
{
    for (uint32_t i = p->levels; i-- > 0;) {
        const struct frame *f = &p->frame[i];
        if (f->at + 1 < counts(f)->count)
            return f->entries[f->at + 1].hash;
    }
    return 0;
}

int htree_leaf(struct ext4_node *dir, uint32_t hash, uint32_t *block, uint32_t *next)
{
    struct probe p;
    int error = probe(dir, hash, &p);
    if (error)
        return error;
    *block = p.leaf;
    *next = next_hash(&p);
    if (*next && *next <= hash)
        error = damaged(dir);
    probe_end(&p);
    return error;
}

static int name_hash(struct ext4_node *dir, const char *name, size_t length, struct dir_hash *out)
{
    uint32_t version;
    int error = htree_version(dir, &version);
    if (!error && !dir_hash(dir->fs, version, name, length, out))
        error = damaged(dir);
    return error;
}

/* ".." is in the root, before the index. */
static int find_parent(struct ext4_node *dir, struct dir_place *out)
{
    struct probe p;
    int error = root_open(dir, &p);
    if (error)
        return error;
    struct buf *root = p.frame[0].buf;
    struct ext4_dirent *e = (struct ext4_dirent *)(root->data + 12);
    root->refs++;
    probe_end(&p);
    if (e->name_len == 2 && !memcmp(e->name, "..", 2)) {
        *out = (struct dir_place){root, 12, e, NULL};
        return 0;
    }
    buf_put(root);
    return damaged(dir);
}

int htree_find(struct ext4_node *dir, const char *name, size_t length, struct dir_place *out)
{
    struct dir_hash hash;
    struct buf *b;
    uint32_t block, next, at;
    int error;
    if (length == 2 && !memcmp(name, "..", 2))
        return find_parent(dir, out);
    error = name_hash(dir, name, length, &hash);
    for (at = hash.major; !error; at = next) {
        error = htree_leaf(dir, at, &block, &next);
        if (!error)
            error = dir_block(dir, block, &b);
        if (error)
            return error;
        error = dir_find_in_block(b, dir_space(dir->fs), name, length, out);
        if (!error)
            return 0;
        buf_put(b);
        if (error != -ENOENT)
            return damaged(dir);
        if (!next || (next & ~1u) != hash.major)
            return -ENOENT;
        error = 0;
    }
    return error;
}

/* ---- growth ---- */

static void entry_insert(struct frame *f, uint32_t hash, uint32_t block)
{
    struct ext4_dx_count *c = counts(f);
    memmove(&f->entries[f->at + 2], &f->entries[f->at + 1], (c->count - f->at - 1) * 8u);
    f->entries[f->at + 1] = (struct ext4_dx_entry){hash, block};
    c->count++;
}

/* A new inner block, empty. */
static int inner_block(struct ext4_node *dir, struct frame *f, uint32_t *block)
{
    int error = dir_append_block(dir, &f->buf, block);
    if (error)
        return error;
    memset(f->buf->data, 0, dir->fs->block_size);
    ((struct ext4_dirent *)f->buf->data)->rec_len = (uint16_t)dir->fs->block_size;
    f->buf->kind = KIND_INDEX;
    f->offset = DX_NODE;
    f->entries = (struct ext4_dx_entry *)(f->buf->data + DX_NODE);
    counts(f)->limit = (uint16_t)limit_of(dir->fs, DX_NODE);
    return 0;
}

/* The root is full and leads to leaves: its entries move into an inner block. */
static int add_level(struct ext4_node *dir, struct probe *p)
{
    struct frame *root = &p->frame[0], inner;
    uint32_t block, count = counts(root)->count;
    int error = inner_block(dir, &inner, &block);
    if (error)
        return error;
    struct ext4_dx_count c = *counts(&inner);
    memcpy(inner.entries, root->entries, count * 8u);
    *counts(&inner) = (struct ext4_dx_count){c.limit, (uint16_t)count};
    counts(root)->count = 1;
    root->entries[0].block = block;
    root_info(root->buf)->indirect_levels++;
    error = frame_changed(dir, &inner);
    buf_put(inner.buf);
    return error ? error : frame_changed(dir, root);
}

/* The inner block is full: half of it goes to a new one. */
static int split_inner(struct ext4_node *dir, struct probe *p)
{
    struct frame *root = &p->frame[0], *full = &p->frame[1], half;
    uint32_t block, count = counts(full)->count, keep = count / 2;
    if (counts(root)->count == counts(root)->limit)
        return -ENOSPC;
    int error = inner_block(dir, &half, &block);
    if (error)
        return error;
    uint32_t hash = full->entries[keep].hash, limit = counts(&half)->limit;
    memcpy(half.entries, &full->entries[keep], (count - keep) * 8u);
    *counts(&half) = (struct ext4_dx_count){(uint16_t)limit, (uint16_t)(count - keep)};
    counts(full)->count = (uint16_t)keep;
    entry_insert(root, hash, block);
    error = frame_changed(dir, &half);
    buf_put(half.buf);
    if (!error)
        error = frame_changed(dir, full);
    return error ? error : frame_changed(dir, root);
}

struct leaf_entry {
    uint32_t hash;
    uint16_t offset, size;
};

static int by_hash(const void *a, const void *b)
{
    const struct leaf_entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The entries of a leaf, sorted by hash; how many, at most block_size / 12. */
static int leaf_sort(struct ext4_node *dir, uint32_t version, struct buf *b,
                     struct leaf_entry *entries)
{
    uint32_t space = dir_space(dir->fs);
    struct ext4_dirent *e;
    int count = 0;
    for (uint32_t at = 0; at < space; at += e->rec_len) {
        struct dir_hash hash;
        e = dir_entry_at(b->data, at, space);
        if (!e)
            return damaged(dir);
        if (!e->inode)
            continue;
        if (!e->name_len || !dir_hash(dir->fs, version, e->name, e->name_len, &hash))
            return damaged(dir);
        entries[count++] =
            (struct leaf_entry){hash.major, (uint16_t)at, (uint16_t)dirent_size(e->name_len)};
    }
    qsort(entries, (size_t)count, sizeof *entries, by_hash);
    return count;
}

/* Writes some entries of `from` as the whole contents of `to`, without gaps but at the end. */
static void leaf_pack(struct ext4_node *dir, uint8_t *to, const uint8_t *from,
                      const struct leaf_entry *entries, uint32_t count)
{
    uint32_t at = 0, space = dir_space(dir->fs);
    struct ext4_dirent *last = (struct ext4_dirent *)to;
    memset(to, 0, dir->fs->block_size);
    for (uint32_t i = 0; i < count; i++) {
        last = (struct ext4_dirent *)(to + at);
        memcpy(last, from + entries[i].offset, entries[i].size);
        last->rec_len = entries[i].size;
        at += entries[i].size;
    }
    last->rec_len = (uint16_t)(space - (uint32_t)((uint8_t *)last - to));
    dir_fill_tail(dir, to);
}

/* Half of the bytes of the leaf, those with the larger hashes, go to a new one. */
static int split_sorted(struct ext4_node *dir, struct probe *p, struct buf *leaf,
                        const struct leaf_entry *entries, uint32_t count, uint8_t *copy)
{
    struct ext4 *fs = dir->fs;
    uint32_t keep = count, size = 0, block;
    struct buf *b;
    while (keep > 1 && size < dir_space(fs) / 2)
        size += entries[--keep].size;
    int error = dir_append_block(dir, &b, &block);
    if (error)
        return error;
    memcpy(copy, leaf->data, fs->block_size);
    leaf_pack(dir, leaf->data, copy, entries, keep);
    leaf_pack(dir, b->data, copy, entries + keep, count - keep);
    uint32_t hash = entries[keep].hash | (entries[keep].hash == entries[keep - 1].hash);
    entry_insert(&p->frame[p->levels - 1], hash, block);
    error = seal_directory(dir, leaf);
    if (!error)
        error = seal_directory(dir, b);
    buf_put(b);
    return error ? error : frame_changed(dir, &p->frame[p->levels - 1]);
}

static int split_leaf(struct ext4_node *dir, struct probe *p)
{
    struct ext4 *fs = dir->fs;
    struct buf *leaf;
    int error = dir_block(dir, p->leaf, &leaf);
    if (error)
        return error;
    uint8_t *copy = malloc(fs->block_size);
    struct leaf_entry *entries = malloc((fs->block_size / 8) * sizeof *entries);
    int count = copy && entries
                    ? leaf_sort(dir, root_info(p->frame[0].buf)->hash_version, leaf, entries)
                    : -ENOMEM;
    error = count < 0   ? count
            : count < 2 ? -ENOSPC
                        : split_sorted(dir, p, leaf, entries, (uint32_t)count, copy);
    free(copy);
    free(entries);
    buf_put(leaf);
    return error;
}

/* One step towards room for a name: in the index if that is full, else in the leaf. */
static int make_room(struct ext4_node *dir, struct probe *p)
{
    struct frame *f = &p->frame[p->levels - 1];
    if (counts(f)->count < counts(f)->limit)
        return split_leaf(dir, p);
    return p->levels == 1 ? add_level(dir, p) : split_inner(dir, p);
}

int htree_add(struct ext4_node *dir, const char *name, size_t length, uint32_t ino, uint32_t type)
{
    struct dir_hash hash;
    int error = name_hash(dir, name, length, &hash);
    for (int steps = 0; !error && steps < 8; steps++) {
        struct probe p;
        struct buf *leaf;
        error = probe(dir, hash.major, &p);
        if (error)
            return error;
        error = dir_block(dir, p.leaf, &leaf);
        if (!error) {
            error = dir_add_in_block(dir, leaf, name, length, ino, type);
            buf_put(leaf);
        }
        if (error != -ENOSPC) {
            probe_end(&p);
            return error;
        }
        error = make_room(dir, &p);
        probe_end(&p);
    }
    return error ? error : -ENOSPC;
}

/* ---- from one block to an index ---- */

static void root_make(struct ext4_node *dir, struct buf *root, uint32_t leaf)
{
    struct ext4 *fs = dir->fs;
    struct ext4_dirent *dot_dot = (struct ext4_dirent *)(root->data + 12);
    struct frame f = {.buf = root, .offset = DX_ROOT_INFO + 8};
    dot_dot->rec_len = (uint16_t)(fs->block_size - 12);
    memset(root->data + DX_ROOT_INFO, 0, fs->block_size - DX_ROOT_INFO);
    uint8_t version = fs->super->s_def_hash_version;
    *root_info(root) = (struct ext4_dx_info){
        .hash_version = version <= HASH_TEA ? version : HASH_HALF_MD4, .info_length = 8};
    f.entries = (struct ext4_dx_entry *)(root->data + f.offset);
    *counts(&f) = (struct ext4_dx_count){(uint16_t)limit_of(fs, f.offset), 1};
    f.entries[0].block = leaf;
    root->kind = KIND_INDEX;
}

int htree_convert(struct ext4_node *dir)
{
    struct ext4 *fs = dir->fs;
    struct buf *root, *leaf;
    uint32_t space = dir_space(fs), block, count = 0;
    struct leaf_entry *entries;
    struct ext4_dirent *e;
    int error = dir_block(dir, 0, &root);
    if (error)
        return error;
    entries = malloc((fs->block_size / 8) * sizeof *entries);
    if (!entries) {
        buf_put(root);
        return -ENOMEM;
    }
    for (uint32_t at = 0, i = 0; at < space && !error; at += e->rec_len, i++) {
        e = dir_entry_at(root->data, at, space);
        if (!e || (i == 0 && e->rec_len != 12) || (i == 1 && (at != 12 || e->name_len != 2))) {
            error = ext4_damage(fs, "the entries of a directory", dir->ino);
            break;
        }
        if (i >= 2 && e->inode)
            entries[count++] =
                (struct leaf_entry){0, (uint16_t)at, (uint16_t)dirent_size(e->name_len)};
    }
    if (!error)
        error = dir_append_block(dir, &leaf, &block);
    if (!error) {
        leaf_pack(dir, leaf->data, root->data, entries, count);
        root_make(dir, root, block);
        dir->raw.i_flags |= INODE_INDEX;
        error = seal_directory(dir, leaf);
        if (!error)
            error = seal_index(dir, root, DX_ROOT_INFO + 8);
        buf_put(leaf);
    }
    free(entries);
    buf_put(root);
    return error;
}
