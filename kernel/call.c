/* SPDX-License-Identifier: MIT */
/*
 * The caller's side of a call, and what happens to a call from outside: abort, death of the server.
 * The server's side is serve.c. A call's token is a global sequence number and the caller's thread
 * id: never reused, and good only in the process that received the call.
 */
#include "endpoint.h"
#include "exec.h"
#include "frame.h"
#include "handle.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"

#define TOKEN_ID_BITS 16u
#define ABORT_BATCH   64u

static uint64_t call_sequence; /* [sched_lock] */

/* ---- tokens and pins ---- */

struct thread *call_find(uint64_t token)
{
    struct thread *t = thread_by_id((uint32_t)(token & ((1u << TOKEN_ID_BITS) - 1)));
    if (!t || !t->waiting || t->wait_kind != WAIT_CALL) {
        return NULL;
    }
    struct call *c = t->call;
    bool ours = c->token == token && c->stage == CALL_DELIVERED &&
                c->server == this_cpu()->current->process;
    return ours ? t : NULL;
}

int64_t call_pin(uint64_t token, struct thread **out)
{
    int64_t status = 0;
    sched_lock_acquire();
    struct thread *t = call_find(token);
    if (!t) {
        status = -MOTOR_EGONE;
    } else if (t->call->pinned) {
        status = -MOTOR_EBUSY;
    } else {
        t->call->pinned = true;
        *out = t;
    }
    sched_lock_release();
    return status;
}

void call_unpin(struct thread *t)
{
    sched_lock_acquire();
    t->call->pinned = false;
    if (t->call->abort_status) {
        wait_abort(t, t->call->abort_status);
    }
    sched_lock_release();
}

void call_aborted(struct thread *t)
{
    struct call *c = t->call;
    struct endpoint *e = c->gate->endpoint;
    if (c->stage != CALL_DELIVERED || c->cancelled || e->closed) {
        return;
    }
    c->cancelled = true;
    struct cancel *record = t->cancel;
    t->cancel = NULL;
    record->badge = c->gate->badge;
    record->token = c->token;
    list_append(&e->cancels, &record->link);
    endpoint_wake(e);
}

void call_drop_handles(struct call *c)
{
    for (uint32_t i = 0; i < c->nhandles; i++) {
        object_handle_put(c->handle[i].object);
    }
    c->nhandles = 0;
}

void process_abort_serving(struct process *p)
{
    bool more;
    do {
        sched_lock_acquire();
        for (uint32_t i = 0; i < ABORT_BATCH && !list_empty(&p->serving); i++) {
            wait_end(container_of(p->serving.next, struct thread, wait_link), -MOTOR_EGONE);
        }
        more = !list_empty(&p->serving);
        sched_lock_release();
        sched_preempt_point();
    } while (more);
}

/* ---- call ---- */

static bool range_ok(const void *start, uint64_t size)
{
    return size == 0 || ((uint64_t)start < USER_END && size <= USER_END - (uint64_t)start);
}

static int64_t hold_handles(struct call *c)
{
    uint32_t wanted = c->msg.nhandles;
    for (c->nhandles = 0; c->nhandles < wanted; c->nhandles++) {
        struct call_handle *h = &c->handle[c->nhandles];
        int64_t status =
            handle_hold(c->msg.handle[c->nhandles], 0, MOTOR_RIGHT_DUP, &h->object, &h->rights);
        if (status < 0) {
            return status;
        }
        h->rights &= MOTOR_RIGHTS_ALL;
    }
    return 0;
}

