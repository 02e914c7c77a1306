/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes. They are in two places: behind the fields of the inode, and in one block of
 * the file's own or, as Linux makes them, of several files with the same attributes, which counts
 * them. Both are an area: entries grow from its front, the values from its end, in any order.
 *
 * A change builds new areas beside the old ones, so that whatever does not fit has changed nothing.
 * The inode is tried first. A block that is shared is left to the others, and copied.
 *
 * Entries of classes that are not known here, as those of POSIX ACLs, are kept and not told of.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SHIFT    5
#define VALUE_SHIFT   16
#define BLOCK_SHIFT   16
#define XATTR_CREDITS 16u
#define CLASS_SYSTEM  7u

static const struct class
{
    uint8_t index;
    const char *prefix;
} classes[] = {{1, "user."}, {4, "trusted."}, {6, "security."}};

struct attr {
    uint8_t class, name_size;
    const char *name; /* without its prefix and NUL */
    const uint8_t *value;
    uint32_t size;
};

struct area {
    struct buf *buf; /* NULL: there is none */
    uint8_t *bytes;  /* what offsets of values count from */
    uint32_t size, first;
    bool sorted; /* by class, length and name */
    bool empty;  /* it has no header yet */
};

struct attrs {
    struct ext4_node *node;
    struct area body, block;
};

/* ---- areas ---- */

static uint32_t padded(uint32_t size)
{
    return (size + 3) & ~3u;
}

static uint32_t entry_size(const struct attr *a)
{
    return padded((uint32_t)sizeof(struct ext4_xattr_entry) + a->name_size);
}

/* The entry at *at, and *at behind it. 1; 0: there are no more; EIO: it is not whole. */
static int attr_next(struct ext4_node *n, const struct area *area, uint32_t *at, struct attr *out)
{
    struct ext4_xattr_entry e = {0};
    if (!area->buf || area->empty || *at + 4 > area->size)
        return 0;
    memcpy(&e, area->bytes + *at, 4);
    if (!e.e_name_len && !e.e_name_index && !e.e_value_offs)
        return 0;
    if (*at + sizeof e > area->size || sizeof e + e.e_name_len > area->size - *at)
        return ext4_damage(n->fs, "an attribute's name", n->ino);
    memcpy(&e, area->bytes + *at, sizeof e);
    if (e.e_value_inum || e.e_value_size > area->size ||
        (e.e_value_size && e.e_value_offs > area->size - e.e_value_size))
        return ext4_damage(n->fs, "an attribute's value", n->ino);
    *out = (struct attr){.class = e.e_name_index,
                         .name_size = e.e_name_len,
                         .name = (const char *)area->bytes + *at + sizeof e,
                         .value = area->bytes + (e.e_value_size ? e.e_value_offs : 0),
                         .size = e.e_value_size};
    *at += entry_size(out);
    return 1;
}

static int attr_order(const struct attr *a, const struct attr *b)
{
    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    if (a->name_size != b->name_size)
        return a->name_size < b->name_size ? -1 : 1;
    return memcmp(a->name, b->name, a->name_size);
}

static int area_find(struct ext4_node *n, const struct area *area, const struct attr *wanted,
                     struct attr *out)
{
    uint32_t at = area->first;
    int found;
    while ((found = attr_next(n, area, &at, out)) == 1)
        if (!attr_order(out, wanted))
            return 1;
    return found;
}

/* ---- the two areas of a file ---- */

/* The first four bytes are the area's header. */
static int body_open(struct ext4_node *n, struct area *out)
{
    struct ext4 *fs = n->fs;
    uint32_t head = EXT4_OLD_INODE + n->raw.i_extra_isize, offset, magic;
    uint64_t block;
    if (fs->inode_size <= EXT4_OLD_INODE || n->raw.i_extra_isize < 4 || head + 8 > fs->inode_size)
        return 0;
    int error = inode_place(fs, n->ino, &block, &offset);
    if (!error)
        error = buf_read(fs, block, &out->buf);
    if (error)
        return error;
    out->bytes = out->buf->data + offset + head + 4;
    out->size = fs->inode_size - head - 4;
    memcpy(&magic, out->bytes - 4, 4);
    out->empty = magic != XATTR_MAGIC;
    return 0;
}

static struct ext4_xattr_header *header_of(const struct area *block)
{
    return (struct ext4_xattr_header *)block->bytes;
}

