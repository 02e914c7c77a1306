/* SPDX-License-Identifier: MIT */
/*
 * ext4: a mounted file system and its files, for the layer that serves clients.
 *
 * Everything here may sleep: it runs in fibers, and takes the file system's one lock, so that each
 * call is one step for all others. Results are 0 or positive, or a negated errno. A file system
 * that finds itself damaged, or cannot write its journal, becomes read-only (ext4_broken()).
 *
 * A node is a file, directory or symlink in memory; who has one holds a reference.
 */
#ifndef EXT4_H
#define EXT4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "../../block/block.h"

struct ext4;
struct ext4_node;

struct ext4_options {
    bool read_only;
    uint64_t cache_bytes;             /* of metadata; what is dirty may exceed it */
    uint64_t page_bytes;              /* of the pages of files; 0: as much */
    const struct ext4_memory *memory; /* NULL: malloc, never short */
    struct timespec (*now)(void);
    void (*log)(const char *format, ...) __attribute__((format(printf, 1, 2)));
};

/* Memory for pages. */
struct ext4_memory {
    void *(*page)(void); /* 4 KiB; NULL: there is none */
    void (*page_free)(void *page);
    bool (*low)(void); /* others need memory: the cache shall not grow */
};

struct ext4_attributes {
    uint64_t ino, size, blocks; /* blocks: of 512 bytes */
    uint32_t mode, nlink, uid, gid;
    uint64_t rdev;
    struct timespec atime, mtime, ctime, btime;
};

struct ext4_statfs {
    uint64_t block_size, blocks, free, available, inodes, free_inodes;
};

/*
 * Replays the journal, then opens the file system. EINVAL: not one, or a feature that cannot even
 * be read (its name is logged); EROFS never: what cannot be written is mounted read-only, see
 * ext4_read_only(). The device must stay until ext4_unmount().
 */
int ext4_mount(struct block_device *d, const struct ext4_options *options, struct ext4 **out);
/* No node may be referred to. Frees the file system in any case; the error is of the last writes.
 */
int ext4_unmount(struct ext4 *fs);
/* EROFS: it cannot be written */
int ext4_remount(struct ext4 *fs, bool read_only);
struct ext4 *ext4_of(const struct ext4_node *n);
bool ext4_read_only(const struct ext4 *fs);
/*
 * The device has become larger: takes what it can of it. Nothing may be in use; afterwards the file
 * system has to be unmounted, and mounted again, to know its new size. ext4_can_grow(): whether
 * there is anything to take.
 */
bool ext4_can_grow(const struct ext4 *fs);
int ext4_grow(struct ext4 *fs);
bool ext4_broken(const struct ext4 *fs);
void ext4_statfs(struct ext4 *fs, struct ext4_statfs *out);
/* everything that was done is durable */
int ext4_sync(struct ext4 *fs);

int ext4_root(struct ext4 *fs, struct ext4_node **out);
void ext4_get(struct ext4_node *n);
/* A word of whoever uses the node, NULL at first; it must be NULL again at the last ext4_put(). */
void **ext4_owner(struct ext4_node *n);
/* the last reference to a removed file frees its blocks */
void ext4_put(struct ext4_node *n);
void ext4_attributes(struct ext4_node *n, struct ext4_attributes *out);

#define EXT4_SET_MODE  1u
#define EXT4_SET_OWNER 2u
#define EXT4_SET_ATIME 4u
#define EXT4_SET_MTIME 8u
#define EXT4_SET_CTIME 16u
int ext4_set_attributes(struct ext4_node *n, const struct ext4_attributes *a, unsigned which);

/* ---- names; at most 255 bytes, not "." or "..", without '/' and NUL ---- */

struct ext4_new {
    uint32_t mode, uid, gid; /* mode with its type */
    uint64_t rdev;
    const char *target; /* of a symlink */
    size_t target_size;
};

int ext4_lookup(struct ext4_node *dir, const char *name, size_t length, struct ext4_node **out);
int ext4_create(struct ext4_node *dir, const char *name, size_t length, const struct ext4_new *new,
                struct ext4_node **out);
int ext4_link(struct ext4_node *dir, const char *name, size_t length, struct ext4_node *target);
/* directories, which must be empty, and all else */
int ext4_unlink(struct ext4_node *dir, const char *name, size_t length);
/*
 * Replaces what new_name is; the types must fit, and a directory be empty. The caller knows that no
 * directory comes to be below itself.
 */
int ext4_rename(struct ext4_node *old_dir, const char *old_name, size_t old_length,
                struct ext4_node *new_dir, const char *new_name, size_t new_length, bool exchange);
/* 1: it is empty */
int ext4_empty(struct ext4_node *dir);
/*
 * Calls entry() for what follows `cookie` (0: the start) until it returns false; type is DT_*. "."
 * and ".." are not told.
 */
int ext4_list(struct ext4_node *dir, uint64_t cookie,
              bool (*entry)(void *context, uint64_t ino, uint64_t next, unsigned type,
                            const char *name, size_t length),
              void *context);
/* a file without a name, for O_TMPFILE; ext4_link gives it one */
int ext4_tmpfile(struct ext4_node *dir, const struct ext4_new *new, struct ext4_node **out);
int64_t ext4_readlink(struct ext4_node *n, char *buffer, size_t size);

