/* SPDX-License-Identifier: MIT */
/*
 * The bytes of files: read, write, truncate, allocate, punch. Each takes transactions of bounded
 * size, one after the other; a write that is cut short by one that fails tells how far it came.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK         (256u << 10) /* bytes written in one transaction */
#define CHUNK_EXTENTS 3u           /* new extents in one: what its credits allow */

static uint64_t block_up(const struct ext4 *fs, uint64_t offset)
{
    return (offset + fs->block_size - 1) >> fs->block_bits;
}

int data_writable(const struct ext4_node *n)
{
    if (!(n->raw.i_flags & INODE_EXTENTS))
        return -EOPNOTSUPP;
    if (n->raw.i_flags & INODE_IMMUTABLE)
        return -EPERM;
    return n->fs->broken ? -EIO : n->fs->read_only ? -EROFS : 0;
}

static uint64_t largest(const struct ext4_node *n)
{
    return (uint64_t)EXTENT_BLOCK_MAX << n->fs->block_bits;
}

/* ---- read ---- */

/* Inline data: in i_block, and in the attribute "system.data" behind the inode. */
int data_read_inline(struct ext4_node *n, uint8_t *page)
{
    uint32_t have = sizeof n->raw.i_block, more;
    memcpy(page, n->raw.i_block, have);
    int error = xattr_inline_data(n, page + have, PAGE_BYTES - have, &more);
    if (error)
        return error;
    return n->size > have + more ? ext4_damage(n->fs, "the size of inline data", n->ino) : 0;
}

static int64_t read_pages(struct ext4_node *n, uint64_t offset, uint64_t size, ext4_mover *move,
                          void *context)
{
    uint64_t done = 0;
    ahead_expect(n, offset >> PAGE_SIZE_LOG, ((offset + size - 1) >> PAGE_SIZE_LOG) + 1,
                 offset >> PAGE_SIZE_LOG == n->read_next);
    while (done < size && offset + done < n->size) {
        uint64_t at = offset + done, index = at >> PAGE_SIZE_LOG;
        uint32_t into = at & (PAGE_BYTES - 1);
        uint64_t part = PAGE_BYTES - into < size - done ? PAGE_BYTES - into : size - done;
        struct page *p;
        if (ahead_wait_outside(n, index))
            continue;
        part = part < n->size - at ? part : n->size - at;
        int64_t moved = page_get(n, index, &p);
        if (!moved) {
            moved = move(context, page_bytes(p) + into, part);
            page_put(p);
        }
        if (moved < 0)
            return done ? (int64_t)done : moved;
        done += (uint64_t)moved;
        n->read_next = index + 1;
        if ((uint64_t)moved < part)
            break;
    }
    return (int64_t)done;
}

int64_t ext4_read(struct ext4_node *n, uint64_t offset, uint64_t size, ext4_mover *move,
                  void *context)
{
    int64_t result = 0;
    fiber_lock(&n->fs->lock);
    if (offset < n->size && size) {
        size = size < n->size - offset ? size : n->size - offset;
        result = read_pages(n, offset, size, move, context);
    }
    fiber_unlock(&n->fs->lock);
    return result;
}

/* ---- space ---- */

/*
 * Makes block `at` and up to `want` - 1 behind it part of the file, as far as one extent goes;
 * *got: how many. unwritten: they read as zeros; else whoever calls fills their pages.
 */
static int block_ensure(struct ext4_node *n, uint64_t at, uint32_t want, bool unwritten,
                        uint32_t *got, bool *new)
{
    struct extent e;
    uint64_t disk;
    int error = extent_map(n, at, &e);
    if (error)
        return error;
    *got = want = e.count < want ? (uint32_t)e.count : want;
    *new = e.state == EXTENT_HOLE || (e.state == EXTENT_UNWRITTEN && !unwritten);
    if (!*new) {
        if (e.state == EXTENT_WRITTEN)
            n->goal = e.disk + want;
        return 0;
    }
    if (e.state == EXTENT_UNWRITTEN)
        return extent_convert(n, at, want);
    want = want < EXTENT_LEN_MAX - 1 ? want : EXTENT_LEN_MAX - 1;
    if (at && !extent_map(n, at - 1, &e) && e.state != EXTENT_HOLE)
        n->goal = e.disk + 1;
    error = blocks_allocate(n->fs, n->goal, want, &disk, got);
    if (error)
        return error;
    error = extent_insert(n, at, disk, *got, unwritten);
    if (error) {
        if (error == -ENOSPC && blocks_free(n->fs, disk, *got))
            error = -EIO;
        return error;
    }
    node_add_blocks(n, *got);
    n->goal = disk + *got;
    return 0;
}

