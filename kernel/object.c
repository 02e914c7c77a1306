/* SPDX-License-Identifier: MIT */
/*
 * References of kernel objects. The kind decides the destructor; nothing is destroyed with a lock
 * held, which is why puts are made without locks.
 */
#include "object.h"
#include "endpoint.h"
#include "frame.h"
#include "log.h"

static uint64_t live[OBJECT_KINDS];

void object_init(struct object *o, enum object_kind kind)
{
    o->kind = kind;
    o->refs = 1;
    o->handles = 0;
    __atomic_fetch_add(&live[kind], 1, __ATOMIC_RELAXED);
}

static void destroy(struct object *o)
{
    __atomic_fetch_sub(&live[o->kind], 1, __ATOMIC_RELAXED);
    switch (o->kind) {
    case OBJECT_PROCESS:
        process_destroy(o);
        break;
    case OBJECT_THREAD:
        thread_destroy(o);
        break;
    case OBJECT_VMO:
        vmo_destroy(o);
        break;
    case OBJECT_ENDPOINT:
        endpoint_destroy(o);
        break;
    case OBJECT_GATE:
        gate_destroy(o);
        break;
    case OBJECT_IRQ:
        irq_destroy(o);
        break;
    case OBJECT_HARDWARE:
        kfree(o);
        break;
    default:
        panic("object_put: kind %u", o->kind);
    }
}

void object_get(struct object *o)
{
    __atomic_fetch_add(&o->refs, 1, __ATOMIC_RELAXED);
}

bool object_try_get(struct object *o)
{
    uint32_t refs = __atomic_load_n(&o->refs, __ATOMIC_RELAXED);
    while (refs && !__atomic_compare_exchange_n(&o->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE,
                                                __ATOMIC_RELAXED)) {
    }
    return refs != 0;
}

void object_put(struct object *o)
{
    uint32_t before = __atomic_fetch_sub(&o->refs, 1, __ATOMIC_ACQ_REL);
    KASSERT(before != 0);
    if (before == 1) {
        destroy(o);
    }
}

void object_handle_get(struct object *o)
{
    object_get(o);
    __atomic_fetch_add(&o->handles, 1, __ATOMIC_RELAXED);
}

void object_handle_put(struct object *o)
{
    uint32_t before = __atomic_fetch_sub(&o->handles, 1, __ATOMIC_ACQ_REL);
    KASSERT(before != 0);
    if (before == 1 && o->kind == OBJECT_GATE) {
        gate_unreachable((struct gate *)o);
    } else if (before == 1 && o->kind == OBJECT_ENDPOINT) {
        endpoint_close((struct endpoint *)o);
    }
    object_put(o);
}

uint64_t object_count(enum object_kind kind)
{
    return __atomic_load_n(&live[kind], __ATOMIC_RELAXED);
}
