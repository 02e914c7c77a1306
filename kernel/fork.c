/* SPDX-License-Identifier: MIT */
/*
 * process_fork: a child with a copy-on-write copy of the caller's memory, the handles that a list
 * names, and one thread. The child is an embryo, known by its pid, until that thread starts; a
 * signal that kills it meanwhile wins.
 */
#include "family.h"
#include "fs_ids.h"
#include "log.h"
#include "process.h"
#include "sched.h"
#include "signal.h"
#include "syscall.h"

static void inherit(struct process *child, const struct process *parent)
{
    child->upcall_entry = parent->upcall_entry;
    child->linux_entry = parent->linux_entry;
    child->about = parent->about;
    child->secret = __atomic_load_n(&parent->secret, __ATOMIC_RELAXED);
    __atomic_store_n(&child->child_flags, parent->child_flags, __ATOMIC_RELAXED);
}

/* The memory is referenced while it is filled: the child may be killed and drop it. */
static int64_t fork_memory(struct process *child, struct aspace *from)
{
    struct aspace *as = process_aspace_get(child);
    if (!as) {
        return -MOTOR_EGONE;
    }
    int64_t status = aspace_fork(from, as);
    aspace_put(as);
    return status;
}

static int64_t start_thread(struct process *child, const struct motor_thread_start *s)
{
    struct thread *t = thread_alloc(child);
    if (!t) {
        return -MOTOR_ENOMEM;
    }
    arch_set_user_start(t, s);
    arch_fpu_copy(t);
    t->tcb = s->gs_base;
    fs_ids_inherit(t, this_cpu()->current);
    int64_t status = thread_start(t);
    object_put(&t->object);
    return status == -MOTOR_EGONE ? 0 : status; /* killed already: the parent will learn that */
}

int64_t sys_process_fork(const struct motor_thread_start *start, const motor_handle *keep,
                         uint32_t count, uint32_t flags)
{
    struct process *self = this_cpu()->current->process, *child;
    struct motor_thread_start s;
    if (flags) {
        return -MOTOR_EINVAL;
    }
    int64_t status = copy_from_user(&s, start, sizeof(s));
    if (status < 0 || (status = thread_check_start(&s)) < 0 ||
        (status = process_create(self, MOTOR_PROCESS_CHILD, aspace_create_empty(), &child)) < 0) {
        return status;
    }
    inherit(child, self);
    s.arg[0] = child->pid;
    status = handle_clone(child, self, keep, count);
    if (status == 0) {
        status = fork_memory(child, this_cpu()->current->aspace);
    }
    if (status == 0) {
        status = start_thread(child, &s);
    }
    int64_t pid = child->pid;
    if (status < 0 && status != -MOTOR_EGONE) {
        family_disown(child);
        process_kill(child, SIGKILL);
        pid = status;
    }
    object_put(&child->object);
    return pid;
}
