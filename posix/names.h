/* SPDX-License-Identifier: MIT */
/* Names that are asked for again and again (names.c). */
#ifndef PX_NAMES_H
#define PX_NAMES_H

#include "file.h"

/* False: make the call, and tell of its result by px_name_seen(). */
bool px_name_stat(struct px_path *p, struct io_stat *out);
/* changes: px_names_changes() before the call */
void px_name_seen(struct px_path *p, const struct io_stat *st, uint64_t changes);
uint64_t px_names_changes(void);

/* The file that the path leads to, opened O_RDONLY, if it was kept: with this status. NULL: call.
 */
struct px_file *px_name_open(struct px_path *p, uint32_t status);
/* A call has opened it so. changes: px_names_changes() before the call */
void px_name_opened(struct px_file *f, struct px_path *p, const struct io_stat *st,
                    uint64_t changes);
/* The file goes; true: what it had of the engine stays, for the next open. */
bool px_name_keep(struct px_file *f);
/* Gives up what was kept, if any name has changed since. */
void px_names_settle(void);
void px_names_drop(void); /* the process has another root: no name is known any more */
void px_names_forked(struct px_process *p); /* in the child */

#endif
