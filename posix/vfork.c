/* SPDX-License-Identifier: MIT */
/*
 * vfork, and clone(CLONE_VM | CLONE_VFORK), which posix_spawn uses. The caller is suspended until
 * its child execs or ends, and the child runs in its memory: so the child runs on its thread, as a
 * process of the runtime's only. The kernel knows the child as an embryo, which has its pid and
 * labels, and takes the thread's calls for the embryo's (MOTOR_PROCESS_ACT_FOR); nothing is copied
 * but the table of descriptors and the actions of signals. At exec the embryo gets its handles and
 * a thread (exec.c), and the parent goes on where it called.
 *
 * While the thread runs the child, its process is the child's struct px_process. Signals and timers
 * of the parent are the affair of its other threads, or wait (pending_of() in signal.c). What asks
 * the kernel about "this process" must mean px_home(), and what changes labels px_proc_handle().
 *
 * Private to the thread: no locks, but the parent's signals lock where its lists are concerned.
 */
#include "internal.h"

struct px_vfork {
    struct px_process process; /* the child; first */
    struct px_process *parent;
    motor_handle embryo;
    /* the thread as the parent left it */
    struct motor_context regs;
    uint32_t kind, tid;
    uint64_t mask, robust_list;
    struct px_altstack altstack;
    uint32_t *clear_tid;
    char name[16];
    int32_t nice;
    uint32_t policy;
    uint64_t affinity; /* 0: the child has not changed it */
};

struct px_process *px_home(void)
{
    struct px_process *p = px_proc();
    while (p->vfork) {
        p = p->vfork->parent;
    }
    return p;
}

motor_handle px_vfork_embryo(struct px_vfork *v)
{
    return v->embryo;
}

motor_handle px_proc_handle(void)
{
    struct px_vfork *v = px_proc()->vfork;
    return v ? v->embryo : 0;
}

/* ---- the beginning ---- */

static void drop(struct px_vfork *v)
{
    if (v->process.files) {
        px_files_drop(v->process.files);
    }
    if (v->process.signals) {
        px_signals_free(v->process.signals);
    }
    px_free(v->process.threads);
    px_free(v->process.timers);
    px_free(v);
}

static struct px_vfork *child_new(struct px_process *parent)
{
    struct px_vfork *v = px_alloc_raw(sizeof(*v));
    if (!v) {
        return NULL;
    }
    struct px_process *c = &v->process;
    *c = *parent;
    c->limits.word = 0;
    c->attributes.subreaper = c->attributes.death_signal = 0;
    c->presence = 0;
    c->names_inherited = NULL;
    c->vfork = v;
    v->parent = parent;
    c->files = px_files_copy(parent);
    c->signals = px_signals_copy(parent);
    c->threads = px_alloc(sizeof(*c->threads)); /* nobody to be found there */
    c->timers = NULL;
    if (!c->files || !c->signals || !c->threads || !px_timers_new(c)) {
        drop(v);
        return NULL;
    }
    return v;
}

static void leave_parent(struct px_thread *t, struct px_vfork *v)
{
    struct px_process *parent = v->parent;
    v->regs = t->regs;
    v->kind = t->kind;
    v->tid = t->tid;
    v->mask = t->mask;
    v->robust_list = t->robust_list;
    v->altstack = t->altstack;
    v->clear_tid = t->clear_tid;
    memcpy(v->name, t->name, sizeof(v->name));
    v->nice = t->tcb.nice;
    v->policy = t->tcb.policy;
    v->affinity = 0;
    px_lock(&parent->signals->lock);
    t->away_pending = t->pending;
    if (!t->pending.first) {
        px_pending_init(&t->away_pending);
        t->away_pending.set = t->pending.set;
    }
    px_pending_init(&t->pending);
    t->process = &v->process;
    px_retarget(parent, t, UINT64_MAX);
    px_unlock(&parent->signals->lock);
    t->tid = v->process.pid;
    t->clear_tid = NULL;
    t->robust_list = 0;
}

long px_vfork(uint64_t stack)
{
    struct px_thread *t = px_self();
    struct px_process *parent = t->process;
    if (parent->vfork) {
        return -EAGAIN;
    }
    int64_t made = motor_process_create(MOTOR_PROCESS_CHILD | MOTOR_PROCESS_FROM_TEMPLATE |
                                        MOTOR_PROCESS_ACT_FOR | MOTOR_PROCESS_TELL_PID);
    if (made < 0) {
        return made == -MOTOR_ENOMEM ? -ENOMEM : -EAGAIN;
    }
    motor_handle embryo = (motor_handle)made;
    uint32_t pid = (uint32_t)(made >> 32);
    struct px_vfork *v = child_new(parent);
    if (!v) {
        motor_process_exit(embryo, SIGKILL);
        motor_handle_close(embryo);
        motor_process_wait(MOTOR_WAIT_PID, pid, MOTOR_WAIT_EXITED, &(struct motor_wait){0});
        return -ENOMEM;
    }
    v->embryo = embryo;
    v->process.pid = pid;
    v->process.parent = 0;
    leave_parent(t, v);
    px_child_registers(t, t, stack);
    px_leave_to_context();
}

long px_sys_vfork(void)
{
    return px_vfork(0);
}

void px_vfork_keep_affinity(struct px_vfork *v, uint64_t mask)
{
    if (!v->affinity) {
        v->affinity = mask;
    }
}

/* ---- the end ---- */

/* The kernel's thread is the parent's again. */
static void restore_scheduling(struct px_thread *t, const struct px_vfork *v)
{
    if (t->tcb.nice != v->nice) {
        t->tcb.nice = v->nice;
        motor_thread_control(t->handle, MOTOR_THREAD_SET_PRIORITY, (uint64_t)(v->nice + 20));
    }
    t->tcb.policy = v->policy;
    if (v->affinity) {
        motor_thread_control(t->handle, MOTOR_THREAD_SET_AFFINITY, v->affinity);
    }
}

static void back_to_parent(struct px_thread *t, struct px_vfork *v)
{
    struct px_process *parent = v->parent;
    px_pending_drop(&v->process, &t->pending, UINT64_MAX);
    px_lock(&parent->signals->lock);
    t->pending = t->away_pending;
    if (!t->pending.first) {
        px_pending_init(&t->pending);
        t->pending.set = t->away_pending.set;
    }
    t->process = parent;
    t->mask = v->mask;
    px_unlock(&parent->signals->lock);
    t->regs = v->regs;
    t->kind = v->kind;
    t->tid = v->tid;
    t->robust_list = v->robust_list;
    t->altstack = v->altstack;
    t->clear_tid = v->clear_tid;
    memcpy(t->name, v->name, sizeof(t->name));
    restore_scheduling(t, v);
}

_Noreturn void px_vfork_return(void)
{
    struct px_thread *t = px_self();
    struct px_vfork *v = t->process->vfork;
    uint32_t pid = v->process.pid;
    px_files_drop(v->process.files); /* while its process still is this thread's */
    v->process.files = v->parent->files;
    back_to_parent(t, v);
    v->process.files = NULL;
    motor_handle_close(v->embryo);
    if (v->process.presence)
        motor_handle_close(v->process.presence);
    drop(v);
    t->work |= PX_WORK_SIGNAL;
    t->work &= ~PX_WORK_RESTORE;
    t->restart_deadline = 0;
    px_child_registers(t, t, 0); /* complete as they are; but the result is the pid */
    t->regs.rax = pid;
    px_leave_to_context();
}

_Noreturn void px_vfork_end(uint32_t status)
{
    motor_process_exit(px_proc()->vfork->embryo, status);
    px_vfork_return();
}
