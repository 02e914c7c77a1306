/* SPDX-License-Identifier: MIT */
/*
 * What a tmpfs may hold: bytes and inodes. All of them together have one quota, which protects the
 * machine; one that was mounted with size= or nr_inodes= has its own as well.
 */
#ifndef SYSIO_FS_QUOTA_H
#define SYSIO_FS_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quota {
    uint64_t bytes, bytes_max;
    uint64_t inodes, inodes_max;
};

/*
 * A number of an option: decimal, then k, m or g, or % of `whole` unless that is 0. false: it is
 * none.
 */
bool quota_number(const char *text, size_t length, uint64_t whole, uint64_t *out);

static inline uint64_t quota_room(const struct quota *q)
{
    return q->bytes < q->bytes_max ? q->bytes_max - q->bytes : 0;
}

#endif
