/* SPDX-License-Identifier: MIT */
/*
 * Between the boot paths and the parts of arch/x86_64: set-up in order, and what the parts offer
 * one another.
 */
#ifndef KERNEL_EARLY_H
#define KERNEL_EARLY_H

#include "arch.h"
#include "bootinfo.h"

void arch_log_init(void); /* the serial line */
/* this CPU's tables, final page tables; then kernel_main() may allocate frames */
void arch_early_init(void);

/* firmware's tables and our trampoline: never given to the allocator */
#define BOOT_LOW_RESERVED 0x10000u

/*
 * Free RAM: the boot ranges without the kernel, early tables, bundle and what lies below
 * BOOT_LOW_RESERVED. For frame_init().
 */
unsigned arch_boot_memory(struct boot_range *out, unsigned max);
/* physical address of the kernel's PML4; its upper half is in every address space */
extern uint64_t arch_kernel_root;

void memory_map_init(void); /* physmap and kernel image, W^X */
/* uncached, for ever; NULL when there is no room, or memory */
void *device_map(uint64_t paddr, uint64_t size);
/* GDT, TSS, IDT, control registers, syscall MSRs, gs */
void cpu_init(struct cpu *c, uint64_t stack_top);
void stack_guard(void *stack); /* at the end of a kernel stack */
void fpu_init_cpu(void);
void fpu_switch(struct thread *from, struct thread *to);
void fpu_trap(void);
void fpu_reset(void); /* the current thread's, to that of a new one */
/* by QEMU without a hypervisor: other things are dear than on hardware */
bool cpu_is_emulated(void);
void clock_begin(void); /* early: start counting */
/* TSC and local APIC timer rates; fills kinfo */
void clock_init(void);
uint64_t clock_rtc_seconds(void);
void apic_init_cpu(void);
void apic_init_boards(void); /* IOAPICs */
void apic_eoi(void);
bool boot_is_ram(uint64_t start, uint64_t end);     /* wholly inside one range of RAM */
void apic_send(uint32_t apic_id, uint32_t command); /* vector and delivery bits */
void apic_timer_start(uint32_t ticks);              /* 0: off */
uint32_t apic_timer_left(void);
uint32_t apic_id(void);
void arch_irq_arrived(uint32_t vector); /* mask a level line, end of interrupt, irq_interrupt() */
extern bool apic_has_deadline;
void tlb_idle_enter(void);
void tlb_idle_leave(void);
void tlb_serve(void); /* answer the shootdown that waits for this CPU, if any */
noreturn void panic_halt(void);

/* Vectors */
#define VECTOR_DEVICES     0x30u /* ..0xdf */
#define VECTOR_DEVICES_END 0xe0u
#define VECTOR_TIMER       0xe0u
#define VECTOR_RESCHED     0xe1u
#define VECTOR_TLB         0xe2u
#define VECTOR_SPURIOUS    0xffu

/* What the ACPI tables tell. */
struct acpi_info {
    uint32_t cpu_apic_id[CPUS_MAX];
    uint32_t cpus;
    struct {
        uint64_t address;
        uint32_t gsi;
    } ioapic[4];
    uint32_t ioapics;
    struct {
        uint32_t gsi;
        uint16_t flags; /* MPS INTI flags */
        bool set;
    } isa[16];
    uint64_t hpet;
    uint32_t pm_timer_port; /* 0: none */
    bool pm_timer_32;
    uint32_t pm1a_control, pm1b_control; /* ports, 0: none */
    uint64_t sleep_control;              /* hardware-reduced: memory address, 0: none */
    uint64_t reset_address;
    uint8_t reset_space, reset_value; /* space 0 memory, 1 port; reset_address 0: none */
    uint8_t s5_a, s5_b;
    bool s5;
    bool have;
};
extern struct acpi_info acpi;
void acpi_init(void);

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint32_t inl(uint16_t port)
{
    uint32_t v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" : : "a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(msr) : "memory");
}
static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(sub));
}

#endif
