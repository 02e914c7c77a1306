/* SPDX-License-Identifier: MIT */
/* Options of tmpfs: see tmpfs_options.h. */
#include "tmpfs_options.h"

#include <errno.h>
#include <motor/abi.h>
#include <stdlib.h>
#include <string.h>

/* An option NAME=NUMBER; 0 is no limit but that of all. 0: it is another option. */
static int number_of(const char *data, size_t length, const char *name, uint64_t whole,
                     uint64_t most, uint64_t *out)
{
    size_t skip = strlen(name);
    uint64_t value;
    if (length < skip || strncmp(data, name, skip))
        return 0;
    if (!quota_number(data + skip, length - skip, whole, &value))
        return -EINVAL;
    *out = value ? value : most;
    return 1;
}

static int one(const char *data, size_t length, const struct quota *all, struct tmpfs_options *o)
{
    struct quota *q = &o->limits;
    char *end;
    int known = number_of(data, length, "size=", all->bytes_max * 2, all->bytes_max, &q->bytes_max);
    if (!known)
        known = number_of(data, length, "nr_inodes=", 0, all->inodes_max, &q->inodes_max);
    if (!known && !strncmp(data, "mode=", 5)) {
        o->mode = (uint32_t)strtoul(data + 5, &end, 8);
        known = end == data + length && o->mode <= 07777;
    }
    return known > 0 ? 0 : -EINVAL;
}

int tmpfs_options(const char *data, const struct quota *all, struct tmpfs_options *o)
{
    while (*data) {
        size_t length = strcspn(data, ",");
        int error = one(data, length, all, o);
        if (error)
            return error;
        data += length + (data[length] == ',');
    }
    uint64_t page = MOTOR_PAGE_SIZE;
    o->limits.bytes_max = (o->limits.bytes_max + page - 1) & ~(page - 1);
    return 0;
}
