/* SPDX-License-Identifier: MIT */
/*
 * The other CPUs: started one after the other, each on tables and a stack of its own; and what CPUs say to one
 * another: look at your run queue, forget translations.
 *
 * Shootdowns. One is under way at a time (shootdown.lock). The initiator publishes it, interrupts the targets and waits
 * for each to clear its bit. A target answers in the interrupt, or, if it spins for a lock with interrupts off, from
 * arch_relax(). The kernel never waits with interrupts off in any other way, so every target answers.
 *
 * An idle CPU is not woken for it: while it idles (cpu.tlb_request has TLB_LAZY) it uses no user translation, so the
 * initiator just adds TLB_STALE, and the CPU drops everything before it runs a thread again.
 */
#include "early.h"
#include "aspace.h"
#include "frame.h"
#include "log.h"
#include "main.h"
#include "sched.h"
#include "spinlock.h"
#include "thread.h"

#define TRAMPOLINE 0x8000u
#define START_TIMEOUT_NS 500000000ull /* a host that is busy may take long to run another CPU's thread */
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define PAGES_ONE_BY_ONE 32u

extern char smp_trampoline[], smp_trampoline_end[], boot_stack[];
size_t arch_cpu_size(void);

uint64_t smp_stack_top; /* read by smp.S */
struct cpu *smp_cpu;

/* ---- shootdown ---- */

static struct {
    struct spinlock lock;
    struct aspace *as;
    uint64_t start, end;
    uint64_t pending; /* [atomic] CPUs that have not answered */
} shootdown;

#define TLB_LAZY 1u
#define TLB_STALE 2u

/* Bits of cpu.tlb_request. Called by the context switch, on the CPU itself. */
void tlb_idle_enter(void)
{
    __atomic_store_n(&this_cpu()->tlb_request, TLB_LAZY, __ATOMIC_SEQ_CST);
}

void tlb_idle_leave(void)
{
    if (__atomic_exchange_n(&this_cpu()->tlb_request, 0, __ATOMIC_SEQ_CST) & TLB_STALE) {
        arch_tlb_flush_all();
    }
}

/* True if the CPU idles and will forget everything by itself. */
static bool leave_to_idle(struct cpu *c)
{
    uint64_t state = TLB_LAZY;
    return __atomic_compare_exchange_n(&c->tlb_request, &state, TLB_LAZY | TLB_STALE, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST) || state == (TLB_LAZY | TLB_STALE);
}

/* An address space that nobody refers to any more is left: its tables are about to go. */
static void leave(struct cpu *c, struct aspace *as)
{
    c->aspace = NULL;
    __asm__ volatile("mov %0, %%cr3" : : "r"(arch_kernel_root) : "memory");
    __atomic_fetch_and(&as->cpus, ~(1ull << c->id), __ATOMIC_RELEASE);
}

static void flush_range(struct cpu *c, struct aspace *as, uint64_t start, uint64_t end)
{
    if (__atomic_load_n(&as->refs, __ATOMIC_RELAXED) == 0) {
        leave(c, as);
        return;
    }
    if ((end - start) / PAGE_SIZE > PAGES_ONE_BY_ONE) {
        arch_tlb_flush_all();
        return;
    }
    for (uint64_t va = start; va < end; va += PAGE_SIZE) {
        arch_tlb_flush_page(va);
    }
}

void tlb_serve(void)
{
    struct cpu *c = this_cpu();
    uint64_t bit = 1ull << c->id;
    if (!(__atomic_load_n(&shootdown.pending, __ATOMIC_ACQUIRE) & bit)) {
        return;
    }
    if (c->aspace == shootdown.as) {
        flush_range(c, shootdown.as, shootdown.start, shootdown.end);
    }
    __atomic_fetch_and(&shootdown.pending, ~bit, __ATOMIC_RELEASE);
}

void arch_relax(void)
{
    __builtin_ia32_pause();
    tlb_serve();
}

void arch_tlb_flush_page(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

void arch_tlb_flush_all(void)
{
    uint64_t cr3;
    CPU_COUNT(tlb_flushes);
    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3) : : "memory");
}

