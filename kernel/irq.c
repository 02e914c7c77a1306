/* SPDX-License-Identifier: MIT */
/*
 * Interrupt objects: a device vector whose arrival posts to the gate bound to it. Level-triggered
 * lines stay masked (by arch) from their arrival until irq_ack. bind() for interrupts and processes
 * is here as well.
 */
#include "endpoint.h"
#include "frame.h"
#include "handle.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"
#include "vmo.h"

#define VECTORS 256u

struct irq {
    struct object object;
    uint32_t vector;
    struct gate *gate; /* [sched_lock] referenced, NULL: not bound */
};

static struct irq *by_vector[VECTORS]; /* [sched_lock] */

void irq_interrupt(uint32_t vector)
{
    sched_lock_acquire();
    struct irq *irq = vector < VECTORS ? by_vector[vector] : NULL;
    if (irq && irq->gate) {
        sched_outside(true);
        gate_post(irq->gate);
        sched_outside(false);
    }
    sched_lock_release();
}

static int64_t create(uint32_t kind, uint32_t line, struct motor_msi *msi, struct irq **out)
{
    struct irq *irq = kzalloc(sizeof(*irq));
    if (!irq) {
        return -MOTOR_ENOMEM;
    }
    int64_t status = arch_irq_alloc(kind, line, msi, &irq->vector);
    if (status < 0) {
        kfree(irq);
        return status;
    }
    KASSERT(irq->vector < VECTORS);
    object_init(&irq->object, OBJECT_IRQ);
    sched_lock_acquire();
    by_vector[irq->vector] = irq;
    sched_lock_release();
    *out = irq;
    return 0;
}

int64_t sys_irq_create(motor_handle hardware, uint32_t kind, uint32_t line, struct motor_msi *msi)
{
    struct motor_msi message = {0};
    struct object *hw;
    struct irq *irq;
    if (kind > MOTOR_IRQ_LINE_ISA) {
        return -MOTOR_EINVAL;
    }
    int64_t status = handle_lookup(hardware, OBJECT_HARDWARE, MOTOR_RIGHT_MANAGE, &hw, NULL);
    if (status < 0) {
        return status;
    }
    object_put(hw);
    status = create(kind, line, &message, &irq);
    if (status < 0) {
        return status;
    }
    if (kind == MOTOR_IRQ_MSI && copy_to_user(msi, &message, sizeof(message)) < 0) {
        status = -MOTOR_EFAULT;
    } else {
        status = handle_insert(this_cpu()->current->process, &irq->object, MOTOR_RIGHTS_ALL);
    }
    object_put(&irq->object);
    return status;
}

void irq_destroy(struct object *o)
{
    struct irq *irq = (struct irq *)o;
    arch_irq_mask(irq->vector);
    sched_lock_acquire();
    by_vector[irq->vector] = NULL;
    sched_lock_release();
    arch_irq_free(irq->vector);
    if (irq->gate) {
        object_put(&irq->gate->object);
    }
    kfree(irq);
}

int64_t sys_irq_ack(motor_handle irq)
{
    struct object *o;
    int64_t status = handle_lookup(irq, OBJECT_IRQ, MOTOR_RIGHT_MANAGE, &o, NULL);
    if (status < 0) {
        return status;
    }
    arch_irq_unmask(((struct irq *)o)->vector);
    object_put(o);
    return 0;
}

static int64_t bind_irq(struct irq *irq, struct gate *g)
{
    sched_lock_acquire();
    struct gate *old = irq->gate;
    if (old && !old->dead) {
        sched_lock_release();
        return -MOTOR_EEXIST;
    }
    object_get(&g->object);
    irq->gate = g;
    sched_lock_release();
    if (old) {
        object_put(&old->object);
    }
    arch_irq_unmask(irq->vector);
    return 0;
}

int64_t sys_bind(motor_handle object, motor_handle gate)
{
    struct object *o, *g;
    int64_t status = handle_lookup(object, 0, MOTOR_RIGHT_MANAGE, &o, NULL);
    if (status < 0) {
        return status;
    }
    status = handle_lookup(gate, OBJECT_GATE, MOTOR_RIGHT_CALL, &g, NULL);
    if (status < 0) {
        object_put(o);
        return status;
    }
    switch (o->kind) {
    case OBJECT_PROCESS:
        status = process_bind((struct process *)o, (struct gate *)g);
        break;
    case OBJECT_VMO:
        status = vmo_bind((struct vmo *)o, (struct gate *)g);
        break;
    case OBJECT_IRQ:
        status = bind_irq((struct irq *)o, (struct gate *)g);
        break;
    default:
        status = -MOTOR_ETYPE;
    }
    object_put(g);
    object_put(o);
    return status;
}
