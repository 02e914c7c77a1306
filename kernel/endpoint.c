/* SPDX-License-Identifier: MIT */
/*
 * Endpoints and gates: what servers receive on, and the badged ways in. See endpoint.h.
 */
#include "endpoint.h"
#include "frame.h"
#include "handle.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"

#define ABORT_BATCH 64u

/* ---- endpoints ---- */

int64_t sys_endpoint_create(void)
{
    struct endpoint *e = kzalloc(sizeof(*e));
    if (!e) {
        return -MOTOR_ENOMEM;
    }
    object_init(&e->object, OBJECT_ENDPOINT);
    list_init(&e->waiters);
    list_init(&e->callers);
    list_init(&e->gates);
    list_init(&e->cancels);
    int64_t h = handle_insert(this_cpu()->current->process, &e->object, MOTOR_RIGHTS_ALL);
    object_put(&e->object);
    return h;
}

void endpoint_destroy(struct object *o)
{
    struct endpoint *e = (struct endpoint *)o;
    KASSERT(list_empty(&e->waiters) && list_empty(&e->callers) && list_empty(&e->gates));
    kfree(e);
}

struct thread *endpoint_wake_handoff(struct endpoint *e)
{
    if (list_empty(&e->waiters)) {
        return NULL;
    }
    struct thread *t = container_of(e->waiters.next, struct thread, wait_link);
    return wait_end_handoff(t, 0) ? t : NULL;
}

void endpoint_wake(struct endpoint *e)
{
    if (!list_empty(&e->waiters)) {
        wait_end(container_of(e->waiters.next, struct thread, wait_link), 0);
    }
}

/* Ends up to ABORT_BATCH waits of a queue; true if there may be more. */
static bool abort_queue(struct list *queue)
{
    sched_lock_acquire();
    for (uint32_t i = 0; i < ABORT_BATCH && !list_empty(queue); i++) {
        wait_end(container_of(queue->next, struct thread, wait_link), -MOTOR_EGONE);
    }
    bool more = !list_empty(queue);
    sched_lock_release();
    return more;
}

static struct gate *pop_gate(struct endpoint *e)
{
    struct gate *g = NULL;
    sched_lock_acquire();
    if (!list_empty(&e->gates)) {
        g = container_of(e->gates.next, struct gate, link);
        list_remove(&g->link);
    }
    sched_lock_release();
    return g;
}

static struct cancel *pop_cancel(struct endpoint *e)
{
    struct cancel *c = NULL;
    sched_lock_acquire();
    if (!list_empty(&e->cancels)) {
        c = container_of(e->cancels.next, struct cancel, link);
        list_remove(&c->link);
    }
    sched_lock_release();
    return c;
}

void endpoint_close(struct endpoint *e)
{
    struct gate *g;
    struct cancel *c;
    sched_lock_acquire();
    e->closed = true; /* from here on nothing is queued */
    sched_lock_release();
    while (abort_queue(&e->waiters) || abort_queue(&e->callers)) {
        sched_preempt_point();
    }
    while ((g = pop_gate(e))) {
        object_put(&g->object);
        sched_preempt_point();
    }
    while ((c = pop_cancel(e))) {
        kfree(c);
    }
}

/* ---- gates ---- */

/* Its only handle is the process's. */
static int64_t gate_create(struct object *endpoint, uint64_t badge, struct process *to)
{
    struct gate *g = kzalloc(sizeof(*g));
    if (!g) {
        return -MOTOR_ENOMEM;
    }
    object_init(&g->object, OBJECT_GATE);
    object_get(endpoint);
    g->endpoint = (struct endpoint *)endpoint;
    g->badge = badge;
    list_init(&g->link);
    int64_t status = handle_insert(to, &g->object, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    object_put(&g->object);
    return status;
}

int64_t sys_gate_create(motor_handle endpoint, uint64_t badge, motor_handle process)
{
    struct process *to;
    struct object *e;
    int64_t status = process_lookup(process, MOTOR_RIGHT_INSTALL, &to);
    if (status < 0) {
        return status;
    }
    status = handle_lookup(endpoint, OBJECT_ENDPOINT, MOTOR_RIGHT_WRITE, &e, NULL);
    if (status == 0) {
        status = gate_create(e, badge, to);
        object_put(e);
    }
    object_put(&to->object);
    return status;
}

void gate_destroy(struct object *o)
{
    struct gate *g = (struct gate *)o;
    object_put(&g->endpoint->object);
    kfree(g);
}

/* Marks the gate and queues it; false if it was queued already or nobody can receive. */
static bool mark(struct gate *g, uint32_t bit)
{
    if (g->endpoint->closed) {
        return false;
    }
    bool queue = g->pending == 0;
    __atomic_store_n(&g->pending, g->pending | bit, __ATOMIC_RELAXED);
    if (queue) {
        object_get(&g->object);
        g->queued = g->endpoint->sequence++;
        list_append(&g->endpoint->gates, &g->link);
    }
    return queue;
}

bool gate_post(struct gate *g)
{
    if (g->dead || !mark(g, GATE_NOTIFIED)) {
        return false;
    }
    CPU_COUNT(notifies);
    endpoint_wake(g->endpoint);
    return true;
}

struct thread *gate_post_handoff(struct gate *g)
{
    if (g->dead || !mark(g, GATE_NOTIFIED)) {
        return NULL;
    }
    CPU_COUNT(notifies);
    return endpoint_wake_handoff(g->endpoint);
}

void gate_notify(struct gate *g)
{
    if (__atomic_load_n(&g->pending, __ATOMIC_ACQUIRE) & GATE_NOTIFIED) {
        /*
         * the server takes the mark before it looks; our look-up's atomic has ordered what we wrote
         * before this
         */
        return;
    }
    sched_lock_acquire();
    gate_post(g);
    sched_lock_release();
}

void gate_unreachable(struct gate *g)
{
    sched_lock_acquire();
    g->dead = true;
    if (mark(g, GATE_UNREACHABLE)) {
        endpoint_wake(g->endpoint);
    }
    sched_lock_release();
}

int64_t sys_notify(motor_handle gate)
{
    struct object *o;
    int64_t status = handle_lookup(gate, OBJECT_GATE, MOTOR_RIGHT_CALL, &o, NULL);
    if (status < 0) {
        return status;
    }
    struct gate *g = (struct gate *)o;
    status = g->endpoint->closed ? -MOTOR_EGONE : 0;
    gate_notify(g);
    object_put(o);
    return status;
}
