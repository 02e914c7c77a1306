/* SPDX-License-Identifier: MIT */
/*
 * See watches.h. A watch has a reference to its inode, and one to its queue. An inode's watches are
 * found from it, a queue's from the queue; both lists are this engine's.
 */
#include "watches.h"
#include "../local/inotify_queue.h"
#include "../tty/tty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct watch {
    struct inode *inode;
    struct inotify_queue *queue;
    struct watch *of_inode, *of_queue, *next; /* the next ones: there, and of all */
    int number;
    uint32_t mask; /* IN_ALL_EVENTS, and of the options those that last */
};

static struct watch *watches;
static uint32_t count;
static bool told; /* events that nobody was woken for yet */
static uint32_t last_cookie;

/* ---- telling ---- */

static void say(const struct watch *w, uint32_t mask, uint32_t cookie, const char *name,
                size_t length)
{
    struct inotify_event e = {.wd = w->number, .mask = mask, .cookie = cookie};
    told |= inotify_queue_add(w->queue, &e, name, length);
}

static void watch_free(struct watch *w)
{
    struct watch **link = &w->inode->watches;
    while (*link != w)
        link = &(*link)->of_inode;
    *link = w->of_inode;
    link = inotify_queue_watches(w->queue);
    while (*link != w)
        link = &(*link)->of_queue;
    *link = w->of_queue;
    for (link = &watches; *link != w;)
        link = &(*link)->next;
    *link = w->next;
    count--;
    inotify_queue_unwatch(w->queue);
    inode_put(w->inode);
    free(w);
}

static void watch_end(struct watch *w)
{
    say(w, IN_IGNORED, 0, NULL, 0);
    watch_free(w);
}

/* To all watches of an inode, which is held. name: in it as a directory, NULL: itself. */
static void tell(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name,
                 size_t length)
{
    for (struct watch *w = inode->watches, *next; w; w = next) {
        next = w->of_inode;
        if (!(w->mask & mask & IN_ALL_EVENTS))
            continue;
        say(w, mask, cookie, name, length);
        if (w->mask & IN_ONESHOT)
            watch_end(w);
    }
}

static uint32_t directory_bit(const struct inode *inode)
{
    return S_ISDIR(inode->mode) ? IN_ISDIR : 0;
}

void watch_self(struct inode *inode, uint32_t mask)
{
    if (!count || !inode->watches)
        return;
    inode_get(inode);
    tell(inode, mask | (mask & (IN_MOVE_SELF | IN_DELETE_SELF) ? 0 : directory_bit(inode)), 0, NULL,
         0);
    inode_put(inode);
}

void watch_name(struct inode *dir, const struct inode *inode, const char *name, size_t length,
                uint32_t mask, uint32_t cookie)
{
    if (!count || !dir->watches)
        return;
    inode_get(dir);
    tell(dir, mask | directory_bit(inode), cookie, name, length);
    inode_put(dir);
}

void watch_event(struct inode *inode, uint32_t mask)
{
    if (!count)
        return;
    if (inode->linked && inode->parent && inode->parent != inode && inode->name)
        watch_name(inode->parent, inode, inode->name, strlen(inode->name), mask, 0);
    watch_self(inode, mask);
}

void watch_moved(struct inode *from, const char *name, size_t length, struct inode *to,
                 const char *new_name, size_t new_length, struct inode *inode)
{
    uint32_t cookie = ++last_cookie ? last_cookie : ++last_cookie;
    watch_name(from, inode, name, length, IN_MOVED_FROM, cookie);
    watch_name(to, inode, new_name, new_length, IN_MOVED_TO, cookie);
}

bool watch_has(const struct inode *inode)
{
    return count && (inode->watches || (inode->parent && inode->parent->watches));
}

void watches_publish(void)
{
    static motor_handle gate;
    if (!told)
        return;
    told = false;
    int64_t h = gate ? (int64_t)gate : engine_gate(&tty_engine, TTY_INOTIFY + 1);
    if (h < 0)
        return;
    gate = (motor_handle)h;
    motor_notify(gate);
}

/* ---- what ends a watch ---- */

