/* SPDX-License-Identifier: MIT */
/*
 * A CPU's own tables and modes: GDT, TSS with the I/O permission bitmap and emergency stacks, the
 * shared IDT, control registers with every protection that the CPU has, and the MSRs of `syscall`.
 */
#include "early.h"
#include "log.h"
#include "thread.h"

#include <stddef.h>

#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_SFMASK         0xc0000084u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define CR4_OSFXSR     (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP       (1u << 11)
#define CR4_FSGSBASE   (1u << 16)
#define CR4_SMEP       (1u << 20)
#define CR4_SMAP       (1u << 21)
#define CR4_PAE        (1u << 5)
#define CR4_PGE        (1u << 7)

#define IO_PORTS     0x10000u /* all */
#define NO_IO_BITMAP 0xffffu
/* at a kernel stack's lowest address: whoever changed it went too deep */
#define STACK_CANARY 0x6b63617473206f6eull

_Static_assert(offsetof(struct cpu, kernel_rsp) == 8 && offsetof(struct cpu, user_rsp) == 16,
               "entry.S");
_Static_assert(offsetof(struct cpu, current) == 24 && offsetof(struct cpu, resched) == 57,
               "entry.S");
_Static_assert(offsetof(struct thread, return_work) == 76, "entry.S");
_Static_assert(offsetof(struct trap_frame, rip) == 136 && sizeof(struct trap_frame) == 176,
               "entry.S");

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap_base;
    uint8_t iomap[IO_PORTS / 8 + 1];
} __attribute__((packed));

struct arch_cpu { /* struct cpu.arch */
    uint64_t gdt[8];
    struct tss tss;
    uint8_t double_fault_stack[4096] __attribute__((aligned(16)));
    uint8_t nmi_stack[1024] __attribute__((aligned(16)));
    uint8_t machine_check_stack[2048] __attribute__((aligned(16)));
};

struct idt_gate {
    uint16_t offset0, selector;
    uint8_t ist, type;
    uint16_t offset1;
    uint32_t offset2, reserved;
};

extern const uint64_t trap_entries[256];
extern void nmi_entry(void), syscall_entry(void);

static struct idt_gate idt[256];
static struct arch_cpu boot_arch;
static struct cpu boot_cpu;
struct cpu *cpus[CPUS_MAX];
uint32_t cpu_count;
bool cpu_has_smap, cpu_has_fsgsbase;

bool cpu_is_emulated(void)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    if (!(r[2] >> 31 & 1)) {
        return false;
    }
    cpuid(0x40000000u, 0, r);
    return r[1] == 0x54474354 && r[2] == 0x43544743 && r[3] == 0x47435447; /* TCGTCGTCGTCG */
}

static void gate_set(unsigned vector, uint64_t entry, unsigned ist, unsigned dpl)
{
    idt[vector] = (struct idt_gate){(uint16_t)entry,
                                    8,
                                    (uint8_t)ist,
                                    (uint8_t)(0x8e | dpl << 5),
                                    (uint16_t)(entry >> 16),
                                    (uint32_t)(entry >> 32),
                                    0};
}

static void idt_fill(void)
{
    for (unsigned v = 0; v < 256; v++) {
        gate_set(v, trap_entries[v], 0, 0);
    }
    gate_set(2, (uint64_t)nmi_entry, 2, 0);
    gate_set(3, trap_entries[3], 0, 3);
    gate_set(4, trap_entries[4], 0, 3);
    gate_set(8, trap_entries[8], 1, 0);
    gate_set(18, trap_entries[18], 3, 0);
}

static void load_tables(struct arch_cpu *a)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr = {sizeof(a->gdt) - 1, (uint64_t)a->gdt},
                              idtr = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(gdtr), "m"(idtr));
    __asm__ volatile(
        "push $8; lea 1f(%%rip), %%rax; push %%rax; lretq; 1: mov %0, %%ss; mov %1, %%ds; mov %1, %%es;"
        "mov %1, %%fs; mov %1, %%gs; ltr %w2"
        :
        : "r"(0x10), "r"(0), "r"(0x30)
        : "rax", "memory");
}

static void tables_fill(struct arch_cpu *a)
{
    uint64_t base = (uint64_t)&a->tss, limit = sizeof(a->tss) - 1;
    a->gdt[1] = 0x00af9b000000ffffull; /* kernel code */
    a->gdt[2] = 0x00cf93000000ffffull; /* kernel data */
    a->gdt[4] = 0x00cff3000000ffffull; /* user data */
    a->gdt[5] = 0x00affb000000ffffull; /* user code */
    a->gdt[6] =
        (limit & 0xffff) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    a->gdt[7] = base >> 32;
    a->tss.ist[0] = (uint64_t)a->double_fault_stack + sizeof(a->double_fault_stack);
    a->tss.ist[1] = (uint64_t)a->nmi_stack + sizeof(a->nmi_stack);
    a->tss.ist[2] = (uint64_t)a->machine_check_stack + sizeof(a->machine_check_stack);
    a->tss.iomap_base = NO_IO_BITMAP;
    a->tss.iomap[IO_PORTS / 8] = 0xff;
}

