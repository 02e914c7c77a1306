/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: one run queue for each CPU, ordered by virtual run time (ns run, divided by the
 * weight of the thread's priority), so every runnable thread gets its share and a hog starves
 * nobody.
 *
 * Placement: a woken thread goes to its last CPU if that is idle, else to any idle CPU, else to its
 * last CPU. A CPU that runs out of threads steals one. At the end of a slice a thread moves to a
 * CPU where nobody waits, if there is one.
 *
 * Direct switch: sched_block(handoff) runs a just-woken thread at once on this CPU, in the rest of
 * the current slice, past the run queue.
 *
 * Preemption by a wake waits until the running thread has had some time to itself. Who is woken by
 * it is usually a server that it tells one thing after the other, or a client that it serves: the
 * longer it goes on, the more there is to do at once, and the fewer address-space switches are
 * made; so it has OWN_WAKES_NS, in which it usually has told all and sleeps. Whom an interrupt or
 * another CPU wakes waits no longer than UNDISTURBED_NS.
 *
 * Time: there is no tick. The hardware timer is armed for the end of a slice only while someone
 * waits in the queue. `cpu->resched` asks a CPU to call sched_resched() before it returns to user
 * mode.
 *
 * Invariants: [I1] sched_lock is held across arch_context_switch(); whoever runs next releases it
 * in sched_finish_switch(). [I2] The running thread is in no tree. [I3] A CPU whose bit is in
 * idle_cpus runs its idle thread and nobody has chosen it since.
 */
#include "sched.h"
#include "frame.h"
#include "log.h"
#include "main.h"
#include "process.h"
#include "syscall.h"

#define WAKE_CREDIT_NS    3000000ull   /* how far behind the others a sleeper may come back */
#define PREEMPT_MARGIN_NS 1000000ull   /* a woken thread preempts only one that is ahead by more */
#define UNDISTURBED_NS    500000ull    /* but not before that one has run so long */
#define OWN_WAKES_NS      2000000ull   /* or so long, if it was that one that woke the thread */
#define FIRST_VRUNTIME    (1ull << 40) /* so that differences of queues never go below zero */
#define STEAL_LOOK        16u          /* threads looked at in another CPU's queue */

struct spinlock sched_lock;
static uint64_t idle_cpus;  /* [sched_lock] */
static uint32_t idle_count; /* [sched_lock] of them */
static uint32_t waiting;    /* [sched_lock] threads that no CPU has time for */

/* 2^32 / weight, weights 1.25 apart with 1024 at priority 20. */
static const uint32_t inverse_weight[THREAD_PRIORITIES] = {
    48388,    59856,    76040,    92818,     118348,    147320,    184698,    229616,
    287308,   360437,   449829,   563644,    704093,    875809,    1099582,   1376151,
    1717300,  2157191,  2708050,  3363326,   4194304,   5237765,   6557202,   8165337,
    10153587, 12820798, 15790321, 19976592,  24970740,  31350126,  39045157,  49367440,
    61356676, 76695844, 95443717, 119304647, 148102320, 186737708, 238609294, 286331153,
};

/* ---- accounting ---- */

/* Charge the running thread for the time since it was last charged. */
static void charge(struct thread *t, uint64_t now)
{
    uint64_t delta = now - t->switched_in;
    if ((int64_t)delta < 0) {
        delta = 0; /* clocks of two CPUs may differ by a little */
    }
    if (delta >> 34) {
        delta = 1ull << 34;
    }
    t->switched_in = now;
    t->run_ns += delta;
    if (t->process) {
        t->process->cpu_ns += delta;
        this_cpu()->counters.busy_ns += delta;
    }
    t->vruntime += (delta * inverse_weight[t->priority]) >> 22;
}

static void raise_min_vruntime(struct run_queue *rq, uint64_t running)
{
    uint64_t least = running;
    if (rq->ready.first && rq->ready.first->key < least) {
        least = rq->ready.first->key;
    }
    if (least > rq->min_vruntime) {
        rq->min_vruntime = least;
    }
}

uint64_t sched_run_ns(struct thread *t)
{
    uint64_t ns = t->run_ns;
    if (t->state == THREAD_RUNNING) {
        uint64_t now = arch_now();
        ns += now > t->switched_in ? now - t->switched_in : 0;
    }
    return ns;
}

/* ---- queues ---- */

static struct thread *thread_of(struct tree_node *n)
{
    return container_of(n, struct thread, run_node);
}

static bool is_idle(struct thread *t)
{
    return t->process == NULL;
}

static void enqueue(struct run_queue *rq, struct thread *t)
{
    tree_insert(&rq->ready, &t->run_node, t->vruntime);
}

static void dequeue(struct run_queue *rq, struct thread *t)
{
    tree_remove(&rq->ready, &t->run_node);
}

/*
 * Tell programs (struct motor_kinfo) what has become of a CPU that runs `current`, or will. A CPU
 * that is still idle but has been chosen makes nobody wait.
 */
static void publish(struct cpu *c, struct thread *current)
{
    struct run_queue *rq = c->run_queue;
    if (cpu_count == 1) {
        return;
    }
    uint32_t n = rq->ready.count - (rq->ready.count && is_idle(current) ? 1 : 0);
    waiting += n - rq->waiting;
    rq->waiting = n;
    uint32_t busy = waiting ? 0 : cpu_count - idle_count;
    if (kinfo->unhurried_cpus != busy) {
        __atomic_store_n(&kinfo->unhurried_cpus, busy, __ATOMIC_RELAXED);
    }
}

static void set_idle(uint32_t cpu, bool idle)
{
    uint64_t bit = 1ull << cpu;
    if (idle != !!(idle_cpus & bit)) {
        idle_cpus ^= bit;
        idle_count += idle ? 1 : -1u;
    }
}

/* Keep a thread's distance to the queue it leaves when it comes to another. */
static void move_vruntime(struct thread *t, uint32_t from, uint32_t to)
{
    if (from != to) {
        t->vruntime += sched_queue(to)->min_vruntime - sched_queue(from)->min_vruntime;
    }
}

/* Sleeping earns no more than a little credit. */
static void limit_credit(struct thread *t, struct run_queue *rq)
{
    int64_t behind = (int64_t)(rq->min_vruntime - t->vruntime);
    if (behind > (int64_t)WAKE_CREDIT_NS) {
        t->vruntime = rq->min_vruntime - WAKE_CREDIT_NS;
    }
}

static uint64_t online_mask(void)
{
    return cpu_count >= 64 ? ~0ull : (1ull << cpu_count) - 1;
}

static uint32_t choose_cpu(struct thread *t)
{
    uint64_t allowed = t->affinity & online_mask();
    uint64_t last = 1ull << t->cpu;
    if (allowed & idle_cpus & last) {
        return t->cpu;
    }
    if (allowed & idle_cpus) {
        return (uint32_t)__builtin_ctzll(allowed & idle_cpus);
    }
    if (allowed & last) {
        return t->cpu;
    }
    return allowed ? (uint32_t)__builtin_ctzll(allowed) : t->cpu;
}

static void ask_resched(struct cpu *c)
{
    __atomic_store_n(&c->resched, true, __ATOMIC_RELEASE);
    if (c != this_cpu()) {
        arch_send_resched(c->id);
    }
}

/* This CPU: someone waits now, so the running thread's time is limited; to `most` from now on. */
static void arm_slice(struct run_queue *rq, uint64_t now, uint64_t most)
{
    if (rq->slice_end <= now || rq->slice_end > now + most) {
        rq->slice_end = now + most;
    }
    if (rq->slice_end < rq->armed) {
        rq->armed = rq->slice_end;
        arch_timer_arm(rq->slice_end);
    }
}

/* Of the running thread, with what it has not been charged for yet. */
static uint64_t vruntime_now(const struct thread *running, uint64_t now)
{
    uint64_t ran = now > running->switched_in ? now - running->switched_in : 0;
    return running->vruntime + ((ran * inverse_weight[running->priority]) >> 22);
}

static bool should_preempt(struct cpu *c, struct thread *t, uint64_t now)
{
    struct thread *running = c->current;
    return is_idle(running) ||
           (int64_t)(vruntime_now(running, now) - t->vruntime) > (int64_t)PREEMPT_MARGIN_NS;
}

/* How much longer the running thread is left alone; 0: no more. */
static uint64_t undisturbed(const struct run_queue *rq, uint64_t now)
{
    return rq->undisturbed > now ? rq->undisturbed - now : 0;
}

void sched_outside(bool outside)
{
    sched_queue(this_cpu()->id)->outside = outside;
}

/* Another thread, or a device, has woken one for this CPU. */
static void disturb(struct run_queue *rq)
{
    uint64_t end = rq->switched_at + UNDISTURBED_NS;
    rq->undisturbed = end < rq->undisturbed ? end : rq->undisturbed;
}

void sched_ready(struct thread *t)
{
    uint32_t id = choose_cpu(t);
    struct cpu *c = cpus[id];
    struct run_queue *rq = c->run_queue;
    move_vruntime(t, t->cpu, id);
    limit_credit(t, rq);
    t->cpu = id;
    t->state = THREAD_READY;
    enqueue(rq, t);
    if (idle_cpus & (1ull << id)) {
        set_idle(id, false);
        publish(c, c->current);
        ask_resched(c);
        return;
    }
    publish(c, c->current);
    if (c != this_cpu() || rq->outside) {
        disturb(rq);
    }
    uint64_t now = arch_now();
    bool better = should_preempt(c, t, now);
    uint64_t left = better ? undisturbed(rq, now) : SCHED_SLICE_NS;
    if (!left) {
        ask_resched(c);
    } else if (c == this_cpu()) {
        arm_slice(rq, now, left);
    } else if (better || rq->ready.count == 1) {
        ask_resched(c); /* only it can arm its timer */
    }
}

void sched_new(struct thread *t)
{
    struct cpu *c = this_cpu();
    uint64_t least = sched_queue(c->id)->min_vruntime,
             own = is_idle(c->current) ? least : vruntime_now(c->current, arch_now());
    t->cpu = c->id;
    t->vruntime = own > least ? own : least;
    sched_ready(t);
}

static bool may_run_here(struct thread *t, uint32_t cpu)
{
    return t->affinity >> cpu & 1;
}

/* Take a waiting thread from another CPU's queue. */
static struct thread *steal(uint32_t cpu)
{
    for (uint32_t i = 1; i < cpu_count; i++) {
        uint32_t from = (cpu + i) % cpu_count;
        struct run_queue *rq = sched_queue(from);
        struct tree_node *n = rq->ready.first;
        for (uint32_t looked = 0; n && looked < STEAL_LOOK; looked++, n = tree_next(n)) {
            struct thread *t = thread_of(n);
            if (may_run_here(t, cpu)) {
                dequeue(rq, t);
                publish(cpus[from], cpus[from]->current);
                move_vruntime(t, from, cpu);
                t->cpu = cpu;
                return t;
            }
        }
    }
    return NULL;
}

/* The thread to run next, out of the queue. */
static struct thread *pick(struct cpu *cpu, struct run_queue *rq)
{
    struct thread *t = NULL;
    if (rq->ready.first) {
        t = thread_of(rq->ready.first);
        dequeue(rq, t);
    } else if (cpu_count > 1) {
        t = steal(cpu->id);
    }
    return t ? t : cpu->idle;
}

/* ---- switching ---- */

static void switch_to(struct cpu *cpu, struct thread *next, uint64_t now)
{
    struct run_queue *rq = cpu->run_queue;
    struct thread *prev = cpu->current;
    next->state = THREAD_RUNNING;
    next->switched_in = now;
    next->cpu = cpu->id;
    set_idle(cpu->id, is_idle(next));
    if (!is_idle(next)) {
        raise_min_vruntime(rq, next->vruntime);
        if (rq->ready.count) {
            arm_slice(rq, now, SCHED_SLICE_NS);
        }
    }
    publish(cpu, next);
    if (next == prev) {
        return;
    }
    CPU_COUNT(switches);
    rq->switched_at = now;
    rq->undisturbed = now + OWN_WAKES_NS;
    if (prev->state == THREAD_DEAD) {
        rq->zombie = prev;
    }
    arch_context_switch(prev, next);
}

void sched_block(struct thread *handoff)
{
    struct cpu *cpu = this_cpu();
    struct thread *self = cpu->current;
    struct run_queue *rq = cpu->run_queue;
    uint64_t now = arch_now();
    KASSERT(spin_held(&sched_lock) && self->state != THREAD_RUNNING);
    charge(self, now);
    if (handoff && (now < rq->slice_end || rq->ready.count == 0) &&
        may_run_here(handoff, cpu->id)) {
        move_vruntime(handoff, handoff->cpu, cpu->id);
        limit_credit(handoff, rq);
        CPU_COUNT(direct_switches);
    } else {
        if (handoff) {
            sched_ready(handoff);
        }
        rq->slice_end = 0;
        handoff = pick(cpu, rq);
    }
    switch_to(cpu, handoff, now);
    /*
     * Here again, perhaps on another CPU. The one who switched to us left its dead predecessor to
     * us.
     */
    struct run_queue *here = this_cpu()->run_queue;
    struct thread *zombie = here->zombie;
    if (zombie) {
        here->zombie = NULL;
        sched_lock_release();
        thread_reap(zombie);
        sched_lock_acquire();
    }
}

void sched_finish_switch(void)
{
    struct run_queue *rq = this_cpu()->run_queue;
    struct thread *zombie = rq->zombie;
    rq->zombie = NULL;
    sched_lock_release();
    if (zombie) {
        thread_reap(zombie);
    }
}

/*
 * At the end of a slice with others waiting: if another CPU has nobody waiting, the running thread
 * goes on there, so that what cannot be divided evenly takes turns; it starts there when this lock
 * is free.
 */
static bool go_elsewhere(struct cpu *cpu, struct thread *self)
{
    for (uint32_t i = 1; i < cpu_count; i++) {
        uint32_t id = (cpu->id + i) % cpu_count;
        struct run_queue *rq = sched_queue(id);
        if (rq->ready.count == 0 && may_run_here(self, id)) {
            move_vruntime(self, cpu->id, id);
            self->cpu = id;
            self->state = THREAD_READY;
            enqueue(rq, self);
            set_idle(id, false);
            publish(cpus[id], cpus[id]->current);
            ask_resched(cpus[id]);
            return true;
        }
    }
    return false;
}

/* The running thread goes back to the queue if another should run now. [sched_lock held] */
static void reschedule(bool yield)
{
    struct cpu *cpu = this_cpu();
    struct run_queue *rq = cpu->run_queue;
    struct thread *self = cpu->current;
    uint64_t now = arch_now();
    bool misplaced =
        !is_idle(self) && !may_run_here(self, cpu->id) && (self->affinity & online_mask());
    __atomic_store_n(&cpu->resched, false, __ATOMIC_RELAXED);
    if (is_idle(self)) {
        self->state = THREAD_READY;
        sched_block(NULL);
        return;
    }
    charge(self, now);
    if (misplaced) {
        rq->slice_end = 0;
        sched_ready(self); /* in another queue, where it cannot start before this lock is free */
        sched_block(NULL);
        return;
    }
    bool over = rq->slice_end && now >= rq->slice_end;
    if (!rq->ready.count) {
        return;
    }
    if (over && cpu_count > 1 && go_elsewhere(cpu, self)) {
        sched_block(NULL);
        return;
    }
    if (yield && self->vruntime <= rq->ready.first->key) {
        self->vruntime = rq->ready.first->key + 1;
    }
    bool better = self->vruntime > rq->ready.first->key + PREEMPT_MARGIN_NS;
    uint64_t left = better ? undisturbed(rq, now) : SCHED_SLICE_NS;
    if (!yield && !over && left) {
        arm_slice(rq, now, left);
        return;
    }
    self->state = THREAD_READY;
    enqueue(rq, self);
    sched_block(NULL);
}

void sched_resched(void)
{
    sched_lock_acquire();
    reschedule(false);
    sched_lock_release();
}

void sched_yield(void)
{
    sched_lock_acquire();
    reschedule(true);
    sched_lock_release();
}

int64_t sys_thread_yield(void)
{
    sched_yield();
    return 0;
}

void sched_preempt_point(void)
{
    arch_allow_interrupts_briefly();
    if (__atomic_load_n(&this_cpu()->resched, __ATOMIC_ACQUIRE)) {
        sched_resched();
    }
}

void sched_timer_interrupt(void)
{
    struct cpu *cpu = this_cpu();
    struct run_queue *rq = cpu->run_queue;
    uint64_t now = arch_now();
    sched_lock_acquire();
    rq->armed = MOTOR_NEVER;
    rq->outside = true;
    timer_run(now);
    rq->outside = false;
    if (rq->ready.count && rq->slice_end && now >= rq->slice_end) {
        cpu->resched = true;
    } else if (rq->ready.count) {
        arm_slice(rq, now, SCHED_SLICE_NS);
    }
    sched_lock_release();
}

void sched_poke(struct thread *t)
{
    if (t->state == THREAD_RUNNING && t != this_cpu()->current) {
        arch_send_resched(t->cpu);
    }
}

void sched_set_priority(struct thread *t, uint32_t priority)
{
    if (t->state == THREAD_RUNNING) {
        charge(t, arch_now());
    }
    t->priority = (uint8_t)priority;
}

void sched_set_affinity(struct thread *t, uint64_t mask)
{
    t->affinity = mask;
    if (may_run_here(t, t->cpu)) {
        return;
    }
    if (t->state == THREAD_RUNNING) {
        ask_resched(cpus[t->cpu]);
    } else if (t->state == THREAD_READY && t->run_node.linked) {
        struct cpu *c = cpus[t->cpu];
        dequeue(c->run_queue, t);
        publish(c, c->current);
        sched_ready(t);
    }
}

/* ---- each CPU ---- */

void sched_init_cpu(void)
{
    struct cpu *cpu = this_cpu();
    struct run_queue *rq = kzalloc(sizeof(*rq));
    if (!rq) {
        panic("no memory for a run queue");
    }
    rq->armed = MOTOR_NEVER;
    rq->min_vruntime = FIRST_VRUNTIME;
    cpu->run_queue = rq;
}

noreturn void sched_idle_loop(void)
{
    for (;;) {
        sched_lock_acquire();
        reschedule(false);
        sched_lock_release();
        if (!__atomic_load_n(&this_cpu()->resched, __ATOMIC_ACQUIRE)) {
            arch_idle();
        }
    }
}
