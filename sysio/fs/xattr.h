/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, as xattr(7). What names there may be, and who may use them, is decided here;
 * a file system keeps them through one operation (inode_ops.xattr).
 */
#ifndef SYSIO_FS_XATTR_H
#define SYSIO_FS_XATTR_H

#include "fs.h"

#define XATTR_NAME_ROOM 256u /* with the NUL */
#define XATTR_VALUE_MAX 65536u

/* inode_ops.xattr: which of the four is IO_XATTR_*. */
struct xattr {
    const char *name; /* with its prefix and a NUL; NULL: to list */
    /*
     * SET: the value. GET: room for XATTR_VALUE_MAX bytes, result: the value's size. LIST: the same
     * for names, each with its NUL
     */
    void *value;
    size_t size;
    bool create, replace; /* SET: it must not be there (-EEXIST); it must (-ENODATA) */
};

/* IO_XATTR: a status or NO_REPLY. */
int64_t xattr_call(struct file *file, const struct cred *who, const struct motor_event *ev);

/* ---- xattr_list.c: attributes in memory ---- */

struct xattr_list {
    struct xattr_entry *first;
    uint64_t bytes; /* what they take */
};
/* As inode_ops.xattr; at most `room` bytes more than now, then -ENOSPC. */
int64_t xattr_list_do(struct xattr_list *list, uint32_t op, const struct xattr *x, uint64_t room);
void xattr_list_free(struct xattr_list *list);

#endif
