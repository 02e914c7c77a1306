/* SPDX-License-Identifier: MIT */
/*
 * Reading ahead: pages are asked for before somebody needs them, and nobody waits meanwhile; who
 * comes to a page that is on its way waits for the request that brings it. Such a page is pinned
 * and not valid. Its node stays, and keeps its blocks: whatever takes pages or blocks from a node
 * waits for what is on its way first (ahead_end()).
 *
 * Who goes through a file from one page to the next has a window, which doubles each time it is
 * brought. The next one is asked for when half of the last one is left, so that the device works
 * while the reader does.
 */
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW_FIRST 32u  /* pages */
#define WINDOW_MAX   128u /* or a 16th of the cache, if that is less */
#define READ_PAGES   64u  /* of one page_read, at most */

/* Some adjacent pages on their way: what one request to the device can bring. */
struct page_read {
    struct block_batch batch; /* first */
    struct ext4_node *node;
    struct fiber_queue waiters;
    struct page_read *next, **link; /* of the node's */
    uint32_t count;
    struct page *pages[READ_PAGES];
};

/* From the engine's loop, or from who asked. A page that could not be read goes. */
static void read_over(struct block_batch *b)
{
    struct page_read *r = (struct page_read *)b;
    for (uint32_t i = 0; i < r->count; i++) {
        struct page *p = r->pages[i];
        p->reading = NULL;
        if (!b->status && !p->hidden)
            page_read_done(p);
        else if (!b->status) /* but one whose file was cut meanwhile is not what it shall be */
            p->valid = p->node->size >> PAGE_SIZE_LOG > p->index;
        page_put(p);
    }
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    fiber_wake_all(&r->waiters);
    free(r);
}

static struct page_read *read_new(struct ext4_node *n)
{
    struct page_read *r = malloc(sizeof *r);
    if (!r)
        return NULL;
    block_batch_begin(&r->batch, n->fs->device);
    r->node = n;
    r->waiters = (struct fiber_queue){0};
    r->count = 0;
    r->next = n->reads;
    r->link = &n->reads;
    if (n->reads)
        n->reads->link = &r->next;
    n->reads = r;
    return r;
}

/* Pages from `first` on, none here, that are whole, on the disk side by side, from where on? */
static uint64_t adjacent(struct ext4_node *n, uint64_t first, uint64_t end, uint64_t *disk)
{
    uint32_t shift = PAGE_SIZE_LOG - n->fs->block_bits;
    uint64_t whole = n->size >> PAGE_SIZE_LOG, count;
    struct extent e;
    end = end < whole ? end : whole;
    if (first >= end || n->raw.i_flags & INODE_INLINE_DATA || extent_map(n, first << shift, &e) ||
        e.state != EXTENT_WRITTEN)
        return 0;
    count = e.count >> shift < end - first ? e.count >> shift : end - first;
    count = count < READ_PAGES ? count : READ_PAGES;
    for (uint64_t i = 1; i < count; i++)
        if (page_lookup(n, first + i))
            count = i;
    *disk = e.disk << n->fs->block_bits;
    return count;
}

/*
 * The same for pages that go straight to their places in the store, where nobody sees them before
 * somebody comes to one of them: so that one who goes on is noticed. Result: how many.
 */
static uint32_t start_in_place(struct ext4_node *n, uint64_t first, uint64_t end)
{
    uint64_t address[READ_PAGES], disk, count = 0;
    if (n->store && n->store->ops->prepare && n->fs->device->by_address)
        count = adjacent(n, first, end, &disk);
    struct page_read *r = count ? read_new(n) : NULL;
    if (!r)
        return 0;
    for (struct page *p; r->count < count; r->pages[r->count++] = p) {
        p = page_new_hidden(n, first + r->count);
        if (!p)
            break;
        p->pins++;
        p->reading = r;
    }
    int got = r->count ? n->store->ops->prepare(n->store, first, r->count, address) : 0;
    while (r->count > (uint32_t)got) {
        struct page *p = r->pages[--r->count];
        p->reading = NULL;
        page_put(p);
    }
    for (int i = 0; i < got; i++)
        block_batch_add_address(&r->batch, BLOCK_READ, disk + (uint64_t)i * PAGE_BYTES, address[i],
                                PAGE_BYTES);
    block_batch_end(&r->batch, read_over);
    return (uint32_t)got;
}

/* Asks for the pages [first, end) that are not here. */
static void start(struct ext4_node *n, uint64_t first, uint64_t end)
{
    struct page_read *r = NULL;
    struct page *p;
    for (uint64_t i = first; i < end; i++) {
        if (page_lookup(n, i))
            continue;
        uint32_t placed = r ? 0 : start_in_place(n, i, end);
        if (placed) {
            i += placed - 1;
            continue;
        }
        if (!r && !(r = read_new(n)))
            return;
        p = page_new(n, i);
        if (!p)
            break;
        p->pins++;
        p->reading = r;
        r->pages[r->count++] = p;
        if (page_read_blocks(p, &r->batch)) { /* who needs one of them will hear of it */
            r->batch.status = -EIO;
            break;
        }
        if (r->count == READ_PAGES) {
            block_batch_end(&r->batch, read_over);
            r = NULL;
        }
    }
    if (r)
        block_batch_end(&r->batch, read_over);
}

static uint32_t window_next(const struct ext4_node *n)
{
    uint32_t most = n->fs->page_max / 16, next = n->read_window * 2;
    most = most > WINDOW_MAX ? WINDOW_MAX : most < WINDOW_FIRST ? WINDOW_FIRST : most;
    next = next < WINDOW_FIRST ? WINDOW_FIRST : next;
    return next < most ? next : most;
}

void ahead_expect(struct ext4_node *n, uint64_t index, uint64_t end, bool on)
{
    uint64_t pages = (n->size + PAGE_BYTES - 1) >> PAGE_SIZE_LOG;
    if (!page_lookup(n, index)) {
        if (!on && end == index + 1)
            return;
        n->read_end = index;
        n->read_window = on ? n->read_window : 0;
    } else if (!on || index > n->read_end) {
        return;
    }
    while (n->read_end < pages && n->read_end < end + n->read_window / 2) {
        uint64_t first = n->read_end;
        n->read_window = window_next(n);
        n->read_end = first + n->read_window < pages ? first + n->read_window : pages;
        start(n, first, n->read_end);
    }
}

void ahead_bring(struct ext4_node *n, uint64_t first, uint64_t end)
{
    start(n, first, end);
}

void ahead_wait(struct page *p)
{
    while (p->reading)
        fiber_wait(&p->reading->waiters);
}

bool ahead_wait_outside(struct ext4_node *n, uint64_t index)
{
    struct page *p = page_lookup(n, index);
    if (!p || !p->reading)
        return false;
    struct page_read *r = p->reading;
    fiber_unlock(&n->fs->lock);
    fiber_wait(&r->waiters); /* r stays until then: nothing has run in between */
    fiber_lock(&n->fs->lock);
    return true;
}

void ahead_end(struct ext4_node *n)
{
    while (n->reads)
        fiber_wait(&n->reads->waiters);
}
