/* SPDX-License-Identifier: MIT */
/*
 * What the parts of ext4 behind the VFS share: disk.c, pager.c, page_pool.c.
 */
#ifndef SYSIO_FS_DISK_H
#define SYSIO_FS_DISK_H

#include "ext4/ext4.h"
#include "fs.h"

struct disk_inode {
    struct inode inode; /* first */
    struct ext4_node *node;
    bool changed;
    struct disk_inode *next_changed;
};

/* ---- disk.c ---- */

/* A file's attributes were changed by ext4; if it has an inode now, that knows them too. */
void disk_refresh_node(struct ext4_node *n);
/* gives back up to `count` pages of all disks' caches; how many. For fibers. */
uint32_t disks_reclaim(uint32_t count);

/* ---- pager.c: files that programs map ---- */

/*
 * The object that has the file's pages, made if need be; the handle stays here. writable: for
 * somebody who may write it, now or by mprotect
 */
int pager_object(struct ext4_node *n, bool writable, motor_handle *vmo);
/* Programs have files of it mapped; writable: and may write them. */
bool pagers_use(const struct ext4 *fs, bool writable);
/*
 * Nodes that are referred to only because programs had them mapped, and that none maps any more,
 * are let go. For fibers.
 */
void pagers_sweep(void);

/* ---- page_pool.c: memory for the page cache ---- */

extern const struct ext4_memory page_pool;
/* at most so many bytes; before the first page */
void page_pool_init(uint64_t bytes);

#endif
