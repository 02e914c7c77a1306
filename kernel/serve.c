/* SPDX-License-Identifier: MIT */
/*
 * The server's side: answering calls, receiving events, copying to and from callers that wait.
 *
 * A call is pinned while its server copies without a lock; see endpoint.h. The last caller answered
 * is kept back as the thread to hand this CPU to: if the server finds nothing more to do and
 * sleeps, that caller runs at once.
 */
#include "endpoint.h"
#include "frame.h"
#include "fs_ids.h"
#include "handle.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"
#include "vmo.h"

#define SERVE_MAX  64u         /* replies, and events, in one call */
#define COPY_PIECE (64u << 10) /* copied between preemption points */

/* ---- copying ---- */

/* In pieces: bytes, or a status if there is none. The other side is pinned by the caller. */
static int64_t copy_pieces(struct aspace *to, uint64_t to_address, struct aspace *from,
                           uint64_t from_address, uint64_t n)
{
    uint64_t done = 0;
    while (done < n && !thread_killed()) {
        uint64_t piece = n - done < COPY_PIECE ? n - done : COPY_PIECE;
        int64_t got = aspace_copy(to, to_address + done, from, from_address + done, piece);
        if (got < 0) {
            return done ? (int64_t)done : got;
        }
        done += (uint64_t)got;
        this_cpu()->counters.copied_bytes += (uint64_t)got;
        if ((uint64_t)got < piece) {
            break;
        }
        if (done < n) {
            sched_preempt_point();
        }
    }
    return (int64_t)done;
}

static int64_t copy_vmo_pieces(struct aspace *as, uint64_t address, struct vmo *v, uint64_t offset,
                               uint64_t n, bool to_vmo)
{
    uint64_t done = 0;
    while (done < n && !thread_killed()) {
        uint64_t piece = n - done < COPY_PIECE ? n - done : COPY_PIECE;
        int64_t got = aspace_copy_vmo(as, address + done, v, offset + done, piece, to_vmo);
        if (got < 0) {
            return done ? (int64_t)done : got;
        }
        done += (uint64_t)got;
        this_cpu()->counters.copied_bytes += (uint64_t)got;
        if ((uint64_t)got < piece) {
            break;
        }
        if (done < n) {
            sched_preempt_point();
        }
    }
    return (int64_t)done;
}

/* Between a pinned caller's buffer and this process's memory or an object. */
static int64_t copy_caller(struct thread *t, const struct motor_copy *m, struct vmo *v,
                           bool from_caller)
{
    struct call *c = t->call;
    uint64_t size = from_caller ? c->msg.in_size : c->msg.out_size;
    uint64_t base = from_caller ? (uint64_t)c->msg.in : (uint64_t)c->msg.out;
    if (m->offset >= size) {
        return 0;
    }
    uint64_t n = m->length < size - m->offset ? m->length : size - m->offset;
    uint64_t address = base + m->offset;
    struct aspace *own = this_cpu()->current->aspace;
    if (v) {
        return copy_vmo_pieces(t->aspace, address, v, m->vmo_offset, n, from_caller);
    }
    if (from_caller) {
        return copy_pieces(own, (uint64_t)m->buffer, t->aspace, address, n);
    }
    return copy_pieces(t->aspace, address, own, (uint64_t)m->buffer, n);
}

int64_t sys_msg_copy(uint64_t token, struct motor_copy *copy, uint32_t flags, uint64_t reserved)
{
    struct motor_copy m;
    struct object *v = NULL;
    struct thread *t;
    if (flags > MOTOR_COPY_TO_CALLER || reserved) {
        return -MOTOR_EINVAL;
    }
    int64_t status = copy_from_user(&m, copy, sizeof(m));
    if (status < 0) {
        return status;
    }
    if (m.reserved || (m.vmo && m.buffer)) {
        return -MOTOR_EINVAL;
    }
    bool from_caller = flags == MOTOR_COPY_FROM_CALLER;
    uint32_t right = from_caller ? MOTOR_RIGHT_WRITE : MOTOR_RIGHT_READ;
    if (m.vmo && (status = handle_lookup(m.vmo, OBJECT_VMO, right, &v, NULL)) < 0) {
        return status;
    }
    status = call_pin(token, &t);
    if (status == 0) {
        status = copy_caller(t, &m, (struct vmo *)v, from_caller);
        call_unpin(t);
    }
    if (v) {
        object_put(v);
    }
    return status;
}

