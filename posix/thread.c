/* SPDX-License-Identifier: MIT */
/*
 * Threads: their blocks, creation, end, and what asks about one. A block that a thread has left is
 * kept for the next; until the kernel clears tcb.alive, its thread still executes a few last
 * instructions there.
 */
#include "fd.h"
#include "internal.h"

#define CACHE_MAX   64u
#define INDEX_BITS  14u
#define THREADS_MAX ((1u << INDEX_BITS) - 1)
#define TID_SHIFT   16u

#define CLONE_VM             0x100u
#define CLONE_FS             0x200u
#define CLONE_FILES          0x400u
#define CLONE_SIGHAND        0x800u
#define CLONE_PIDFD          0x1000u
#define CLONE_VFORK          0x4000u
#define CLONE_THREAD         0x10000u
#define CLONE_SETTLS         0x80000u
#define CLONE_PARENT_SETTID  0x100000u
#define CLONE_CHILD_CLEARTID 0x200000u
#define CLONE_CHILD_SETTID   0x1000000u
#define CLONE_THREAD_LIKE    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

/* ---- blocks ---- */

static struct px_thread *cached_block(struct px_threads *threads)
{
    struct px_thread *t, **link = &threads->cache;
    px_lock(&threads->cache_lock);
    while ((t = *link) && __atomic_load_n(&t->tcb.alive, __ATOMIC_ACQUIRE)) {
        link = &t->next;
    }
    if (t) {
        *link = t->next;
        threads->cached--;
    }
    px_unlock(&threads->cache_lock);
    return t;
}

static struct px_thread *new_block(void)
{
    int64_t base =
        motor_map(0, 0, 0, 0, PX_BLOCK_SIZE,
                  MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_STACK);
    if (base < 0) {
        return NULL;
    }
    struct px_thread *t = (struct px_thread *)(base + PX_RUNTIME_STACK + 4096 -
                                               (sizeof(struct px_thread) + 63) / 64 * 64);
    return t;
}

/* The parts that a used block does not have right. */
static void block_reset(struct px_thread *t)
{
    uint64_t end = ((uint64_t)t + 4095) & ~4095ull;
    memset(&t->work, 0, sizeof(*t) - offsetof(struct px_thread, work));
    t->tcb.pending = 0;
    t->tcb.robust_list = 0;
    t->tcb.self = (uint64_t)t;
    t->tcb.busy = 1;
    t->tcb.alive = 1;
    t->tcb.upcall_stack = end + PX_FAULT_STACK;
    t->stack = (uint64_t)t & ~63ull;
    px_pending_init(&t->pending);
}

static void block_unmap(struct px_thread *t)
{
    uint64_t end = ((uint64_t)t + 4095) & ~4095ull;
    motor_unmap(0, end - 4096 - PX_RUNTIME_STACK, PX_BLOCK_SIZE);
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
        while (*link && __atomic_load_n(&(*link)->tcb.alive, __ATOMIC_ACQUIRE)) {
            link = &(*link)->next;
        }
        if ((extra = *link)) {
            *link = extra->next;
            threads->cached--;
        }
    }
    px_unlock(&threads->cache_lock);
    if (extra) {
        block_unmap(extra);
    }
}

