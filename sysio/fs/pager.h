/* SPDX-License-Identifier: MIT */
/* Faults on mapped files, and memory that programs need, as the engine's loop sees them. */
#ifndef SYSIO_FS_PAGER_H
#define SYSIO_FS_PAGER_H

#include "fs.h"

/* Before the first file system with a page cache is mounted; again does nothing. */
void pagers_init(void);
/* An event for a pager; false: it is for somebody else. */
bool pager_event(struct motor_event *ev);

#endif
