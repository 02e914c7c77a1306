/* SPDX-License-Identifier: MIT */
/*
 * Output of a terminal: processing (c_oflag) on the way into the ring, and the column that erasing
 * and tabs need. A byte becomes at most 8 (an expanded tab), so room is counted in eighths when
 * tabs are expanded, else in halves (newline becomes two).
 */
#include "terminal.h"

#include <termios.h>

static bool processed(const struct terminal *t)
{
    return t->termios.oflag & OPOST;
}

uint32_t output_room(const struct terminal *t)
{
    uint32_t free = bytes_free(&t->out);
    free = free > TERMINAL_ECHO ? free - TERMINAL_ECHO : 0;
    if (!processed(t))
        return free;
    return (t->termios.oflag & TABDLY) == TAB3 ? free / 8 : free / 2;
}

static void put(struct terminal *t, uint8_t byte)
{
    if (bytes_free(&t->out))
        bytes_put(&t->out, byte);
}

static void put_tab(struct terminal *t)
{
    uint32_t spaces = 8 - (t->column & 7);
    t->column += spaces;
    if ((t->termios.oflag & TABDLY) != TAB3)
        put(t, '\t');
    else
        while (spaces--)
            put(t, ' ');
}

static void put_newline(struct terminal *t)
{
    if (t->termios.oflag & ONLRET)
        t->column = 0;
    if (t->termios.oflag & ONLCR) {
        put(t, '\r');
        t->column = 0;
    }
    t->edit_column = t->column;
    put(t, '\n');
}

static void put_return(struct terminal *t)
{
    if ((t->termios.oflag & ONOCR) && t->column == 0)
        return;
    if (t->termios.oflag & OCRNL) {
        put(t, '\n');
        if (t->termios.oflag & ONLRET)
            t->edit_column = t->column = 0;
        return;
    }
    put(t, '\r');
    t->edit_column = t->column = 0;
}

/* A continuation byte of UTF-8 takes no column of its own. */
static bool continuation(const struct terminal *t, uint8_t byte)
{
    return (t->termios.iflag & IUTF8) && (byte & 0xc0) == 0x80;
}

/* In Latin 1, as Linux has it. */
static bool lower(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 0xdf && byte != 0xf7);
}

void output_put(struct terminal *t, uint8_t byte)
{
    if (!processed(t)) {
        put(t, byte);
        return;
    }
    switch (byte) {
    case '\n':
        put_newline(t);
        return;
    case '\r':
        put_return(t);
        return;
    case '\t':
        put_tab(t);
        return;
    case '\b':
        t->column -= t->column != 0;
        break;
    default:
        if (t->termios.oflag & OLCUC)
            byte = (uint8_t)(byte - (lower(byte) ? 32 : 0));
        t->column += byte >= 32 && byte != 127 && !continuation(t, byte);
    }
    put(t, byte);
}

void output_echo(struct terminal *t, uint8_t byte)
{
    if (bytes_free(&t->out) >= 8)
        output_put(t, byte);
}

void output_raw(struct terminal *t, uint8_t byte, int columns)
{
    if (bytes_free(&t->out) < 8)
        return;
    put(t, byte);
    t->column = columns < 0 && !t->column ? 0 : t->column + (uint32_t)columns;
}

void output_flush(struct terminal *t)
{
    t->out.tail = t->out.head;
    t->changed(t, TERMINAL_FLUSHED_OUT);
}

void output_stop(struct terminal *t, bool stop)
{
    if (t->stopped == stop)
        return;
    t->stopped = stop;
    t->changed(t, stop ? TERMINAL_STOPPED : TERMINAL_STARTED);
}
