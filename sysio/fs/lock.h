/* SPDX-License-Identifier: MIT */
/*
 * Locks of files, as fcntl(2) and flock(2) have them. They belong to inodes, of whatever file
 * system. Owners are what the kernel tells the end of: an open file (flock, open-file-description
 * locks), or a process's presence (record locks).
 */
#ifndef SYSIO_FS_LOCK_H
#define SYSIO_FS_LOCK_H

#include "fs.h"

struct presence;

enum lock_kind { LOCK_PROCESS, LOCK_OPEN_FILE, LOCK_WHOLE };

struct lock {
    struct lock *next, **link; /* of the inode, by their start */
    struct lock *owned_next, **owned_link;
    struct file_locks *of;
    struct lock_set *set; /* the owner's */
    uint64_t start, end;  /* the last byte */
    uint32_t pid;         /* whose call made it, for those who ask */
    enum lock_kind kind;
    bool exclusive;
};
#define LOCK_LAST_BYTE ((uint64_t)INT64_MAX)

/* A call that waits; `want` is in no list but the owner's of waits. */
struct lock_wait {
    struct lock want;
    uint64_t token;
    struct lock_wait *next, **link; /* of the inode, oldest first */
};

/* All of one inode; it exists while there are any. */
struct file_locks {
    struct inode *inode; /* with a reference */
    struct lock *locks;
    struct lock_wait *waits, **waits_end;
    struct file_locks *next, **link;
};

void locks_init(uint64_t memory);
/* IO_LOCK on a file, by the presence that came along (NULL: none): a status or NO_REPLY. */
int64_t lock_call(struct file *file, struct presence *presence, const struct motor_event *ev);
/* The owner has gone: so do its locks. */
void locks_file_closed(struct file *file);
void locks_presence_closed(struct presence *presence);
/* A call that waits for a lock is given up, or interrupted: then it is answered. */
void locks_cancel(uint64_t token);

/* For /proc/locks: each lock, and with `waits` who waits for it, in order. */
struct text;
void locks_each(void (*show)(struct text *t, const struct lock *l, bool waits), struct text *t);

#endif
