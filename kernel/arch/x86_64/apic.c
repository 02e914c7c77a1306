/* SPDX-License-Identifier: MIT */
/*
 * Local APICs (xAPIC, or x2APIC when the firmware left it on or ids need it), I/O APICs, and the
 * vectors of devices. Source: Intel SDM volume 3, chapter 11; 82093AA I/O APIC data sheet.
 */
#include "early.h"
#include "log.h"
#include "spinlock.h"

#define MSR_APIC_BASE     0x1bu
#define X2APIC_MSR        0x800u
#define REG_ID            0x20u
#define REG_PRIORITY      0x80u
#define REG_EOI           0xb0u
#define REG_SPURIOUS      0xf0u
#define REG_ICR_LOW       0x300u
#define REG_ICR_HIGH      0x310u
#define REG_LVT_TIMER     0x320u
#define REG_LVT_LINT0     0x350u
#define REG_LVT_LINT1     0x360u
#define REG_TIMER_INITIAL 0x380u
#define REG_TIMER_CURRENT 0x390u
#define REG_TIMER_DIVIDE  0x3e0u
#define LVT_MASKED        (1u << 16)
#define LVT_DEADLINE      (2u << 17)
#define ICR_BUSY          (1u << 12)

#define VECTORS         (VECTOR_DEVICES_END - VECTOR_DEVICES)
#define PINS_MAX        120u /* whose registers an 8-bit index reaches */
#define REDIRECT_MASKED (1u << 16)
#define REDIRECT_LEVEL  (1u << 15)
#define REDIRECT_LOW    (1u << 13)

static volatile uint32_t *lapic;
static bool x2apic;
bool apic_has_deadline;

static struct {
    volatile uint32_t *registers;
    uint32_t gsi, pins;
} ioapic[4];
static uint32_t ioapics;

static struct spinlock vector_lock; /* vectors and the I/O APICs' index registers; innermost */
static struct {
    bool used, level;
    uint8_t controller, pin; /* of lines; controller 0xff: message-signalled */
} vectors[VECTORS];

static uint32_t lapic_read(uint32_t reg)
{
    return x2apic ? (uint32_t)rdmsr(X2APIC_MSR + reg / 16) : lapic[reg / 4];
}

static void lapic_write(uint32_t reg, uint32_t value)
{
    if (x2apic) {
        wrmsr(X2APIC_MSR + reg / 16, value);
    } else {
        lapic[reg / 4] = value;
    }
}

uint32_t apic_id(void)
{
    return x2apic ? lapic_read(REG_ID) : lapic_read(REG_ID) >> 24;
}

void apic_eoi(void)
{
    lapic_write(REG_EOI, 0);
}

void apic_send(uint32_t id, uint32_t command)
{
    if (x2apic) {
        /* what the target shall see comes before (SDM 11.12.3) */
        __asm__ volatile("mfence; lfence" : : : "memory");
        wrmsr(X2APIC_MSR + REG_ICR_LOW / 16, (uint64_t)id << 32 | command);
        return;
    }
    while (lapic_read(REG_ICR_LOW) & ICR_BUSY) {
        __builtin_ia32_pause();
    }
    lapic_write(REG_ICR_HIGH, id << 24);
    lapic_write(REG_ICR_LOW, command);
}

void apic_timer_start(uint32_t ticks)
{
    lapic_write(REG_TIMER_INITIAL, ticks);
}

uint32_t apic_timer_left(void)
{
    return lapic_read(REG_TIMER_CURRENT);
}

/* Modes of the boot CPU decide for all. */
static void choose_mode(void)
{
    uint32_t r[4];
    uint64_t base = rdmsr(MSR_APIC_BASE);
    cpuid(1, 0, r);
    apic_has_deadline = r[2] >> 24 & 1;
    bool able = r[2] >> 21 & 1;
    x2apic = able; /* fewer exits under a hypervisor than memory-mapped access */
    if (!x2apic) {
        lapic = device_map(base & 0x000ffffffffff000ull, 4096);
        if (!lapic) {
            panic("the local APIC lies in memory");
        }
    }
}

void apic_init_cpu(void)
{
    static bool chosen;
    if (!chosen) {
        choose_mode();
        chosen = true;
    }
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 1u << 11 | (x2apic ? 1u << 10 : 0));
    lapic_write(REG_LVT_LINT0, LVT_MASKED);
    lapic_write(REG_LVT_LINT1, LVT_MASKED);
    lapic_write(REG_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    /* after LINT0: QEMU then forgets a tick of the firmware's timer that still waits */
    lapic_write(REG_PRIORITY, 0);
    lapic_write(REG_TIMER_DIVIDE, 3); /* by 16 */
    lapic_write(REG_LVT_TIMER, VECTOR_TIMER | (apic_has_deadline ? LVT_DEADLINE : 0));
    __asm__ volatile("mfence" : : : "memory"); /* SDM 11.5.4.1: before the first deadline */
}

/* ---- I/O APICs ---- */

static uint32_t ioapic_read(uint32_t c, uint32_t reg)
{
    ioapic[c].registers[0] = reg;
    return ioapic[c].registers[4];
}

static void ioapic_write(uint32_t c, uint32_t reg, uint32_t value)
{
    ioapic[c].registers[0] = reg;
    ioapic[c].registers[4] = value;
}

