/* SPDX-License-Identifier: MIT */
/* The first serial port, at 115200 baud. */
#include "mbr.h"

#include <stdarg.h>

#define COM1        0x3f8
#define LINE_STATUS (COM1 + 5)
#define CAN_SEND    0x20
#define PATIENCE    100000u /* looks at a port that may not be there */

static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void set_up(void)
{
    out(COM1 + 1, 0);    /* no interrupts */
    out(COM1 + 3, 0x80); /* the divisor: 1 */
    out(COM1 + 0, 1);
    out(COM1 + 1, 0);
    out(COM1 + 3, 3); /* 8 bits, no parity, one stop bit */
    out(COM1 + 2, 7); /* FIFOs on, empty */
    out(COM1 + 4, 3); /* ready */
}

static void send(char c)
{
    for (uint32_t i = 0; i < PATIENCE && !(in(LINE_STATUS)&CAN_SEND); i++) {
    }
    out(COM1, (uint8_t)c);
}

void say(const char *first, ...)
{
    static bool ready;
    va_list args;
    if (!ready)
        set_up();
    ready = true;
    va_start(args, first);
    for (const char *s = first; s; s = va_arg(args, const char *))
        for (; *s; s++) {
            if (*s == '\n')
                send('\r');
            send(*s);
        }
    va_end(args);
}
