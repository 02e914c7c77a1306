/* SPDX-License-Identifier: MIT */
/*
 * The pages of files in memory. A page is 4 KiB; the file system's blocks may be smaller, so each
 * page knows which of its blocks are dirty. A block is dirty only when it has a place on the disk:
 * space is taken by the write, not by the write-back (write_back.c). Bytes behind the end of the
 * file are zeros.
 */
#include "../../base/spare.h"
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_MIN  64u
#define EVICT_LOOK 256u /* pages looked at for each that is evicted, at most */

#define SHOWN_TOGETHER 64u

static struct spares spares = {.size = sizeof(struct page)};

static uint32_t buckets(const struct ext4 *fs)
{
    return fs->page_buckets;
}

static struct page **bucket(struct ext4_node *n, uint64_t index)
{
    uint64_t key = (index * 0x9e3779b97f4a7c15ull) ^ (n->ino * 0xff51afd7ed558ccdull);
    return &n->fs->page_hash[(key >> 32) & (buckets(n->fs) - 1)];
}

int pages_init(struct ext4 *fs)
{
    const struct ext4_options *o = &fs->options;
    uint64_t max = (o->page_bytes ? o->page_bytes : o->cache_bytes) / PAGE_BYTES;
    fs->page_max = max < PAGES_MIN ? PAGES_MIN : max > 1u << 24 ? 1u << 24 : (uint32_t)max;
    fs->page_dirty_max = fs->page_max / 4;
    fs->page_buckets = PAGES_MIN;
    while (fs->page_buckets < fs->page_max / 2)
        fs->page_buckets *= 2;
    fs->page_hash = calloc(buckets(fs), sizeof(struct page *));
    return fs->page_hash ? 0 : -ENOMEM;
}

static void list_remove(struct ext4 *fs, struct page *p)
{
    *(p->newer ? &p->newer->older : &fs->page_newest) = p->older;
    *(p->older ? &p->older->newer : &fs->page_oldest) = p->newer;
}

static void list_add(struct ext4 *fs, struct page *p)
{
    p->newer = NULL;
    p->older = fs->page_newest;
    *(p->older ? &p->older->newer : &fs->page_oldest) = p;
    fs->page_newest = p;
}

void page_clean(struct page *p)
{
    struct ext4_node *n = p->node;
    if (!p->dirty)
        return;
    p->dirty = 0;
    list_add(n->fs, p);
    n->fs->page_dirty--;
    if (--n->page_dirty == 0)
        node_clean(n);
}

static void *bytes_new(struct ext4 *fs)
{
    return fs->options.memory ? fs->options.memory->page() : malloc(PAGE_BYTES);
}

static void bytes_free(struct ext4 *fs, uint8_t *data)
{
    if (data && fs->options.memory)
        fs->options.memory->page_free(data);
    else
        free(data);
}

/* Adjacent pages that leave a store together: a call to the kernel for all of them. */
static struct {
    struct ext4_node *node; /* NULL: none */
    uint64_t first, count;
} leaving;

/* After page_destroy() of pages that may be in a store, before anybody sleeps. */
static void leave_now(void)
{
    struct ext4_node *n = leaving.node;
    leaving.node = NULL;
    if (n)
        n->store->ops->evict(n->store, leaving.first, leaving.count);
}

static void leave(struct ext4_node *n, uint64_t index)
{
    bool before = index + 1 == leaving.first, behind = index == leaving.first + leaving.count;
    if (leaving.node == n && (before || behind)) {
        leaving.first -= before;
        leaving.count++;
        return;
    }
    leave_now();
    leaving.node = n;
    leaving.first = index;
    leaving.count = 1;
}

static void page_destroy(struct page *p)
{
    struct ext4_node *n = p->node;
    struct page **link = bucket(n, p->index);
    page_clean(p);
    while (*link != p)
        link = &(*link)->hash_next;
    *link = p->hash_next;
    *p->node_link = p->node_next;
    if (p->node_next)
        p->node_next->node_link = p->node_link;
    list_remove(n->fs, p);
    n->page_count--;
    n->fs->page_count--;
    if (!p->data)
        leave(n, p->index);
    bytes_free(n->fs, p->data);
    spare_give(&spares, p);
}

void pages_free(struct ext4 *fs)
{
    free(fs->page_hash);
}

uint32_t pages_evict(struct ext4 *fs, uint32_t count)
{
    uint32_t evicted = 0, looks = EVICT_LOOK + count;
    struct page *next;
    for (struct page *p = fs->page_oldest; p && evicted < count && looks; p = next, looks--) {
        next = p->newer;
        if (p->pins) { /* not looked at again soon */
            list_remove(fs, p);
            list_add(fs, p);
            continue;
        }
        page_destroy(p);
        evicted++;
    }
    leave_now();
    return evicted;
}