/*
 * The file will be longer: what is behind the old end in its block becomes part of it, and must be
 * zeros on the disk too.
 */
static int zero_tail(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    uint32_t into = n->size & (fs->block_size - 1);
    struct extent e;
    struct page *p;
    if (!into)
        return 0;
    int error = extent_map(n, n->size >> fs->block_bits, &e);
    if (error || e.state != EXTENT_WRITTEN)
        return error;
    error = page_get(n, n->size >> PAGE_SIZE_LOG, &p);
    if (error)
        return error;
    into = n->size & (PAGE_BYTES - 1);
    if (p->shared) /* users may have written there */
        memset(page_bytes(p) + into, 0, PAGE_BYTES - into);
    page_dirty(p, into, 1);
    n->ordered = fs->tx_number;
    page_put(p);
    return 0;
}

/* ---- write ---- */

int64_t data_ensure(struct ext4_node *n, uint64_t offset, uint64_t size)
{
    struct ext4 *fs = n->fs;
    uint64_t first = offset >> fs->block_bits, end = block_up(fs, offset + size), at = first;
    uint32_t extents = 0;
    while (at < end && extents < CHUNK_EXTENTS) {
        uint32_t got;
        bool new;
        int error = block_ensure(n, at, (uint32_t)(end - at), false, &got, &new);
        if (error == -ENOSPC && at > first)
            break;
        if (error)
            return error;
        if (new)
            n->ordered = fs->tx_number;
        extents += new;
        at += got;
    }
    uint64_t covered = (at << fs->block_bits) - offset;
    return (int64_t)(covered < size ? covered : size);
}

/* The pages of a range, read and pinned: so that nothing can fail after space was taken. */
static int pages_pin(struct ext4_node *n, uint64_t first, uint32_t count, bool into_first,
                     struct page **pages)
{
    for (uint32_t i = 0; i < count; i++) {
        int error = (i || !into_first ? page_get_to_fill : page_get)(n, first + i, &pages[i]);
        if (!error)
            continue;
        while (i)
            page_put(pages[--i]);
        return error;
    }
    return 0;
}

static int64_t fill_pages(struct ext4_node *n, uint64_t offset, uint64_t size, struct page **pages,
                          ext4_mover *move, void *context)
{
    uint64_t done = 0;
    int64_t moved = 0;
    for (uint32_t i = 0; done < size; i++) {
        uint32_t into = (offset + done) & (PAGE_BYTES - 1);
        uint64_t part = PAGE_BYTES - into < size - done ? PAGE_BYTES - into : size - done;
        moved = move(context, page_bytes(pages[i]) + into, part);
        page_filled(pages[i], into + (moved > 0 ? (uint32_t)moved : 0));
        if (moved > 0)
            done += (uint64_t)moved;
        if (moved < (int64_t)part)
            break;
    }
    /* also what was not filled: new blocks must not show what the disk had there */
    for (uint64_t at = 0, i = 0; at < size; i++) {
        uint32_t into = (offset + at) & (PAGE_BYTES - 1);
        uint64_t part = PAGE_BYTES - into < size - at ? PAGE_BYTES - into : size - at;
        page_filled(pages[i], 0);
        page_dirty(pages[i], into, (uint32_t)part);
        at += part;
    }
    (void)n;
    return done ? (int64_t)done : moved;
}

