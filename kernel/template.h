/* SPDX-License-Identifier: MIT */
/*
 * The template: an address space that nobody runs in, from which processes begin by a fork instead
 * of with nothing. Whoever serves as runtime in every process leaves its initialised memory there,
 * once; see MOTOR_PSET_TEMPLATE.
 */
#ifndef KERNEL_TEMPLATE_H
#define KERNEL_TEMPLATE_H

#include "process.h"

/* [the current process] its memory and entries become the template. EEXIST: there is one */
int64_t template_set(const struct motor_thread_start *user);
/* a copy, with a random layout of its own; *status if NULL: ENOENT, ENOMEM */
struct aspace *template_aspace(int64_t *status);
void template_entries(struct process *p); /* of a process with such a copy: its entries */
/* what a start with MOTOR_THREAD_FROM_TEMPLATE stands for; EINVAL: p was not made from it */
int64_t template_start(const struct process *p, struct motor_thread_start *s);

#endif
