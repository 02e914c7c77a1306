/* SPDX-License-Identifier: MIT */
/*
 * The kernel's end: why, registers, a backtrace with names, every other CPU stopped, the VM's end
 * with a status. It may run in any state, so it takes no lock and checks each address it follows.
 */
#include "early.h"
#include "log.h"
#include "symbols.h"
#include "thread.h"

#include <stdarg.h>

#define PANIC_STATUS  3u
#define BACKTRACE_MAX 32u

void klog_arguments(const char *format, va_list args);

bool panicking; /* also read by nmi_entry */
extern char kernel_start[], kernel_text_end[], kernel_end[];

static const char *symbol_of(uint64_t address, uint64_t *offset)
{
    uint32_t low = 0, high = kernel_symbol_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (kernel_symbol_address[middle] <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (!low || address >= (uint64_t)kernel_text_end) {
        *offset = 0;
        return "?";
    }
    *offset = address - kernel_symbol_address[low - 1];
    return kernel_symbol_text + kernel_symbol_name[low - 1];
}

static void show_place(uint64_t address)
{
    uint64_t offset;
    const char *name = symbol_of(address, &offset);
    klog("  %016lx %s+0x%lx\n", address, name, offset);
}

/*
 * A frame pointer that can be read: on the current kernel stack or in the kernel's own data (boot
 * and emergency stacks).
 */
static bool frame_readable(uint64_t rbp)
{
    struct thread *t = this_cpu()->current;
    uint64_t stack = t ? (uint64_t)t->kernel_stack : 0;
    if (rbp & 7) {
        return false;
    }
    return (stack && rbp >= stack && rbp < stack + KERNEL_STACK_SIZE - 16) ||
           (rbp >= (uint64_t)kernel_start && rbp < (uint64_t)kernel_end - 16);
}

static void backtrace(uint64_t rip, uint64_t rbp)
{
    klog("backtrace:\n");
    show_place(rip);
    for (unsigned i = 0; i < BACKTRACE_MAX && frame_readable(rbp); i++) {
        const uint64_t *frame = (const uint64_t *)rbp;
        if (!frame[1]) {
            break;
        }
        show_place(frame[1] - 1);
        if (frame[0] <= rbp) {
            break;
        }
        rbp = frame[0];
    }
}

static bool in_text(uint64_t address)
{
    return address >= (uint64_t)kernel_start && address < (uint64_t)kernel_text_end;
}

/* When the program counter itself is lost, what lies on the stack and looks like a way back. */
static void show_suspects(uint64_t rsp)
{
    klog("on the stack:\n");
    for (unsigned shown = 0; shown < BACKTRACE_MAX && frame_readable(rsp & ~7ull); rsp += 8) {
        uint64_t word = *(const uint64_t *)(rsp & ~7ull);
        if (in_text(word)) {
            show_place(word);
            shown++;
        }
    }
}

static void stop_others(void)
{
    panicking = true;
    for (uint32_t i = 0; i < cpu_count; i++) {
        if (cpus[i] && cpus[i] != this_cpu()) {
            apic_send(cpus[i]->apic_id, 0x4400); /* NMI */
        }
    }
}

static void begin(void)
{
    __asm__ volatile("cli");
    if (__atomic_exchange_n(&panicking, true, __ATOMIC_SEQ_CST)) {
        for (;;) {
            __asm__ volatile("hlt");
        }
    }
    stop_others();
}

static noreturn void finish(uint64_t rip, uint64_t rbp)
{
    struct thread *t = this_cpu()->current;
    klog("CPU %u, thread %u\n", this_cpu()->id, t ? t->id : 0);
    backtrace(rip, rbp);
    arch_power(MOTOR_POWER_EXIT, PANIC_STATUS);
}

void panic(const char *format, ...)
{
    va_list args;
    begin();
    klog("\nmotor: kernel panic: ");
    va_start(args, format);
    klog_arguments(format, args);
    va_end(args);
    klog("\n");
    finish((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
}

void panic_frame(struct trap_frame *f, const char *why)
{
    uint64_t cr2, cr3;
    __asm__ volatile("mov %%cr2, %0; mov %%cr3, %1" : "=r"(cr2), "=r"(cr3));
    begin();
    klog("\nmotor: kernel panic: %s (vector %lu, error 0x%lx)\n", why, f->vector, f->error);
    klog("rip %016lx rsp %016lx rbp %016lx rflags %lx cs %lx\n", f->rip, f->rsp, f->rbp, f->rflags,
         f->cs);
    klog("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    klog("rsi %016lx rdi %016lx r8  %016lx r9  %016lx\n", f->rsi, f->rdi, f->r8, f->r9);
    klog("r10 %016lx r11 %016lx r12 %016lx r13 %016lx\n", f->r10, f->r11, f->r12, f->r13);
    klog("r14 %016lx r15 %016lx cr2 %016lx cr3 %016lx\n", f->r14, f->r15, cr2, cr3);
    if (!in_text(f->rip)) {
        show_suspects(f->rsp);
    }
    finish(f->rip, f->rbp);
}
