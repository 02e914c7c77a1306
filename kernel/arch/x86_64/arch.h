/* SPDX-License-Identifier: MIT */
/*
 * What the machine-independent kernel asks of x86-64, and the few x86 facts it may know (trap
 * frame, CPU block).
 */
#ifndef KERNEL_ARCH_H
#define KERNEL_ARCH_H

#include <motor/abi.h>
#include <stdbool.h>
#include <stdnoreturn.h>

struct thread;
struct aspace;

#define PAGE_SIZE 4096ull
#ifndef PHYSMAP_BASE /* set by host tests */
#define PHYSMAP_BASE 0xffff888000000000ull
#endif
#define KERNEL_BASE       0xffffffff80000000ull
#define USER_END          0x00007ffffffff000ull /* one past the highest user address that may be mapped */
#define CPUS_MAX          64u
#define KERNEL_STACK_SIZE 8192u

static inline void *phys_to_virt(uint64_t paddr)
{
    return (void *)(PHYSMAP_BASE + paddr);
}
static inline uint64_t virt_to_phys(const void *v) /* of physmap addresses only */
{
    return (uint64_t)v - PHYSMAP_BASE;
}

/*
 * Registers of user mode (or interrupted idle/kernel code), at the top of the thread's kernel
 * stack.
 */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Counters: each CPU its own, summed on reading. Same order as struct motor_counters. */
#define CPU_COUNT(field) (this_cpu()->counters.field++)

/*
 * One per CPU, reached through gs. The first fields are used by assembly; offsets are asserted in
 * entry code.
 */
struct cpu {
    struct cpu *self; /* gs:0 */
    /* gs:8: top of the current thread's kernel stack, for syscall entry */
    uint64_t kernel_rsp;
    uint64_t user_rsp;      /* gs:16: scratch during syscall entry */
    struct thread *current; /* gs:24 */
    struct thread *idle;
    /* whose page tables are loaded (may be stale for idle/kernel: lazy) */
    struct aspace *aspace;
    uint32_t id; /* 0.. dense */
    uint32_t apic_id;
    bool online;
    /* [this CPU and remote, atomic] return to user must call sched_resched() */
    bool resched;
    struct motor_counters counters;
    void *run_queue;      /* sched.c's */
    void *frame_cache;    /* frame.c's */
    uint64_t tlb_request; /* arch tlb shootdown state */
    void *arch;           /* TSS, GDT, FPU owner, ...: arch private */
};

static inline struct cpu *this_cpu(void)
{
    /* a memory read, so not kept across a context switch, which is an opaque call */
    return ((struct cpu __seg_gs *)0)->self;
}
extern struct cpu *cpus[CPUS_MAX];
extern uint32_t cpu_count; /* online CPUs */

/* ---- threads: what arch/x86_64 does for them ---- */

/*
 * From one kernel stack to another, with registers, FPU, fs and gs bases, I/O bitmap and address
 * space. sched_lock is held across it: whoever runs next releases it.
 */
void arch_context_switch(struct thread *from, struct thread *to);

/* A fresh kernel stack whose first switch calls entry(). */
void arch_thread_prepare(struct thread *t, void (*entry)(void));

/* Leaves through the trap frame at the stack's top, after thread_return_work() if there is any. */
noreturn void arch_return_to_user(void);

struct trap_frame *arch_user_frame(struct thread *t); /* at the top of its kernel stack */

/* Fills the frame. Addresses that are not a user's are refused before (thread_check_start()). */
void arch_set_user_start(struct thread *t, const struct motor_thread_start *s);
bool arch_user_address_ok(uint64_t rip); /* canonical and below USER_END */

/* t->fpu: allocated with kmalloc, sized by CPUID, in the initial state; NULL: no memory. */
void arch_fpu_init_thread(struct thread *t);
void arch_fpu_free_thread(struct thread *t);
void arch_fpu_copy(struct thread *to); /* of the current thread; `to` has not run yet */

/* Bases of the current thread, loaded and saved with it. */
void arch_set_fs(uint64_t base);
void arch_set_gs(uint64_t base);
uint64_t arch_get_user_gs(struct thread *t);

/* ---- CPUs and time ---- */

