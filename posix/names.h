/* SPDX-License-Identifier: MIT */
/* Names that are asked for again and again (names.c). */
#ifndef PX_NAMES_H
#define PX_NAMES_H

#include "file.h"

/* False: make the call, and tell of its result by px_name_seen(). */
bool px_name_stat(const struct px_path *p, struct io_stat *out);
/* changes: px_names_changes() before the call */
void px_name_seen(const struct px_path *p, const struct io_stat *st, uint64_t changes);
uint64_t px_names_changes(void);

#endif
