/* SPDX-License-Identifier: MIT */
/*
 * The serial line as far as the kernel itself uses it (16550 at 0x3f8, polled), and the ways to end
 * the machine: ACPI S5 (ACPI 6.5, 4.8.3.2 and, hardware-reduced, 4.8.3.7), reset, and QEMU's
 * isa-debug-exit.
 */
#include "early.h"
#include "log.h"

#define COM1       0x3f8
#define FIFO_DEPTH 16u
#define DEBUG_EXIT 0xf4
#define SLP_EN     (1u << 13)

static bool serial;

void arch_log_init(void)
{
    outb(COM1 + 7, 0x5a); /* scratch: is there a UART? */
    serial = inb(COM1 + 7) == 0x5a;
    if (serial) {
        outb(COM1 + 1, 0);
        outb(COM1 + 3, 0x80);
        outb(COM1 + 0, 1);
        outb(COM1 + 1, 0);
        outb(COM1 + 3, 3);
        outb(COM1 + 2, 7);
        outb(COM1 + 4, 3);
    }
}

/*
 * Port accesses are dear under emulation: an empty transmitter is given as much as its queue takes.
 */
static void serial_put(char c, uint32_t *room)
{
    for (int i = 0; !*room && i < 100000; i++) {
        if (inb(COM1 + 5) & 0x20) {
            *room = FIFO_DEPTH;
        }
    }
    *room -= *room != 0;
    outb(COM1, (uint8_t)c);
}

void arch_log(const char *text, size_t n)
{
    uint32_t room = 0;
    for (size_t i = 0; serial && i < n; i++) {
        if (text[i] == '\n') {
            serial_put('\r', &room);
        }
        serial_put(text[i], &room);
    }
}

static void off(void)
{
    if (acpi.sleep_control && acpi.s5 && arch_kernel_root) {
        volatile uint8_t *r = device_map(acpi.sleep_control, 1);
        if (r) {
            *r = (uint8_t)(acpi.s5_a << 2 | 1u << 5);
        }
    }
    if (acpi.pm1a_control && acpi.s5) {
        outw((uint16_t)acpi.pm1a_control, (uint16_t)(acpi.s5_a << 10 | SLP_EN));
        if (acpi.pm1b_control) {
            outw((uint16_t)acpi.pm1b_control, (uint16_t)(acpi.s5_b << 10 | SLP_EN));
        }
    }
}

static void reset(void)
{
    if (acpi.reset_address && acpi.reset_space == 1) {
        outb((uint16_t)acpi.reset_address, acpi.reset_value);
    } else if (acpi.reset_address && acpi.reset_space == 0 && arch_kernel_root) {
        volatile uint8_t *r = device_map(acpi.reset_address, 1);
        if (r) {
            *r = acpi.reset_value;
        }
    }
    outb(0xcf9, 6);
    outb(0x64, 0xfe);
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(none));
}

static void wait_a_little(void)
{
    for (int i = 0; i < 1000000; i++) {
        __builtin_ia32_pause();
    }
}

noreturn void arch_power(uint32_t mode, uint32_t status)
{
    __asm__ volatile("cli");
    if (mode == MOTOR_POWER_EXIT) {
        outl(DEBUG_EXIT, status);
        wait_a_little();
    }
    if (mode != MOTOR_POWER_RESET) {
        off();
        wait_a_little();
    }
    reset();
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