/* ---- replies ---- */

static int64_t reply_data(struct thread *t, const struct motor_reply *r)
{
    struct call *c = t->call;
    uint64_t size = r->size < c->msg.out_size ? r->size : c->msg.out_size;
    c->inline_size = 0;
    if (size <= MOTOR_MSG_INLINE) {
        if (size && copy_from_user(c->data, r->data, size) < 0) {
            return -MOTOR_EFAULT;
        }
        c->inline_size = (uint32_t)size; /* the caller copies it on */
        return 0;
    }
    int64_t n = copy_pieces(t->aspace, (uint64_t)c->msg.out, this_cpu()->current->aspace,
                            (uint64_t)r->data, size);
    return n < 0 ? n : (uint64_t)n < size ? -MOTOR_EFAULT : 0;
}

static int64_t reply_handles(struct call *c, const struct motor_reply *r)
{
    for (uint32_t i = 0; i < r->nhandles; i++) {
        uint32_t have, want = r->rights[i];
        struct call_handle *h = &c->handle[i];
        int64_t status = handle_hold(r->handle[i], 0, MOTOR_RIGHT_DUP, &h->object, &have);
        if (status < 0) {
            return status;
        }
        h->rights = want;
        c->nhandles = i + 1;
        if (want & ~(have | MOTOR_HANDLE_CLOEXEC)) {
            return -MOTOR_ERIGHTS;
        }
    }
    return 0;
}

/* The embryo that the caller goes on as. */
static int64_t reply_program(struct call *c, const struct motor_reply *r)
{
    if (!this_cpu()->current->process->first || r->nhandles != 1) {
        return -MOTOR_EINVAL;
    }
    if (!c->may_exec) {
        return -MOTOR_EACCESS;
    }
    return r->handle[0] ? process_lookup(r->handle[0], MOTOR_RIGHT_MANAGE, &c->program)
                        : -MOTOR_EHANDLE;
}

static void close_moved(const struct motor_reply *r)
{
    for (uint32_t i = 0; (r->flags & MOTOR_REPLY_MOVE) && i < r->nhandles; i++) {
        handle_close(this_cpu()->current->process, r->handle[i]);
    }
}

/* Ends a pinned call; its caller becomes the one to hand the CPU to, the one before is queued. */
static void complete(struct thread *t, int64_t status, struct thread **handoff)
{
    sched_lock_acquire();
    t->call->pinned = false;
    t->call->stage = CALL_DONE;
    if (*handoff) {
        sched_ready(*handoff);
        *handoff = NULL;
    }
    if (wait_end_handoff(t, status)) {
        *handoff = t;
    }
    sched_lock_release();
}

/*
 * One reply. A dead token is no error: the caller gave up. A reply whose data or handles cannot be
 * had ends the call with that status, so that no caller is left waiting.
 */
static int64_t reply_one(const struct motor_reply *user, struct thread **handoff)
{
    struct motor_reply r;
    struct thread *t;
    int64_t status = copy_from_user(&r, user, sizeof(r));
    if (status < 0) {
        return status;
    }
    if (r.nhandles > MOTOR_MSG_HANDLES ||
        (r.flags & ~(MOTOR_REPLY_MOVE | MOTOR_REPLY_CHECK | MOTOR_REPLY_EXEC))) {
        return -MOTOR_EINVAL;
    }
    status = call_pin(r.token, &t);
    if (status == -MOTOR_EGONE) {
        close_moved(&r);
        return r.flags & MOTOR_REPLY_CHECK ? -MOTOR_EGONE : 0;
    }
    if (status < 0) {
        return status;
    }
    struct call *c = t->call;
    status = reply_data(t, &r);
    if (status == 0 && (r.flags & MOTOR_REPLY_EXEC)) {
        status = reply_program(c, &r);
    } else if (status == 0 && r.nhandles) {
        status = reply_handles(c, &r);
    }
    close_moved(&r);
    c->msg.status = r.status;
    __builtin_memcpy(c->msg.word, r.word, sizeof(r.word));
    complete(t, status, handoff);
    return 0;
}

/* ---- events ---- */

