/* SPDX-License-Identifier: MIT */
/*
 * The way back to user mode: what must happen before it (reschedule, die, upcall), and faults that
 * nothing resolved. The thread's control block is user memory: it is read and written by its own
 * thread only, with copies that may fail.
 */
#include "log.h"
#include "process.h"
#include "sched.h"
#include "signal.h"
#include "syscall.h"
#include "thread.h"

#define RFLAGS_CLEARED 0x00254500ull /* TF, DF, NT, RF, AC, ID: not inherited by an upcall */

struct tcb_head { /* the first fields of struct motor_tcb */
    uint64_t self;
    uint32_t busy;
    uint32_t pending;
    uint64_t upcall_stack;
};

static void save_context(struct motor_context *c, const struct trap_frame *f)
{
    *c = (struct motor_context){
        .rax = f->rax,
        .rbx = f->rbx,
        .rcx = f->rcx,
        .rdx = f->rdx,
        .rsi = f->rsi,
        .rdi = f->rdi,
        .rbp = f->rbp,
        .rsp = f->rsp,
        .r8 = f->r8,
        .r9 = f->r9,
        .r10 = f->r10,
        .r11 = f->r11,
        .r12 = f->r12,
        .r13 = f->r13,
        .r14 = f->r14,
        .r15 = f->r15,
        .rip = f->rip,
        .rflags = f->rflags,
    };
}

static bool read_head(struct thread *t, struct tcb_head *head)
{
    return t->tcb && copy_from_user(head, (void *)t->tcb, sizeof(*head)) == 0;
}

/*
 * Continue at the process's upcall entry. False, with the frame untouched, if the block or entry
 * will not do.
 */
static bool enter(struct thread *t, struct trap_frame *f, const struct tcb_head *head,
                  uint32_t reason, uint32_t busy)
{
    struct motor_tcb *tcb = (struct motor_tcb *)t->tcb;
    uint64_t entry = __atomic_load_n(&t->process->upcall_entry, __ATOMIC_RELAXED);
    struct motor_context context;
    if (!entry || !arch_user_address_ok(head->upcall_stack - 16)) {
        return false;
    }
    save_context(&context, f);
    if (copy_to_user(&tcb->context, &context, sizeof(context)) < 0 ||
        user_store32(&tcb->busy, busy) < 0) {
        return false;
    }
    f->rip = entry;
    f->rsp = head->upcall_stack;
    f->rdi = reason;
    f->rsi = 0;
    f->rflags &= ~RFLAGS_CLEARED;
    CPU_COUNT(upcalls);
    return true;
}

static void deliver_interruption(struct thread *t, struct trap_frame *f)
{
    struct tcb_head head;
    __atomic_fetch_and(&t->return_work, ~WORK_UPCALL, __ATOMIC_ACQ_REL);
    uint32_t bits = __atomic_load_n(&t->sticky, __ATOMIC_ACQUIRE);
    if (!bits || !read_head(t, &head)) {
        return;
    }
    if (user_store32(&((struct motor_tcb *)t->tcb)->pending, bits) == 0 && head.busy == 0) {
        enter(t, f, &head, bits, 1);
    }
}

/* Stops, or tells a runtime that is busy to. */
static void stop_or_tell(struct thread *t)
{
    struct tcb_head head;
    bool busy = read_head(t, &head) && head.busy;
    if (!thread_stop_work(t, busy) && busy) {
        user_store32(&((struct motor_tcb *)t->tcb)->pending,
                     __atomic_load_n(&t->sticky, __ATOMIC_ACQUIRE));
    }
}

void thread_return_work(struct trap_frame *f)
{
    struct thread *t = this_cpu()->current;
    for (;;) {
        uint32_t work = __atomic_load_n(&t->return_work, __ATOMIC_ACQUIRE);
        if (work & WORK_KILL) {
            thread_exit_current();
        } else if (__atomic_load_n(&this_cpu()->resched, __ATOMIC_ACQUIRE)) {
            sched_resched();
            if (__atomic_load_n(&t->sticky, __ATOMIC_RELAXED) & MOTOR_UPCALL_STOP) {
                __atomic_fetch_or(&t->return_work, WORK_STOP, __ATOMIC_RELAXED); /* still busy? */
            }
        } else if (work & WORK_STOP) {
            stop_or_tell(t);
        } else if (work & WORK_UPCALL) {
            deliver_interruption(t, f);
        } else {
            return;
        }
    }
}