static int block_open(struct ext4_node *n, struct area *out)
{
    struct ext4 *fs = n->fs;
    uint64_t at = node_xattr_block(n);
    if (!at)
        return 0;
    if (!blocks_valid(fs, at, 1))
        return ext4_damage(fs, "a block of attributes", at);
    int error = buf_read(fs, at, &out->buf);
    if (error)
        return error;
    *out = (struct area){out->buf, out->buf->data, fs->block_size, sizeof(struct ext4_xattr_header),
                         true,     false};
    const struct ext4_xattr_header *h = header_of(out);
    if (out->buf->kind != KIND_XATTR && fs->has_csum &&
        h->h_checksum != xattr_checksum(fs, at, out->bytes))
        error = ext4_damage(fs, "the checksum of a block of attributes", at);
    else if (h->h_magic != XATTR_MAGIC || !h->h_refcount || h->h_blocks != 1)
        error = ext4_damage(fs, "a block of attributes", at);
    else
        out->buf->kind = KIND_XATTR;
    return error;
}

static void attrs_close(struct attrs *a)
{
    buf_put(a->body.buf);
    buf_put(a->block.buf);
}

static int attrs_open(struct ext4_node *n, struct attrs *a)
{
    *a = (struct attrs){.node = n};
    int error = body_open(n, &a->body);
    if (!error)
        error = block_open(n, &a->block);
    if (error)
        attrs_close(a);
    return error;
}

static int attrs_find(const struct attrs *a, const struct attr *wanted, struct attr *out)
{
    int found = area_find(a->node, &a->body, wanted, out);
    return found ? found : area_find(a->node, &a->block, wanted, out);
}

/* ---- new areas ---- */

/* An area in the making: entries are before `front`, values from `back` on. */
struct image {
    uint8_t *bytes; /* NULL: this area does not change */
    uint32_t size, front, back, count;
};

static uint32_t entry_hash(const struct attr *a, const uint8_t *value)
{
    uint32_t hash = 0;
    for (uint32_t i = 0; i < a->name_size; i++)
        hash = hash << NAME_SHIFT ^ hash >> (32 - NAME_SHIFT) ^ (uint8_t)a->name[i];
    for (uint32_t i = 0; i < padded(a->size); i += 4) {
        uint32_t word;
        memcpy(&word, value + i, 4);
        hash = hash << VALUE_SHIFT ^ hash >> (32 - VALUE_SHIFT) ^ word;
    }
    return hash;
}

static int image_add(struct image *m, const struct attr *a, bool hashed)
{
    uint32_t room = m->back - m->front;
    if (a->size > room || entry_size(a) + padded(a->size) + 4 > room) /* 4: the end */
        return -ENOSPC;
    m->back -= padded(a->size);
    memcpy(m->bytes + m->back, a->value, a->size);
    struct ext4_xattr_entry e = {.e_name_len = a->name_size,
                                 .e_name_index = a->class,
                                 .e_value_offs = (uint16_t)(a->size ? m->back : 0),
                                 .e_value_size = a->size,
                                 .e_hash = hashed ? entry_hash(a, m->bytes + m->back) : 0};
    memcpy(m->bytes + m->front, &e, sizeof e);
    memcpy(m->bytes + m->front + sizeof e, a->name, a->name_size);
    m->front += entry_size(a);
    m->count++;
    return 0;
}

/* The area without what has `old`'s name, and with `new` unless that is NULL. */
static int image_build(struct ext4_node *n, const struct area *area, const struct attr *old,
                       const struct attr *new, struct image *m)
{
    struct attr a;
    uint32_t at = area->first;
    int status;
    *m = (struct image){calloc(1, area->size), area->size, area->first, area->size, 0};
    if (!m->bytes)
        return -ENOMEM;
    while ((status = attr_next(n, area, &at, &a)) == 1) {
        if (!attr_order(&a, old))
            continue;
        if (new && area->sorted && attr_order(new, &a) < 0) {
            status = image_add(m, new, true);
            new = NULL;
        }
        if (status >= 0)
            status = image_add(m, &a, area->sorted);
        if (status < 0)
            break;
    }
    if (!status && new)
        status = image_add(m, new, area->sorted);
    if (status < 0) {
        free(m->bytes);
        m->bytes = NULL;
    }
    return status;
}

static uint32_t image_hash(const struct image *m, uint32_t first)
{
    uint32_t hash = 0;
    for (uint32_t at = first; at < m->front;) {
        struct ext4_xattr_entry e;
        memcpy(&e, m->bytes + at, sizeof e);
        if (!e.e_hash)
            return 0;
        hash = hash << BLOCK_SHIFT ^ hash >> (32 - BLOCK_SHIFT) ^ e.e_hash;
        at += padded((uint32_t)sizeof e + e.e_name_len);
    }
    return hash;
}

/* ---- to the disk, in a transaction ---- */

