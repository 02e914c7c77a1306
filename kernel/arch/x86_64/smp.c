/* SPDX-License-Identifier: MIT */
/*
 * The other CPUs: started all at once, each on tables and a stack of its own; and what CPUs say to
 * one another: look at your run queue, forget translations.
 *
 * Shootdowns. One is under way at a time (shootdown.lock). The initiator publishes it, interrupts
 * the targets and waits for each to clear its bit. A target answers in the interrupt, or, if it
 * spins for a lock with interrupts off, from arch_relax(). The kernel never waits with interrupts
 * off in any other way, so every target answers.
 *
 * When nobody refers to the address space any more (aspace_put), a shootdown means more: CPUs that
 * have it loaded leave it for the kernel's own tables, because its root will be freed.
 *
 * An idle CPU is not woken for a flush: while it idles (cpu.tlb_request has TLB_LAZY) it uses no
 * user translation, so the initiator just adds TLB_STALE, and the CPU drops everything before it
 * runs a thread again. But it may walk tables for addresses that it only speculates about, and mark
 * entries as accessed. So it is woken when tables are to be freed, and leaves the address space,
 * which spares it the next time.
 */
#include "aspace.h"
#include "early.h"
#include "frame.h"
#include "log.h"
#include "main.h"
#include "sched.h"
#include "spinlock.h"
#include "thread.h"

#define TRAMPOLINE       0x8000u
#define ICR_INIT         0x4500u
#define ICR_STARTUP      0x4600u
#define PAGES_ONE_BY_ONE 32u

extern char smp_trampoline[], smp_trampoline_end[], boot_stack[];
size_t arch_cpu_size(void);

/* ---- shootdown ---- */

static struct {
    struct spinlock lock;
    struct aspace *as;
    uint64_t start, end;
    uint64_t pending; /* [atomic] CPUs that have not answered */
} shootdown;

#define TLB_LAZY  1u
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
    return __atomic_compare_exchange_n(&c->tlb_request, &state, TLB_LAZY | TLB_STALE, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ||
           state == (TLB_LAZY | TLB_STALE);
}

static void flush_range(uint64_t start, uint64_t end)
{
    if ((end - start) / PAGE_SIZE > PAGES_ONE_BY_ONE) {
        arch_tlb_flush_all();
        return;
    }
    for (uint64_t va = start; va < end; va += PAGE_SIZE) {
        arch_tlb_flush_page(va);
    }
}

static bool is_dead(const struct aspace *as)
{
    return __atomic_load_n(&as->refs, __ATOMIC_RELAXED) == 0;
}

static void flush(struct cpu *c, struct aspace *as, uint64_t start, uint64_t end)
{
    if (c->aspace != as) {
        return;
    }
    if (!is_dead(as) && !(__atomic_load_n(&c->tlb_request, __ATOMIC_RELAXED) & TLB_LAZY)) {
        flush_range(start, end);
        return;
    }
    c->aspace = NULL;
    CPU_COUNT(tlb_flushes);
    __asm__ volatile("mov %0, %%cr3" : : "r"(arch_kernel_root) : "memory");
    __atomic_fetch_and(&as->cpus, ~(1ull << c->id), __ATOMIC_RELEASE);
}

