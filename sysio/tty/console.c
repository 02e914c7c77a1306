/* SPDX-License-Identifier: MIT */
/*
 * The serial console: a 16550 at 0x3f8. Output goes to a ring and from there to the transmitter as
 * its FIFO empties; with no room in the ring, callers wait. Input goes through the line discipline.
 */
#include "line.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#define UART         0x3f8u
#define UART_ISA_IRQ 4u
enum { RBR = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5, SCR = 7 };
#define IER_RX             1u
#define IER_TX             2u
#define LSR_DATA           1u
#define LSR_THRE           0x20u
#define LSR_TEMT           0x40u
#define FIFO_SIZE          16
#define OUT_SIZE           65536u
#define ECHO_RESERVE       64u /* of the ring, kept for echo */
#define KERNEL_FLUSH_LIMIT 1000000u

static struct bytes out;
static struct line line;
static struct winsize window = {.ws_row = 25, .ws_col = 80};
static motor_handle irq;
static bool present;
static uint8_t interrupts; /* the IER as last written */
static uint64_t bytes_out, bytes_in;
static struct { /* before the last read or write: see undo */
    uint32_t out_head, in_tail, in_ends;
    bool in_eof;
} before;

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
    while (bytes_used(&out) && (port_read(LSR) & LSR_THRE))
        for (int i = 0; i < FIFO_SIZE && bytes_used(&out); i++)
            port_write(RBR, bytes_take(&out));
    interrupts_set(bytes_used(&out) ? IER_RX | IER_TX : IER_RX);
}

static void put(uint8_t byte)
{
    const struct line_termios *t = &line.termios;
    if (byte == '\n' && (t->oflag & OPOST) && (t->oflag & ONLCR))
        bytes_put(&out, '\r');
    bytes_put(&out, byte);
    bytes_out++;
}

static void echo(uint8_t byte)
{
    if (bytes_free(&out) >= 2)
        put(byte);
}

void console_interrupt(void)
{
    while (port_read(LSR) & LSR_DATA) {
        bytes_in++;
        line_input(&line, port_read(RBR));
    }
    transmit();
    motor_irq_ack(irq);
}

void console_turn_end(void)
{
    if (present && bytes_used(&out))
        transmit();
}

bool console_drained(void)
{
    if (!present)
        return true;
    transmit();
    for (unsigned i = 0; !bytes_used(&out) && i < KERNEL_FLUSH_LIMIT; i++)
        if (port_read(LSR) & LSR_TEMT)
            return true;
    return !bytes_used(&out);
}

int64_t console_read(uint64_t token, uint64_t size, bool *eof)
{
    if (!present) {
        *eof = true;
        return 0;
    }
    before.in_tail = line.ready.tail;
    before.in_ends = line.ends;
    before.in_eof = line.eof;
    return line_read(&line, token, size, eof);
}

void console_undo(struct tty_object *o, bool write)
{
    (void)o;
    if (write) {
        out.head = before.out_head;
        return;
    }
    line.ready.tail = before.in_tail;
    line.ends = before.in_ends;
    line.eof = before.in_eof;
}

int64_t console_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    uint8_t piece[1024];
    uint64_t done = 0;
    (void)o;
    before.out_head = out.head;
    while (done < size) {
        uint32_t room = present ? bytes_free(&out) : OUT_SIZE; /* each byte may take two */
        uint64_t n = size - done < sizeof piece ? size - done : sizeof piece;
        if (room < ECHO_RESERVE + 2)
            break;
        if (n > (room - ECHO_RESERVE) / 2)
            n = (room - ECHO_RESERVE) / 2;
        int64_t got = token_read(token, done, piece, n);
        if (got <= 0)
            return done ? (int64_t)done : got ? got : -EFAULT;
        for (int64_t i = 0; present && i < got; i++)
            put(piece[i]);
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

static int64_t give(struct motor_event *ev, const void *data, size_t size)
{
    int64_t n = event_write(ev, 0, data, size);
    return n < 0 ? n : n < (int64_t)size ? -EFAULT : 0;
}

static int64_t take(struct motor_event *ev, void *data, size_t size)
{
    int64_t n = event_read(ev, 0, data, size);
    return n < 0 ? n : n < (int64_t)size ? -EFAULT : 0;
}

int64_t console_control(struct motor_event *ev)
{
    int count;
    switch (ev->word[0]) {
    case TCGETS:
        return give(ev, &line.termios, sizeof line.termios);
    case TCSETSF:
        line.edited = line.ends = 0;
        line.ready.tail = line.ready.head;
        /* fall through */
    case TCSETS:
    case TCSETSW:
        return take(ev, &line.termios, sizeof line.termios);
    case TIOCGWINSZ:
        return give(ev, &window, sizeof window);
    case TIOCSWINSZ:
        return take(ev, &window, sizeof window);
    case FIONREAD:
        count = (int)bytes_used(&line.ready);
        return give(ev, &count, sizeof count);
    default:
        return -ENOTTY;
    }
}

uint32_t console_ready(struct tty_object *o)
{
    (void)o;
    return (line_readable(&line) ? POLLIN | POLLRDNORM : 0) |
           (!present || bytes_free(&out) >= OUT_SIZE / 4 ? POLLOUT | POLLWRNORM : 0);
}

bool console_init(void)
{
    out = (struct bytes){.at = malloc(OUT_SIZE), .size = OUT_SIZE};
    if (!out.at || !line_init(&line, echo))
        return false;
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