static struct px_thread *block_get(struct px_process *p)
{
    struct px_thread *t = cached_block(p->threads);
    if (!t) {
        t = new_block();
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
    uint32_t index = tid == p->pid ? 0 : tid >> TID_SHIFT;
    if (index > THREADS_MAX ||
        (tid & ((1u << TID_SHIFT) - 1)) != (p->pid & ((1u << TID_SHIFT) - 1))) {
        return NULL;
    }
    struct px_thread *t = p->threads->table[index];
    return t && t->tid == tid ? t : NULL;
}

/* To /proc; not what a vfork child calls itself on its parent's thread. */
void px_thread_show(struct px_thread *t)
{
    t->tcb.tid = t->tid;
    memcpy(t->tcb.name, t->name, sizeof(t->tcb.name));
}

/* The main thread's block, index 0. */
void px_threads_prepare(struct px_process *p)
{
    static PX_HOT struct px_threads threads;
    struct px_thread *t = new_block();
    threads.table = px_map_below((THREADS_MAX + 1) * sizeof(threads.table[0]));
    if (!t || !threads.table) {
        px_fatal("no memory");
    }
    block_reset(t);
    t->process = p;
    p->threads = &threads;
    threads.table[0] = t;
    list_add(&threads, t);
}

/* Its tid is the pid. */
void px_threads_start(struct px_process *p)
{
    struct px_thread *t = p->threads->table[0];
    t->tid = p->pid;
    t->mask = p->start->signal_blocked & ~PX_UNBLOCKABLE;
    t->tcb.nice = p->start->nice;
    t->tcb.policy = p->start->policy;
    memcpy(t->name, p->name, sizeof(t->name));
    px_thread_show(t);
}

/* Only this thread is left: it is the main one, and the others' blocks are memory. */
void px_threads_forked(struct px_process *p, struct px_thread *t)
{
    struct px_threads *threads = p->threads;
    for (struct px_thread *other = threads->first, *next; other; other = next) {
        next = other->next;
        if (other != t) {
            threads->table[other->index] = NULL;
            px_pending_drop(p, &other->pending, UINT64_MAX);
            block_unmap(other);
        }
    }
    for (struct px_thread *free = threads->cache; free; free = free->next) {
        if (free->tcb.alive) { /* seldom: a write would copy the page */
            free->tcb.alive = 0;
        }
    }
    threads->cache_lock.word = 0;
    threads->first = NULL;
    threads->count = threads->last_index = 0;
    if (t->index) { /* else the table is as it was: a write would copy its page */
        threads->table[t->index] = NULL;
        threads->table[0] = t;
        t->index = 0;
    }
    t->tid = p->pid;
    px_thread_show(t);
    list_add(threads, t);
    t->handle = 0; /* the parent's */
}

/* ---- creation ---- */

void px_child_registers(struct px_thread *t, const struct px_thread *parent, uint64_t stack)
{
    if (t != parent) { /* whose way to the program begins with complete ones */
        t->regs = parent->regs;
        t->kind = PX_ENTRY_NONE;
        if (parent->kind == PX_ENTRY_CALL) {
            t->regs.rflags = 0x202;
            t->regs.r10 = t->regs.r11 = 0;
        } else {
            t->regs.rcx = t->regs.rip;
            t->regs.r11 = t->regs.rflags;
        }
    }
    t->regs.rax = 0;
    if (stack) {
        t->regs.rsp = stack;
    }
}

/* What others need that are to come: a handle to this thread; descriptions that may be shared. */
static bool prepare_for_others(struct px_process *p)
{
    struct px_thread *self = px_self();
    int64_t handle =
        self->handle ? (int64_t)self->handle : motor_thread_control(0, MOTOR_THREAD_GET_HANDLE, 0);
    if (handle > 0) {
        self->handle = (motor_handle)handle;
    }
    return handle > 0 && px_descs_share(p) == 0;
}

static long start_thread(struct px_process *p, struct px_thread *t, uint32_t *ptid, uint32_t *ctid)
{
    struct motor_thread_start start = {
        .rip = (uint64_t)px_resume,
        .rsp = t->stack,
        .fs_base = t->fs_base,
        .gs_base = (uint64_t)t,
    };
    if (!prepare_for_others(p)) {
        return -EAGAIN;
    }
    px_lock(&p->signals->lock);
    if (!take_index(p->threads, t)) {
        px_unlock(&p->signals->lock);
        return -EAGAIN;
    }
    t->tid = t->index << TID_SHIFT | (p->pid & ((1u << TID_SHIFT) - 1));
    px_thread_show(t);
    if (ptid) {
        px_store32(ptid, t->tid);
    }
    if (ctid) {
        px_store32(ctid, t->tid);
    }
    list_add(p->threads, t);
    uint32_t tid = t->tid;
    /* it runs, and takes this lock before it goes */
    int64_t handle = motor_thread_create(0, &start);
    if (handle < 0) {
        list_remove(p->threads, t);
    } else {
        t->handle = (motor_handle)handle;
    }
    px_unlock(&p->signals->lock);
    return handle < 0 ? -EAGAIN : (long)tid;
}

uint64_t px_current_fs(const struct px_thread *self)
{
    uint64_t base = self->fs_base;
    if (px_kinfo()->flags & MOTOR_KINFO_FSGSBASE) {
        __asm__ volatile("rdfsbase %0" : "=r"(base));
    }
    return base;
}

#define CLONE_FORK \
    (CLONE_VFORK | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID)

/*
 * What is not a thread: a child that borrows this memory until it execs, or one with a copy. The
 * low byte is the signal at its end, which is SIGCHLD here always.
 */
/* The new child, whose pidfd goes to *to; without one there is no child either. */
static long with_pidfd(int pid, void *to)
{
    long fd = px_sys_pidfd_open(pid, 0);
    long error = fd < 0 ? fd : px_store32(to, (uint32_t)fd);
    if (error < 0) {
        px_sys_kill(pid, SIGKILL);
        px_sys_wait4(pid, NULL, 0, NULL);
        if (fd >= 0) {
            px_sys_close((int)fd);
        }
        return error;
    }
    return pid;
}

static long clone_process(unsigned long flags, void *stack, void *ptid, void *ctid,
                          unsigned long tls)
{
    if (((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND)) ||
        ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))) {
        return -EINVAL;
    }
    if ((flags & ~0xfful) == (CLONE_VM | CLONE_VFORK)) {
        return px_vfork((uint64_t)stack);
    }
    if (flags & ~(CLONE_FORK | CLONE_PIDFD | 0xfful)) {
        return px_missing();
    }
    if (flags & CLONE_PIDFD && flags & CLONE_PARENT_SETTID) {
        return -EINVAL; /* both are told at ptid */
    }
    struct px_fork_options options = {
        .stack = (uint64_t)stack,
        .child_tid = flags & CLONE_CHILD_SETTID ? ctid : NULL,
        .parent_tid = flags & CLONE_PARENT_SETTID ? ptid : NULL,
        .clear_tid = flags & CLONE_CHILD_CLEARTID ? ctid : NULL,
        .set_tls = flags & CLONE_SETTLS,
        .tls = tls,
    };
    long pid = px_fork(&options);
    return flags & CLONE_PIDFD && pid > 0 ? with_pidfd((int)pid, ptid) : pid;
}

