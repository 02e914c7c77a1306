/* SPDX-License-Identifier: MIT */
/* pidfds: pidfd.c. */
#ifndef PX_PIDFD_H
#define PX_PIDFD_H

#include <stdbool.h>

/*
 * The pid of the process that a pidfd means; -EBADF: it is none; -ESRCH: the process is no more.
 * *nonblock: whether waitid() is to wait by it.
 */
long px_pidfd_pid(int fd, bool *nonblock);

#endif
