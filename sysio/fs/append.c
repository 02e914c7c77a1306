/* SPDX-License-Identifier: MIT */
/*
 * Appending without calls. The only open file that may write an inode is lent an object with a ring
 * (struct io_append), into which its processes put what they append. The engine takes that into the
 * file before it handles any message, so whoever looks by a call sees all of it, and who does not
 * make calls is told to (struct io_hot: appender). What was put there is written: it stays when its
 * process is killed, and there is space for it, which is reserved before the ring is lent.
 *
 * What the ring says is not trusted. `taken` of the lease is what counts here; an `end` that makes
 * no sense ends the lease.
 *
 * [lock] everything, also while a disk is waited for.
 */
#include "../base/fiber.h"
#include "fs.h"
#include "watches.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LEASES_MAX 16u

struct lease {
    struct inode *inode;
    const struct file *file; /* which has a reference to the inode */
    struct io_append *ring;
    motor_handle vmo;
    uint64_t taken;  /* the inode's size */
    uint64_t rested; /* taken, when it was last looked for those that rest */
    bool paused;
    uint32_t turn; /* of appends_collect() that has seen it */
    struct lease *next, **link;
};

static struct lease *leases; /* the newest first */
static uint32_t count;
static struct fiber_lock lock;

static void enter(void)
{
    if (fiber_current()) /* else nobody can wait in between */
        fiber_lock(&lock);
}

static void leave(void)
{
    if (fiber_current())
        fiber_unlock(&lock);
}

static bool may_append(const struct file *f)
{
    const struct inode *i = f->inode;
    return file_is_writable(f) && S_ISREG(i->mode) && i->writers == 1 && !i->mapped &&
           !(i->mode & (S_ISUID | S_ISGID)) && !watch_has(i) && i->ops->reserve;
}

/* The bytes up to `end`, and their time. */
static void take(struct lease *l, uint64_t end)
{
    struct inode *i = l->inode;
    struct timespec before = i->ctime;
    bool fails = false;
    while (l->taken < end && !fails) {
        uint64_t at = l->taken % IO_APPEND_ROOM, n = end - l->taken;
        n = n < IO_APPEND_ROOM - at ? n : IO_APPEND_ROOM - at;
        int64_t done = i->ops->append(i, l->ring->bytes + at, n);
        fails = done <= 0;
        l->taken += fails ? 0 : (uint64_t)done;
    }
    if (fails) /* a disk that is broken, which a sync tells */
        log_error("fs", "%llu bytes that were appended are lost",
                  (unsigned long long)(end - l->taken));
    hot_written_at(i, __atomic_load_n(&l->ring->time, __ATOMIC_RELAXED), before);
}

static bool makes_sense(const struct lease *l, uint64_t end)
{
    return end > l->taken && end - l->taken <= IO_APPEND_ROOM;
}

static void end_lease(struct lease *l)
{
    uint64_t end = __atomic_exchange_n(&l->ring->end, IO_APPEND_GONE, __ATOMIC_SEQ_CST);
    if (!l->paused && makes_sense(l, end))
        take(l, end);
    l->inode->ops->reserve(l->inode, 0);
    l->inode->lease = NULL;
    hot_touched(l->inode);
    *l->link = l->next;
    if (l->next)
        l->next->link = l->link;
    count--;
    motor_unmap(0, (uint64_t)l->ring, sizeof *l->ring);
    motor_handle_close(l->vmo);
    free(l);
}

/* The ring may be filled again, as far as there is space. False: the lease has ended. */
static bool go_on(struct lease *l)
{
    if (!may_append(l->file) || l->inode->ops->reserve(l->inode, IO_APPEND_ROOM)) {
        end_lease(l);
        return false;
    }
    __atomic_store_n(&l->ring->taken, l->taken, __ATOMIC_RELEASE);
    return true;
}

static void collect(struct lease *l)
{
    uint64_t end = __atomic_load_n(&l->ring->end, __ATOMIC_ACQUIRE);
    if (l->paused || end == l->taken)
        return;
    if (!makes_sense(l, end)) {
        end_lease(l);
        return;
    }
    take(l, end);
    go_on(l);
}

