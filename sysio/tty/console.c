/* SPDX-License-Identifier: MIT */
/*
 * The serial console: a 16550 at 0x3f8 that drains its terminal's output as the transmitter's FIFO
 * empties, and feeds it with what is typed. A byte for which the terminal has no room stays in the
 * receiver, which holds back a host that can be held back.
 */
#include "terminal.h"

#include <errno.h>
#include <termios.h>

#define UART         0x3f8u
#define UART_ISA_IRQ 4u
enum { RBR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, SCR = 7 };
#define IER_RX             1u
#define IER_TX             2u
#define IIR_NONE           1u
#define LSR_DATA           1u
#define LSR_THRE           0x20u
#define LSR_TEMT           0x40u
#define FIFO_SIZE          16
#define REASONS_MAX        4096
#define OUT_SIZE           65536u
#define KERNEL_FLUSH_LIMIT 1000000u

static struct terminal terminal;
static motor_handle irq;
static bool present;
static uint8_t interrupts; /* the IER as last written */
static uint64_t bytes_out, bytes_in;

static void port_write(uint16_t reg, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"((uint16_t)(UART + reg)));
}

static uint8_t port_read(uint16_t reg)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)(UART + reg)));
    return value;
}

static void interrupts_set(uint8_t mask)
{
    if (interrupts != mask)
        port_write(IER, interrupts = mask);
}

/* As much as the transmitter takes now. */
static void transmit(void)
{
    struct bytes *out = &terminal.out;
    bool more = !terminal.stopped && bytes_used(out);
    while (more && (port_read(LSR) & LSR_THRE)) {
        for (int i = 0; i < FIFO_SIZE && bytes_used(out); i++, bytes_out++)
            port_write(RBR, bytes_take(out));
        more = bytes_used(out);
    }
    interrupts_set((line_room(&terminal) ? IER_RX : 0) | (more ? IER_TX : 0));
}

static void receive(void)
{
    while (line_room(&terminal) && (port_read(LSR) & LSR_DATA)) {
        bytes_in++;
        line_input(&terminal, port_read(RBR));
    }
}

static void changed(struct terminal *t, uint32_t what)
{
    (void)t, (void)what; /* seen at the end of the turn */
}

/*
 * The interrupt is an edge: what comes up while the line is high for another reason makes no new
 * one. So all reasons are gone before we leave; a device that always has one is not believed for
 * ever.
 */
void console_interrupt(void)
{
    for (int i = 0; i < REASONS_MAX; i++) {
        receive();
        transmit();
        if (port_read(IIR) & IIR_NONE)
            break;
    }
    motor_irq_ack(irq);
}

void console_turn_end(void)
{
    if (!present) {
        terminal.out.tail = terminal.out.head; /* nobody can read it */
        return;
    }
    if (!(interrupts & IER_RX))
        receive();
    if (bytes_used(&terminal.out) || !(interrupts & IER_RX))
        transmit();
}

bool console_drained(void)
{
    if (!present || terminal.stopped)
        return true;
    transmit();
    for (unsigned i = 0; !bytes_used(&terminal.out) && i < KERNEL_FLUSH_LIMIT; i++)
        if (port_read(LSR) & LSR_TEMT)
            return true;
    return !bytes_used(&terminal.out);
}

struct terminal *console_terminal(void)
{
    return &terminal;
}

bool console_init(void)
{
    if (!terminal_init(&terminal, OUT_SIZE))
        return false;
    terminal.rdev = 5 << 8 | 1;
    terminal.changed = changed;
    terminal.window = (struct winsize){.ws_row = 24, .ws_col = 80};
    terminal.termios.iflag |= IUTF8;
    terminal.termios.cflag = B115200 | CS8 | CREAD | CLOCAL | HUPCL;
    port_write(SCR, 0x5a);
    if (port_read(SCR) != 0x5a) {
        log_error("tty", "no serial port");
        return true;
    }
    int64_t gate = engine_gate(&tty_engine, TTY_UART_IRQ + 1);
    int64_t h = motor_irq_create(MOTOR_BOOT_HARDWARE, MOTOR_IRQ_LINE_ISA, UART_ISA_IRQ, NULL);
    if (gate < 0 || h < 0 || motor_bind((motor_handle)h, (motor_handle)gate) < 0) {
        log_error("tty", "no interrupt for the serial port (%lld)", (long long)h);
        return true;
    }
    irq = (motor_handle)h;
    present = true;
    counter_register("tty", "console_out", &bytes_out);
    counter_register("tty", "console_in", &bytes_in);
    port_write(LCR, 3);    /* 8 bits, no parity, one stop bit; the speed is the firmware's */
    port_write(FCR, 0x07); /* FIFOs on and emptied, receive at one byte */
    port_write(MCR, 0x0b); /* DTR, RTS, and OUT2, which gates the interrupt */
    interrupts_set(IER_RX);
    return true;
}
