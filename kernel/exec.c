/* SPDX-License-Identifier: MIT */
/*
 * process_exec: a process takes over an embryo's address space and goes on there, with its own
 * handles and labels. First everything that can fail; then the embryo is taken (nobody can start it
 * any more); then the other threads die and are waited for; then the switch, which cannot fail.
 */
#include "exec.h"
#include "log.h"
#include "robust.h"
#include "sched.h"
#include "syscall.h"
#include "template.h"

int64_t exec_claim(struct process *p, struct thread *t, struct process *embryo)
{
    int64_t status = -MOTOR_EBUSY;
    sched_lock_acquire();
    if (embryo->state != PROCESS_EMBRYO || embryo->dying) {
        status = -MOTOR_EBUSY;
    } else if (!p || (!p->dying && !p->alone)) {
        embryo->dying = true;
        if (p) {
            p->alone = t;
        }
        status = 0;
    }
    sched_lock_release();
    return status;
}

int64_t exec_alone(struct process *p, struct thread *t)
{
    process_kill_threads(p, t);
    sched_lock_acquire();
    while (p->thread_count > 1) {
        wait_begin(WAIT_ALONE, false, NULL);
        wait_block(MOTOR_NEVER, NULL);
    }
    sched_lock_release();
    if (thread_killed()) {
        return -MOTOR_EINTR;
    }
    robust_owner_died(t);
    robust_process_died(p);
    return 0;
}

void exec_done(struct process *p)
{
    sched_lock_acquire();
    p->alone = NULL;
    sched_lock_release();
}

static struct aspace *exchange_aspace(struct process *p, struct aspace *as)
{
    spin_lock(&p->lock);
    struct aspace *old = p->aspace;
    p->aspace = as;
    spin_unlock(&p->lock);
    return old;
}

static void copy_name(struct process *to, struct process *from)
{
    char name[PROCESS_NAME_MAX];
    spin_lock(&from->lock);
    __builtin_memcpy(name, from->name, sizeof(name));
    spin_unlock(&from->lock);
    spin_lock(&to->lock);
    __builtin_memcpy(to->name, name, sizeof(name));
    spin_unlock(&to->lock);
}

void exec_names(struct process *p, struct process *embryo)
{
    copy_name(p, embryo);
    __atomic_store_n(&p->upcall_entry, embryo->upcall_entry, __ATOMIC_RELAXED);
    __atomic_store_n(&p->linux_entry, embryo->linux_entry, __ATOMIC_RELAXED);
    __atomic_store_n(&p->about, embryo->about, __ATOMIC_RELAXED);
    p->from_template = embryo->from_template;
    __atomic_store_n(&p->execed, true, __ATOMIC_RELAXED);
}

void exec_registers(struct thread *t, const struct motor_thread_start *start)
{
    t->aspace = t->process->aspace;
    aspace_activate(t->aspace);
    arch_set_user_start(t, start);
    arch_set_fs(start->fs_base);
    arch_set_gs(start->gs_base);
    t->tcb = start->gs_base;
    t->fs_set = 0;
}

static void take_over(struct process *p, struct thread *t, struct process *embryo,
                      const struct motor_thread_start *start)
{
    struct aspace *old = exchange_aspace(p, exchange_aspace(embryo, NULL));
    exec_names(p, embryo);
    exec_registers(t, start);
    aspace_put(old);
    bool secret = p->uid != p->ruid || p->gid != p->rgid;
    __atomic_store_n(&p->secret, secret, __ATOMIC_RELAXED);
    handle_close_unkept(p);
}

int64_t sys_process_exec(motor_handle embryo, const struct motor_thread_start *start,
                         const motor_handle *keep, uint32_t count)
{
    struct thread *t = this_cpu()->current;
    struct process *p = t->process, *e;
    struct motor_thread_start s;
    int64_t status = copy_from_user(&s, start, sizeof(s));
    if (status < 0) {
        return status;
    }
    if (!embryo) {
        return -MOTOR_EHANDLE;
    }
    status = handle_keep(p, keep, count);
    if (status == 0) {
        status = process_lookup(embryo, MOTOR_RIGHT_MANAGE, &e);
    }
    if (status < 0) {
        return status;
    }
    status = s.flags ? template_start(e, &s) : thread_check_start(&s);
    if (status == 0) {
        status = exec_claim(p, t, e);
    }
    if (status == 0) {
        status = exec_alone(p, t);
        if (status == 0) {
            take_over(p, t, e, &s);
        }
        process_release(e);
        exec_done(p);
    }
    object_put(&e->object);
    return status;
}
