/* SPDX-License-Identifier: MIT */
/* Locks of files, and what they belong to: filelock.c. */
#ifndef PX_FILELOCK_H
#define PX_FILELOCK_H

#include "file.h"

/* The process's presence at the fs engine (IO_PRESENCE), made at the first call: 0, or an errno. */
long px_presence(motor_handle *out);
/* F_GETLK and its relatives, on an open file that fd leads to. */
long px_record_lock(int fd, struct px_file *f, int command, void *user);
/* A descriptor of the process is closed: the process's record locks of that file go. */
void px_record_locks_close(struct px_file *f);

#endif
