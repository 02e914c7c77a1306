/* SPDX-License-Identifier: MIT */
/*
 * A process goes on as another program. exec.c: as one that it has made itself, with its own
 * handles (process_exec); exec_answer.c: as one that the first process has made for it, with more
 * rights.
 */
#ifndef KERNEL_EXEC_H
#define KERNEL_EXEC_H

#include "process.h"

/*
 * The embryo is the caller's from now on: nobody can start it, and with t nobody else can exec p,
 * whose own threads then die. p NULL: only the embryo is claimed. EBUSY. No lock held
 */
int64_t exec_claim(struct process *p, struct thread *t, struct process *embryo);
/* p's other threads are gone, and p's future is t's. EINTR: t has been killed */
int64_t exec_alone(struct process *p, struct thread *t);
/* an exec is over, or was given up */
void exec_done(struct process *p);
/* what of the embryo is no memory and no handle, and the thread's registers */
void exec_names(struct process *p, struct process *embryo);
void exec_registers(struct thread *t, const struct motor_thread_start *start);

/* After a reply with MOTOR_REPLY_EXEC: see there for the words. 0: done; EINVAL, EPERM, EBUSY,
 * EINTR, ENOMEM: nothing was. */
int64_t exec_answered(struct process *embryo, const uint64_t *word);

#endif