/* ---- extended attributes; names begin with user., trusted. or security. ---- */

#define EXT4_XATTR_CREATE  1u /* EEXIST: it is there */
#define EXT4_XATTR_REPLACE 2u /* ENODATA: it is not */
/* The value's size; ENODATA, ERANGE. */
int64_t ext4_xattr_get(struct ext4_node *n, const char *name, void *value, size_t room);
/* The names' size, each with its NUL; ERANGE. */
int64_t ext4_xattr_list(struct ext4_node *n, char *names, size_t room);
/* value: NULL: removes it. ENOSPC: it is in no block, or does not fit into one. */
int ext4_xattr_set(struct ext4_node *n, const char *name, const void *value, size_t size,
                   unsigned flags);

/* ---- bytes ---- */

/* Moves bytes between a page and the caller's memory: how many, or a negated errno. */
typedef int64_t ext4_mover(void *context, void *page, uint64_t size);

int64_t ext4_read(struct ext4_node *n, uint64_t offset, uint64_t size, ext4_mover *move,
                  void *context);
int64_t ext4_write(struct ext4_node *n, uint64_t offset, uint64_t size, ext4_mover *move,
                   void *context);
/*
 * Keeps space for so many bytes behind the end, instead of what was kept before; 0: none. ENOSPC:
 * there is not plenty, and what was kept still is. ext4_append() writes at the end, of what is
 * kept; every other write of the file gives that up.
 */
int ext4_reserve(struct ext4_node *n, uint64_t bytes);
int64_t ext4_append(struct ext4_node *n, uint64_t size, ext4_mover *move, void *context);
int ext4_truncate(struct ext4_node *n, uint64_t size);
/* space for a range; it reads as zeros */
int ext4_allocate(struct ext4_node *n, uint64_t offset, uint64_t size, bool keep_size);
int ext4_punch(struct ext4_node *n, uint64_t offset, uint64_t size);
/* first byte at or after offset that is data (or a hole); ENXIO: none */
int64_t ext4_seek(struct ext4_node *n, uint64_t offset, bool hole);

/* Pages that are wholly in [from, end) leave the cache, unless they have to be written. */
void ext4_forget(struct ext4_node *n, uint64_t from, uint64_t end);

/* ---- pages that others map ---- */

/*
 * Where the pages of a mapped file are kept: an object that its users map. A page is supplied whole
 * and filled; what is not there is asked for by ext4_fault(). Its maker puts this first into its
 * own structure.
 */
struct ext4_store {
    const struct ext4_store_ops *ops;
};
struct ext4_store_ops {
    /* copies of `count` pages are there from now on; an error (ENOMEM): some may be */
    int (*supply)(struct ext4_store *s, uint64_t index, const void *pages, uint64_t count);
    /*
     * For a device that reaches memory by address: places for up to `count` pages (64), how many;
     * NULL: there is no such thing. They are there when they are said to be filled, and evicted as
     * others are.
     */
    int (*prepare)(struct ext4_store *s, uint64_t index, uint64_t count, uint64_t *addresses);
    void (*filled)(struct ext4_store *s, uint64_t index, uint64_t count);
    void (*evict)(struct ext4_store *s, uint64_t index, uint64_t count);
    uint8_t *(*at)(struct ext4_store *s, uint64_t index); /* a page that is there */
    void (*allow)(struct ext4_store *s, uint64_t index);  /* users may write it */
    /* and not any more, without asking again; what they wrote is seen at at() */
    void (*clean)(struct ext4_store *s, uint64_t index);
    int (*reserve)(struct ext4_store *s, uint64_t size); /* the file may become as large; ENOMEM */
    void (*resize)(struct ext4_store *s, uint64_t size); /* it is now: pages behind it are gone */
    /* it is larger: as resize, or with room for more; who touches a page there asks ext4_fault() */
    void (*grow)(struct ext4_store *s, uint64_t size);
    void (*destroy)(struct ext4_store *s); /* all its pages have been evicted */
};

/* The file's pages are in s from now on, until the node is forgotten. An error: they are not. */
int ext4_share(struct ext4_node *n, struct ext4_store *s);
struct ext4_store *ext4_store(struct ext4_node *n); /* NULL: none */
/* A user touches a page: 0: it is in the store, and may be written; ENXIO: it is behind the end */
int ext4_fault(struct ext4_node *n, uint64_t index, bool write);
/* Gives back up to `count` pages of the cache; how many. */
uint32_t ext4_reclaim(struct ext4 *fs, uint32_t count);

/*
 * A write-back that fails is told to everybody who syncs the file, once: each open file description
 * keeps in a word what it has been told, which begins as ext4_errors_seen() says. An error that
 * nobody has been told of yet is told to who opens the file after it, too (as Linux does).
 */
uint32_t ext4_errors_seen(const struct ext4_node *n);
int ext4_fsync(struct ext4_node *n, uint32_t *seen);
/* of a file: its bytes, and what is needed to read them; its times may be as they were */
int ext4_datasync(struct ext4_node *n, uint32_t *seen);

#endif
