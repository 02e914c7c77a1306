/* SPDX-License-Identifier: MIT */
/* The last lines of the log, kept for who asks later. Callers hold ring_lock (log.c). */
#ifndef KERNEL_LOG_RING_H
#define KERNEL_LOG_RING_H

#include <motor/abi.h>
#include <stdbool.h>

void log_ring_add(const char *text, size_t n);
/* The record of r->sequence, or the oldest that is left; false: there is none yet. */
bool log_ring_get(struct motor_log_record *r);

#endif
