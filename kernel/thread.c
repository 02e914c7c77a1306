/* SPDX-License-Identifier: MIT */
/*
 * Threads' lives: creation, start, exit, and control from outside. Each live thread has an id in a
 * global table, by which call tokens find it.
 */
#include "thread.h"
#include "endpoint.h"
#include "family.h"
#include "frame.h"
#include "fs_ids.h"
#include "handle.h"
#include "log.h"
#include "process.h"
#include "robust.h"
#include "sched.h"
#include "signal.h"
#include "syscall.h"
#include "template.h"

#define IDS_LEAF   512u
#define IDS_LEAVES 128u

static struct {
    struct thread **leaf[IDS_LEAVES]; /* [sched_lock] */
    uint32_t next;                    /* where to look for a free id */
} ids = {.next = 1};

/* ---- ids ---- */

struct thread *thread_by_id(uint32_t id)
{
    if (id / IDS_LEAF >= IDS_LEAVES || !ids.leaf[id / IDS_LEAF]) {
        return NULL;
    }
    return ids.leaf[id / IDS_LEAF][id % IDS_LEAF];
}

uint32_t thread_ids_end(void)
{
    uint32_t leaf = 0; /* leaves are made in order and stay */
    while (leaf < IDS_LEAVES && __atomic_load_n(&ids.leaf[leaf], __ATOMIC_RELAXED)) {
        leaf++;
    }
    return leaf * IDS_LEAF;
}

static uint32_t find_id(uint32_t from, uint32_t to, uint32_t *need_leaf)
{
    for (uint32_t id = from; id < to; id++) {
        struct thread **leaf = ids.leaf[id / IDS_LEAF];
        if (!leaf) {
            *need_leaf = id / IDS_LEAF;
            return 0;
        }
        if (!leaf[id % IDS_LEAF]) {
            return id;
        }
    }
    return 0;
}

/* Give t an id. The table grows by leaves only; leaf 0 first, so ids in use stay dense. */
static int64_t assign_id(struct thread *t)
{
    struct thread **fresh = NULL;
    for (;;) {
        uint32_t need = IDS_LEAVES;
        sched_lock_acquire();
        uint32_t id = find_id(ids.next, IDS_LEAF * IDS_LEAVES, &need);
        if (!id && need == IDS_LEAVES) {
            id = find_id(1, ids.next, &need);
        }
        if (!id && need < IDS_LEAVES && fresh) {
            ids.leaf[need] = fresh;
            fresh = NULL;
            id = need ? need * IDS_LEAF : 1;
        }
        if (id) {
            ids.leaf[id / IDS_LEAF][id % IDS_LEAF] = t;
            ids.next = id + 1 < IDS_LEAF * IDS_LEAVES ? id + 1 : 1;
            t->id = id;
        }
        sched_lock_release();
        if (id || need == IDS_LEAVES) {
            kfree(fresh);
            return id ? 0 : -MOTOR_ELIMIT;
        }
        fresh = kzalloc(IDS_LEAF * sizeof(*fresh));
        if (!fresh) {
            return -MOTOR_ENOMEM;
        }
    }
}

/* Lowest ids are used again first, so that the table stays small. [sched_lock] */
static void release_id(struct thread *t)
{
    if (t->id) {
        ids.leaf[t->id / IDS_LEAF][t->id % IDS_LEAF] = NULL;
        if (t->id < ids.next) {
            ids.next = t->id;
        }
        t->id = 0;
    }
}

/* ---- creation ---- */

static void deadline_passed(struct timer *timer)
{
    wait_abort(container_of(timer, struct thread, deadline), -MOTOR_ETIMEOUT);
}

static struct thread *alloc_common(struct process *p)
{
    struct thread *t = kzalloc(sizeof(*t));
    if (!t) {
        return NULL;
    }
    object_init(&t->object, OBJECT_THREAD);
    t->process = p;
    t->priority = THREAD_PRIORITY_NORMAL;
    t->affinity = ~0ull;
    list_init(&t->wait_link);
    list_init(&t->process_link);
    t->deadline.fire = deadline_passed;
    return t;
}

static void first_run(void)
{
    sched_finish_switch();
    arch_return_to_user();
}

/*
 * A stack is a block of frames, and most threads that end make room for one that begins: each CPU
 * keeps one.
 */
static void *spare_stack[CPUS_MAX];

static void *stack_alloc(void)
{
    void **spare = &spare_stack[this_cpu()->id], *stack = *spare;
    *spare = NULL;
    return stack ? stack : kmalloc(KERNEL_STACK_SIZE);
}

static void stack_free(void *stack)
{
    void **spare = &spare_stack[this_cpu()->id];
    if (*spare) {
        kfree(stack);
    } else {
        *spare = stack;
    }
}

static void free_resources(struct thread *t)
{
    arch_fpu_free_thread(t);
    stack_free(t->kernel_stack);
    kfree(t->cancel);
    t->fpu = NULL;
    t->kernel_stack = NULL;
    t->cancel = NULL;
}