static void pics_silence(void)
{
    outb(0x20, 0x11), outb(0xa0, 0x11); /* away from the exceptions' vectors, then masked */
    outb(0x21, 0x20), outb(0xa1, 0x28);
    outb(0x21, 4), outb(0xa1, 2);
    outb(0x21, 1), outb(0xa1, 1);
    outb(0x21, 0xff), outb(0xa1, 0xff);
}

void apic_init_boards(void)
{
    if (!acpi.ioapics) {
        acpi.ioapic[0].address = 0xfec00000;
        acpi.ioapics = 1;
    }
    pics_silence();
    for (uint32_t i = 0; i < acpi.ioapics; i++) {
        ioapic[ioapics].registers = device_map(acpi.ioapic[i].address, 32);
        if (!ioapic[ioapics].registers) {
            continue;
        }
        uint32_t version = ioapic_read(ioapics, 1);
        if (version == 0 || version == ~0u) {
            continue; /* nobody answers */
        }
        ioapic[ioapics].gsi = acpi.ioapic[i].gsi;
        ioapic[ioapics].pins = (version >> 16 & 0xff) + 1;
        if (ioapic[ioapics].pins > PINS_MAX) {
            ioapic[ioapics].pins = PINS_MAX;
        }
        for (uint32_t pin = 0; pin < ioapic[ioapics].pins; pin++) {
            ioapic_write(ioapics, 0x10 + pin * 2, REDIRECT_MASKED);
        }
        ioapics++;
    }
}

/* ---- vectors ---- */

static void redirect_mask(uint32_t v, bool masked)
{
    uint32_t reg = 0x10u + vectors[v].pin * 2u, low = ioapic_read(vectors[v].controller, reg);
    ioapic_write(vectors[v].controller, reg,
                 masked ? low | REDIRECT_MASKED : low & ~REDIRECT_MASKED);
}

static int64_t line_connect(uint32_t v, uint32_t gsi, bool level, bool active_low)
{
    for (uint32_t c = 0; c < ioapics; c++) {
        if (gsi < ioapic[c].gsi || gsi - ioapic[c].gsi >= ioapic[c].pins) {
            continue;
        }
        uint32_t pin = gsi - ioapic[c].gsi;
        for (uint32_t i = 0; i < VECTORS; i++) {
            if (vectors[i].used && i != v && vectors[i].controller == c && vectors[i].pin == pin) {
                return -MOTOR_EBUSY;
            }
        }
        vectors[v].controller = (uint8_t)c;
        vectors[v].pin = (uint8_t)pin;
        ioapic_write(c, 0x11 + pin * 2, cpus[0]->apic_id << 24);
        ioapic_write(c, 0x10 + pin * 2,
                     (VECTOR_DEVICES + v) | REDIRECT_MASKED | (level ? REDIRECT_LEVEL : 0) |
                         (active_low ? REDIRECT_LOW : 0));
        return 0;
    }
    return -MOTOR_ENOENT;
}

static int64_t connect(uint32_t v, uint32_t kind, uint32_t line, struct motor_msi *msi)
{
    if (kind == MOTOR_IRQ_MSI) {
        uint32_t cpu = line < cpu_count ? line : 0;
        vectors[v].controller = 0xff;
        *msi = (struct motor_msi){0xfee00000u | cpus[cpu]->apic_id << 12, VECTOR_DEVICES + v, 0};
        return 0;
    }
    bool low = false;
    if (kind == MOTOR_IRQ_LINE_ISA) {
        if (line >= 16) {
            return -MOTOR_EINVAL;
        }
        uint16_t flags = acpi.isa[line].set ? acpi.isa[line].flags : 0;
        vectors[v].level = (flags >> 2 & 3) == 3;
        low = (flags & 3) == 3;
        line = acpi.isa[line].set ? acpi.isa[line].gsi : line;
    } else {
        vectors[v].level = kind == MOTOR_IRQ_LINE_LEVEL;
    }
    return line_connect(v, line, vectors[v].level, low);
}

int64_t arch_irq_alloc(uint32_t kind, uint32_t line, struct motor_msi *msi, uint32_t *vector)
{
    int64_t status = -MOTOR_ELIMIT;
    spin_lock(&vector_lock);
    for (uint32_t v = 0; v < VECTORS; v++) {
        if (vectors[v].used) {
            continue;
        }
        vectors[v].level = false;
        status = connect(v, kind, line, msi);
        if (status == 0) {
            vectors[v].used = true;
            *vector = VECTOR_DEVICES + v;
        }
        break;
    }
    spin_unlock(&vector_lock);
    return status;
}

static void set_masked(uint32_t vector, bool masked)
{
    uint32_t v = vector - VECTOR_DEVICES;
    spin_lock(&vector_lock);
    if (v < VECTORS && vectors[v].used && vectors[v].controller != 0xff) {
        redirect_mask(v, masked);
    }
    spin_unlock(&vector_lock);
}

void arch_irq_mask(uint32_t vector)
{
    set_masked(vector, true);
}

void arch_irq_unmask(uint32_t vector)
{
    set_masked(vector, false);
}

void arch_irq_free(uint32_t vector)
{
    set_masked(vector, true);
    spin_lock(&vector_lock);
    vectors[vector - VECTOR_DEVICES].used = false;
    spin_unlock(&vector_lock);
}

void arch_irq_arrived(uint32_t vector)
{
    if (vectors[vector - VECTOR_DEVICES].level) {
        arch_irq_mask(vector); /* until its driver has dealt with the device: irq_ack() */
    }
    apic_eoi();
    irq_interrupt(vector);
}
