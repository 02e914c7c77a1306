/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts, by vector. A fault in user mode is the thread's affair; a page fault
 * in the kernel is legal only in uaccess.S, on a user address, and continues at its fix-up when the
 * page cannot be had; anything else is a broken invariant. Source: Intel SDM volume 3, chapter 6.
 */
#include "early.h"
#include "log.h"
#include "thread.h"

#define PF_PRESENT 1u
#define PF_WRITE   2u
#define PF_USER    4u
#define PF_FETCH   16u

struct fixup {
    uint64_t from, to, target; /* rip in [from, to) */
};
extern const struct fixup fixup_start[], fixup_end[];

static bool fixup_apply(struct trap_frame *f)
{
    for (const struct fixup *x = fixup_start; x < fixup_end; x++) {
        if (f->rip >= x->from && f->rip < x->to) {
            f->rip = x->target;
            return true;
        }
    }
    return false;
}

static bool in_uaccess(const struct trap_frame *f)
{
    for (const struct fixup *x = fixup_start; x < fixup_end; x++) {
        if (f->rip >= x->from && f->rip < x->to) {
            return true;
        }
    }
    return false;
}

static uint64_t read_cr2(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

/*
 * SMAP's guard is down inside uaccess and was raised by the entry code: lower it again for the copy
 * that goes on.
 */
static void page_fault(struct trap_frame *f)
{
    uint64_t address = read_cr2();
    bool user = f->cs & 3;
    uint32_t access = f->error & PF_FETCH   ? MOTOR_PROT_EXEC
                      : f->error & PF_WRITE ? MOTOR_PROT_WRITE
                                            : MOTOR_PROT_READ;
    struct thread *t = this_cpu()->current;
    CPU_COUNT(faults);
    if (!user && (address >= USER_END || !in_uaccess(f) || !t || !t->aspace)) {
        if (!(in_uaccess(f) && fixup_apply(f))) {
            panic_frame(f, "page fault in the kernel");
        }
        return;
    }
    int64_t status = address < USER_END ? aspace_fault(t->aspace, address, access) : -MOTOR_ENOENT;
    if (status >= 0) {
        return;
    }
    if (user && status == -MOTOR_EINTR) {
        return; /* it ends on its way out */
    }
    if (user) {
        thread_fault(f, 14, address, (uint32_t)f->error, (uint32_t)-status);
    } else {
        fixup_apply(f);
    }
}

static void exception(struct trap_frame *f)
{
    if (f->vector == 14) {
        page_fault(f);
        return;
    }
    if (f->vector == 8 || f->vector == 18) { /* they came on stacks that cannot be left */
        panic_frame(f, f->vector == 8 ? "double fault" : "machine check");
    }
    if (!(f->cs & 3)) {
        if (f->vector == 13 && in_uaccess(f) && fixup_apply(f)) {
            return; /* a non-canonical user address */
        }
        panic_frame(f, "exception in the kernel");
    }
    if (f->vector == 7) {
        fpu_trap();
        return;
    }
    thread_fault(f, (uint32_t)f->vector, f->rip, (uint32_t)f->error, 0);
}

static void interrupt(uint32_t vector)
{
    CPU_COUNT(interrupts);
    if (vector == VECTOR_TIMER) {
        CPU_COUNT(timer_interrupts);
        apic_eoi();
        sched_timer_interrupt();
    } else if (vector == VECTOR_RESCHED) {
        apic_eoi();
    } else if (vector == VECTOR_TLB) {
        apic_eoi();
        tlb_serve();
    } else if (vector >= VECTOR_DEVICES && vector < VECTOR_DEVICES_END) {
        arch_irq_arrived(vector);
    }
}

void trap_dispatch(struct trap_frame *f)
{
    if (f->vector < 32) {
        exception(f);
    } else {
        interrupt((uint32_t)f->vector);
    }
}