/* Room for one page more. */
static void pages_trim(struct ext4 *fs)
{
    const struct ext4_memory *m = fs->options.memory;
    if (fs->page_count >= fs->page_max)
        pages_evict(fs, fs->page_count - fs->page_max + 1);
    else if (fs->page_count > PAGES_MIN && m && m->low())
        pages_evict(fs, 2);
}

static int supply(struct page **run, uint32_t count)
{
    struct ext4_store *s = run[0]->node->store;
    int error = s->ops->supply(s, run[0]->index, run[0]->data, count);
    if (error) /* some may be there: nobody shall see them, as they are not what counts */
        s->ops->evict(s, run[0]->index, count);
    return error;
}

/* The memory of the last page is the first to be used again, and so is adjacent again. */
int pages_to_store(struct page **run, uint32_t count)
{
    int error = supply(run, count);
    while (!error && count--) {
        bytes_free(run[count]->node->fs, run[count]->data);
        run[count]->data = NULL;
    }
    return error;
}

int page_to_store(struct page *p)
{
    int error = p->data ? pages_to_store(&p, 1) : 0;
    if (error == -ENOMEM && pages_evict(p->node->fs, PAGES_MIN))
        error = pages_to_store(&p, 1);
    return error;
}

struct page *page_lookup(struct ext4_node *n, uint64_t index)
{
    struct page *p = *bucket(n, index);
    while (p && (p->index != index || p->node != n))
        p = p->hash_next;
    return p;
}

struct page *page_find(struct ext4_node *n, uint64_t index)
{
    struct page *p = page_lookup(n, index);
    return p && p->valid ? p : NULL;
}

static void page_add(struct ext4_node *n, uint64_t index, struct page *p)
{
    struct ext4 *fs = n->fs;
    p->node = n;
    p->index = index;
    p->hash_next = *bucket(n, index);
    *bucket(n, index) = p;
    p->node_next = n->pages;
    p->node_link = &n->pages;
    if (n->pages)
        n->pages->node_link = &p->node_next;
    n->pages = p;
    list_add(fs, p);
    n->page_count++;
    fs->page_count++;
}

struct page *page_new(struct ext4_node *n, uint64_t index)
{
    struct ext4 *fs = n->fs;
    pages_trim(fs);
    struct page *p = spare_take(&spares);
    if (p)
        p->data = bytes_new(fs);
    if (p && !p->data && pages_evict(fs, PAGES_MIN))
        p->data = bytes_new(fs);
    if (!p || !p->data) {
        free(p); /* NULL, too */
        return NULL;
    }
    page_add(n, index, p);
    return p;
}

struct page *page_new_hidden(struct ext4_node *n, uint64_t index)
{
    pages_trim(n->fs);
    struct page *p = spare_take(&spares);
    if (!p)
        return NULL;
    p->hidden = true;
    page_add(n, index, p);
    return p;
}

void page_show(struct page *p)
{
    struct ext4_node *n = p->node;
    uint64_t first = p->index;
    uint32_t count = 0;
    while (p && p->hidden && count < SHOWN_TOGETHER) {
        p->hidden = false;
        count++;
        p = page_find(n, first + count);
    }
    if (count)
        n->store->ops->filled(n->store, first, count);
}

int page_read_blocks(struct page *p, struct block_batch *batch)
{
    struct ext4_node *n = p->node;
    if (n->raw.i_flags & INODE_INLINE_DATA)
        return p->index ? 0 : data_read_inline(n, p->data);
    uint32_t bits = n->fs->block_bits, count = PAGE_BYTES >> bits;
    uint64_t first = p->index << (PAGE_SIZE_LOG - bits);
    for (uint32_t i = 0; i < count;) {
        struct extent e = {.count = count};
        uint8_t *at = p->data + (i << bits);
        int error = 0;
        if ((first + i) << bits < n->size)
            error = extent_map(n, first + i, &e);
        if (error)
            return error;
        uint32_t run = e.count < count - i ? (uint32_t)e.count : count - i;
        if (e.state == EXTENT_WRITTEN)
            block_batch_add(batch, BLOCK_READ, e.disk << bits, at, run << bits);
        else
            memset(at, 0, run << bits);
        i += run;
    }
    return 0;
}

void page_read_done(struct page *p)
{
    uint64_t start = p->index << PAGE_SIZE_LOG, size = p->node->size;
    if (size <= start)
        memset(p->data, 0, PAGE_BYTES);
    else if (size - start < PAGE_BYTES)
        memset(p->data + (size - start), 0, PAGE_BYTES - (size - start));
    p->valid = true;
}

/*
 * The page, if it lies behind the end of the file: then nothing of it is on the disk. Its bytes are
 * anything until page_filled().
 */
static bool page_new_behind(struct ext4_node *n, uint64_t index, struct page **out)
{
    if (index << PAGE_SIZE_LOG < n->size || n->raw.i_flags & INODE_INLINE_DATA ||
        page_lookup(n, index))
        return false;
    *out = page_new(n, index);
    if (*out)
        (*out)->pins++;
    return *out;
}

