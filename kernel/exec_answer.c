/* SPDX-License-Identifier: MIT */
/*
 * Answers that are programs: how a process becomes more than it was. The first process makes an
 * embryo that nobody else has a handle to, so the new program's memory, its start and its handles
 * are what the first process put there. The caller changes places with it: the embryo gets the old
 * memory and the old handles, and both go with it.
 *
 * What remains is the process as an object, and somebody may have a handle to that: a parent, or
 * who was given one. It is guarded before the new memory is in it (process_is_closed()).
 */
#include "endpoint.h"
#include "exec.h"
#include "log.h"
#include "pid.h"
#include "sched.h"
#include "syscall.h"
#include "template.h"

static void guard(struct process *p)
{
    sched_lock_acquire();
    __atomic_store_n(&p->guarded, true, __ATOMIC_RELAXED);
    sched_lock_release();
}

/* What is the embryo's is taken out of it; it is claimed, so nobody else does. */
static void empty(struct process *embryo, struct handle_table *handles, uint32_t *hardware,
                  struct aspace **as)
{
    spin_lock(&embryo->lock);
    *handles = embryo->handles;
    *hardware = embryo->hardware;
    *as = embryo->aspace;
    embryo->handles = (struct handle_table){0};
    embryo->hardware = 0;
    embryo->aspace = NULL;
    spin_unlock(&embryo->lock);
}

/* Memory and handles change places; false: p has been killed. */
static bool change_places(struct process *p, struct process *embryo)
{
    struct handle_table handles;
    struct aspace *as;
    uint32_t hardware;
    empty(embryo, &handles, &hardware, &as);
    spin_lock(&p->lock);
    bool lives = !p->closed && p->aspace;
    if (lives) {
        struct handle_table old_handles = p->handles;
        struct aspace *old = p->aspace;
        uint32_t old_hardware = p->hardware;
        as->limit = old->limit;
        p->handles = handles;
        p->hardware = hardware;
        p->aspace = as;
        handles = old_handles;
        hardware = old_hardware;
        as = old;
    }
    spin_unlock(&p->lock);
    spin_lock(&embryo->lock);
    embryo->handles = handles;
    embryo->hardware = hardware;
    embryo->aspace = as;
    spin_unlock(&embryo->lock);
    return lives;
}

static void set_ids(struct process *p, uint64_t uid, uint64_t gid)
{
    spin_lock(&processes_lock);
    if (uid != MOTOR_KEEP_ID) {
        __atomic_store_n(&p->uid, (uint32_t)uid, __ATOMIC_RELAXED);
    }
    if (gid != MOTOR_KEEP_ID) {
        __atomic_store_n(&p->gid, (uint32_t)gid, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&p->suid, p->uid, __ATOMIC_RELAXED);
    __atomic_store_n(&p->sgid, p->gid, __ATOMIC_RELAXED);
    spin_unlock(&processes_lock);
    __atomic_store_n(&p->death_signal, 0, __ATOMIC_RELAXED);
}

/* p is the embryo's program from now on; false: it has been killed. */
static bool become(struct process *p, struct process *embryo, const uint64_t *word)
{
    guard(p);
    __atomic_store_n(&p->secret, true, __ATOMIC_RELAXED);
    if (!change_places(p, embryo)) {
        return false;
    }
    exec_names(p, embryo);
    set_ids(p, word[1], word[2]);
    return true;
}

static int64_t become_self(struct thread *t, struct process *embryo,
                           const struct motor_thread_start *start, const uint64_t *word)
{
    struct process *p = t->process;
    int64_t status = exec_claim(p, t, embryo);
    if (status < 0) {
        return status;
    }
    status = exec_alone(p, t);
    if (status == 0 && become(p, embryo, word)) {
        exec_registers(t, start);
    }
    process_release(embryo);
    exec_done(p);
    return status;
}

/* Of a thread that acts for p. That p is killed meanwhile its parent will learn from it. */
static int64_t start_other(struct process *p, struct process *embryo,
                           const struct motor_thread_start *start, const uint64_t *word)
{
    struct thread *t = thread_alloc(p);
    int64_t status = t ? exec_claim(NULL, NULL, embryo) : -MOTOR_ENOMEM;
    if (status == 0) {
        if (become(p, embryo, word)) {
            arch_set_user_start(t, start);
            t->tcb = start->gs_base;
            thread_start(t);
        }
        thread_act_for(NULL);
        process_release(embryo);
    }
    if (t) {
        object_put(&t->object);
    }
    return status;
}

int64_t exec_answered(struct process *embryo, const uint64_t *word)
{
    struct thread *t = this_cpu()->current;
    struct process *p = thread_acts_for(t);
    struct motor_thread_start start = {.arg = {word[0]}, .flags = MOTOR_THREAD_FROM_TEMPLATE};
    int64_t status = template_start(embryo, &start);
    if (status < 0) {
        return status;
    }
    if (word[1] > UINT32_MAX || word[2] > UINT32_MAX) {
        return -MOTOR_EINVAL;
    }
    if (__atomic_load_n(&p->no_new_privs, __ATOMIC_RELAXED)) {
        return -MOTOR_EPERM;
    }
    return p == t->process ? become_self(t, embryo, &start, word)
                           : start_other(p, embryo, &start, word);
}

/* ---- handles that go along ---- */

#define PASSED_RIGHTS (MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP)

/* The caller's handle of that number, held, if it is a gate of the same endpoint. */
static struct gate *gate_like(struct thread *caller, motor_handle h, const struct gate *like)
{
    struct gate *g = (struct gate *)handle_hold_of(caller->process, h, OBJECT_GATE, PASSED_RIGHTS);
    if (g && g->endpoint != like->endpoint) {
        object_handle_put(&g->object);
        g = NULL;
    }
    return g;
}

static int64_t pass(uint64_t token, motor_handle h, struct process *to, const struct gate *like)
{
    struct thread *caller;
    int64_t status = call_pin(token, &caller);
    if (status < 0) {
        return status;
    }
    struct gate *g = gate_like(caller, h, like);
    call_unpin(caller);
    if (!g) {
        return -MOTOR_ETYPE;
    }
    status = handle_insert(to, &g->object, PASSED_RIGHTS);
    object_handle_put(&g->object);
    return status;
}

int64_t sys_handle_pass(uint64_t token, motor_handle h, motor_handle embryo, motor_handle like)
{
    struct object *g;
    struct process *to;
    int64_t status = handle_lookup(like, OBJECT_GATE, MOTOR_RIGHT_CALL, &g, NULL);
    if (status < 0) {
        return status;
    }
    status = process_lookup(embryo, MOTOR_RIGHT_INSTALL, &to);
    if (status == 0) {
        bool begins = __atomic_load_n(&to->state, __ATOMIC_RELAXED) == PROCESS_EMBRYO;
        status = begins ? pass(token, h, to, (struct gate *)g) : -MOTOR_EBUSY;
        object_put(&to->object);
    }
    object_put(g);
    return status;
}
