/* SPDX-License-Identifier: MIT */
/*
 * Presences: that a process is alive, as a capability. A process that wants something kept for as
 * long as it lives (record locks, undo of semaphores) asks for a gate of its own and sends it along
 * with such calls. The gate goes over exec and not over fork, so the last handle to it goes when
 * the process ends, and that is all this engine has to know of processes.
 */
#ifndef SYSIO_FS_PRESENCE_H
#define SYSIO_FS_PRESENCE_H

#include "lock.h"

struct presence {
    uint32_t pid;
    struct lock_set locks;
    struct undo *undos; /* of semaphores: sysv/sem.c */
    uint32_t sem_waits; /* calls with this presence that wait there */
};

/* IO_PRESENCE: answers with a new one: a status or NO_REPLY. */
int64_t presence_call(const struct motor_event *ev);
/* What a file object of this engine is; NULL: something else. */
struct presence *presence_of(const struct file *file);

#endif
