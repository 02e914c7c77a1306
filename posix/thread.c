/* SPDX-License-Identifier: MIT */
/*
 * Threads: their blocks, creation, end, and what asks about one. A block that a thread has left is kept for the next;
 * `leaving` says that its thread still executes a few last instructions there, with registers only.
 */
#include "internal.h"

#define CACHE_MAX 64u
#define INDEX_BITS 14u
#define THREADS_MAX ((1u << INDEX_BITS) - 1)
#define TID_SHIFT 16u

#define CLONE_VM 0x100u
#define CLONE_FS 0x200u
#define CLONE_FILES 0x400u
#define CLONE_SIGHAND 0x800u
#define CLONE_THREAD 0x10000u
#define CLONE_SETTLS 0x80000u
#define CLONE_PARENT_SETTID 0x100000u
#define CLONE_CHILD_CLEARTID 0x200000u
#define CLONE_CHILD_SETTID 0x1000000u
#define CLONE_THREAD_LIKE (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

/* ---- blocks ---- */

static struct px_thread *cached_block(struct px_threads *threads)
{
    struct px_thread *t, **link = &threads->cache;
    px_lock(&threads->cache_lock);
    while ((t = *link) && __atomic_load_n(&t->leaving, __ATOMIC_ACQUIRE)) {
        link = &t->next;
    }
    if (t) {
        *link = t->next;
        threads->cached--;
    }
    px_unlock(&threads->cache_lock);
    return t;
}

struct px_thread *px_thread_block(void)
{
    int64_t base = motor_map(0, 0, 0, 0, PX_BLOCK_SIZE,
                             MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_STACK);
    if (base < 0) {
        return NULL;
    }
    struct px_thread *t = (struct px_thread *)(base + PX_RUNTIME_STACK + 4096 - (sizeof(struct px_thread) + 63) / 64 * 64);
    return t;
}

/* The parts that a used block does not have right. */
static void block_reset(struct px_thread *t)
{
    uint64_t end = ((uint64_t)t + 4095) & ~4095ull;
    memset(t, 0, sizeof(*t));
    t->tcb.self = (uint64_t)t;
    t->tcb.busy = 1;
    t->tcb.upcall_stack = end + PX_FAULT_STACK;
    t->stack = (uint64_t)t & ~63ull;
    px_pending_init(&t->pending);
}

/* More blocks than the cache keeps are given back, but never one whose thread is not quite gone. */
static void block_cache(struct px_threads *threads, struct px_thread *t)
{
    struct px_thread *extra = NULL;
    px_lock(&threads->cache_lock);
    t->next = threads->cache;
    threads->cache = t;
    if (++threads->cached > CACHE_MAX) {
        struct px_thread **link = &t->next;
        while (*link && __atomic_load_n(&(*link)->leaving, __ATOMIC_ACQUIRE)) {
            link = &(*link)->next;
        }
        if ((extra = *link)) {
            *link = extra->next;
            threads->cached--;
        }
    }
    px_unlock(&threads->cache_lock);
    if (extra) {
        uint64_t end = ((uint64_t)extra + 4095) & ~4095ull;
        motor_unmap(0, end - 4096 - PX_RUNTIME_STACK, PX_BLOCK_SIZE);
    }
}

static struct px_thread *block_get(struct px_process *p)
{
    struct px_thread *t = cached_block(p->threads);
    if (!t) {
        t = px_thread_block();
    }
    if (t) {
        block_reset(t);
        t->process = p;
    }
    return t;
}

/* ---- the list and the table [signals lock] ---- */

static bool take_index(struct px_threads *threads, struct px_thread *t)
{
    for (uint32_t tries = 0; tries < THREADS_MAX; tries++) {
        threads->last_index = threads->last_index % THREADS_MAX + 1;
        if (!threads->table[threads->last_index]) {
            t->index = threads->last_index;
            threads->table[t->index] = t;
            return true;
        }
    }
    return false;
}

static void list_add(struct px_threads *threads, struct px_thread *t)
{
    t->next = threads->first;
    if (t->next) {
        t->next->link = &t->next;
    }
    t->link = &threads->first;
    threads->first = t;
    threads->count++;
}

static void list_remove(struct px_threads *threads, struct px_thread *t)
{
    *t->link = t->next;
    if (t->next) {
        t->next->link = t->link;
    }
    threads->table[t->index] = NULL;
    threads->count--;
}

