/* SPDX-License-Identifier: MIT */
/*
 * What the machine-independent kernel asks of x86-64, and the few x86 facts it may know (trap frame, CPU block).
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
#define KERNEL_BASE 0xffffffff80000000ull
#define USER_END 0x00007ffffffff000ull /* one past the highest user address that may be mapped */
#define CPUS_MAX 64u
#define KERNEL_STACK_SIZE 8192u

static inline void *phys_to_virt(uint64_t paddr)
{
    return (void *)(PHYSMAP_BASE + paddr);
}
static inline uint64_t virt_to_phys(const void *v) /* of physmap addresses only */
{
    return (uint64_t)v - PHYSMAP_BASE;
}

/* Registers of user mode (or interrupted idle/kernel code), at the top of the thread's kernel stack. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Counters: each CPU its own, summed on reading. Same order as struct motor_counters. */
#define CPU_COUNT(field) (this_cpu()->counters.field++)

/* One per CPU, reached through gs. The first fields are used by assembly; offsets are asserted in entry code. */
struct cpu {
    struct cpu *self;            /* gs:0 */
    uint64_t kernel_rsp;         /* gs:8: top of the current thread's kernel stack, for syscall entry */
    uint64_t user_rsp;           /* gs:16: scratch during syscall entry */
    struct thread *current;      /* gs:24 */
    struct thread *idle;
    struct aspace *aspace;       /* whose page tables are loaded (may be stale for idle/kernel: lazy) */
    uint32_t id;                 /* 0.. dense */
    uint32_t apic_id;
    bool online;
    bool resched;                /* [this CPU and remote, atomic] return to user must call sched_resched() */
    struct motor_counters counters;
    void *run_queue;             /* sched.c's */
    void *frame_cache;           /* frame.c's */
    uint64_t tlb_request;        /* arch tlb shootdown state */
    void *arch;                  /* TSS, GDT, FPU owner, ...: arch private */
};

static inline struct cpu *this_cpu(void)
{
    return ((struct cpu __seg_gs *)0)->self; /* a memory read, so not kept across a context switch, which is an opaque call */
}
extern struct cpu *cpus[CPUS_MAX];
extern uint32_t cpu_count; /* online CPUs */

/* ---- provided by arch/x86_64 (builder K1) ---- */

void arch_context_switch(struct thread *from, struct thread *to); /* sched_lock held across; saves/restores callee-saved registers, stack, FPU, fs/gs bases, cpu->kernel_rsp, TSS rsp0, I/O bitmap; loads to's address space if it differs (aspace_activate) */
void arch_thread_prepare(struct thread *t, void (*entry)(void)); /* a fresh kernel stack whose first switch calls entry() */
noreturn void arch_return_to_user(void);                          /* leave through the trap frame at the stack's top; runs thread_return_work() first when needed */
struct trap_frame *arch_user_frame(struct thread *t);             /* at the top of its kernel stack */
void arch_set_user_start(struct thread *t, const struct motor_thread_start *s); /* fill the frame; non-canonical or kernel addresses are refused before */
bool arch_user_address_ok(uint64_t rip);                          /* canonical and below USER_END */
void arch_fpu_init_thread(struct thread *t);                      /* initial FPU state; t->fpu is arch's, allocated with kmalloc, size from CPUID */
void arch_fpu_free_thread(struct thread *t);
void arch_set_fs(uint64_t base);                                  /* of the current thread, saved with it */
void arch_set_gs(uint64_t base);
uint64_t arch_get_user_gs(struct thread *t);
void arch_send_resched(uint32_t cpu);                             /* IPI: makes that CPU look at cpu->resched, also out of idle halt */
void arch_idle(void);                                             /* sti; hlt; cli, without losing a wake-up between check and halt */
void arch_allow_interrupts_briefly(void);                         /* sti; nop; cli */
uint64_t arch_now(void);                                          /* monotonic ns */
void arch_timer_arm(uint64_t deadline_ns);                        /* one-shot on this CPU; MOTOR_NEVER: off */
uint64_t arch_entropy(void);                                      /* a word from RDSEED/RDRAND mixed with TSC jitter; never blocks */
noreturn void arch_power(uint32_t mode, uint32_t status);
int64_t arch_irq_alloc(uint32_t kind, uint32_t line, struct motor_msi *msi, uint32_t *vector); /* program IOAPIC or allot an MSI vector, masked until unmask for lines; negative status */
void arch_irq_free(uint32_t vector);
void arch_irq_mask(uint32_t vector);
void arch_irq_unmask(uint32_t vector);
void arch_log(const char *text, size_t n);                        /* serial, polled; used by klog and panic */

/*
 * Called once by kernel_main() when memory (frame_init, kinfo's page), random and futexes are up: gives this CPU its idle
 * thread (cpu->idle = cpu->current = thread_create_idle(id, stack)), clocks (and fills kinfo's clock fields), timer
 * and interrupt controllers; then starts the other CPUs, each of which gets a struct cpu, an idle thread, calls
 * sched_init_cpu(), counts itself in cpu_count (ids dense, cpus[] filled before) and enters kernel_secondary_main().
 */
void arch_late_init(void);

/* Page tables (builder K2 provides pagetable.c; see aspace.h). TLB shootdown IPIs (K1 provides). */
void arch_tlb_flush_page(uint64_t va);
void arch_tlb_flush_all(void);                                    /* non-global, this CPU */
void arch_tlb_shootdown(struct aspace *as, uint64_t start, uint64_t end); /* as->refs 0: makes every CPU leave it for the kernel's tables. On every CPU in as->cpus (bit mask), waits; small ranges by page, larger wholly; callable with as->lock held: the target's handler takes no lock, and a CPU that spins for a lock with interrupts off still answers (spin loops of spin_lock never wait on a shootdown target because handlers run from an NMI-like poll: K1 decides how, e.g. targets poll a request word in spin_lock through arch_relax(), and documents it) */

/* uaccess: copy with fault-in of user pages; never with a lock held. 0 or -MOTOR_EFAULT. SMAP: stac/clac inside. */
int64_t copy_from_user(void *dst, const void *user_src, size_t n);
int64_t copy_to_user(void *user_dst, const void *src, size_t n);
int64_t copy_string_from_user(char *dst, const char *user_src, size_t size); /* NUL-terminates; -MOTOR_EINVAL if too long */
int64_t user_load32(const uint32_t *user, uint32_t *value);
int64_t user_store32(uint32_t *user, uint32_t value);

/* ---- called by arch/x86_64 ---- */

struct boot_params; /* boot/bootinfo.h */
noreturn void kernel_main(void);                                  /* BSP, after early arch init (K3): memory and CPUs are described by arch_boot() */
noreturn void kernel_secondary_main(void);                        /* each AP, on its idle thread's stack */
void syscall_dispatch(struct trap_frame *f);                      /* K3 */
void thread_return_work(struct trap_frame *f);                    /* K3: before every return to user mode, when current->return_work or cpu->resched: reschedule, die, upcall */
void thread_fault(struct trap_frame *f, uint32_t vector, uint64_t address, uint32_t error, uint32_t status); /* K3: a fault in user mode that nothing resolved */
void sched_timer_interrupt(void);                                 /* K3: the one-shot timer fired on this CPU */
void irq_interrupt(uint32_t vector);                              /* K3: a device vector fired (EOI and masking of level lines done by arch) */
int64_t aspace_fault(struct aspace *as, uint64_t address, uint32_t access); /* K2: MOTOR_PROT_* wanted; 0 resolved, negative status not. Interrupts off, no locks held */

#endif