static void set_xattr_block(struct ext4_node *n, uint64_t block)
{
    n->raw.i_file_acl_lo = (uint32_t)block;
    n->raw.i_file_acl_hi = (uint16_t)(block >> 32);
}

/* One file fewer uses the block. */
static int block_leave(struct ext4_node *n, struct area *area)
{
    struct ext4 *fs = n->fs;
    struct ext4_xattr_header *h = header_of(area);
    uint64_t block = area->buf->block;
    bool last = h->h_refcount == 1;
    int error = 0;
    if (!last) {
        h->h_refcount--;
        if (fs->has_csum)
            h->h_checksum = xattr_checksum(fs, block, area->bytes);
        error = journal_change(fs, area->buf);
    }
    buf_put(area->buf);
    *area = (struct area){0};
    if (last)
        error = block_free_metadata(fs, block);
    set_xattr_block(n, 0);
    node_add_blocks(n, -1);
    return error;
}

int xattr_release(struct ext4_node *n)
{
    struct area block = {0};
    int error = block_open(n, &block);
    if (!error && block.buf)
        return block_leave(n, &block);
    buf_put(block.buf);
    return error;
}

/* A block for this file alone; ENOSPC has changed nothing. */
static int block_make(struct ext4_node *n, struct area *out)
{
    struct ext4 *fs = n->fs;
    uint64_t block;
    uint32_t got;
    int error = blocks_allocate(fs, n->goal, 1, &block, &got);
    if (!error)
        error = buf_new(fs, block, &out->buf);
    if (error)
        return error;
    out->bytes = out->buf->data;
    out->buf->kind = KIND_XATTR;
    return 0;
}

static int block_fill(struct ext4 *fs, struct area *area, const struct image *m)
{
    struct ext4_xattr_header *h = header_of(area);
    memcpy(area->bytes, m->bytes, m->size);
    *h = (struct ext4_xattr_header){
        .h_magic = XATTR_MAGIC, .h_refcount = 1, .h_blocks = 1, .h_hash = image_hash(m, sizeof *h)};
    if (fs->has_csum)
        h->h_checksum = xattr_checksum(fs, area->buf->block, area->bytes);
    return journal_change(fs, area->buf);
}

static int block_write(struct attrs *a, const struct image *m)
{
    struct ext4_node *n = a->node;
    struct area new = {0};
    if (!m->count)
        return a->block.buf ? block_leave(n, &a->block) : 0;
    if (a->block.buf && header_of(&a->block)->h_refcount == 1)
        return block_fill(n->fs, &a->block, m);
    int error = block_make(n, &new);
    if (error)
        return error;
    if (a->block.buf)
        error = block_leave(n, &a->block);
    a->block = new;
    if (error)
        return error;
    set_xattr_block(n, new.buf->block);
    node_add_blocks(n, 1);
    return block_fill(n->fs, &a->block, m);
}

static void body_write(struct attrs *a, const struct image *m)
{
    uint32_t magic = XATTR_MAGIC;
    memcpy(a->body.bytes - 4, &magic, 4);
    memcpy(a->body.bytes, m->bytes, m->size);
}

/* The super block says that there are attributes. */
static int feature_set(struct ext4 *fs)
{
    if (fs->super->s_feature_compat & COMPAT_EXT_ATTR)
        return 0;
    fs->super->s_feature_compat |= COMPAT_EXT_ATTR;
    return journal_change(fs, fs->super_buf);
}

static int attrs_write(struct attrs *a, const struct image *body, const struct image *block)
{
    struct ext4_node *n = a->node;
    int error = tx_begin(n->fs, XATTR_CREDITS);
    if (error)
        return error;
    error = block->bytes ? block_write(a, block) : 0;
    if (!error) {
        if (body->bytes)
            body_write(a, body);
        error = feature_set(n->fs);
    }
    if (!error) {
        node_touch(n, false);
        error = node_write(n);
    }
    return tx_end(n->fs, error);
}

/* Into the inode if it fits there, else into the block. new: NULL: it goes. */
static int attrs_change(struct attrs *a, const struct attr *old, const struct attr *new)
{
    struct ext4_node *n = a->node;
    struct area none = {
        .size = n->fs->block_size, .first = sizeof(struct ext4_xattr_header), .sorted = true};
    struct image body = {0}, block = {0};
    struct attr found;
    int error = a->body.buf ? image_build(n, &a->body, old, new, &body) : new ? -ENOSPC : 0;
    if (error == -ENOSPC && new) {
        error = image_build(n, a->block.buf ? &a->block : &none, old, new, &block);
        if (!error && a->body.buf)
            error = image_build(n, &a->body, old, NULL, &body);
    } else if (!error && a->block.buf) {
        error = area_find(n, &a->block, old, &found);
        if (error == 1)
            error = image_build(n, &a->block, old, NULL, &block);
    }
    if (!error)
        error = attrs_write(a, &body, &block);
    free(body.bytes);
    free(block.bytes);
    return error;
}