/* Something taken off an endpoint's queues, to be told to the server without a lock. */
struct taken {
    struct motor_event event; /* data unused: it comes straight from the call */
    struct thread *caller;    /* pinned */
    struct gate *gate;        /* reference to drop */
    struct cancel *cancel;    /* record to free */
};

static void take_gate(struct endpoint *e, struct taken *out)
{
    struct gate *g = container_of(e->gates.next, struct gate, link);
    uint32_t bit = g->pending & GATE_NOTIFIED ? GATE_NOTIFIED : GATE_UNREACHABLE;
    out->event.kind = bit == GATE_NOTIFIED ? MOTOR_EVENT_NOTIFY : MOTOR_EVENT_CLOSED;
    out->event.badge = g->badge;
    __atomic_and_fetch(&g->pending, ~bit, __ATOMIC_SEQ_CST);
    if (!g->pending) {
        list_remove(&g->link);
        out->gate = g;
    }
}

static void take_call(struct endpoint *e, struct taken *out)
{
    struct thread *t = container_of(e->callers.next, struct thread, wait_link);
    struct process *server = this_cpu()->current->process;
    struct call *c = t->call;
    const struct process *caller = thread_acts_for(t);
    list_remove(&t->wait_link);
    list_append(&server->serving, &t->wait_link);
    c->stage = CALL_DELIVERED;
    c->server = server;
    c->pinned = true;
    out->caller = t;
    out->event.kind = MOTOR_EVENT_CALL;
    out->event.op = c->msg.op;
    out->event.badge = c->gate->badge;
    out->event.token = c->token;
    __builtin_memcpy(out->event.word, c->msg.word, sizeof(c->msg.word));
    out->event.in_size = c->msg.in_size;
    out->event.out_size = c->msg.out_size;
    out->event.pid = caller->pid;
    out->event.uid = caller->uid;
    out->event.gid = caller->gid;
    out->event.fsuid = fs_uid(t, caller);
    out->event.fsgid = fs_gid(t, caller);
    out->event.groups = __atomic_load_n(&caller->group_list, __ATOMIC_RELAXED);
    out->event.pgid = caller->pgid;
    out->event.sid = caller->sid;
    out->event.root = caller->root;
}

/* Of a gate and a caller that wait, was the gate there first? [sched_lock held] */
static bool gate_is_older(struct endpoint *e)
{
    struct gate *g = container_of(e->gates.next, struct gate, link);
    struct thread *t = container_of(e->callers.next, struct thread, wait_link);
    return g->queued < t->call->queued;
}

/*
 * The next thing for the server; false: nothing. Cancellations first, then gates and callers in the
 * order of their coming: who has closed something and then calls finds it closed, and nobody is
 * starved. [sched_lock held]
 */
static bool take(struct endpoint *e, struct taken *out)
{
    bool gates = !list_empty(&e->gates), callers = !list_empty(&e->callers);
    bool cancels = !list_empty(&e->cancels);
    if (!gates && !callers && !cancels) {
        return false;
    }
    __builtin_memset(&out->event, 0, offsetof(struct motor_event, data));
    out->caller = NULL;
    out->gate = NULL;
    out->cancel = NULL;
    if (cancels) {
        out->cancel = container_of(e->cancels.next, struct cancel, link);
        list_remove(&out->cancel->link);
        out->event.kind = MOTOR_EVENT_CANCEL;
        out->event.badge = out->cancel->badge;
        out->event.token = out->cancel->token;
    } else if (callers && (!gates || !gate_is_older(e))) {
        take_call(e, out);
    } else {
        take_gate(e, out);
    }
    return true;
}

/*
 * Handles sent with a call: a gate of this endpoint becomes its badge, others get into our table:
 * all or none.
 */
static int64_t receive_handles(struct endpoint *e, struct call *c, struct motor_event *event)
{
    struct process *p = this_cpu()->current->process;
    int64_t status = 0;
    for (uint32_t i = 0; i < c->nhandles && status >= 0; i++) {
        struct object *o = c->handle[i].object;
        if (o->kind == OBJECT_GATE && ((struct gate *)o)->endpoint == e) {
            event->handle[i] = MOTOR_HANDLE_OWN;
            event->own_badge[i] = ((struct gate *)o)->badge;
        } else if ((status = handle_insert(p, o, c->handle[i].rights)) > 0) {
            event->handle[i] = (motor_handle)status;
        }
        event->nhandles = i + 1;
    }
    return status < 0 ? status : 0;
}