long px_sys_clone(unsigned long flags, void *stack, void *ptid, void *ctid, unsigned long tls)
{
    struct px_thread *self = px_self();
    if ((flags & CLONE_THREAD_LIKE) != CLONE_THREAD_LIKE) {
        return clone_process(flags, stack, ptid, ctid, tls);
    }
    struct px_thread *t = block_get(self->process);
    if (!t) {
        return -EAGAIN;
    }
    px_child_registers(t, self, (uint64_t)stack);
    t->fs_base = flags & CLONE_SETTLS ? tls : px_current_fs(self);
    t->mask = self->mask;
    t->tcb.policy = self->tcb.policy;
    t->tcb.nice = self->tcb.nice;
    t->has_fs_ids = self->has_fs_ids;
    memcpy(t->name, self->name, sizeof(t->name));
    t->clear_tid = flags & CLONE_CHILD_CLEARTID ? ctid : NULL;
    long status = start_thread(self->process, t, flags & CLONE_PARENT_SETTID ? ptid : NULL,
                               flags & CLONE_CHILD_SETTID ? ctid : NULL);
    if (status < 0) {
        t->tcb.alive = 0;
        block_cache(self->process->threads, t);
    }
    return status;
}

/* ---- the end ---- */

static _Noreturn void thread_end(int status, void *unmap, size_t length)
{
    struct px_thread *t = px_self();
    struct px_process *p = t->process;
    uint32_t *clear = t->clear_tid;
    if (p->vfork) {
        px_vfork_end((uint32_t)(status & 255) << 8);
    }
    px_lock(&p->signals->lock);
    if (p->threads->count == 1) {
        px_unlock(&p->signals->lock);
        if (clear && px_store32(clear, 0) == 0) {
            px_wake(clear, 1, PX_WAIT_SHARED);
        }
        px_process_end((uint32_t)(status & 255) << 8);
    }
    list_remove(p->threads, t);
    px_pending_drop(p, &t->pending, UINT64_MAX);
    px_retarget(p, t, ~t->mask);
    motor_handle handle = t->handle;
    t->handle = 0;
    px_unlock(&p->signals->lock);
    motor_handle_close(handle);
    block_cache(p->threads, t);
    px_thread_leave(clear, unmap, length);
}

