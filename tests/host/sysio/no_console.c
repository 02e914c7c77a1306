/* SPDX-License-Identifier: MIT */
/* A console without a serial port, for tests of the rest of the tty engine. */
#include "../../../sysio/fs/watches.h"
#include "../../../sysio/tty/terminal.h"

static struct terminal terminal;

static void changed(struct terminal *t, uint32_t what)
{
    (void)t, (void)what;
}

bool console_init(void)
{
    terminal.changed = changed;
    return terminal_init(&terminal, 65536);
}

void console_interrupt(void) {}

void console_turn_end(void)
{
    terminal.out.tail = terminal.out.head;
}

bool console_drained(void)
{
    return true;
}

struct terminal *console_terminal(void)
{
    return &terminal;
}

void watches_queue_closed(void) {} /* nor files that could be watched */