void appends_collect(void)
{
    static uint32_t turn;
    if (!leases)
        return;
    enter();
    turn++;
    for (struct lease *l = leases; l;) {
        bool seen = l->turn == turn;
        l->turn = turn;
        if (!seen)
            collect(l);
        l = seen ? l->next : leases; /* it may have gone */
    }
    leave();
}

void append_pause(struct inode *inode, const struct file *file)
{
    if (!inode->lease)
        return;
    append_others(inode, file);
    enter();
    struct lease *l = inode->lease;
    if (l && !l->paused) {
        uint64_t end = __atomic_exchange_n(&l->ring->end, IO_APPEND_PAUSED, __ATOMIC_SEQ_CST);
        if (makes_sense(l, end))
            take(l, end);
        l->paused = true;
    }
    leave();
}

void appends_go_on(void)
{
    if (!leases)
        return;
    enter();
    for (struct lease *l = leases, *next; l; l = next) {
        next = l->next;
        if (!l->paused) {
            if (!may_append(l->file))
                end_lease(l);
            continue;
        }
        l->paused = false;
        l->taken = l->inode->size;
        if (go_on(l))
            __atomic_store_n(&l->ring->end, l->taken, __ATOMIC_RELEASE);
    }
    leave();
}

void append_end(struct inode *inode)
{
    append_others(inode, NULL);
}

void append_others(struct inode *inode, const struct file *file)
{
    if (!inode->lease)
        return;
    enter();
    if (inode->lease && inode->lease->file != file)
        end_lease(inode->lease);
    leave();
}

void appends_end(bool idle)
{
    enter();
    for (struct lease *l = leases, *next; l; l = next) {
        next = l->next;
        bool rests = l->taken == l->rested;
        l->rested = l->taken;
        if (!idle || rests)
            end_lease(l);
    }
    leave();
}

/* ---- begin ---- */

static struct lease *lease_new(struct file *file)
{
    struct lease *l = memory_low() ? NULL : calloc(1, sizeof *l);
    int64_t vmo = l ? motor_vmo_create(sizeof *l->ring, 0) : -MOTOR_ENOMEM;
    if (vmo < 0) {
        free(l);
        return NULL;
    }
    int64_t at = motor_map(0, (motor_handle)vmo, 0, 0, sizeof *l->ring,
                           MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_POPULATE);
    if (at < 0) {
        motor_handle_close((motor_handle)vmo);
        free(l);
        return NULL;
    }
    l->inode = file->inode;
    l->file = file;
    l->vmo = (motor_handle)vmo;
    l->ring = (struct io_append *)at;
    l->ring->end = l->ring->taken = l->taken = l->inode->size;
    return l;
}

static int lend(struct file *file)
{
    struct inode *inode = file->inode;
    struct lease *oldest = leases;
    if (!may_append(file))
        return -EOPNOTSUPP;
    while (oldest && oldest->next)
        oldest = oldest->next;
    if (count == LEASES_MAX)
        end_lease(oldest);
    if (inode->ops->reserve(inode, IO_APPEND_ROOM))
        return -EOPNOTSUPP;
    struct lease *l = lease_new(file);
    if (!l) {
        inode->ops->reserve(inode, 0);
        return -ENOMEM;
    }
    inode->lease = l;
    l->next = leases;
    l->link = &leases;
    if (leases)
        leases->link = &l->next;
    leases = l;
    count++;
    hot_touched(inode); /* who has its attributes hears of it before the ring is used */
    return 0;
}

int append_begin(struct file *file, motor_handle *vmo)
{
    struct inode *inode = file->inode;
    int error = 0;
    enter();
    if (!inode->lease)
        error = lend(file);
    else if (inode->lease->file != file)
        error = -EOPNOTSUPP;
    if (!error)
        *vmo = inode->lease->vmo;
    leave();
    return error;
}
