/* SPDX-License-Identifier: MIT */
/*
 * inotify: who wants to hear what happens to a file or in a directory. The events go into queues
 * that the tty engine reads (sysio/local/inotify_queue.h). As long as nobody watches anything, all
 * of this is one comparison.
 *
 * A file that is watched, or whose directory is, is not hot: what programs do without calls nobody
 * would hear of.
 */
#ifndef SYSIO_FS_WATCHES_H
#define SYSIO_FS_WATCHES_H

#include "fs.h"

#define WATCHES_BADGE 1002u /* not an index of the table of badges */

/* IO_INOTIFY_ADD of an inode that was found, IO_INOTIFY_REMOVE: results of inotify_add_watch(2) and
 * inotify_rm_watch(2). */
int64_t watch_add(struct motor_event *ev, const struct cred *who, struct inode *inode);
int64_t watch_remove(struct motor_event *ev);

/* IN_* happened to an inode: who watches it is told, and who watches its directory. */
void watch_event(struct inode *inode, uint32_t mask);
void watch_self(struct inode *inode, uint32_t mask); /* only the former */
/* A name in a directory; cookie: of a rename. */
void watch_name(struct inode *dir, const struct inode *inode, const char *name, size_t length,
                uint32_t mask, uint32_t cookie);
void watch_moved(struct inode *from, const char *name, size_t length, struct inode *to,
                 const char *new_name, size_t new_length, struct inode *inode);
/* A name, or an open file, has gone: perhaps it was the last. The caller has `held` references. */
void watch_gone(struct inode *inode, uint32_t held);
void watches_unmount(const struct mount *m); /* nothing else uses its inodes */
bool watch_has(const struct inode *inode);   /* somebody would hear of what happens to it */
void watches_publish(void);                  /* after each message: who waits is told */

/* A queue was closed: its watches go, in time. Any thread. */
void watches_queue_closed(void);
void watches_closed(void); /* the notification of that */

#endif