/* Everything that can fail before the server hears of it. */
static int64_t prepare(struct thread *t, struct call *c)
{
    c->nhandles = 0;
    c->stage = CALL_QUEUED;
    c->interruptible = !(c->msg.nhandles & MOTOR_CALL_NOINTR);
    c->confirm = c->msg.nhandles & MOTOR_CALL_CONFIRM;
    c->may_exec = c->msg.nhandles & MOTOR_CALL_EXEC;
    c->program = NULL;
    c->cancelled = false;
    c->msg.nhandles &= ~(MOTOR_CALL_NOINTR | MOTOR_CALL_CONFIRM | MOTOR_CALL_EXEC);
    c->pinned = false;
    c->abort_status = 0;
    c->server = NULL;
    if (c->msg.nhandles > MOTOR_MSG_HANDLES) {
        return -MOTOR_EINVAL;
    }
    if (!range_ok(c->msg.in, c->msg.in_size) || !range_ok(c->msg.out, c->msg.out_size)) {
        return -MOTOR_EFAULT;
    }
    c->inline_size =
        c->msg.in_size < MOTOR_MSG_INLINE ? (uint32_t)c->msg.in_size : MOTOR_MSG_INLINE;
    if (c->inline_size && copy_from_user(c->data, c->msg.in, c->inline_size) < 0) {
        return -MOTOR_EFAULT;
    }
    if (!t->cancel && !(t->cancel = kmalloc(sizeof(*t->cancel)))) {
        return -MOTOR_ENOMEM;
    }
    return hold_handles(c);
}

/* Queue, hand the CPU to a server that waits, sleep until it is over. */
static int64_t perform(struct thread *t, struct call *c)
{
    struct endpoint *e = c->gate->endpoint;
    int64_t status = -MOTOR_EGONE;
    sched_lock_acquire();
    if (!e->closed) {
        CPU_COUNT(calls);
        c->token = ++call_sequence << TOKEN_ID_BITS | t->id;
        t->call = c;
        c->queued = e->sequence++;
        wait_begin(WAIT_CALL, c->interruptible, &e->callers);
        status = wait_block(c->msg.deadline, endpoint_wake_handoff(e));
        t->call = NULL;
    }
    sched_lock_release();
    return status;
}

/* Put the received handles into our table: all or none. */
static int64_t install_handles(struct process *p, struct call *c)
{
    uint32_t n = 0;
    int64_t h = 0;
    for (; n < c->nhandles; n++) {
        h = handle_insert(p, c->handle[n].object, c->handle[n].rights);
        if (h < 0) {
            break;
        }
        c->msg.handle[n] = (motor_handle)h;
    }
    c->msg.nhandles = n;
    call_drop_handles(c); /* the table has its own counts */
    return h < 0 ? h : 0;
}

static int64_t store_reply(struct call *c, struct motor_msg *user)
{
    if (c->inline_size && copy_to_user(c->msg.out, c->data, c->inline_size) < 0) {
        return -MOTOR_EFAULT;
    }
    if (copy_to_user(user, &c->msg, offsetof(struct motor_msg, in)) < 0) {
        return -MOTOR_EFAULT;
    }
    if (c->msg.nhandles && copy_to_user(user->handle, c->msg.handle, sizeof(c->msg.handle)) < 0) {
        return -MOTOR_EFAULT;
    }
    return 0;
}

static int64_t finish(struct process *p, struct call *c, struct motor_msg *user)
{
    int64_t status = install_handles(p, c);
    if (status == 0) {
        status = store_reply(c, user);
    }
    for (uint32_t i = 0; status < 0 && i < c->msg.nhandles; i++) {
        handle_close(p, c->msg.handle[i]);
    }
    return status;
}

int64_t call_perform(struct call *c)
{
    struct thread *t = this_cpu()->current;
    int64_t status = prepare(t, c);
    return status == 0 ? perform(t, c) : status;
}

int64_t sys_call(motor_handle gate, struct motor_msg *msg)
{
    struct thread *t = this_cpu()->current;
    struct call c;
    int64_t status = copy_from_user(&c.msg, msg, sizeof(c.msg));
    if (status < 0) {
        return status;
    }
    /*
     * Held as a handle: the server hears CLOSED only after the last call through the gate is over.
     */
    status = handle_hold(gate, OBJECT_GATE, MOTOR_RIGHT_CALL, (struct object **)&c.gate, NULL);
    if (status < 0) {
        return status;
    }
    status = call_perform(&c);
    if (status == 0) {
        status = finish(t->process, &c, msg);
    }
    call_drop_handles(&c);
    object_handle_put(&c.gate->object);
    if (c.program) {
        status = status == 0 ? exec_answered(c.program, c.msg.word) : status;
        object_put(&c.program->object);
    }
    return status;
}