static void close_received(const struct motor_event *event)
{
    for (uint32_t i = 0; i < event->nhandles; i++) {
        if (event->handle[i] && event->handle[i] != MOTOR_HANDLE_OWN) {
            handle_close(this_cpu()->current->process, event->handle[i]);
        }
    }
}

/*
 * 1: stored. 0: the call failed on the way, the server hears nothing. Negative: the server's buffer
 * is bad.
 */
static int64_t store_call(struct endpoint *e, struct taken *k, struct motor_event *user)
{
    struct thread *t = k->caller, *handoff = NULL;
    struct call *c = t->call;
    int64_t failed = receive_handles(e, c, &k->event), status = 1;
    if (!failed) {
        failed = copy_to_user(user, &k->event, offsetof(struct motor_event, data));
        if (!failed && c->inline_size) {
            failed = copy_to_user(user->data, c->data, c->inline_size);
        }
        status = failed ? failed : 1;
        failed = failed ? -MOTOR_EGONE : 0;
    } else {
        status = 0;
    }
    call_drop_handles(c);
    if (!failed) {
        call_unpin(t);
        return 1;
    }
    close_received(&k->event);
    complete(t, failed, &handoff);
    if (handoff) {
        sched_lock_acquire();
        sched_ready(handoff);
        sched_lock_release();
    }
    return status;
}

static int64_t store(struct endpoint *e, struct taken *k, struct motor_event *user)
{
    if (k->caller) {
        return store_call(e, k, user);
    }
    int64_t status = copy_to_user(user, &k->event, offsetof(struct motor_event, data));
    if (k->gate) {
        object_put(&k->gate->object);
    }
    kfree(k->cancel);
    return status < 0 ? status : 1;
}

/*
 * Wait until there is something to take, and take it. 1: taken; 0: nothing, the deadline has passed
 * or waiting was not wanted; negative: status. In any case the handed-over thread is running or
 * queued afterwards.
 */
static int64_t await(struct endpoint *e, struct taken *out, bool may_wait, uint64_t deadline,
                     struct thread **handoff)
{
    int64_t status = 0;
    sched_lock_acquire();
    for (;;) {
        if (e->closed) {
            status = -MOTOR_EGONE;
        } else if (take(e, out)) {
            status = 1;
        } else if (may_wait && status == 0) {
            wait_begin(WAIT_SERVE, true, &e->waiters);
            status = wait_block(deadline, *handoff);
            *handoff = NULL;
            if (status == 0) {
                continue;
            }
        }
        break;
    }
    if (*handoff) {
        sched_ready(*handoff);
        *handoff = NULL;
    }
    sched_lock_release();
    return status == -MOTOR_ETIMEOUT ? 0 : status;
}

static int64_t receive(struct endpoint *e, struct motor_event *events, uint32_t max,
                       uint64_t deadline, struct thread *handoff)
{
    struct taken taken;
    uint32_t n = 0;
    do {
        int64_t status = await(e, &taken, n == 0 && max > 0, deadline, &handoff);
        if (status <= 0) {
            return n ? n : status;
        }
        status = store(e, &taken, &events[n]);
        if (status < 0) {
            return status;
        }
        n += (uint32_t)status;
    } while (n < max);
    return n;
}

int64_t sys_serve(motor_handle endpoint, const struct motor_reply *replies, uint32_t nreplies,
                  struct motor_event *events, uint32_t nevents, uint64_t deadline)
{
    struct object *o;
    struct thread *handoff = NULL;
    if (nreplies > SERVE_MAX || nevents > SERVE_MAX) {
        return -MOTOR_EINVAL;
    }
    int64_t status = handle_lookup(endpoint, OBJECT_ENDPOINT, MOTOR_RIGHT_READ, &o, NULL);
    if (status < 0) {
        return status;
    }
    for (uint32_t i = 0; i < nreplies && status == 0; i++) {
        status = reply_one(&replies[i], &handoff);
    }
    if (status == 0 && nevents) {
        status = receive((struct endpoint *)o, events, nevents, deadline, handoff);
    } else if (handoff) {
        sched_lock_acquire();
        sched_ready(handoff);
        sched_lock_release();
    }
    object_put(o);
    return status;
}