/* Makes that CPU look at cpu->resched, also out of idle. */
void arch_send_resched(uint32_t cpu);
void arch_idle(void); /* sleeps with interrupts on; a wake-up after the caller's check ends it */
void arch_allow_interrupts_briefly(void);

uint64_t arch_now(void);                   /* monotonic ns */
void arch_timer_arm(uint64_t deadline_ns); /* one-shot on this CPU; MOTOR_NEVER: off */
uint64_t arch_entropy(void);               /* RDSEED or RDRAND mixed with jitter; never blocks */
noreturn void arch_power(uint32_t mode, uint32_t status);
void arch_log(const char *text, size_t n); /* the serial line, polled */

/*
 * Called once by kernel_main() when memory (frame_init, kinfo's page), random and futexes are up:
 * gives this CPU its idle thread, clocks (and fills kinfo's clock fields), timer and interrupt
 * controllers; then starts the other CPUs. Each gets a struct cpu and an idle thread, calls
 * sched_init_cpu(), counts itself in cpu_count (ids dense, cpus[] filled before) and enters
 * kernel_secondary_main().
 */
void arch_late_init(void);

/* ---- interrupts of devices ---- */

/*
 * Programs an I/O APIC line, masked until arch_irq_unmask(), or allots a message-signalled vector
 * (*msi is filled). 0, or a negative status: EBUSY the line is taken, ENOENT no such line, ELIMIT.
 */
int64_t arch_irq_alloc(uint32_t kind, uint32_t line, struct motor_msi *msi, uint32_t *vector);
void arch_irq_free(uint32_t vector);
void arch_irq_mask(uint32_t vector);
void arch_irq_unmask(uint32_t vector);

/* ---- translations ---- */

void arch_tlb_flush_page(uint64_t va); /* this CPU */
void arch_tlb_flush_all(void);         /* this CPU, all that is not global */

/*
 * On every CPU in as->cpus; waits for them. Small ranges go page by page, larger ones wholly. With
 * as->refs 0 each CPU leaves the address space for the kernel's tables. May be called with as->lock
 * held: a CPU that spins for a lock with interrupts off answers from arch_relax().
 */
void arch_tlb_shootdown(struct aspace *as, uint64_t start, uint64_t end);
/* The same before tables are freed, which no CPU may walk then, not even one that idles. */
void arch_tlb_shootdown_tables(struct aspace *as, uint64_t start, uint64_t end);

/* ---- user memory ---- */

/* Pages are faulted in, so no lock may be held. 0 or -MOTOR_EFAULT. */
int64_t copy_from_user(void *dst, const void *user_src, size_t n);
int64_t copy_to_user(void *user_dst, const void *src, size_t n);
/* Ends with NUL; -MOTOR_EINVAL if the string is longer than size - 1. */
int64_t copy_string_from_user(char *dst, const char *user_src, size_t size);
int64_t user_load32(const uint32_t *user, uint32_t *value);
int64_t user_store32(uint32_t *user, uint32_t value);
/* *expected becomes what was there: the exchange was done if that is what it was before. */
int64_t user_cas32(uint32_t *user, uint32_t *expected, uint32_t desired);

/* ---- what arch/x86_64 calls ---- */

noreturn void kernel_main(void);           /* the boot CPU, after arch_early_init() */
noreturn void kernel_secondary_main(void); /* each other CPU, on its idle thread's stack */
void syscall_dispatch(struct trap_frame *f);

/* Before a return to user mode when return_work or resched is set: reschedule, die, upcall. */
void thread_return_work(struct trap_frame *f);

/* A fault in user mode that nothing resolved; status says why a page could not be had. */
void thread_fault(struct trap_frame *f, uint32_t vector, uint64_t address, uint32_t error,
                  uint32_t status);
void sched_timer_interrupt(void);    /* the one-shot timer fired on this CPU */
void irq_interrupt(uint32_t vector); /* a device's; end of interrupt and masking are done */

/* access: MOTOR_PROT_* wanted. 0: resolved. Interrupts off, no lock held. */
/*
 * 0: the page is there; 1: it may be now, touch it again; EINTR: the thread is dying. No lock is
 * held: it may wait.
 */
int64_t aspace_fault(struct aspace *as, uint64_t address, uint32_t access);

#endif
