/* SPDX-License-Identifier: MIT */
/*
 * What eventfd, timerfd and signalfd share: where their state is. It is this process's own memory
 * until the file is about to be another process's, too: then it moves to an object of the tty
 * engine (IO_EVENT), whose gate becomes the file's handle, and stays there.
 */
#ifndef PX_EVENT_H
#define PX_EVENT_H

#include "watch.h"

static inline bool px_event_moved(const struct px_file *f)
{
    return __atomic_load_n(&f->handle, __ATOMIC_ACQUIRE) != 0;
}

/* A new file of these kinds, whose state is here. NULL: no memory. */
struct px_file *px_event_new(const struct px_ops *ops, enum px_kind kind, int flags);
/*
 * Moves the state. settle, with px_net.lock held: hands it to the object, when that is the file's
 * handle already. 0, or the error, and nothing has changed.
 */
long px_event_move(struct px_file *f, uint64_t kind, uint64_t word,
                   void (*settle)(struct px_file *f));
void px_event_released(struct px_file *f); /* for ops->release */
/* Of one that has moved: a read of its 8 bytes, and its words (IO_EVENT_GET, IO_EVENT_SET). */
long px_event_read(struct px_file *f, struct px_io *io, uint32_t flags);
long px_event_words(struct px_file *f, uint32_t op, uint64_t word[3]);

/* A file of IO_INOTIFY, whose state always is an object of the engine. NULL: no memory */
struct px_file *px_inotify_file(uint32_t flags, motor_handle object);
struct px_file *px_mqueue_file(uint32_t flags, motor_handle object); /* and one of IO_MQ_OPEN */
struct px_file *px_pidfd_file(uint32_t flags, motor_handle object);  /* of IO_PIDFD */

extern const struct px_ops px_signalfd_ops;
void px_signalfd_list(struct px_file *f); /* a new one */

#endif
