/* SPDX-License-Identifier: MIT */
/*
 * Processes: creation, labels, death.
 *
 * Death: process_kill() forbids new threads and marks the present ones; each leaves at its next
 * return to user mode, waits are aborted. The last one out calls process_release(), which closes
 * the handles and drops the memory in pieces, and then notifies the gates bound to the process.
 */
#include "process.h"
#include "endpoint.h"
#include "family.h"
#include "frame.h"
#include "groups.h"
#include "log.h"
#include "pid.h"
#include "sched.h"
#include "signal.h"
#include "syscall.h"
#include "template.h"

#define KILL_BATCH      64u
#define SIGNALS_DEFAULT 16384u

#define MEMORY_PER_PROCESS (256u << 10) /* bytes: what limits their number by default */

struct process *first_process;

/* ---- over all ---- */

void process_totals(uint64_t *handles, uint64_t *regions)
{
    *handles = *regions = 0;
    spin_lock(&processes_lock);
    for (struct process *p = pid_next(0); p; p = pid_next(p->pid + 1)) {
        spin_lock(&p->lock);
        *handles += p->handles.used;
        *regions += p->aspace ? p->aspace->regions.count : 0;
        spin_unlock(&p->lock);
    }
    spin_unlock(&processes_lock);
}

/* ---- creation ---- */

/*
 * Interrupt one thread, one that sleeps interruptibly if there is one near the front. [sched_lock
 * held]
 */
void process_interrupt(struct process *p, uint32_t bits)
{
    struct thread *chosen = NULL;
    uint32_t looked = 0;
    for (struct list *l = p->threads.next; l != &p->threads && looked < 16; l = l->next, looked++) {
        struct thread *t = container_of(l, struct thread, process_link);
        if (!chosen || (t->waiting && t->interruptible)) {
            chosen = t;
        }
        if (chosen->waiting && chosen->interruptible) {
            break;
        }
    }
    if (chosen) {
        thread_interrupt(chosen, bits);
    }
}

static void timer_fired(struct timer *timer)
{
    process_interrupt(container_of(timer, struct process, timer), MOTOR_UPCALL_TIMER);
}

static struct process *process_alloc(struct aspace *as)
{
    struct process *p = kzalloc(sizeof(*p));
    if (!p) {
        return NULL;
    }
    p->aspace = as;
    list_init(&p->threads);
    list_init(&p->serving);
    list_init(&p->stopped);
    list_init(&p->signals);
    list_init(&p->children);
    list_init(&p->zombies);
    list_init(&p->sibling);
    list_init(&p->child_waiters);
    p->timer.fire = timer_fired;
    p->start_ns = arch_now();
    return p;
}

/* Processes that one user may have, root as well: so many that none can take all memory by forking.
 */
static uint32_t default_process_limit(void)
{
    uint64_t n = frame_total() * PAGE_SIZE / MEMORY_PER_PROCESS;
    return n < PIDS / 2 ? (uint32_t)n : PIDS / 2;
}

static void inherit(struct process *p, struct process *from)
{
    p->uid = from->uid;
    p->gid = from->gid;
    p->ruid = from->ruid;
    p->suid = from->suid;
    p->rgid = from->rgid;
    p->sgid = from->sgid;
    p->process_limit = from->first ? default_process_limit() : from->process_limit;
    p->signal_limit = from->signal_limit;
    p->root = __atomic_load_n(&from->root, __ATOMIC_RELAXED);
    p->no_new_privs = __atomic_load_n(&from->no_new_privs, __ATOMIC_RELAXED);
    spin_lock(&from->lock);
    __builtin_memcpy(p->name, from->name, sizeof(p->name));
    if (from->aspace) {
        p->aspace->limit = from->aspace->limit;
    }
    if (from->account) {
        p->account->limit = from->account->limit;
    }
    p->groups = groups_get(from->groups);
    p->group_list = from->group_list;
    spin_unlock(&from->lock);
}

int64_t process_create(struct process *creator, uint32_t flags, struct aspace *as,
                       struct process **out)
{
    struct process *p = as ? process_alloc(as) : NULL;
    if (!p) {
        if (as) {
            aspace_put(as);
        }
        return -MOTOR_ENOMEM;
    }
    p->process_limit = UINT32_MAX;
    p->signal_limit = SIGNALS_DEFAULT;
    p->init = flags & MOTOR_PROCESS_INIT;
    int64_t status = 0;
    if (creator) {
        p->account = account_create(MOTOR_NEVER);
        status = p->account ? 0 : -MOTOR_ENOMEM;
    }
    if (creator && status == 0) {
        inherit(p, creator);
    }
    if (status == 0) {
        status = family_enlist(p, creator, flags & (MOTOR_PROCESS_CHILD | MOTOR_PROCESS_INIT));
    }
    if (status < 0) {
        aspace_put(p->aspace);
        account_put(p->account);
        groups_put(p->groups);
        kfree(p);
        return status;
    }
    *out = p;
    return 0;
}

