/* SPDX-License-Identifier: MIT */
/*
 * The calls of the fs engine: what one is, and who does which. engine.c receives them; calls_*.c
 * decode the message (handle, path, words) and have vfs.c or the inode's file system do it. Each
 * answers with its status, or with NO_REPLY when it has answered itself or will.
 */
#ifndef SYSIO_FS_CALL_H
#define SYSIO_FS_CALL_H

#include "fs.h"

struct request {
    struct motor_event *ev;
    struct file *file;
    struct cred who;
    const char *path; /* in the path buffer; not terminated */
    size_t size;
    bool noted; /* a read that changes no access time */
};

/* Reads the message's bytes as one path; 0 or an error. */
int take_path(struct request *q);
/* As two, of which the first has w0 bytes. */
int take_two_paths(struct request *q, size_t *first);
/*
 * The inode a call is about: by path, or the object itself when the path is empty. With a
 * reference.
 */
int take_inode(struct request *q, bool nofollow, struct inode **out);
/* The file object of a handle that came with the message; NULL: there is none. */
struct file *second_file(struct request *q);

/* engine.c: from here on it can be spoken to; false: no memory */
bool fs_engine_init(void);

/* calls_names.c */
int64_t call_open(struct request *q);
int64_t call_check_dir(struct request *q);
int64_t call_readdir(struct request *q);
int64_t call_mkdir(struct request *q);
int64_t call_mknod(struct request *q);
int64_t call_rendezvous(struct request *q);
int64_t call_symlink(struct request *q);
int64_t call_unlink(struct request *q);
int64_t call_rename_or_link(struct request *q);
int64_t call_readlink(struct request *q);
int64_t call_path(struct request *q);

/* calls_attributes.c */
int64_t call_stat(struct request *q);
int64_t call_chmod(struct request *q);
int64_t call_chown(struct request *q);
int64_t call_utimens(struct request *q);
int64_t call_access(struct request *q);
int64_t call_statfs(struct request *q);
int64_t call_xattr(struct request *q);

/* calls_data.c */
int64_t call_read(struct request *q);
int64_t call_seek(struct request *q);
int64_t call_write(struct request *q);
int64_t call_truncate(struct request *q);
int64_t call_sync(struct request *q);
int64_t call_advise(struct request *q);
int64_t call_map(struct request *q);
int64_t call_hot(struct request *q);
int64_t call_allocate(struct request *q);
int64_t call_copy(struct request *q);

#endif