long px_sys_exit(int status)
{
    thread_end(status, NULL, 0);
}

/* The private call 0x4d0001 of __unmapself. */
long px_unmap_and_exit(void *address, size_t length)
{
    uint64_t start = (uint64_t)address;
    if (start % MOTOR_PAGE_SIZE) {
        return -EINVAL;
    }
    thread_end(0, address, (length + MOTOR_PAGE_SIZE - 1) & ~(size_t)(MOTOR_PAGE_SIZE - 1));
}

long px_sys_exit_group(int status)
{
    px_process_end((uint32_t)(status & 255) << 8);
}

/* ---- small calls ---- */

long px_sys_gettid(void)
{
    return px_self()->tid;
}

long px_sys_set_tid_address(void *word)
{
    px_self()->clear_tid = word;
    return px_self()->tid;
}

long px_sys_set_robust_list(void *head, size_t length)
{
    if (length != 24) {
        return -EINVAL;
    }
    struct px_thread *t = px_self();
    t->robust_list = (uint64_t)head;
    if (!t->process->vfork) { /* the thread's own goes on being its parent's */
        t->tcb.robust_list = (uint64_t)head;
    }
    return 0;
}

long px_sys_get_robust_list(int tid, void *head, void *length)
{
    struct px_process *p = px_proc();
    px_lock(&p->signals->lock);
    struct px_thread *t = tid ? px_thread_find(p, (uint32_t)tid) : px_self();
    uint64_t value = t ? t->robust_list : 0, size = 24;
    px_unlock(&p->signals->lock);
    if (!t) {
        return -ESRCH;
    }
    return px_copy_out(head, &value, 8) < 0 || px_copy_out(length, &size, 8) < 0 ? -EFAULT : 0;
}

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

long px_sys_arch_prctl(int code, unsigned long address)
{
    struct px_thread *t = px_self();
    switch (code) {
    case ARCH_SET_FS:
        if (address >> 47) {
            return -EPERM;
        }
        t->fs_base = address;
        if (px_kinfo()->flags & MOTOR_KINFO_FSGSBASE) {
            __asm__ volatile("wrfsbase %0" : : "r"(address) : "memory");
            return 0;
        }
        return px_errno(motor_thread_control(0, MOTOR_THREAD_SET_FS, address));
    case ARCH_GET_FS: {
        uint64_t base = px_current_fs(t);
        return px_copy_out((void *)address, &base, sizeof(base));
    }
    case ARCH_SET_GS:
        return -EPERM; /* %gs is the runtime's */
    case ARCH_GET_GS: {
        uint64_t zero = 0;
        return px_copy_out((void *)address, &zero, sizeof(zero));
    }
    default:
        return -EINVAL;
    }
}

/* ---- scheduling ---- */

long px_sys_sched_yield(void)
{
    motor_thread_yield();
    return 0;
}

long px_sys_getcpu(void *cpu, void *node)
{
    uint32_t here = 0;
    motor_system_info(MOTOR_SINFO_CPU, &here, sizeof(here));
    if (cpu && px_store32(cpu, here) < 0) {
        return -EFAULT;
    }
    return node ? px_store32(node, 0) : 0;
}