bool process_is_closed(const struct process *p)
{
    const struct process *self = this_cpu()->current->process;
    return __atomic_load_n(&p->guarded, __ATOMIC_RELAXED) && p != self &&
           __atomic_load_n(&self->uid, __ATOMIC_RELAXED) != 0;
}

struct aspace *process_aspace_get(struct process *p)
{
    spin_lock(&p->lock);
    struct aspace *as = process_is_closed(p) ? NULL : p->aspace;
    if (as) {
        aspace_get(as);
    }
    spin_unlock(&p->lock);
    return as;
}

int64_t sys_process_create(uint32_t flags)
{
    struct process *self = this_cpu()->current->process, *p;
    if (flags & ~(MOTOR_PROCESS_CHILD | MOTOR_PROCESS_INIT | MOTOR_PROCESS_FROM_TEMPLATE |
                  MOTOR_PROCESS_ACT_FOR | MOTOR_PROCESS_TELL_PID)) {
        return -MOTOR_EINVAL;
    }
    if ((flags & MOTOR_PROCESS_INIT) && !self->first) {
        return -MOTOR_EACCESS;
    }
    bool from_template = flags & MOTOR_PROCESS_FROM_TEMPLATE;
    int64_t h = -MOTOR_ENOMEM;
    struct aspace *as = from_template ? template_aspace(&h) : aspace_create();
    if (as) {
        h = process_create(self, flags, as, &p);
    }
    if (h < 0) {
        return h;
    }
    if (from_template) {
        template_entries(p);
    }
    h = handle_insert(self, &p->object, MOTOR_RIGHTS_ALL);
    if (h < 0) {
        process_kill(p, SIGKILL); /* a child that nobody can start ends here */
    } else if (flags & MOTOR_PROCESS_ACT_FOR) {
        thread_act_for(p);
    }
    if (h > 0 && (flags & MOTOR_PROCESS_TELL_PID)) {
        h |= (int64_t)p->pid << 32;
    }
    object_put(&p->object);
    return h;
}

/* ---- threads ---- */

bool process_add_thread(struct process *p, struct thread *t)
{
    if (p->dying || p->alone || p->state == PROCESS_DEAD) {
        return false;
    }
    p->state = PROCESS_RUNNING;
    p->thread_count++;
    list_append(&p->threads, &t->process_link);
    if (p->stop_signal) {
        t->return_work |= WORK_STOP;
    }
    if (!list_empty(&p->signals) || p->signal_bare) { /* came before its first thread */
        t->sticky |= MOTOR_UPCALL_SIGNAL;
        t->return_work |= WORK_UPCALL;
    }
    return true;
}

uint32_t process_remove_thread(struct process *p, struct thread *t)
{
    list_remove(&t->process_link);
    p->thread_count--;
    if (p->thread_count == 0) {
        p->dying = true;
        return 0;
    }
    if (p->thread_count == 1 && p->alone && p->alone->waiting) {
        wait_end(p->alone, 0);
    }
    uint32_t untaken = __atomic_exchange_n(&t->sticky, 0, __ATOMIC_RELAXED) &
                       (MOTOR_UPCALL_TIMER | MOTOR_UPCALL_SIGNAL);
    if (untaken) {
        process_interrupt(p, untaken);
    }
    return p->thread_count;
}

/*
 * Marked threads go to the end of the list, so a pass of at most as many steps as there are threads
 * sees each.
 */
void process_kill_threads(struct process *p, struct thread *except)
{
    sched_lock_acquire();
    for (uint32_t steps = p->thread_count, i = 0; i < steps && !list_empty(&p->threads); i++) {
        struct thread *t = container_of(p->threads.next, struct thread, process_link);
        list_remove(&t->process_link);
        list_append(&p->threads, &t->process_link);
        if (t != except) {
            thread_kill(t);
        }
        if (i % KILL_BATCH == KILL_BATCH - 1) {
            sched_lock_release();
            sched_preempt_point();
            sched_lock_acquire();
        }
    }
    sched_lock_release();
}