struct thread *thread_alloc(struct process *p)
{
    struct thread *t = alloc_common(p);
    if (!t) {
        return NULL;
    }
    object_get(&p->object);
    t->kernel_stack = stack_alloc();
    if (!t->kernel_stack) {
        goto out_put;
    }
    arch_fpu_init_thread(t);
    if (!t->fpu || assign_id(t) < 0) {
        goto out_put;
    }
    struct thread *creator = this_cpu()->current;
    t->cpu = this_cpu()->id;
    if (creator && creator->process) {
        t->priority = creator->priority;
        t->affinity = creator->affinity;
        if (creator->process == p) {
            fs_ids_inherit(t, creator);
        }
    }
    t->io_ports = process_is_driver(p);
    arch_thread_prepare(t, first_run);
    return t;
out_put:
    object_put(&t->object);
    return NULL;
}

struct thread *thread_create_idle(uint32_t cpu, void *stack)
{
    struct thread *t = alloc_common(NULL);
    if (!t) {
        panic("no memory for an idle thread");
    }
    t->kernel_stack = stack;
    t->cpu = cpu;
    t->state = THREAD_RUNNING;
    t->affinity = 1ull << cpu;
    return t; /* no FPU state: user registers stay loaded while a CPU idles */
}

/* asked: by a handle to the process. */
static int64_t start_thread(struct thread *t, bool asked)
{
    int64_t status = -MOTOR_EGONE;
    sched_lock_acquire();
    if (!(asked && process_is_closed(t->process)) && process_add_thread(t->process, t)) {
        t->aspace = t->process->aspace;
        object_get(&t->object); /* its own, until it is reaped */
        sched_new(t);
        status = 0;
    }
    sched_lock_release();
    return status;
}

int64_t thread_start(struct thread *t)
{
    return start_thread(t, false);
}

/* ---- acting for an embryo ---- */

struct process *thread_acts_for(const struct thread *t)
{
    struct process *p = t->acting;
    return p && __atomic_load_n(&p->state, __ATOMIC_RELAXED) == PROCESS_EMBRYO ? p : t->process;
}

void thread_act_for(struct process *p)
{
    struct thread *t = this_cpu()->current;
    if (p) {
        object_get(&p->object);
    }
    sched_lock_acquire();
    struct process *before = t->acting;
    t->acting = p;
    sched_lock_release();
    if (before) {
        object_put(&before->object);
    }
}

/* ---- the end ---- */

void thread_destroy(struct object *o)
{
    struct thread *t = (struct thread *)o;
    if (t->id) { /* never started */
        sched_lock_acquire();
        release_id(t);
        sched_lock_release();
    }
    free_resources(t);
    if (t->acting) {
        object_put(&t->acting->object);
    }
    if (t->process) {
        object_put(&t->process->object);
    }
    kfree(t);
}

void thread_reap(struct thread *t)
{
    free_resources(t);
    object_put(&t->object);
}

noreturn void thread_exit_current(void)
{
    struct thread *t = this_cpu()->current;
    robust_owner_died(t);
    sched_lock_acquire();
    uint32_t left = process_remove_thread(t->process, t);
    bool stopped = process_now_stopped(t->process);
    sched_lock_release();
    if (stopped) {
        family_stopped(t->process);
    }
    if (!left) {
        robust_process_died(t->process);
        process_last_thread(t->process);
    }
    sched_lock_acquire();
    release_id(t);
    timer_cancel(&t->deadline);
    t->aspace = NULL;
    t->state = THREAD_DEAD;
    sched_block(NULL);
    panic("a dead thread runs");
}

bool thread_killed(void)
{
    return __atomic_load_n(&this_cpu()->current->return_work, __ATOMIC_RELAXED) & WORK_KILL;
}

int64_t sys_thread_exit(uint32_t *clear, void *unmap, size_t length)
{
    struct thread *t = this_cpu()->current;
    robust_owner_died(t);
    if (unmap && length) {
        aspace_unmap(t->aspace, (uint64_t)unmap, length);
    }
    if (t->tcb) {
        user_store32(&((struct motor_tcb *)t->tcb)->alive, 0);
        t->tcb = 0;
    }
    if (clear && user_store32(clear, 0) == 0 && sys_futex_wake(clear, 1, 0) == 0) {
        sys_futex_wake(clear, 1, MOTOR_FUTEX_SHARED);
    }
    thread_exit_current();
}

/* ---- system calls ---- */

int64_t thread_check_start(const struct motor_thread_start *s)
{
    if (!arch_user_address_ok(s->rip) || s->flags) {
        return -MOTOR_EINVAL;
    }
    if (s->fs_base >= USER_END || s->gs_base >= USER_END) {
        return -MOTOR_EINVAL;
    }
    return 0;
}