int page_get_to_fill(struct ext4_node *n, uint64_t index, struct page **out)
{
    return page_new_behind(n, index, out) ? 0 : page_get(n, index, out);
}

void page_filled(struct page *p, uint32_t bytes)
{
    if (!p->valid)
        memset(p->data + bytes, 0, PAGE_BYTES - bytes);
    p->valid = true;
}

/* What was to come to its place in the store has not: the page is read into memory of ours. */
static int page_take_back(struct page *p)
{
    struct ext4_node *n = p->node;
    p->data = bytes_new(n->fs);
    if (!p->data && pages_evict(n->fs, PAGES_MIN))
        p->data = bytes_new(n->fs);
    if (!p->data)
        return -ENOMEM;
    p->hidden = false;
    n->store->ops->evict(n->store, p->index, 1);
    return 0;
}

int page_get(struct ext4_node *n, uint64_t index, struct page **out)
{
    struct page *p = page_lookup(n, index);
    if (p && !p->dirty) {
        list_remove(n->fs, p);
        list_add(n->fs, p);
    }
    if (!p)
        p = page_new(n, index);
    if (!p)
        return -ENOMEM;
    p->pins++;
    *out = p;
    ahead_wait(p);
    if (p->valid) {
        page_show(p);
        return 0;
    }
    struct block_batch batch;
    block_batch_begin(&batch, n->fs->device);
    int error = p->hidden ? page_take_back(p) : 0;
    if (!error)
        error = page_read_blocks(p, &batch);
    int status = block_batch_wait(&batch);
    error = error ? error : status;
    if (!error) {
        page_read_done(p);
        return 0;
    }
    page_put(p);
    return error;
}

void page_put(struct page *p)
{
    p->pins--;
    if (p->valid || p->pins)
        return;
    page_destroy(p); /* it was to be filled, and nobody has */
    leave_now();
}

void page_dirty(struct page *p, uint32_t offset, uint32_t size)
{
    struct ext4_node *n = p->node;
    struct ext4 *fs = n->fs;
    if (!size)
        return;
    if (!p->dirty) {
        list_remove(fs, p);
        fs->page_dirty++;
        if (n->page_dirty++ == 0) {
            n->dirty_next = fs->dirty_nodes;
            n->dirty_link = &fs->dirty_nodes;
            if (fs->dirty_nodes)
                fs->dirty_nodes->dirty_link = &n->dirty_next;
            fs->dirty_nodes = n;
        }
    }
    uint32_t last = (offset + size - 1) >> fs->block_bits;
    for (uint32_t i = offset >> fs->block_bits; i <= last; i++)
        p->dirty |= (uint8_t)(1u << i);
}

/* The part of a page that is in [from, end): zeros, and its whole blocks need not be written. */
static void page_drop_part(struct page *p, uint64_t from, uint64_t end)
{
    uint64_t start = p->index << PAGE_SIZE_LOG;
    uint32_t bits = p->node->fs->block_bits;
    uint32_t a = from > start ? (uint32_t)(from - start) : 0;
    uint32_t b = end - start < PAGE_BYTES ? (uint32_t)(end - start) : PAGE_BYTES;
    uint8_t dirty = p->dirty;
    page_show(p);
    memset(page_bytes(p) + a, 0, b - a);
    for (uint32_t i = 0; i < PAGE_BYTES >> bits; i++)
        if (i << bits >= a && (i + 1) << bits <= b)
            dirty &= (uint8_t) ~(1u << i);
    if (!dirty)
        page_clean(p);
    else
        p->dirty = dirty;
}

void pages_drop(struct ext4_node *n, uint64_t from, uint64_t end)
{
    struct page *next;
    ahead_end(n);
    for (struct page *p = n->pages; p; p = next) {
        uint64_t start = p->index << PAGE_SIZE_LOG;
        next = p->node_next;
        if (start >= end || start + PAGE_BYTES <= from)
            continue;
        if (start >= from && start + PAGE_BYTES <= end && !p->pins)
            page_destroy(p);
        else
            page_drop_part(p, from, end);
    }
    leave_now();
    if (n->store && end == UINT64_MAX)
        n->store->ops->resize(n->store, n->size);
}

void ext4_forget(struct ext4_node *n, uint64_t from, uint64_t end)
{
    struct page *next;
    fiber_lock(&n->fs->lock);
    for (struct page *p = n->pages; p; p = next) {
        uint64_t start = p->index << PAGE_SIZE_LOG;
        next = p->node_next;
        if (start >= from && start < end && end - start >= PAGE_BYTES && !p->pins && !p->dirty)
            page_destroy(p);
    }
    leave_now();
    fiber_unlock(&n->fs->lock);
}
