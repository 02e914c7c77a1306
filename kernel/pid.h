/* SPDX-License-Identifier: MIT */
/*
 * Pids: which are taken, by which process, and as which group or session. A number stays taken
 * while a process has it, or a process belongs to a group or session of that name.
 *
 * processes_lock covers this table and the family relations of processes (family.h). It is
 * outermost: process.lock and sched_lock may be taken inside it.
 */
#ifndef KERNEL_PID_H
#define KERNEL_PID_H

#include "spinlock.h"

struct process;

#define PIDS 32768u

extern struct spinlock processes_lock;

/* All [processes_lock]. */
/* Gives p the pid `wanted` (0: the next free one). False: none, or no memory. */
bool pid_assign(struct process *p, uint32_t wanted);
void pid_release(struct process *p);
struct process *pid_find(uint32_t pid);  /* NULL: none */
struct process *pid_next(uint32_t from); /* of the smallest pid >= from; NULL: none */
void pid_group_join(uint32_t id);        /* one more member; the number exists */
void pid_group_leave(uint32_t id);
bool pid_is_group(uint32_t id); /* some process belongs to a group or session of this name */

/* No lock held: pids in use, ascending, from `from` on; how many were stored. */
uint32_t process_pids(uint32_t from, uint32_t *pids, uint32_t max);

/* Processes of a real user. [processes_lock] */
bool user_add(uint32_t uid); /* one more; false: no memory */
void user_remove(uint32_t uid);
uint32_t user_count(uint32_t uid);

#endif