/* Every protection that this CPU has. */
static void modes_set(void)
{
    uint32_t r[4], max[4];
    uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpuid(0, 0, max);
    if (max[0] >= 7) {
        cpuid(7, 0, r);
        cr4 |= (r[1] & 1 ? CR4_FSGSBASE : 0) | (r[1] >> 7 & 1 ? CR4_SMEP : 0) |
               (r[1] >> 20 & 1 ? CR4_SMAP : 0) | (r[2] >> 2 & 1 ? CR4_UMIP : 0);
    }
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
    cpu_has_smap = cr4 & CR4_SMAP;
    cpu_has_fsgsbase = cr4 & CR4_FSGSBASE;
    uint64_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    cr0 = (cr0 & ~0xeull) | 1u << 16 | 1u << 5 | 2; /* WP NE MP; no EM, no TS */
    cr0 &= ~(3ull << 29);                           /* caches on */
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0));
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1 | 1u << 11); /* SCE NXE */
    wrmsr(MSR_STAR, 0x18ull << 48 | 8ull << 32);
    wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
    wrmsr(MSR_SFMASK, 0x47700); /* TF IF DF IOPL NT AC */
}

void cpu_init(struct cpu *c, uint64_t stack_top)
{
    struct arch_cpu *a = c->arch;
    tables_fill(a);
    load_tables(a);
    wrmsr(MSR_GS_BASE, (uint64_t)c);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    c->self = c;
    c->kernel_rsp = stack_top;
    a->tss.rsp[0] = stack_top;
    modes_set();
    fpu_init_cpu();
}

size_t arch_cpu_size(void)
{
    return sizeof(struct arch_cpu);
}

extern char boot_stack_top[];

void arch_early_init(void)
{
    boot_cpu.arch = &boot_arch;
    cpus[0] = &boot_cpu;
    idt_fill();
    cpu_init(&boot_cpu, (uint64_t)boot_stack_top);
    acpi_init();
    memory_map_init();
    apic_init_cpu();
    boot_cpu.apic_id = apic_id();
    clock_begin();
}

/* ---- threads ---- */

extern void context_swap(uint64_t *save_rsp, uint64_t rsp);

/* Without FSGSBASE a program cannot change them behind the kernel's back. */
static void bases_save(struct thread *t)
{
    if (cpu_has_fsgsbase) {
        __asm__ volatile("rdfsbase %0" : "=r"(t->fs_base));
        __asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(t->gs_base));
    }
}

static void bases_load(const struct thread *t)
{
    if (cpu_has_fsgsbase) {
        __asm__ volatile("wrfsbase %0" : : "r"(t->fs_base));
        __asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(t->gs_base));
    } else {
        wrmsr(0xc0000100u, t->fs_base);
        wrmsr(MSR_KERNEL_GS_BASE, t->gs_base);
    }
}

void arch_set_fs(uint64_t base)
{
    struct thread *t = this_cpu()->current;
    bases_save(t);
    t->fs_base = base;
    bases_load(t);
}

void arch_set_gs(uint64_t base)
{
    struct thread *t = this_cpu()->current;
    bases_save(t);
    t->gs_base = base;
    bases_load(t);
}

uint64_t arch_get_user_gs(struct thread *t)
{
    if (t == this_cpu()->current) {
        bases_save(t);
    }
    return t->gs_base;
}

void stack_guard(void *stack)
{
    *(uint64_t *)stack = STACK_CANARY;
}

/*
 * A thread of a process has user state; an idle thread has none and leaves the last one's in place.
 */
void arch_context_switch(struct thread *from, struct thread *to)
{
    struct cpu *c = this_cpu();
    struct arch_cpu *a = c->arch;
    KASSERT(*(uint64_t *)from->kernel_stack == STACK_CANARY);
    if (from->process) {
        bases_save(from);
    }
    fpu_switch(from, to);
    c->current = to;
    c->kernel_rsp = (uint64_t)to->kernel_stack + KERNEL_STACK_SIZE;
    a->tss.rsp[0] = c->kernel_rsp;
    if (!from->process) {
        tlb_idle_leave();
    }
    if (to->process) {
        bases_load(to);
        a->tss.iomap_base = to->io_ports ? offsetof(struct tss, iomap) : NO_IO_BITMAP;
    }
    if (to->aspace && to->aspace != c->aspace) {
        aspace_activate(to->aspace);
    }
    if (!to->process) {
        tlb_idle_enter();
    }
    context_swap(&from->kernel_rsp, to->kernel_rsp);
}

struct trap_frame *arch_user_frame(struct thread *t)
{
    return (struct trap_frame *)((uint64_t)t->kernel_stack + KERNEL_STACK_SIZE) - 1;
}

void arch_thread_prepare(struct thread *t, void (*entry)(void))
{
    uint64_t *sp = (uint64_t *)arch_user_frame(t);
    stack_guard(t->kernel_stack);
    *--sp = 0; /* keeps the stack as a call would leave it, and ends backtraces */
    *--sp = (uint64_t)entry;
    for (int i = 0; i < 6; i++) {
        *--sp = 0;
    }
    t->kernel_rsp = (uint64_t)sp;
}

void arch_set_user_start(struct thread *t, const struct motor_thread_start *s)
{
    *arch_user_frame(t) = (struct trap_frame){
        .rip = s->rip,
        .rsp = s->rsp,
        .cs = 0x2b,
        .ss = 0x23,
        .rflags = 0x202,
        .rdi = s->arg[0],
        .rsi = s->arg[1],
        .rdx = s->arg[2],
        .rbx = s->regs[0],
        .rbp = s->regs[1],
        .r12 = s->regs[2],
        .r13 = s->regs[3],
        .r14 = s->regs[4],
        .r15 = s->regs[5],
    };
    t->fs_base = s->fs_base;
    t->gs_base = s->gs_base;
    if (t == this_cpu()->current) {
        fpu_reset(); /* exec; a new thread's state is fresh */
    }
}

bool arch_user_address_ok(uint64_t rip)
{
    return rip < USER_END;
}

void arch_idle(void)
{
    /* an interrupt after the check is taken in the shadow of sti: it ends hlt */
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

void arch_allow_interrupts_briefly(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}
