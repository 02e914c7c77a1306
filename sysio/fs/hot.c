/* SPDX-License-Identifier: MIT */
/*
 * Hot files: their attributes in a page that programs map (struct io_hot), so that stat and read of
 * a file that stays as it is need no call. The bytes are the file system's object, mapped by the
 * program itself.
 *
 * Whatever changes an inode calls hot_changed(), directly or by inode_touch(); the page is written
 * once at the end of the message. There are at most HOT_MAX; the list is by age, newest first. A
 * page that is given up says so before it is left to those who still have it mapped.
 *
 * The only open file that may write an inode may do so without calls (`writer`), until somebody
 * else wants to read or look. When it did so last is in a page that it writes, and becomes the
 * inode's time before anybody sees that: hot_collect().
 */
#include "fs.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct hot {
    struct inode *inode;
    struct io_hot *page;
    motor_handle vmo;
    bool changed;
    const struct file *writer;      /* may write without calls; NULL: nobody */
    struct io_hot_written *written; /* whenever there was a writer; not trusted */
    motor_handle written_vmo;
    uint64_t collected; /* the time in it that the inode has */
    struct hot *newer, *older;
};

static struct hot *newest, *oldest;
static unsigned count;
static bool any_changed;

static uint64_t ns_of(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

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

static void mark(struct hot *h)
{
    any_changed = h->changed = true;
}

void hot_written_at(struct inode *inode, uint64_t time, struct timespec before)
{
    uint64_t now = clock_realtime_ns();
    time = fs_time(time > now ? now : time);
    time = time < ns_of(before) ? fs_time(now) : time;
    inode->mtime = inode->ctime = to_timespec(time);
    hot_changed(inode);
}

void hot_collect(struct inode *inode)
{
    struct hot *h = inode->hot;
    uint64_t time = h && h->written ? __atomic_load_n(&h->written->time, __ATOMIC_SEQ_CST) : 0;
    if (!time || time == h->collected)
        return;
    h->collected = time;
    hot_written_at(inode, time, inode->ctime);
}

/* Set-id bits have to go with a write. */
static bool may_write(const struct hot *h)
{
    struct inode *i = h->inode;
    return h->writer && i->writers == 1 && !(i->mode & (S_ISUID | S_ISGID)) && i->ops->steady(i);
}

static void publish(struct hot *h)
{
    struct io_stat st;
    struct inode *i = h->inode;
    uint32_t seq = h->page->seq, writer = may_write(h);
    if (!writer)
        __atomic_store_n(&h->page->writer, 0, __ATOMIC_SEQ_CST); /* before its time is looked at */
    inode_stat(i, &st);
    __atomic_store_n(&h->page->seq, seq + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    h->page->stat = st;
    h->page->read_calls = !inode_access_is_noted(i);
    h->page->writer = writer;
    h->page->written = h->collected;
    h->page->appender = i->lease != NULL;
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

void hot_touched(struct inode *inode)
{
    if (inode->hot)
        mark(inode->hot);
}

void hot_changed(struct inode *inode)
{
    if (inode->ops->changed)
        inode->ops->changed(inode);
    hot_touched(inode);
}

int hot_write_begin(struct file *file, motor_handle *written)
{
    struct inode *inode = file->inode;
    struct hot *h = inode->hot;
    if (!h || !file_is_writable(file) || !inode->ops->hot_write || !inode->ops->hot_write(inode))
        return -EOPNOTSUPP;
    if (!h->written && !(h->written = shared_page(&h->written_vmo)))
        return -ENOMEM;
    h->writer = file;
    if (!may_write(h)) {
        h->writer = NULL;
        return -EOPNOTSUPP;
    }
    mark(h);
    *written = h->written_vmo;
    return 0;
}

void hot_others(struct inode *inode, const struct file *file)
{
    struct hot *h = inode->hot;
    append_others(inode, file);
    if (!h || !h->writer || h->writer == file)
        return;
    h->writer = NULL;
    mark(h);
}

void hot_write_end(struct file *file)
{
    struct hot *h = file->inode->hot;
    if (h && h->writer == file)
        hot_others(file->inode, NULL);
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
    __atomic_store_n(&h->page->valid, 0, __ATOMIC_SEQ_CST);
    hot_collect(inode);
    inode->hot = NULL;
    if (h->written) {
        motor_unmap(0, (uint64_t)h->written, MOTOR_PAGE_SIZE);
        motor_handle_close(h->written_vmo);
    }
    motor_unmap(0, (uint64_t)h->page, MOTOR_PAGE_SIZE);
    motor_handle_close(h->vmo);
    unlist(h);
    count--;
    free(h);
}

void hot_end_in(const struct inode *dir)
{
    for (struct hot *h = newest, *next; h; h = next) {
        next = h->older;
        if (h->inode->parent == dir)
            hot_end(h->inode);
    }
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
