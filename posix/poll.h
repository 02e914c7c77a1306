/* SPDX-License-Identifier: MIT */
#ifndef PX_POLL_H
#define PX_POLL_H

#include "watch.h"

/*
 * Waits until one of the entries (in the runtime's memory) is ready: how many are, revents filled.
 * 0 at the deadline; -PX_ERESTARTNOHAND, -ENOMEM. Negative descriptors are skipped.
 */
long px_poll(struct linux_pollfd *fds, size_t count, uint64_t deadline);

/* What is left of a timeout, as Linux tells ppoll and pselect6. */
void px_time_left_out(void *user_timespec, uint64_t deadline);

#endif
