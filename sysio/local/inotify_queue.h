/* SPDX-License-Identifier: MIT */
/*
 * Queues of inotify events: what the fs engine, which sees what happens to files, tells to the tty
 * engine, where programs read and wait. The two are threads; everything here takes one lock, and
 * may be called by either.
 */
#ifndef SYSIO_INOTIFY_QUEUE_H
#define SYSIO_INOTIFY_QUEUE_H

#include <motor/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>

#define INOTIFY_INSTANCES 128u   /* of one user, */
#define INOTIFY_WATCHES   16384u /* and these of all his instances together */
#define INOTIFY_EVENTS    16384u /* in one queue */

struct watch;
struct inotify_queue;

/*
 * For a new instance with this badge, referenced. NULL: *error is -EMFILE or -ENOMEM. The queue is
 * found by the badge until it is closed.
 */
struct inotify_queue *inotify_queue_new(uint64_t badge, uint32_t uid, int *error);
struct inotify_queue *inotify_queue_find(uint64_t badge); /* referenced; NULL: there is none */
void inotify_queue_put(struct inotify_queue *q);
void inotify_queue_close(struct inotify_queue *q); /* nobody reads it any more */
/* Some queue is closed and has watches: one, referenced; NULL: none. */
struct inotify_queue *inotify_queue_closed(void);

/* ---- the fs engine ---- */

struct watch **
inotify_queue_watches(struct inotify_queue *q); /* its list, which is that engine's */
/* A watch more: its number, or -ENOSPC; and one less. */
int inotify_queue_watch(struct inotify_queue *q);
void inotify_queue_unwatch(struct inotify_queue *q);
/*
 * An event behind the others, unless it is the same as the last one. Too many: IN_Q_OVERFLOW
 * instead, once. true: somebody may wait for it.
 */
bool inotify_queue_add(struct inotify_queue *q, const struct inotify_event *event, const char *name,
                       size_t length);

/* ---- the tty engine ---- */

/*
 * Events from the first on, as many as fit whole: bytes, 0: none, -EINVAL: the first does not fit.
 * They stay until it is said whether they were taken.
 */
int64_t inotify_queue_give(struct inotify_queue *q, void *to, size_t room);
void inotify_queue_given(struct inotify_queue *q, bool taken);
size_t inotify_queue_bytes(struct inotify_queue *q);   /* of all events */
uint32_t inotify_queue_added(struct inotify_queue *q); /* events that there have ever been */

#endif