void arch_tlb_shootdown(struct aspace *as, uint64_t start, uint64_t end)
{
    struct cpu *c = this_cpu();
    uint64_t mask = __atomic_load_n(&as->cpus, __ATOMIC_SEQ_CST), self = 1ull << c->id;
    if ((mask & self) && c->aspace == as) {
        flush_range(c, as, start, end);
    }
    mask &= ~self;
    for (uint64_t left = mask; left; left &= left - 1) {
        if (leave_to_idle(cpus[__builtin_ctzll(left)])) {
            mask &= ~(left & -left);
        }
    }
    if (!mask) {
        return;
    }
    spin_lock(&shootdown.lock);
    shootdown.as = as;
    shootdown.start = start;
    shootdown.end = end;
    __atomic_store_n(&shootdown.pending, mask, __ATOMIC_SEQ_CST);
    for (uint64_t left = mask; left; left &= left - 1) {
        CPU_COUNT(ipis);
        apic_send(cpus[__builtin_ctzll(left)]->apic_id, VECTOR_TLB);
    }
    while (__atomic_load_n(&shootdown.pending, __ATOMIC_ACQUIRE)) {
        __builtin_ia32_pause();
    }
    spin_unlock(&shootdown.lock);
}

void arch_send_resched(uint32_t cpu)
{
    CPU_COUNT(ipis);
    apic_send(cpus[cpu]->apic_id, VECTOR_RESCHED);
}

/* ---- start ---- */

static void adopt_idle(struct cpu *c, void *stack)
{
    c->idle = c->current = thread_create_idle(c->id, stack);
}

noreturn void smp_main(struct cpu *c)
{
    cpu_init(c, smp_stack_top);
    apic_init_cpu();
    adopt_idle(c, (void *)(smp_stack_top - KERNEL_STACK_SIZE));
    sched_init_cpu();
    __atomic_store_n(&c->online, true, __ATOMIC_RELEASE);
    while (__atomic_load_n(&cpu_count, __ATOMIC_ACQUIRE) <= c->id) {
        __builtin_ia32_pause();
    }
    kernel_secondary_main();
}

static bool wait_online(struct cpu *c)
{
    uint64_t start = arch_now();
    while (!__atomic_load_n(&c->online, __ATOMIC_ACQUIRE)) {
        if (arch_now() - start > START_TIMEOUT_NS) {
            return false;
        }
        __builtin_ia32_pause();
    }
    return true;
}

static bool start_one(uint32_t id, uint32_t apic)
{
    struct cpu *c = kzalloc(sizeof(*c));
    void *arch = kzalloc(arch_cpu_size()), *stack = kzalloc(KERNEL_STACK_SIZE);
    if (!c || !arch || !stack) {
        klog("motor: no memory for CPU %u\n", id);
        return false;
    }
    c->id = id;
    c->apic_id = apic;
    c->arch = arch;
    c->aspace = NULL;
    smp_cpu = c;
    smp_stack_top = (uint64_t)stack + KERNEL_STACK_SIZE;
    cpus[id] = c;
    apic_send(apic, ICR_INIT);
    apic_send(apic, ICR_STARTUP | TRAMPOLINE >> 12);
    if (wait_online(c)) {
        __atomic_store_n(&cpu_count, id + 1, __ATOMIC_RELEASE);
        return true;
    }
    cpus[id] = NULL; /* its memory stays: it may yet wake up on it */
    klog("motor: CPU with APIC id %u does not start\n", apic);
    return false;
}

static bool is_running(uint32_t apic) /* starting one twice would reset it */
{
    for (uint32_t i = 0; i < cpu_count; i++) {
        if (cpus[i]->apic_id == apic) {
            return true;
        }
    }
    return false;
}

void smp_start(void)
{
    if (acpi.cpus > 1 && !boot_is_ram(TRAMPOLINE, TRAMPOLINE + PAGE_SIZE)) {
        klog("motor: no memory where CPUs start: one CPU is used\n");
        return;
    }
    __builtin_memcpy(phys_to_virt(TRAMPOLINE), smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
    for (uint32_t i = 0; i < acpi.cpus && cpu_count < CPUS_MAX; i++) {
        if (!is_running(acpi.cpu_apic_id[i]) && !start_one(cpu_count, acpi.cpu_apic_id[i])) {
            break; /* a late one may still take what was made for it, so none is started after it */
        }
    }
}

void arch_late_init(void)
{
    struct cpu *c = this_cpu();
    apic_init_boards();
    clock_init();
    adopt_idle(c, boot_stack);
    c->online = true;
    cpu_count = 1;
    smp_start();
    kinfo->cpus = cpu_count;
}
