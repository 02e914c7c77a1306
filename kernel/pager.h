/* SPDX-License-Identifier: MIT */
/*
 * Page faults that a server resolves. The kernel waits for nothing itself: the thread that faulted
 * makes a call, as if it had done so by sys_call(), and touches the page again when it is answered.
 * Only its death ends the wait early.
 */
#ifndef KERNEL_PAGER_H
#define KERNEL_PAGER_H

#include <stdbool.h>
#include <stdint.h>

struct gate;
struct vmo;

/*
 * [no lock held] Asks the pager of an object for a page, and for leave to write it. 0: touch it
 * again. EINTR: this thread dies. EGONE: there is no such page, or no pager. ENOMEM.
 */
int64_t pager_ask(struct vmo *v, uint64_t offset, bool write);

/* [no lock held] Has the pager make durable what was written to the object. EGONE: it cannot. */
int64_t pager_sync(struct vmo *v);

/* ---- memory that servers hold for programs only as long as nobody needs it better ---- */

/* Whom to ask for it: one for the machine, for the first process to set. */
int64_t pager_set_reclaim(struct gate *g);
/*
 * [no lock held] A program found no memory. 0: there is some now, try again. ENOMEM: there is none
 * to be had. EINTR: this thread dies.
 */
int64_t pager_reclaim(void);
/* [no lock held] Tells the server when memory becomes short; cheap. */
void pager_check_memory(void);

#endif
