/* SPDX-License-Identifier: MIT */
/*
 * Handle tables: a process's names for kernel objects. Two levels, growing by leaves, free entries
 * chained (once they have been used); the table's lock is the process's. A handle is an index,
 * from 1. Objects are never put with the lock held, because the last put may destroy.
 */
#ifndef KERNEL_HANDLE_H
#define KERNEL_HANDLE_H

#include "object.h"

struct process;

#define HANDLE_KEEP (1u << 30) /* exec leaves it open */
#define HANDLE_LEAF 32u        /* entries in a leaf: 512 bytes */

struct handle_entry {
    struct object *object; /* NULL: free */
    uint32_t rights;       /* and MOTOR_HANDLE_CLOEXEC, HANDLE_KEEP */
    uint32_t next_free;
};

struct handle_table { /* [process.lock] */
    struct handle_entry **leaf;
    uint32_t leaves, leaves_max;
    uint32_t end;  /* entries below it have been used, the others hold nothing yet */
    uint32_t free; /* of those the first free index, 0: none */
    uint32_t used;
};

/*
 * Of the current process. kind 0: any. The object comes with a reference for the caller. Status:
 * EHANDLE, ETYPE, ERIGHTS.
 */
int64_t handle_lookup(motor_handle h, enum object_kind kind, uint32_t rights, struct object **out,
                      uint32_t *rights_out);
/* Of another process. The object comes with a reference; NULL: no such handle, or another kind. */
struct object *handle_peek(struct process *p, motor_handle h, enum object_kind kind);
/* The same with these rights, held: object_handle_put() ends it. */
struct object *handle_hold_of(struct process *p, motor_handle h, enum object_kind kind,
                              uint32_t rights);
/* As handle_lookup, but what the caller holds counts as a handle: object_handle_put() ends it. */
int64_t handle_hold(motor_handle h, enum object_kind kind, uint32_t rights, struct object **out,
                    uint32_t *rights_out);
/* 0 names the current process or thread. Referenced. */
int64_t process_lookup(motor_handle h, uint32_t rights, struct process **out);
struct thread;
int64_t thread_lookup(motor_handle h, uint32_t rights, struct thread **out);

/*
 * A new handle in p; takes a reference and a handle count of its own. The handle, or ENOMEM,
 * ELIMIT, EGONE (p is dead).
 */
int64_t handle_insert(struct process *p, struct object *o, uint32_t rights);
int64_t handle_close(struct process *p, motor_handle h);
/* Close everything, in pieces with preemption points, and free the table; no lock held. */
void handle_close_all(struct process *p);
/*
 * exec in two steps: mark what a list in user memory names (numbers that are no handles are
 * skipped; EFAULT), and later close the rest and what is CLOEXEC. No lock held.
 */
int64_t handle_keep(struct process *p, const motor_handle *user, uint32_t count);
void handle_close_unkept(struct process *p);
/*
 * The child, an embryo, gets what a list in user memory names, under the same numbers (a number
 * that it uses already is left alone). ENOMEM, EFAULT. No lock held.
 */
int64_t handle_clone(struct process *child, struct process *parent, const motor_handle *user,
                     uint32_t count);

#endif
