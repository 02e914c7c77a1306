/* SPDX-License-Identifier: MIT */
/*
 * Signals between processes. The kernel carries them: a queue in the target, and an interruption of
 * one of its threads, whose runtime fetches them. It acts by itself on SIGKILL, SIGSTOP and SIGCONT
 * only.
 */
#ifndef KERNEL_SIGNAL_H
#define KERNEL_SIGNAL_H

#include "process.h"

#define SIGHUP   1
#define SIGKILL  9
#define SIGCHLD  17
#define SIGCONT  18
#define SIGSTOP  19
#define SIGTSTP  20
#define SIGTTIN  21
#define SIGTTOU  22
#define SIGRTMIN 32
#define SIGMAX   64

struct signal_entry {
    struct list link;
    struct motor_signal info;
};

struct signal_entry *signal_entry_new(void); /* NULL: no memory, signals go without details */
/*
 * [sched_lock] Queue and interrupt. Takes *entry and makes it NULL if it was used. EAGAIN: the
 * queue is full, for real-time signals whose sender must know.
 */
int64_t signal_post(struct process *p, const struct motor_signal *info,
                    struct signal_entry **entry);
/* No lock held. A signal of the kernel's own, whatever it needs: SIGKILL, SIGCONT included. */
void signal_raise(struct process *p, uint32_t signal);
void signal_raise_group(uint32_t group, uint32_t signal);
void signal_drop_all(struct process *p); /* it is dead */

/* ---- stop.c ---- */

/* Every thread stops, soon; no lock held. Nothing, if it is stopped already or dies. */
void process_stop(struct process *p, uint32_t signal);
void process_continue(struct process *p); /* no lock held */
void stop_forget(struct process *p);      /* [sched_lock] it dies */
bool stop_any(void);                      /* some process is stopped */
/* The current thread stops while its process is stopped; no lock held. True: it did. */
bool thread_stop_here(void);
/*
 * Before a return to user mode with WORK_STOP; busy: to the runtime, which stops by itself. False:
 * it has to be told.
 */
bool thread_stop_work(struct thread *t, bool busy);
/*
 * [sched_lock] True, once: all threads that are left have stopped now, and the caller tells the
 * parent (family_stopped).
 */
bool process_now_stopped(struct process *p);

#endif