static int64_t write_chunk(struct ext4_node *n, uint64_t offset, uint64_t size, ext4_mover *move,
                           void *context)
{
    struct ext4 *fs = n->fs;
    struct page *pages[CHUNK / PAGE_BYTES + 1];
    struct ext4_inode before = n->raw;
    uint64_t first = offset >> PAGE_SIZE_LOG;
    uint32_t count = (uint32_t)(((offset + size - 1) >> PAGE_SIZE_LOG) - first + 1);
    int64_t result = pages_pin(n, first, count, offset & (PAGE_BYTES - 1), pages);
    if (result)
        return result;
    if (offset + size > n->size)
        result = zero_tail(n);
    if (!result)
        result = data_ensure(n, offset, size);
    if (result > 0) {
        uint64_t placed = offset + (uint64_t)result;
        result = fill_pages(n, offset, (uint64_t)result, pages, move, context);
        uint64_t end = offset + (result > 0 ? (uint64_t)result : 0);
        if (result > 0 && end > n->size)
            node_set_size(n, end);
        for (uint32_t i = 0; i < count; i++)
            page_put(pages[i]);
        count = 0;
        if (end < placed && placed > n->size) { /* cut short behind the end */
            uint64_t from = block_up(fs, n->size);
            pages_drop(n, n->size, UINT64_MAX);
            int error = extent_remove(n, from, (uint64_t)EXTENT_BLOCK_MAX + 1);
            result = error ? error : result;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        page_put(pages[i]);
    if (result > 0)
        node_touch(n, true);
    int error = memcmp(&before, &n->raw, sizeof before) ? node_write(n) : 0;
    return error ? error : result;
}

int data_store(struct ext4_node *n, const void *bytes, uint32_t size)
{
    struct page *p;
    uint32_t got;
    bool new;
    int error = page_get(n, 0, &p);
    if (error)
        return error;
    error = block_ensure(n, 0, 1, false, &got, &new);
    if (!error) {
        memcpy(page_bytes(p), bytes, size);
        page_dirty(p, 0, size);
        n->ordered = n->fs->tx_number;
        node_set_size(n, size);
    }
    page_put(p);
    return error;
}

/*
 * What is written behind a cut in the middle of a block changes bytes that a crash before the
 * commit would bring back: so the cut is committed first.
 */
static int cut_before(struct ext4_node *n)
{
    return n->truncated == n->fs->tx_number ? journal_commit(n->fs) : 0;
}

/* Dirty pages shall not take all memory. An error is told to who syncs that file. */
static int limit_dirty(struct ext4 *fs)
{
    int error = 0;
    while (fs->page_dirty > fs->page_dirty_max && !error)
        error = pages_write(fs->dirty_nodes);
    return fs->broken ? -EIO : 0;
}

int data_prepare(struct ext4_node *n)
{
    int error = limit_dirty(n->fs);
    return error ? error : cut_before(n);
}

/*
 * A store has to be able to take the size that a file shall get, and the pages that are there
 * before the file has it: users who touch them are told by ext4_fault() that they are not part of
 * it yet.
 */
static int reserve(struct ext4_node *n, uint64_t size)
{
    int error = n->store ? n->store->ops->reserve(n->store, size) : 0;
    if (n->store && !error && size > n->size)
        n->store->ops->grow(n->store, size);
    return error;
}

/* After a write or a growth that may have failed: no more than the file has. */
static void reserve_end(struct ext4_node *n, bool failed)
{
    if (n->store && failed)
        n->store->ops->resize(n->store, n->size);
}

int64_t data_put(struct ext4_node *n, uint64_t offset, uint64_t size, ext4_mover *move,
                 void *context)
{
    struct ext4 *fs = n->fs;
    uint64_t done = 0;
    int64_t result = data_writable(n);
    if (!result && size && offset >= largest(n))
        result = -EFBIG;
    if (!result && size > largest(n) - offset)
        size = largest(n) - offset;
    while (!result && done < size) {
        uint64_t at = offset + done;
        uint64_t part = CHUNK - (at & (PAGE_BYTES - 1));
        part = part < size - done ? part : size - done;
        result = data_prepare(n);
        if (!result)
            result = reserve(n, at + part);
        if (!result)
            result = tx_begin(fs, DATA_CREDITS);
        if (result)
            break;
        result = write_chunk(n, at, part, move, context);
        int error = tx_end(fs, 0);
        result = error ? error : result;
        if (result <= 0)
            break;
        done += (uint64_t)result;
        result = 0;
    }
    reserve_end(n, done < size);
    return done ? (int64_t)done : result;
}

int64_t ext4_write(struct ext4_node *n, uint64_t offset, uint64_t size, ext4_mover *move,
                   void *context)
{
    fiber_lock(&n->fs->lock);
    reserve_give_up(n);
    int64_t result = data_put(n, offset, size, move, context);
    fiber_unlock(&n->fs->lock);
    return result;
}

/* ---- truncate ---- */

int data_cut(struct ext4_node *n, uint64_t size)
{
    struct ext4 *fs = n->fs;
    int error = tx_begin(fs, TX_CREDITS_MAX);
    if (error)
        return error;
    if (n->raw.i_flags & INODE_EXTENTS)
        error = extent_remove(n, block_up(fs, size), (uint64_t)EXTENT_BLOCK_MAX + 1);
    if (!error)
        error = tx_more(fs, 8);
    if (!error && n->raw.i_links_count) /* else it stays one, until it is closed */
        error = orphan_remove(n);
    if (!error)
        error = node_write(n);
    return tx_end(fs, error);
}

static int grow(struct ext4_node *n, uint64_t size)
{
    struct ext4 *fs = n->fs;
    int error = cut_before(n);
    if (!error)
        error = reserve(n, size);
    if (!error)
        error = tx_begin(fs, 4);
    if (error)
        return error;
    error = zero_tail(n);
    if (!error) {
        node_set_size(n, size);
        node_touch(n, true);
        error = node_write(n);
    }
    error = tx_end(fs, error);
    reserve_end(n, error);
    return error;
}

static int shrink(struct ext4_node *n, uint64_t size)
{
    struct ext4 *fs = n->fs;
    bool inside = size & (fs->block_size - 1);
    /* what the running transaction writes before its commit must not have the zeros of this cut */
    int error = inside && n->ordered == fs->tx_number ? journal_commit(fs) : 0;
    if (!error)
        error = tx_begin(fs, 8);
    if (error)
        return error;
    error = orphan_add(n);
    if (!error) {
        node_set_size(n, size);
        node_touch(n, true);
        if (inside)
            n->truncated = fs->tx_number;
        pages_drop(n, size, UINT64_MAX);
        error = node_write(n);
    }
    error = tx_end(fs, error);
    if (!error)
        error = data_cut(n, size);
    struct page *p;
    struct extent e;
    if (error || !inside)
        return error;
    error = extent_map(n, size >> fs->block_bits, &e);
    if (error || e.state != EXTENT_WRITTEN)
        return error;
    /* the rest of the last block becomes zeros on the disk, too, some time after the commit */
    error = page_get(n, size >> PAGE_SIZE_LOG, &p);
    if (!error) {
        page_dirty(p, size & (PAGE_BYTES - 1), 1);
        page_put(p);
    }
    return error;
}

int ext4_truncate(struct ext4_node *n, uint64_t size)
{
    fiber_lock(&n->fs->lock);
    int error = data_writable(n);
    if (!error && size > largest(n))
        error = -EFBIG;
    if (!error && size >= n->size)
        error = grow(n, size);
    else if (!error)
        error = shrink(n, size);
    fiber_unlock(&n->fs->lock);
    return error;
}

/* ---- allocate and punch ---- */

static int allocate_some(struct ext4_node *n, uint64_t *at, uint64_t end)
{
    struct ext4 *fs = n->fs;
    int error = tx_begin(fs, DATA_CREDITS);
    if (error)
        return error;
    for (uint32_t i = 0; i < CHUNK_EXTENTS && *at < end && !error; i++) {
        uint32_t got, want = end - *at < UINT32_MAX ? (uint32_t)(end - *at) : UINT32_MAX;
        bool new;
        error = block_ensure(n, *at, want, true, &got, &new);
        *at += error ? 0 : got;
    }
    int written = node_write(n);
    return tx_end(fs, error ? error : written);
}

int ext4_allocate(struct ext4_node *n, uint64_t offset, uint64_t size, bool keep_size)
{
    struct ext4 *fs = n->fs;
    fiber_lock(&fs->lock);
    int error = data_writable(n);
    if (!error && (offset > largest(n) || size > largest(n) - offset))
        error = -EFBIG;
    uint64_t at = offset >> fs->block_bits, end = error ? 0 : block_up(fs, offset + size);
    while (!error && at < end)
        error = allocate_some(n, &at, end);
    if (!error && !keep_size && offset + size > n->size)
        error = grow(n, offset + size);
    fiber_unlock(&fs->lock);
    return error;
}

/* A part of one block becomes zeros, unless it is a hole. */
static int zero_part(struct ext4_node *n, uint64_t from, uint64_t end)
{
    struct ext4 *fs = n->fs;
    struct extent e;
    struct page *p;
    end = end < n->size ? end : n->size;
    if (from >= end)
        return 0;
    int error = extent_map(n, from >> fs->block_bits, &e);
    if (error || e.state != EXTENT_WRITTEN)
        return error;
    error = page_get(n, from >> PAGE_SIZE_LOG, &p);
    if (error)
        return error;
    uint32_t into = from & (PAGE_BYTES - 1);
    memset(page_bytes(p) + into, 0, end - from);
    page_dirty(p, into, (uint32_t)(end - from));
    page_put(p);
    return 0;
}

static int punch(struct ext4_node *n, uint64_t offset, uint64_t end)
{
    struct ext4 *fs = n->fs;
    uint64_t first = block_up(fs, offset), last = end >> fs->block_bits;
    int error = tx_begin(fs, DATA_CREDITS);
    if (error)
        return error;
    if (first > last) { /* inside of one block */
        error = zero_part(n, offset, end);
    } else {
        error = zero_part(n, offset, first << fs->block_bits);
        if (!error)
            error = zero_part(n, last << fs->block_bits, end);
        if (!error && first < last) {
            pages_drop(n, first << fs->block_bits, last << fs->block_bits);
            error = extent_remove(n, first, last);
        }
    }
    node_touch(n, true);
    int written = node_write(n);
    return tx_end(fs, error ? error : written);
}

int ext4_punch(struct ext4_node *n, uint64_t offset, uint64_t size)
{
    fiber_lock(&n->fs->lock);
    int error = data_writable(n);
    uint64_t end = size < largest(n) - offset ? offset + size : largest(n);
    if (!error && offset < largest(n))
        error = punch(n, offset, end);
    fiber_unlock(&n->fs->lock);
    return error;
}

/* ---- seek, fsync ---- */

int64_t ext4_seek(struct ext4_node *n, uint64_t offset, bool hole)
{
    struct ext4 *fs = n->fs;
    int64_t result = -ENXIO;
    fiber_lock(&fs->lock);
    while (offset < n->size) {
        struct extent e;
        result = extent_map(n, offset >> fs->block_bits, &e);
        if (!result && (e.state != EXTENT_WRITTEN) == hole)
            result = (int64_t)offset;
        else if (!result)
            result = -ENXIO;
        if (result != -ENXIO)
            break;
        offset = (e.block + e.count) << fs->block_bits;
    }
    if (result == -ENXIO && hole && n->size && offset >= n->size)
        result = (int64_t)n->size; /* the end counts as one */
    fiber_unlock(&fs->lock);
    return result;
}

uint32_t ext4_errors_seen(const struct ext4_node *n)
{
    return n->write_error && !n->write_error_reported ? n->write_errors - 1 : n->write_errors;
}

/* What was not told yet to whose word this is. */
static int error_since(struct ext4_node *n, uint32_t *seen)
{
    if (*seen == n->write_errors)
        return 0;
    *seen = n->write_errors;
    n->write_error_reported = true;
    return n->write_error;
}

static int sync_node(struct ext4_node *n, uint32_t *seen, bool commit)
{
    struct ext4 *fs = n->fs;
    int error = fs->broken ? -EIO : 0;
    if (!fs->read_only) {
        error = pages_write_begin(n);
        int durable = pages_durable(fs, commit || n->mapped == fs->tx_number);
        error = error ? error : durable;
    }
    int earlier = error_since(n, seen);
    return error ? error : earlier;
}

int ext4_fsync(struct ext4_node *n, uint32_t *seen)
{
    fiber_lock(&n->fs->lock);
    int error = sync_node(n, seen, true);
    fiber_unlock(&n->fs->lock);
    return error;
}

int ext4_datasync(struct ext4_node *n, uint32_t *seen)
{
    fiber_lock(&n->fs->lock);
    int error = sync_node(n, seen, node_type(n) != S_IFREG);
    fiber_unlock(&n->fs->lock);
    return error;
}