static uint32_t references(const struct inode *inode)
{
    uint32_t n = 0;
    for (const struct watch *w = inode->watches; w; w = w->of_inode)
        n++;
    return n;
}

void watch_gone(struct inode *inode, uint32_t held)
{
    if (!count || !inode->watches || inode->nlink || inode->refs > references(inode) + held)
        return;
    inode_get(inode);
    tell(inode, IN_DELETE_SELF, 0, NULL, 0);
    while (inode->watches)
        watch_end(inode->watches);
    inode_put(inode);
}

void watches_unmount(const struct mount *m)
{
    for (struct watch *w = watches, *next; w; w = next) {
        next = w->next;
        if (w->inode->mount == m) {
            say(w, IN_UNMOUNT, 0, NULL, 0);
            watch_end(w);
        }
    }
}

/* ---- calls ---- */

/* The queue of the instance that came with a message, referenced. */
static struct inotify_queue *queue_of(const struct motor_event *ev)
{
    struct motor_gate_info info = {.handle = ev->handle[0], .endpoint = tty_engine.endpoint};
    if (!ev->nhandles || ev->handle[0] == MOTOR_HANDLE_OWN ||
        motor_process_info(0, MOTOR_PINFO_GATE, &info, sizeof info) < 0)
        return NULL;
    return inotify_queue_find(info.badge);
}

static struct watch *find(struct inotify_queue *q, const struct inode *inode, int number)
{
    struct watch *w = *inotify_queue_watches(q);
    while (w && (inode ? w->inode != inode : w->number != number))
        w = w->of_queue;
    return w;
}

static int64_t watch_change(struct watch *w, uint32_t mask)
{
    if (mask & IN_MASK_CREATE)
        return -EEXIST;
    w->mask = mask | (mask & IN_MASK_ADD ? w->mask : 0);
    return w->number;
}

/* What it has given to programs to use without calls ends. */
static void cool(struct inode *inode)
{
    hot_end(inode);
    if (S_ISDIR(inode->mode))
        hot_end_in(inode);
    names_changed();
}

static int64_t watch_new(struct inotify_queue *q, struct inode *inode, uint32_t mask)
{
    struct watch *w = memory_low() ? NULL : calloc(1, sizeof *w);
    int number = w ? inotify_queue_watch(q) : -ENOMEM;
    if (number < 0) {
        free(w);
        return number;
    }
    struct watch **list = inotify_queue_watches(q);
    *w = (struct watch){.inode = inode_get(inode),
                        .queue = q,
                        .of_inode = inode->watches,
                        .of_queue = *list,
                        .next = watches,
                        .number = number,
                        .mask = mask};
    inode->watches = *list = watches = w;
    count++;
    cool(inode);
    return number;
}

int64_t watch_add(struct motor_event *ev, const struct cred *who, struct inode *inode)
{
    uint32_t mask = (uint32_t)ev->word[0];
    struct inotify_queue *q = queue_of(ev);
    if (!q)
        return -EINVAL;
    struct watch *w = find(q, inode, 0);
    int64_t result = mask & IN_ONLYDIR && !S_ISDIR(inode->mode)
                         ? -ENOTDIR
                         : vfs_permission(inode, who, MAY_READ);
    if (!result)
        result = w ? watch_change(w, mask) : watch_new(q, inode, mask);
    inotify_queue_put(q);
    return result;
}

int64_t watch_remove(struct motor_event *ev)
{
    struct inotify_queue *q = queue_of(ev);
    struct watch *w = q ? find(q, NULL, (int)ev->word[0]) : NULL;
    if (w)
        watch_end(w);
    if (q)
        inotify_queue_put(q);
    return w ? 0 : -EINVAL;
}

/* ---- a queue goes ---- */

void watches_queue_closed(void)
{
    int64_t gate = engine_gate(&fs_engine, WATCHES_BADGE);
    if (gate < 0)
        return;
    motor_notify((motor_handle)gate);
    motor_handle_close((motor_handle)gate);
}

void watches_closed(void)
{
    struct inotify_queue *q;
    while ((q = inotify_queue_closed())) {
        while (*inotify_queue_watches(q))
            watch_free(*inotify_queue_watches(q));
        inotify_queue_put(q);
    }
}