void tlb_serve(void)
{
    struct cpu *c = this_cpu();
    uint64_t bit = 1ull << c->id;
    if (!(__atomic_load_n(&shootdown.pending, __ATOMIC_ACQUIRE) & bit)) {
        return;
    }
    flush(c, shootdown.as, shootdown.start, shootdown.end);
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

static void shoot_down(struct aspace *as, uint64_t start, uint64_t end, bool idle_too)
{
    struct cpu *c = this_cpu();
    /* a CPU that comes to `as` after this sees the new entries */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t mask = __atomic_load_n(&as->cpus, __ATOMIC_SEQ_CST), self = 1ull << c->id;
    flush(c, as, start, end);
    mask &= ~self;
    for (uint64_t left = idle_too ? 0 : mask; left; left &= left - 1) {
        uint64_t bit = left & -left;
        mask &= leave_to_idle(cpus[__builtin_ctzll(left)]) ? ~bit : ~0ull;
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

void arch_tlb_shootdown(struct aspace *as, uint64_t start, uint64_t end)
{
    shoot_down(as, start, end, is_dead(as));
}

void arch_tlb_shootdown_tables(struct aspace *as, uint64_t start, uint64_t end)
{
    shoot_down(as, start, end, true);
}

void arch_send_resched(uint32_t cpu)
{
    CPU_COUNT(ipis);
    apic_send(cpus[cpu]->apic_id, VECTOR_RESCHED);
}

/* ---- start ---- */

uint64_t smp_stack[CPUS_MAX]; /* of CPU i: its top. Read by trampoline.S */
uint32_t smp_prepared = 1;    /* CPUs that have all they need, the first one included */
uint32_t smp_next = 1;        /* [atomic] id of the next CPU that comes */

/*
 * An AP, on its stack. Ids go by arrival; CPUs count themselves in that order, so that those below
 * cpu_count are all up.
 */
noreturn void smp_main(uint32_t id)
{
    struct cpu *c = cpus[id];
    cpu_init(c, smp_stack[id]);
    apic_init_cpu();
    c->apic_id = apic_id();
    sched_init_cpu();
    c->online = true;
    while (__atomic_load_n(&cpu_count, __ATOMIC_ACQUIRE) != id) {
        __builtin_ia32_pause();
    }
    __atomic_store_n(&cpu_count, id + 1, __ATOMIC_RELEASE);
    kernel_secondary_main();
}

static bool prepare(uint32_t id)
{
    struct cpu *c = kzalloc(sizeof(*c));
    void *arch = kzalloc(arch_cpu_size()), *stack = kzalloc(KERNEL_STACK_SIZE);
    if (!c || !arch || !stack) {
        kfree(c);
        kfree(arch);
        kfree(stack);
        klog("motor: no memory for CPU %u and those after it\n", id);
        return false;
    }
    c->id = id;
    c->arch = arch;
    stack_guard(stack);
    c->idle = c->current = thread_create_idle(id, stack);
    smp_stack[id] = (uint64_t)stack + KERNEL_STACK_SIZE;
    cpus[id] = c;
    return true;
}

/* A table may name a CPU twice, or this one: a second start would reset it. */
static bool is_new(uint32_t i)
{
    for (uint32_t k = 0; k < i; k++) {
        if (acpi.cpu_apic_id[k] == acpi.cpu_apic_id[i]) {
            return false;
        }
    }
    return acpi.cpu_apic_id[i] != apic_id();
}

/*
 * Nobody waits for the CPUs: they join while the system starts. Virtual CPUs need no pause between
 * INIT and STARTUP.
 */
static void smp_start(void)
{
    uint32_t wanted = 0;
    uint32_t id[CPUS_MAX];
    for (uint32_t i = 0; i < acpi.cpus && wanted + 1 < CPUS_MAX; i++) {
        if (is_new(i)) {
            id[wanted++] = acpi.cpu_apic_id[i];
        }
    }
    if (wanted && !boot_is_ram(TRAMPOLINE, TRAMPOLINE + PAGE_SIZE)) {
        klog("motor: no memory where CPUs start: one CPU is used\n");
        return;
    }
    while (smp_prepared <= wanted && prepare(smp_prepared)) {
        smp_prepared++;
    }
    __builtin_memcpy(phys_to_virt(TRAMPOLINE), smp_trampoline,
                     (size_t)(smp_trampoline_end - smp_trampoline));
    for (uint32_t i = 0; i + 1 < smp_prepared; i++) {
        apic_send(id[i], ICR_INIT);
        apic_send(id[i], ICR_STARTUP | TRAMPOLINE >> 12);
    }
}

void arch_late_init(void)
{
    struct cpu *c = this_cpu();
    apic_init_boards();
    clock_init();
    stack_guard(boot_stack);
    c->idle = c->current = thread_create_idle(c->id, boot_stack);
    c->online = true;
    cpu_count = 1;
    smp_start();
    kinfo->cpus = smp_prepared; /* each of them will come; cpu_count says how many have */
}