/* ---- back from an upcall ---- */

/* CF PF AF ZF SF TF DF OF AC ID RF: what a program may set for itself */
#define RFLAGS_USER   0x00250dd5ull
#define RFLAGS_ALWAYS 0x202ull

static void load_context(struct trap_frame *f, const struct motor_context *c)
{
    f->rax = c->rax, f->rbx = c->rbx, f->rcx = c->rcx, f->rdx = c->rdx, f->rsi = c->rsi,
    f->rdi = c->rdi;
    f->rbp = c->rbp, f->rsp = c->rsp, f->r8 = c->r8, f->r9 = c->r9, f->r10 = c->r10,
    f->r11 = c->r11;
    f->r12 = c->r12, f->r13 = c->r13, f->r14 = c->r14, f->r15 = c->r15, f->rip = c->rip;
    f->rflags = (c->rflags & RFLAGS_USER) | RFLAGS_ALWAYS;
}

/*
 * User mode cannot load every register and clear `busy` in one step by itself. An interruption that
 * found the thread busy is looked at again on the way out.
 */
int64_t sys_thread_resume(const struct motor_context *context)
{
    struct thread *t = this_cpu()->current;
    struct motor_context c;
    if (!t->tcb) {
        return -MOTOR_EINVAL;
    }
    if (copy_from_user(&c, context, sizeof(c)) < 0) {
        return -MOTOR_EFAULT;
    }
    if (!arch_user_address_ok(c.rip)) {
        return -MOTOR_EINVAL;
    }
    if (user_store32(&((struct motor_tcb *)t->tcb)->busy, 0) < 0) {
        return -MOTOR_EFAULT;
    }
    load_context(arch_user_frame(t), &c);
    if (__atomic_load_n(&t->sticky, __ATOMIC_ACQUIRE)) {
        __atomic_fetch_or(&t->return_work, WORK_UPCALL, __ATOMIC_RELEASE);
    }
    return (int64_t)c.rax; /* the dispatcher stores the result there */
}

static uint32_t fault_signal(uint32_t vector, uint32_t status)
{
    switch (vector) {
    case 0:
    case 16:
    case 19:
        return 8; /* SIGFPE */
    case 1:
    case 3:
        return 5; /* SIGTRAP */
    case 6:
        return 4; /* SIGILL */
    case 14:
        /* SIGBUS, SIGKILL, SIGSEGV */
        return status == MOTOR_EGONE ? 7 : status == MOTOR_ENOMEM ? 9 : 11;
    case 17:
        return 7;
    default:
        return 11;
    }
}

static bool upcall_fault(struct thread *t, struct trap_frame *f, const struct motor_fault *fault)
{
    struct tcb_head head;
    if (!read_head(t, &head) || head.busy > 1) {
        return false;
    }
    struct motor_tcb *tcb = (struct motor_tcb *)t->tcb;
    return copy_to_user(&tcb->fault, fault, sizeof(*fault)) == 0 &&
           enter(t, f, &head, MOTOR_UPCALL_FAULT, 2);
}

void thread_fault(struct trap_frame *f, uint32_t vector, uint64_t address, uint32_t error,
                  uint32_t status)
{
    struct thread *t = this_cpu()->current;
    struct process *p = t->process;
    struct motor_fault fault = {.address = vector == 14 ? address : f->rip,
                                .vector = vector,
                                .error = error,
                                .status = status};
    if (upcall_fault(t, f, &fault)) {
        return;
    }
    uint32_t signal = fault_signal(vector, status);
    void (*say)(const char *, ...) = p->first || status == MOTOR_ENOMEM ? klog : kdebug;
    say("%s[%u] ends with signal %u: vector %u, error %x, status %u, address %lx, rip %lx, rsp %lx\n",
        p->name, p->pid, signal, vector, error, status, fault.address, f->rip, f->rsp);
    process_kill(p, signal);
}
