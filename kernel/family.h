/* SPDX-License-Identifier: MIT */
/*
 * Parents and children, groups and sessions. A child that was created as such is on its parent's
 * list of the living or of zombies, which holds a reference; so its parent pointer is good as long
 * as processes_lock is held: a dying parent hands its children over before it goes.
 */
#ifndef KERNEL_FAMILY_H
#define KERNEL_FAMILY_H

#include "process.h"

/*
 * p, which is new, gets a pid and its labels, and becomes a child of creator if flags say so
 * (MOTOR_PROCESS_*). ENOMEM, or ELIMIT: the user's limit.
 */
int64_t family_enlist(struct process *p, struct process *creator, uint32_t flags);
/* p is dead and announced: its children get another parent, its parent is told. No lock held. */
void family_died(struct process *p);
/* A child that never was: nobody will wait for it. No lock held. */
void family_disown(struct process *p);
void family_forget(struct process *p); /* it is destroyed: its pid is free, if it was not yet */
/* Every thread has stopped, or goes on: the parent is told. No lock held. */
void family_stopped(struct process *p);
void family_continued(struct process *p);
bool family_group_is_orphaned(uint32_t group); /* [processes_lock] */

#endif