int64_t sys_thread_create(motor_handle process, const struct motor_thread_start *start)
{
    struct motor_thread_start s;
    struct process *p;
    int64_t status = copy_from_user(&s, start, sizeof(s));
    if (status < 0 || (status = process_lookup(process, MOTOR_RIGHT_MANAGE, &p)) < 0) {
        return status;
    }
    bool named = !(s.flags & MOTOR_THREAD_NO_HANDLE);
    s.flags &= ~(uint64_t)MOTOR_THREAD_NO_HANDLE;
    status = s.flags ? template_start(p, &s) : thread_check_start(&s);
    struct thread *t = status == 0 ? thread_alloc(p) : NULL;
    if (!t) {
        object_put(&p->object);
        return status < 0 ? status : -MOTOR_ENOMEM;
    }
    arch_set_user_start(t, &s);
    t->tcb = s.gs_base;
    struct process *self = this_cpu()->current->process;
    int64_t h = named ? handle_insert(self, &t->object, MOTOR_RIGHTS_ALL) : 0;
    if (h >= 0 && (status = start_thread(t, true)) < 0) {
        handle_close(self, (motor_handle)h); /* 0 is none */
        h = status;
    }
    if (p == this_cpu()->current->acting) { /* it acts for itself from now on */
        thread_act_for(NULL);
    }
    object_put(&t->object);
    object_put(&p->object);
    return h;
}

static int64_t set_affinity(struct thread *t, uint64_t mask)
{
    uint64_t online = cpu_count >= 64 ? ~0ull : (1ull << cpu_count) - 1;
    if (!(mask & online)) {
        return -MOTOR_EINVAL;
    }
    sched_lock_acquire();
    sched_set_affinity(t, mask);
    sched_lock_release();
    return 0;
}

static int64_t set_priority(struct thread *t, uint64_t value)
{
    if (value >= THREAD_PRIORITIES) {
        return -MOTOR_EINVAL;
    }
    if (value < t->priority && this_cpu()->current->process->uid != 0) {
        return -MOTOR_EACCESS; /* only root may make itself more urgent */
    }
    sched_lock_acquire();
    sched_set_priority(t, (uint32_t)value);
    sched_lock_release();
    return 0;
}

static int64_t acknowledge(struct thread *t)
{
    uint32_t bits = __atomic_exchange_n(&t->sticky, 0, __ATOMIC_ACQ_REL) & ~MOTOR_UPCALL_STOP;
    if (thread_stop_here()) {
        bits |= MOTOR_UPCALL_STOP | __atomic_exchange_n(&t->sticky, 0, __ATOMIC_ACQ_REL);
    }
    if (t->tcb) {
        user_store32(&((struct motor_tcb *)t->tcb)->pending, 0);
    }
    return bits;
}

static int64_t control_self(struct thread *t, uint32_t op, uint64_t value)
{
    if (t != this_cpu()->current) {
        return -MOTOR_EINVAL;
    }
    if (op == MOTOR_THREAD_ACK) {
        return acknowledge(t);
    }
    if (value >= USER_END) {
        return -MOTOR_EINVAL;
    }
    if (op == MOTOR_THREAD_SET_FS) {
        arch_set_fs(value);
    } else {
        arch_set_gs(value);
        t->tcb = value;
    }
    return 0;
}

static int64_t control(struct thread *t, uint32_t op, uint64_t value)
{
    int64_t result;
    switch (op) {
    case MOTOR_THREAD_INTERRUPT:
        sched_lock_acquire();
        thread_interrupt(t, MOTOR_UPCALL_INTERRUPT);
        sched_lock_release();
        return 0;
    case MOTOR_THREAD_SET_FS:
    case MOTOR_THREAD_SET_GS:
    case MOTOR_THREAD_ACK:
        return control_self(t, op, value);
    case MOTOR_THREAD_SET_FSUID:
    case MOTOR_THREAD_SET_FSGID:
        return fs_ids_set(t, op == MOTOR_THREAD_SET_FSGID, value);
    case MOTOR_THREAD_SET_AFFINITY:
        return set_affinity(t, value);
    case MOTOR_THREAD_GET_AFFINITY: {
        uint64_t online = cpu_count >= 63 ? INT64_MAX : (1ull << cpu_count) - 1;
        return (int64_t)(t->affinity & online);
    }
    case MOTOR_THREAD_GET_CPU_TIME:
        sched_lock_acquire();
        result = (int64_t)sched_run_ns(t);
        sched_lock_release();
        return result;
    case MOTOR_THREAD_SET_PRIORITY:
        return set_priority(t, value);
    case MOTOR_THREAD_GET_HANDLE:
        return t == this_cpu()->current ? handle_insert(t->process, &t->object, MOTOR_RIGHTS_ALL)
                                        : -MOTOR_EINVAL;
    default:
        return -MOTOR_ENOSYS;
    }
}

int64_t sys_thread_control(motor_handle thread, uint32_t op, uint64_t value)
{
    struct thread *t;
    int64_t status = thread_lookup(thread, MOTOR_RIGHT_MANAGE, &t);
    if (status < 0) {
        return status;
    }
    status = control(t, op, value);
    object_put(&t->object);
    return status;
}
