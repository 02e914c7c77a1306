/* SPDX-License-Identifier: MIT */
/*
 * fork: the kernel copies the memory and the listed handles; here the runtime is made whole before,
 * and a process of one thread after. See px_*_forked() in internal.h.
 *
 * The child starts on the runtime stack of the thread that forked, at its top, and goes on with the
 * program's registers as they were saved at the call.
 */
#include "fd.h"
#include "internal.h"
#include "watch.h"

#define FEW 64u

struct fork {
    motor_handle *keep, *allocated; /* they are in `few`, or allocated */
    uint32_t count;
    motor_handle few[FEW];
};

/* In the order of px.h; the heap's last: nothing can be allocated from here on. */
static void lock_all(struct px_process *p)
{
    px_lock(&p->netstate->open_lock);
    px_lock(&p->netstate->lock);
    px_lock(&p->files->pool->lock);
    px_lock(&p->memory->lock);
    px_lock(&p->threads->cache_lock);
    px_lock(px_timers_lock(p));
    px_lock(&p->signals->lock);
    px_heap_lock();
}

static void unlock_all(struct px_process *p)
{
    px_heap_unlock();
    px_unlock(&p->signals->lock);
    px_unlock(px_timers_lock(p));
    px_unlock(&p->threads->cache_lock);
    px_unlock(&p->memory->lock);
    px_unlock(&p->files->pool->lock);
    px_unlock(&p->netstate->lock);
    px_unlock(&p->netstate->open_lock);
}

/* ---- the child ---- */

/* [files lock] on their way to the child */
static PX_HOT struct px_fork_options child_options;
static PX_HOT motor_handle *child_list;

static void forked(struct px_thread *t, uint32_t pid)
{
    struct px_process *p = t->process;
    px_heap_unlock();
    p->pid = pid;
    p->parent = 0;
    t->tcb.pending = 0;
    px_process_forked(p);
    px_signals_forked(p, t);
    px_watch_forked(p);
    px_files_forked(p); /* what other threads waited for lay on their stacks, which go now */
    px_threads_forked(p, t);
    px_timers_forked(p);
}

static _Noreturn void child(uint64_t pid)
{
    struct px_thread *t = px_self();
    struct px_fork_options options = child_options;
    forked(t, (uint32_t)pid);
    px_free(child_list);
    t->robust_list = t->tcb.robust_list = 0;
    t->clear_tid = options.clear_tid;
    if (options.child_tid) {
        px_store32(options.child_tid, t->tid);
    }
    px_child_registers(t, t, options.stack);
    px_take_interruption(); /* a signal may have come already */
    px_leave_to_context();
}

/* ---- the parent ---- */

/* [files lock] The handles that the child gets. */
static long list_handles(struct px_process *p, struct fork *f)
{
    motor_handle fixed[] = {p->root, p->net, p->tty, p->exec, p->trace, p->files->pool->desc_vmo};
    uint32_t n = sizeof(fixed) / sizeof(fixed[0]);
    uint32_t files = px_files_fork(p, PX_FORK_HOLD, f->few + n, FEW - n);
    f->keep = f->few;
    if (files > FEW - n) { /* once more, with room for all */
        px_files_fork(p, PX_FORK_UNDO, NULL, 0);
        f->keep = f->allocated = px_alloc((n + files) * sizeof(*f->keep));
        if (!f->keep) {
            return -ENOMEM;
        }
        px_files_fork(p, PX_FORK_HOLD, f->keep + n, files);
    }
    memcpy(f->keep, fixed, sizeof(fixed));
    f->count = n + files;
    return 0;
}

long px_fork(const struct px_fork_options *options)
{
    struct px_thread *t = px_self();
    struct px_process *p = t->process;
    struct fork f;
    if (p->vfork) { /* it has no address space that could be copied */
        return -EAGAIN;
    }
    f.allocated = NULL;
    px_listeners_share(false);
    px_lock(&p->files->lock);
    long result = px_events_share(p);
    if (result == 0)
        result = px_descs_share(p);
    if (result == 0)
        result = list_handles(p, &f);
    if (result == 0) {
        struct motor_thread_start start = {
            .rip = (uint64_t)child,
            .rsp = t->stack - 8, /* as after a call */
            .fs_base = options->set_tls ? options->tls : px_current_fs(t),
            .gs_base = (uint64_t)t,
        };
        child_options = *options;
        child_list = f.allocated;
        lock_all(p);
        result = motor_process_fork(&start, f.keep, f.count, 0);
        unlock_all(p);
        if (result > 0)
            px_descs_child((uint32_t)result);
        if (result < 0) {
            px_files_fork(p, PX_FORK_UNDO, NULL, 0);
            result = result == -MOTOR_ENOMEM ? -ENOMEM : -EAGAIN;
        }
        px_free(f.allocated);
    }
    px_unlock(&p->files->lock);
    if (result > 0 && options->parent_tid) {
        px_store32(options->parent_tid, (uint32_t)result);
    }
    return result;
}

long px_sys_fork(void)
{
    struct px_fork_options none = {0};
    return px_fork(&none);
}
