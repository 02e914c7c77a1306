/* SPDX-License-Identifier: MIT */
/* Files and paths: what file.c, path.c, open.c, stat.c and directory.c share. */
#ifndef PX_FILE_H
#define PX_FILE_H

#include "fd.h"

long px_file_stat(struct px_file *f, struct io_stat *out);
/*
 * The position, wherever it is. [desc lock] And before an open file goes to an unrelated process:
 * to the server, where both find it.
 */
uint64_t px_position(struct px_file *f);
void px_position_set(struct px_file *f, uint64_t offset);
void px_position_share(struct px_file *f);
long px_server_control(struct px_file *f, unsigned request, unsigned long argument);
long px_server_async(struct px_file *f); /* O_ASYNC, its owner and signal as they are now */
/* An ioctl as the server gets it. */
void px_control_message(struct motor_msg *msg, unsigned request, unsigned long argument);
bool px_file_is_pipe(int fd);
/* pipe.c: opens the FIFO of a rendezvous, handle[0], and file, handle[1]; takes both. */
long px_fifo_open(const motor_handle handle[2], uint32_t flags, struct px_file **out);
/*
 * A call about the inode of an open file: of a FIFO, that which it has in the file system. -EINVAL:
 * no server has any.
 */
long px_inode_call(struct px_file *f, struct motor_msg *msg);
/* Neither a position nor a size: ESPIPE. */
static inline bool px_is_stream_kind(const struct px_file *f)
{
    return f->ops->socket || f->kind == PX_PIPE;
}
static inline bool px_is_fs(const struct px_file *f)
{
    return f->protocol == MOTOR_FD_FILE;
}

/* ---- hot.c: what needs no call ---- */

bool px_hot_stat(struct px_file *f, struct io_stat *out); /* false: make the call */
/* somebody may write it without telling: whoever is not that has to make calls */
static inline bool px_hot_is_written(const volatile struct io_hot *page)
{
    return page->writer || page->appender;
}
bool px_hot_attributes(const volatile struct io_hot *page, struct io_stat *out);
/* Bytes read, 0 at the end; -1: make the call. */
long px_hot_read(struct px_file *f, struct px_io *io, uint64_t offset);
/* Bytes written, all of them; -1: make the call. [desc lock] */
long px_hot_write(struct px_file *f, struct px_io *io, uint64_t offset);
void px_hot_written(struct px_file *f); /* a call has written before the end */
void px_hot_free(struct px_hot *hot);   /* NULL: nothing */

/* ---- append.c: what needs no call at the end of a file ---- */

/*
 * [desc lock] Bytes written, all of them, at *offset or, with anywhere, at the end; -1: make the
 * call. *offset is behind them then.
 */
long px_append(struct px_file *f, const struct px_io *io, bool anywhere, uint64_t *offset);
void px_appended(struct px_file *f); /* [desc lock] a call has written at the end */
/* All that was appended by this file is in the file, whose size the engine says is `size`. */
bool px_append_is_taken(struct px_file *f, uint64_t size);
void px_append_free(struct px_file *f);

/*
 * A path of the program, and the directory it starts from. px_path_get() copies it; px_path_put()
 * always follows success. empty: what "" and NULL mean: -1 ENOENT; else AT_EMPTY_PATH semantics
 * (the object itself).
 */
struct px_path {
    struct px_file *from; /* referenced; NULL: the root */
    motor_handle base;
    char *text;
    size_t length;
    uint32_t hash; /* of the text, when names.c has needed it; else 0 */
    char small[256];
};
long px_path_get(struct px_path *p, int directory, const char *user, bool empty_ok);
void px_path_put(struct px_path *p);
static inline bool px_is_fs_base(const struct px_path *p)
{
    return !p->from || px_is_fs(p->from);
}
/*
 * The call on the path; msg's in is the path. A path to a descriptor of our own (IO_OWN_FD) becomes
 * a call on that descriptor's object itself. When that has none at a file server, or cannot be
 * opened anew by it: -PX_OWN_FD_ONLY with *own its number, or the error when own is NULL.
 */
long px_path_call(struct px_path *p, struct motor_msg *msg, int *own);
#define PX_OWN_FD_ONLY 4000
/* Both in one, for calls that have no results. */
long px_path_simple(int directory, const char *user, bool empty_ok, uint32_t op, uint64_t w0,
                    uint64_t w1, uint64_t w2);

/* The status of a call on a path that may be `user` itself or (empty_ok) an open file: fills st. */
long px_stat_at(int directory, const char *user, int flags, struct io_stat *st);

#endif
