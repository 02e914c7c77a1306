/* SPDX-License-Identifier: MIT */
/* What mount(2) can say of a tmpfs: size=, nr_inodes=, mode=. */
#ifndef SYSIO_FS_TMPFS_OPTIONS_H
#define SYSIO_FS_TMPFS_OPTIONS_H

#include "quota.h"

struct tmpfs_options {
    uint32_t mode; /* of the root */
    struct quota limits;
};

/*
 * Reads the options, with commas between; *o keeps what is not named. A size in percent is of the
 * machine's memory, of which `all`, the limits of all together, have half. EINVAL: there is another
 * one, or a number that is none.
 */
int tmpfs_options(const char *data, const struct quota *all, struct tmpfs_options *o);

#endif