struct px_thread *px_thread_find(struct px_process *p, uint32_t tid)
{
    uint32_t index = tid >> TID_SHIFT;
    if (index > THREADS_MAX || (tid & ((1u << TID_SHIFT) - 1)) != (p->pid & ((1u << TID_SHIFT) - 1))) {
        return NULL;
    }
    struct px_thread *t = p->threads->table[index];
    return t && t->tid == tid ? t : NULL;
}

/* The main thread: tid is the pid, index 0. */
void px_threads_start(struct px_process *p)
{
    struct px_threads *threads = px_alloc(sizeof(*threads));
    struct px_thread *t = px_thread_block();
    if (!threads || !t || !(threads->table = px_map((THREADS_MAX + 1) * sizeof(threads->table[0])))) {
        px_fatal("no memory");
    }
    block_reset(t);
    t->process = p;
    t->tid = p->pid;
    t->mask = p->start->signal_blocked & ~PX_UNBLOCKABLE;
    t->priority = 0;
    memcpy(t->name, p->name, sizeof(t->name));
    p->threads = threads;
    threads->table[0] = t;
    list_add(threads, t);
    motor_thread_control(0, MOTOR_THREAD_SET_GS, (uint64_t)t);
    int64_t handle = motor_thread_control(0, MOTOR_THREAD_GET_HANDLE, 0);
    t->handle = handle > 0 ? (motor_handle)handle : 0;
}

/* ---- creation ---- */

/* The child goes on where the parent returns to, with its registers, another stack and 0. */
static void child_registers(struct px_thread *t, const struct px_thread *parent, uint64_t stack)
{
    t->regs = parent->regs;
    t->kind = PX_ENTRY_NONE;
    if (parent->kind == PX_ENTRY_CALL) {
        t->regs.rflags = 0x202;
        t->regs.r10 = t->regs.r11 = 0;
    } else {
        t->regs.rcx = t->regs.rip;
        t->regs.r11 = t->regs.rflags;
    }
    t->regs.rax = 0;
    if (stack) {
        t->regs.rsp = stack;
    }
}

static long start_thread(struct px_process *p, struct px_thread *t)
{
    struct motor_thread_start start = {
        .rip = (uint64_t)px_resume,
        .rsp = t->stack,
        .fs_base = t->fs_base,
        .gs_base = (uint64_t)t,
    };
    px_lock(&p->signals->lock);
    if (!take_index(p->threads, t)) {
        px_unlock(&p->signals->lock);
        return -EAGAIN;
    }
    t->tid = t->index << TID_SHIFT | (p->pid & ((1u << TID_SHIFT) - 1));
    list_add(p->threads, t);
    int64_t handle = motor_thread_create(0, &start); /* it runs, and takes this lock before it goes */
    if (handle < 0) {
        list_remove(p->threads, t);
    } else {
        t->handle = (motor_handle)handle;
    }
    px_unlock(&p->signals->lock);
    return handle < 0 ? -EAGAIN : 0;
}

static uint64_t current_fs(struct px_thread *self)
{
    return self->fs_base;
}

static long clone_thread(struct px_process *p, uint64_t flags, uint64_t stack, void *ptid, void *ctid, uint64_t tls)
{
    struct px_thread *self = px_self(), *t = block_get(p);
    if (!t) {
        return -EAGAIN;
    }
    child_registers(t, self, stack);
    t->fs_base = flags & CLONE_SETTLS ? tls : current_fs(self);
    t->mask = self->mask;
    t->policy = self->policy;
    t->priority = self->priority;
    t->nice = self->nice;
    memcpy(t->name, self->name, sizeof(t->name));
    if (flags & CLONE_CHILD_CLEARTID) {
        t->clear_tid = ctid;
    }
    /* The tid must be in place when either goes on: the index is ours from here, so take it before starting. */
    px_lock(&p->signals->lock);
    uint32_t index = p->threads->last_index;
    px_unlock(&p->signals->lock);
    (void)index;
    t->leaving = 1;
    if (flags & CLONE_PARENT_SETTID) {
        t->parent_tid = ptid;
    }
    if (flags & CLONE_CHILD_SETTID) {
        t->child_tid = ctid;
    }
    long status = start_thread(p, t);
    if (status < 0) {
        t->leaving = 0;
        block_cache(p->threads, t);
        return status;
    }
    return t->tid;
}

long px_sys_clone(unsigned long flags, void *stack, void *ptid, void *ctid, unsigned long tls)
{
    if ((flags & CLONE_THREAD_LIKE) != CLONE_THREAD_LIKE) {
        bool bad = ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND)) || ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM));
        return bad ? -EINVAL : -ENOSYS; /* processes: a later issue */
    }
    return clone_thread(px_proc(), flags, (uint64_t)stack, ptid, ctid, tls);
}
