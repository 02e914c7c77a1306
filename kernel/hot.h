/* SPDX-License-Identifier: MIT */
/*
 * Hot pages: private pages that a process or its child writes as soon as one has forked the other:
 * its stack, its C library's and its runtime's variables. Copying on write would cost both of them
 * a fault for each, and those that fork do it again and again. So relatives keep a list of the
 * pages that the first faults after forks were for. One that was written after two forks in a row
 * is hot: the next fork gives the child a copy of it at once and leaves the parent's as it is. Once
 * is not enough, for after the last of some forks the parent turns to something else.
 *
 * A page that both go on sharing can be hot, too: what is copied then is the tables on the way to
 * it.
 *
 * The list is a guess: a page on it that nobody writes costs a copy, one that is missing a fault.
 */
#ifndef KERNEL_HOT_H
#define KERNEL_HOT_H

#include "aspace.h"

void hot_put(struct hot *h);           /* NULL: nothing */
void hot_begin(struct aspace *parent); /* [as->lock] it forks: it needs a list, if memory allows */

/* [as->lock] A page of an address space that has forked or was forked is written first. */
void hot_fault(struct aspace *as, uint64_t address);
/*
 * At the end of a fork: the child, which does not run yet, comes to share the parent's list, and
 * gets pages of its own; the parent's may be written again. No lock held. Nothing can fail: what
 * memory does not suffice for stays to be copied on write.
 */
void hot_fork(struct aspace *parent, struct aspace *child);

#endif
