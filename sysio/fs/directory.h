/* SPDX-License-Identifier: MIT */
/*
 * The names in one memory directory. Found by a hash table; listed in order of `id`, which grows
 * and is never reused, so that a readdir cookie stays right whatever happens between two calls: it
 * is the id after which to go on.
 */
#ifndef SYSIO_FS_DIRECTORY_H
#define SYSIO_FS_DIRECTORY_H

#include "fs.h"

struct entry {
    struct entry *next; /* in its bucket */
    struct inode *inode;
    uint64_t id;
    uint32_t hash;
    uint16_t length;
    char name[];
};

#define DIRECTORY_FIRST_ID 3u /* 1 and 2 are the cookies of "." and ".." */

struct directory {
    struct entry **buckets; /* NULL while empty */
    struct entry **order;   /* by id; NULL where an entry was removed */
    uint64_t *ids;          /* of order[] */
    uint64_t next_id;
    uint32_t bits;  /* 1 << bits buckets */
    uint32_t count; /* entries */
    uint32_t order_used, order_size;
};

void directory_init(struct directory *d);
void directory_free(struct directory *d); /* empty */
struct entry *directory_find(const struct directory *d, const char *name, size_t length);
/* NULL: no memory */
struct entry *directory_add(struct directory *d, const char *name, size_t length,
                            struct inode *inode);
void directory_remove(struct directory *d, struct entry *entry);
/*
 * The first whose id is greater, for *at == DIRECTORY_SEARCH; then the next ones in order, as long
 * as the directory stays as it is. NULL: no more.
 */
#define DIRECTORY_SEARCH UINT32_MAX
struct entry *directory_after(const struct directory *d, uint64_t id, uint32_t *at);

#endif
