/* SPDX-License-Identifier: MIT */
/*
 * Files that others map: their pages are in a store, and are brought there when a user touches
 * them. A page that a user writes gets its place on the disk first, so that write-back cannot fail
 * for want of space; it stays dirty until it is written, before which the user's permission ends.
 */
#include "ext4_impl.h"

#include <errno.h>

#define AHEAD  32u /* pages, of who goes through a file */
#define AROUND 32u /* of who does not: a power of two */

#define NEAR 32u /* pages before which who goes through a file may begin */

#define RUN_PAGES 64u /* that come into a store together */

struct ext4_store *ext4_store(struct ext4_node *n)
{
    return n->store;
}

static int move_all(struct ext4_node *n)
{
    for (struct page *p = n->pages; p; p = p->node_next) {
        p->pins++; /* moving the others may have to evict some */
        int error = p->valid ? page_to_store(p) : 0;
        p->pins--;
        if (error)
            return error;
    }
    return 0;
}

int ext4_share(struct ext4_node *n, struct ext4_store *s)
{
    fiber_lock(&n->fs->lock);
    int error = n->store ? -EBUSY : pages_write(n); /* so that every page may be dropped */
    if (!error)
        error = s->ops->reserve(s, n->size);
    if (!error) {
        n->store = s;
        s->ops->resize(s, n->size);
        error = move_all(n);
        if (error) {
            pages_drop(n, 0, UINT64_MAX);
            n->store = NULL;
        }
    }
    fiber_unlock(&n->fs->lock);
    return error;
}

/*
 * Pages that are here, but not in the store yet: they were written, or read by calls, or have been
 * read ahead. From `wanted` on, result: where it stopped, at one that is not here.
 */
static uint64_t to_store(struct ext4_node *n, uint64_t first, uint64_t wanted, uint64_t end)
{
    struct page *run[RUN_PAGES], *p;
    uint32_t count = 0;
    for (uint64_t i = first; i < end; i++) {
        p = page_find(n, i);
        if (p)
            page_show(p);
        bool goes_on = p && p->data && count < RUN_PAGES &&
                       (!count || (p->data == run[count - 1]->data + PAGE_BYTES &&
                                   i == run[count - 1]->index + 1));
        if (count && !goes_on) {
            if (pages_to_store(run, count))
                return run[0]->index;
            count = 0;
        }
        if (!p && i >= wanted)
            return i;
        if (p && p->data)
            run[count++] = p;
    }
    return count && pages_to_store(run, count) ? run[0]->index : end;
}

static uint64_t page_end(const struct ext4_node *n)
{
    return (n->size + PAGE_BYTES - 1) >> PAGE_SIZE_LOG;
}

/*
 * Who goes through a file: where he goes on, or *first: a little before, as copies may begin with
 * their last bytes. Two may do so at once.
 */
static bool goes_on(struct ext4_node *n, uint64_t index, uint64_t *first)
{
    for (unsigned i = 0; i < 2; i++)
        if (n->fault_next[i] && index - n->fault_next[i] < NEAR) {
            *first = n->fault_next[i];
            return true;
        }
    *first = index;
    return !index || index == n->read_next;
}

/* He goes on at `next`. */
static void note(struct ext4_node *n, uint64_t first, uint64_t next)
{
    if (first != n->fault_next[0])
        n->fault_next[1] = n->fault_next[0];
    n->fault_next[0] = next;
}

/* Asks for the page, and for some that are likely to be wanted next: where they end. */
static uint64_t expect(struct ext4_node *n, uint64_t index, uint64_t *first)
{
    uint64_t pages = page_end(n), end;
    if (goes_on(n, index, first)) {
        ahead_expect(n, *first, *first + AHEAD, true);
        end = *first + (n->read_window > AHEAD ? n->read_window : AHEAD);
    } else {
        *first = index & ~(uint64_t)(AROUND - 1);
        end = *first + AROUND;
    }
    end = end < pages ? end : pages;
    if (!page_lookup(n, index))
        ahead_bring(n, *first, end);
    return end;
}

/* The page in the store, and what is here of those around it or behind it. */
static int fetch(struct ext4_node *n, uint64_t index, bool write, struct page **out)
{
    struct page *here = page_find(n, index);
    bool there = here && !here->data && !here->hidden;
    uint64_t first, end = expect(n, index, &first);
    while (!write && ahead_wait_outside(n, index))
        if (index >= page_end(n))
            return -ENXIO;
    int error = page_get(n, index, out);
    if (error || there)
        return error;
    note(n, first, to_store(n, first, index, end));
    error = page_to_store(*out); /* others may leave for this one */
    if (error)
        page_put(*out);
    return error;
}

/* Space for all of the page that is in the file; the page is pinned. */
static int make_room(struct ext4_node *n, struct page *p)
{
    struct ext4 *fs = n->fs;
    uint64_t start = p->index << PAGE_SIZE_LOG;
    uint64_t size = n->size - start < PAGE_BYTES ? n->size - start : PAGE_BYTES;
    for (uint64_t done = 0; done < size;) {
        int error = tx_begin(fs, DATA_CREDITS);
        if (error)
            return error;
        int64_t got = data_ensure(n, start + done, size - done);
        if (got > 0) {
            page_dirty(p, (uint32_t)done, (uint32_t)got);
            done += (uint64_t)got;
        }
        node_touch(n, true);
        error = node_write(n);
        error = tx_end(fs, error ? error : got < 0 ? (int)got : 0);
        if (error)
            return error;
    }
    return 0;
}

static int fault(struct ext4_node *n, uint64_t index, bool write)
{
    struct page *p;
    if (!n->store || index >= page_end(n))
        return -ENXIO;
    int error = write ? data_writable(n) : 0;
    if (!error && write)
        error = data_prepare(n);
    if (!error)
        error = fetch(n, index, write, &p);
    if (error)
        return error;
    if (write)
        error = make_room(n, p);
    if (write && !error) {
        p->shared = true;
        n->store->ops->allow(n->store, index);
    }
    page_put(p);
    return error;
}

int ext4_fault(struct ext4_node *n, uint64_t index, bool write)
{
    fiber_lock(&n->fs->lock);
    int error = fault(n, index, write);
    fiber_unlock(&n->fs->lock);
    return error;
}

uint32_t ext4_reclaim(struct ext4 *fs, uint32_t count)
{
    fiber_lock(&fs->lock);
    uint32_t got = pages_evict(fs, count);
    if (got < count)
        got += bufs_reclaim(fs, count - got);
    if (got < count && fs->dirty_nodes && !fs->broken) {
        pages_write(fs->dirty_nodes);
        got += pages_evict(fs, count - got);
    }
    fiber_unlock(&fs->lock);
    return got;
}
