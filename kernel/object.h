/* SPDX-License-Identifier: MIT */
/*
 * Kernel objects: what handles name. Each begins with this header. References are counted
 * atomically; the last put calls the kind's destructor. `handles` counts handle-table entries (and
 * handles in flight in messages) only: its fall to zero is what servers are told about gates.
 */
#ifndef KERNEL_OBJECT_H
#define KERNEL_OBJECT_H

#include <motor/abi.h>
#include <stdbool.h>

enum object_kind {
    OBJECT_PROCESS = 1,
    OBJECT_THREAD,
    OBJECT_VMO,
    OBJECT_ENDPOINT,
    OBJECT_GATE,
    OBJECT_IRQ,
    OBJECT_HARDWARE,
    OBJECT_KINDS,
};

struct object {
    uint32_t kind;
    uint32_t refs;    /* [atomic] */
    uint32_t handles; /* [atomic] */
};

/* one reference; counts live objects by kind */
void object_init(struct object *o, enum object_kind kind);
void object_get(struct object *o);
/* for who finds it in a table that holds no reference: false, it is being destroyed */
bool object_try_get(struct object *o);
void object_put(struct object *o);
void object_handle_get(struct object *o); /* a handle (and a reference) more */
/* a handle (and a reference) less; the last one of a gate posts CLOSED */
void object_handle_put(struct object *o);
uint64_t object_count(enum object_kind kind); /* live objects, for system_info */

/* Destructors, called with no lock held when refs reaches 0. */
void process_destroy(struct object *o);
void thread_destroy(struct object *o);
void vmo_destroy(struct object *o);
void endpoint_destroy(struct object *o);
void gate_destroy(struct object *o);
void irq_destroy(struct object *o);

#endif
