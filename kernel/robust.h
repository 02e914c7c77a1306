/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_ROBUST_H
#define KERNEL_ROBUST_H

struct process;
struct thread;

/*
 * This thread ends, or leaves its address space: its robust locks go to others. No lock held; its
 * address space is still the current one.
 */
void robust_owner_died(struct thread *t);

/*
 * This process ends, or leaves its address space, and t is its last thread: its robust words say
 * so. No lock held; its address space is still the current one.
 */
void robust_process_died(struct process *p);

#endif
