/* SPDX-License-Identifier: MIT */
/*
 * Hot files: their attributes in a page that programs map (struct io_hot), so that stat and read of
 * a file that stays as it is need no call. The bytes are the file system's object, mapped by the
 * program itself.
 *
 * Whatever changes an inode calls hot_changed(), directly or by inode_touch(); the page is written
 * once at the end of the message. There are at most HOT_MAX; the list is by age, newest first. A
 * page that is given up says so before it is left to those who still have it mapped.
 */
#include "fs.h"

#include <errno.h>
#include <stdlib.h>

struct hot {
    struct inode *inode;
    struct io_hot *page;
    motor_handle vmo;
    bool changed;
    struct hot *newer, *older;
};

static struct hot *newest, *oldest;
static unsigned count;
static bool any_changed;

static void unlist(struct hot *h)
{
    *(h->newer ? &h->newer->older : &newest) = h->older;
    *(h->older ? &h->older->newer : &oldest) = h->newer;
}

static void list_newest(struct hot *h)
{
    h->newer = NULL;
    h->older = newest;
    *(newest ? &newest->newer : &oldest) = h;
    newest = h;
}

static void publish(struct hot *h)
{
    struct io_stat st;
    struct inode *i = h->inode;
    uint32_t seq = h->page->seq;
    inode_stat(i, &st);
    __atomic_store_n(&h->page->seq, seq + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    h->page->stat = st;
    h->page->read_calls = !inode_access_is_noted(i);
    __atomic_store_n(&h->page->seq, seq + 2, __ATOMIC_RELEASE);
    h->changed = false;
}

/* A page that is mapped here; NULL: no memory. */
static void *shared_page(motor_handle *vmo)
{
    int64_t h = memory_low() ? -MOTOR_ENOMEM : motor_vmo_create(MOTOR_PAGE_SIZE, 0);
    if (h < 0)
        return NULL;
    int64_t at = motor_map(0, (motor_handle)h, 0, 0, MOTOR_PAGE_SIZE,
                           MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_POPULATE);
    if (at < 0) {
        motor_handle_close((motor_handle)h);
        return NULL;
    }
    *vmo = (motor_handle)h;
    return (void *)at;
}

static struct hot *hot_new(struct inode *inode)
{
    struct hot *h = calloc(1, sizeof *h);
    if (!h || !(h->page = shared_page(&h->vmo))) {
        free(h);
        return NULL;
    }
    h->inode = inode;
    h->page->valid = 1;
    publish(h);
    return h;
}

int hot_begin(struct inode *inode, motor_handle *page)
{
    struct hot *h = inode->hot;
    if (h) {
        unlist(h);
    } else {
        if (count == HOT_MAX)
            hot_end(oldest->inode);
        h = hot_new(inode);
        if (!h)
            return -ENOMEM;
        inode->hot = h;
        count++;
    }
    list_newest(h);
    *page = h->vmo;
    return 0;
}

void hot_changed(struct inode *inode)
{
    if (inode->ops->changed)
        inode->ops->changed(inode);
    if (inode->hot)
        any_changed = inode->hot->changed = true;
}

void hot_publish(void)
{
    if (!any_changed)
        return;
    any_changed = false;
    for (struct hot *h = newest; h; h = h->older)
        if (h->changed)
            publish(h);
}

void hot_end(struct inode *inode)
{
    struct hot *h = inode->hot;
    if (!h)
        return;
    inode->hot = NULL;
    __atomic_store_n(&h->page->valid, 0, __ATOMIC_SEQ_CST);
    motor_unmap(0, (uint64_t)h->page, MOTOR_PAGE_SIZE);
    motor_handle_close(h->vmo);
    unlist(h);
    count--;
    free(h);
}

/* ---- names ---- */

static struct io_names *names, no_page;
static motor_handle names_vmo;

void names_changed(void)
{
    struct io_names *n = names ? names : &no_page;
    __atomic_store_n(&n->changes, n->changes + 1, __ATOMIC_SEQ_CST);
}

int names_page(motor_handle *page, uint64_t *changes)
{
    if (!names) {
        names = shared_page(&names_vmo);
        if (!names)
            return -ENOMEM;
        names->changes = no_page.changes + 1;
    }
    *page = names_vmo;
    *changes = names->changes;
    return 0;
}