/* ---- from outside ---- */

static bool name_split(const char *name, struct attr *out)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t prefix = strlen(classes[i].prefix), length = strlen(name);
        if (strncmp(name, classes[i].prefix, prefix) || length == prefix ||
            length - prefix > EXT4_NAME_MAX)
            continue;
        *out = (struct attr){.class = classes[i].index,
                             .name_size = (uint8_t)(length - prefix),
                             .name = name + prefix};
        return true;
    }
    return false;
}

int64_t ext4_xattr_get(struct ext4_node *n, const char *name, void *value, size_t room)
{
    struct attr wanted, found;
    struct attrs a;
    if (!name_split(name, &wanted))
        return -EOPNOTSUPP;
    fiber_lock(&n->fs->lock);
    int64_t result = attrs_open(n, &a);
    if (!result) {
        result = attrs_find(&a, &wanted, &found);
        if (result == 1) {
            result = found.size <= room ? (int64_t)found.size : -ERANGE;
            memcpy(value, found.value, result > 0 ? found.size : 0);
        } else if (!result) {
            result = -ENODATA;
        }
        attrs_close(&a);
    }
    fiber_unlock(&n->fs->lock);
    return result;
}

static int list_area(struct ext4_node *n, const struct area *area, char *names, size_t room,
                     size_t *used)
{
    struct attr a;
    uint32_t at = area->first;
    int status;
    while ((status = attr_next(n, area, &at, &a)) == 1) {
        const struct class *c = classes, *end = classes + sizeof classes / sizeof *classes;
        while (c < end && c->index != a.class)
            c++;
        if (c == end || memchr(a.name, 0, a.name_size))
            continue;
        size_t prefix = strlen(c->prefix);
        if (prefix + a.name_size + 1 > room - *used)
            return -ERANGE;
        memcpy(names + *used, c->prefix, prefix);
        memcpy(names + *used + prefix, a.name, a.name_size);
        *used += prefix + a.name_size + 1;
        names[*used - 1] = 0;
    }
    return status;
}

int64_t ext4_xattr_list(struct ext4_node *n, char *names, size_t room)
{
    struct attrs a;
    size_t used = 0;
    fiber_lock(&n->fs->lock);
    int error = attrs_open(n, &a);
    if (!error) {
        error = list_area(n, &a.body, names, room, &used);
        if (!error)
            error = list_area(n, &a.block, names, room, &used);
        attrs_close(&a);
    }
    fiber_unlock(&n->fs->lock);
    return error ? error : (int64_t)used;
}

static int writable(const struct ext4_node *n)
{
    if (n->raw.i_flags & (INODE_IMMUTABLE | INODE_APPEND))
        return -EPERM;
    return n->fs->broken ? -EIO : n->fs->read_only ? -EROFS : 0;
}

int ext4_xattr_set(struct ext4_node *n, const char *name, const void *value, size_t size,
                   unsigned flags)
{
    struct attr wanted, found;
    struct attrs a;
    if (!name_split(name, &wanted))
        return -EOPNOTSUPP;
    fiber_lock(&n->fs->lock);
    int error = writable(n);
    if (!error && size > n->fs->block_size)
        error = -ENOSPC;
    if (!error)
        error = attrs_open(n, &a);
    if (!error) {
        error = attrs_find(&a, &wanted, &found);
        struct attr new = wanted;
        new.value = value;
        new.size = (uint32_t)size;
        if (error == 1)
            error = value && flags & EXT4_XATTR_CREATE ? -EEXIST : 0;
        else if (!error)
            error = !value || flags & EXT4_XATTR_REPLACE ? -ENODATA : 0;
        if (!error)
            error = attrs_change(&a, &wanted, value ? &new : NULL);
        attrs_close(&a);
    }
    fiber_unlock(&n->fs->lock);
    return error;
}

int xattr_inline_data(struct ext4_node *n, uint8_t *to, uint32_t room, uint32_t *size)
{
    struct attr wanted = {.class = CLASS_SYSTEM, .name_size = 4, .name = "data"}, found;
    struct area body = {0};
    *size = 0;
    int error = body_open(n, &body);
    if (!error) {
        error = area_find(n, &body, &wanted, &found);
        if (error == 1) {
            *size = found.size < room ? found.size : room;
            memcpy(to, found.value, *size);
            error = 0;
        }
    }
    buf_put(body.buf);
    return error;
}
