/* SPDX-License-Identifier: MIT */
/*
 * Dirty pages on their way to the disk. The pages of a file are one batch; batches of many files,
 * and the blocks of a transaction's log, are in flight together, since what costs is to wait for
 * the device. Whoever begins one holds the file system's lock until pages_write_end().
 */
#include "ext4_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In flight, of all files together: each may be a request of its own, which takes memory. */
#define FLYING_MAX 256u

struct flight {
    struct ext4_node *node;
    struct flight *next;
    struct block_batch batch;
    int error;
    uint32_t count;
    struct page *pages[];
};

static int by_index(const void *a, const void *b)
{
    const struct page *const *x = a, *const *y = b;
    return (*x)->index < (*y)->index ? -1 : (*x)->index > (*y)->index;
}

static int page_write_blocks(struct page *p, struct block_batch *batch)
{
    struct ext4_node *n = p->node;
    uint32_t bits = n->fs->block_bits;
    uint64_t first = p->index << (PAGE_SIZE_LOG - bits);
    for (uint32_t i = 0; i < PAGE_BYTES >> bits; i++) {
        struct extent e;
        if (!(p->dirty >> i & 1))
            continue;
        int error = extent_map(n, first + i, &e);
        if (error)
            return error;
        if (e.state != EXTENT_WRITTEN)
            return ext4_damage(n->fs, "a dirty page without a place", n->ino);
        block_batch_add(batch, BLOCK_WRITE, e.disk << bits, page_bytes(p) + (i << bits),
                        1u << bits);
    }
    return 0;
}

/*
 * Before a page is written: nobody changes it any more, and what users wrote behind the end is not
 * kept.
 */
static void page_settle(struct page *p)
{
    struct ext4_node *n = p->node;
    uint64_t start = p->index << PAGE_SIZE_LOG;
    if (!p->shared)
        return;
    n->store->ops->clean(n->store, p->index);
    p->shared = false;
    if (n->size - start < PAGE_BYTES)
        memset(page_bytes(p) + (n->size - start), 0, PAGE_BYTES - (n->size - start));
}

static struct flight *flight_new(struct ext4_node *n)
{
    struct flight *f = malloc(sizeof *f + n->page_dirty * sizeof(struct page *));
    if (!f)
        return NULL;
    *f = (struct flight){.node = n};
    for (struct page *p = n->pages; p; p = p->node_next)
        if (p->dirty)
            f->pages[f->count++] = p;
    qsort(f->pages, f->count, sizeof(struct page *), by_index);
    return f;
}

int pages_write_now(struct ext4_node *n)
{
    struct ext4 *fs = n->fs;
    if (!n->page_dirty || !n->dirty_link) /* clean, or on its way */
        return 0;
    if (fs->flying && fs->flying + n->page_dirty > FLYING_MAX)
        pages_write_end(fs);
    struct flight *f = flight_new(n);
    if (!f)
        return -ENOMEM;
    block_batch_begin(&f->batch, fs->device);
    for (uint32_t i = 0; i < f->count; i++) {
        page_settle(f->pages[i]);
        if (!f->error)
            f->error = page_write_blocks(f->pages[i], &f->batch);
    }
    block_batch_submit(&f->batch);
    node_takes_off(n);
    fs->flying += f->count;
    f->next = fs->flights;
    fs->flights = f;
    return 0;
}

int pages_write_begin(struct ext4_node *n)
{
    int error = n->truncated == n->fs->tx_number ? journal_commit(n->fs) : 0;
    return error ? error : pages_write_now(n);
}

static void flight_end(struct flight *f)
{
    struct ext4_node *n = f->node;
    int status = block_batch_wait(&f->batch), error = f->error ? f->error : status;
    if (error) {
        n->write_error = error;
        n->write_errors++;
        n->write_error_reported = false;
        n->fs->write_error = error;
    }
    n->fs->flying -= f->count;
    for (uint32_t i = 0; i < f->count; i++)
        page_clean(f->pages[i]);
    free(f);
}

void pages_write_end(struct ext4 *fs)
{
    while (fs->flights) {
        struct flight *f = fs->flights;
        fs->flights = f->next;
        flight_end(f);
    }
}

int pages_write(struct ext4_node *n)
{
    uint32_t before = n->write_errors;
    int error = pages_write_begin(n);
    pages_write_end(n->fs);
    return error ? error : n->write_errors != before ? n->write_error : 0;
}

int pages_write_all(struct ext4 *fs)
{
    int error = 0;
    fs->write_error = 0;
    while (fs->dirty_nodes) {
        struct ext4_node *n = fs->dirty_nodes;
        int status = pages_write_begin(n);
        error = error ? error : status;
        if (fs->dirty_nodes == n) /* nor will the next try get on */
            break;
    }
    return error;
}

int pages_durable(struct ext4 *fs, bool commit)
{
    int error = 0;
    commit = commit && tx_running(fs);
    if (commit)
        error = journal_commit(fs);
    pages_write_end(fs);
    return commit ? error : block_flush(fs->device);
}