void process_kill(struct process *p, uint32_t status)
{
    sched_lock_acquire();
    bool first = !p->dying && p->state != PROCESS_DEAD;
    bool embryo = first && p->state == PROCESS_EMBRYO;
    if (first) {
        p->dying = true;
        p->status = status;
        stop_forget(p);
    }
    sched_lock_release();
    if (embryo) {
        process_release(p);
    } else if (first) {
        process_kill_threads(p, NULL);
    }
}

/* ---- death ---- */

static void drop_memory(struct process *p)
{
    spin_lock(&p->lock);
    struct aspace *as = p->aspace;
    p->aspace = NULL;
    spin_unlock(&p->lock);
    struct thread *self = this_cpu()->current;
    if (self->process == p) {
        self->aspace = NULL;
    }
    if (as) {
        p->memory_max = as->private_bytes > p->memory_max ? as->private_bytes : p->memory_max;
        aspace_put(as);
    }
}

static struct gate *next_binding(struct process *p)
{
    struct gate *g = NULL;
    sched_lock_acquire();
    p->state = PROCESS_DEAD;
    for (uint32_t i = 0; i < PROCESS_BINDINGS_MAX && !g; i++) {
        g = p->binding[i];
        p->binding[i] = NULL;
    }
    sched_lock_release();
    return g;
}

void process_release(struct process *p)
{
    struct gate *g;
    sched_lock_acquire();
    timer_cancel(&p->timer);
    sched_lock_release();
    process_abort_serving(p);
    handle_close_all(p);
    drop_memory(p);
    signal_drop_all(p);
    while ((g = next_binding(p))) {
        gate_notify(g);
        object_put(&g->object);
    }
    family_died(p);
}

void process_last_thread(struct process *p)
{
    if (p->first) {
        klog("%s[%u], the first process, has ended with status %x: the system stops\n", p->name,
             p->pid, p->status);
        arch_power(MOTOR_POWER_EXIT, 1);
    }
    process_release(p);
}

void process_destroy(struct object *o)
{
    struct process *p = (struct process *)o;
    KASSERT(list_empty(&p->threads));
    if (p->state == PROCESS_EMBRYO) {
        process_release(p);
    }
    family_forget(p);
    account_put(p->account);
    groups_put(p->groups);
    kfree(p);
}

int64_t sys_process_exit(motor_handle process, uint32_t status)
{
    struct process *p;
    int64_t result = process_lookup(process, MOTOR_RIGHT_MANAGE, &p);
    if (result < 0) {
        return result;
    }
    process_kill(p, status);
    if (p == this_cpu()->current->acting) {
        thread_act_for(NULL);
    }
    object_put(&p->object);
    return 0;
}

/* ---- bindings and the timer ---- */

/* Forget gates that can notify nobody any more, and find a place. [sched_lock held] */
static uint32_t free_binding(struct process *p, struct gate **stale)
{
    *stale = NULL;
    for (uint32_t i = 0; i < PROCESS_BINDINGS_MAX; i++) {
        if (p->binding[i] && p->binding[i]->dead) {
            *stale = p->binding[i];
            p->binding[i] = NULL;
        }
        if (!p->binding[i]) {
            return i;
        }
    }
    return PROCESS_BINDINGS_MAX;
}

int64_t process_bind(struct process *p, struct gate *g)
{
    struct gate *stale = NULL;
    int64_t status = 0;
    sched_lock_acquire();
    if (p->state == PROCESS_DEAD) {
        gate_post(g);
    } else {
        uint32_t i = free_binding(p, &stale);
        if (i == PROCESS_BINDINGS_MAX) {
            status = -MOTOR_ELIMIT;
        } else {
            object_get(&g->object);
            p->binding[i] = g;
        }
    }
    sched_lock_release();
    if (stale) {
        object_put(&stale->object);
    }
    return status;
}

int64_t sys_timer_set(motor_handle process, uint32_t clock, uint64_t deadline, uint64_t reserved)
{
    struct process *p;
    if (clock || reserved) {
        return -MOTOR_EINVAL;
    }
    int64_t status = process_lookup(process, MOTOR_RIGHT_MANAGE, &p);
    if (status < 0) {
        return status;
    }
    sched_lock_acquire();
    if (p->dying || p->state == PROCESS_DEAD) {
        status = -MOTOR_EGONE;
    } else {
        timer_arm(&p->timer, deadline);
    }
    sched_lock_release();
    object_put(&p->object);
    return status;
}
