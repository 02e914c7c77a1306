/* SPDX-License-Identifier: MIT */
/* A terminal's life, and what programs read and write. See terminal.h. */
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

#define TENTH 100000000ull /* ns: VTIME counts tenths of a second */

bool terminal_init(struct terminal *t, uint32_t out_size)
{
    static const uint8_t characters[] = {
        [VINTR] = 3,     [VQUIT] = 28,   [VERASE] = 127, [VKILL] = 21, [VEOF] = 4,
        [VMIN] = 1,      [VSTART] = 17,  [VSTOP] = 19,   [VSUSP] = 26, [VREPRINT] = 18,
        [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
    };
    memset(t, 0, sizeof *t);
    t->ready = (struct bytes){.at = malloc(TERMINAL_READY), .size = TERMINAL_READY};
    t->out = (struct bytes){.at = malloc(out_size), .size = out_size};
    t->termios = (struct line_termios){
        .iflag = ICRNL | IXON,
        .oflag = OPOST | ONLCR,
        .cflag = B38400 | CS8 | CREAD,
        .lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    };
    memcpy(t->termios.cc, characters, sizeof characters);
    if (t->ready.at && t->out.at)
        return true;
    terminal_free(t);
    return false;
}

void terminal_free(struct terminal *t)
{
    free(t->ready.at);
    free(t->out.at);
}

/* ---- reading ---- */

/* Raw mode: a read of `size` goes on waiting, until *again; see termios(3), VMIN and VTIME. */
static bool must_wait(const struct terminal *t, uint64_t size, uint64_t since, uint64_t *again)
{
    uint32_t used = bytes_used(&t->ready), least = t->termios.cc[VMIN];
    uint64_t time = t->termios.cc[VTIME] * TENTH;
    if (least > size)
        least = (uint32_t)size;
    if ((used && used >= least) || (!least && !time))
        return false;
    if (!time || (least && !used))
        return true;
    *again = (least && t->last_input > since ? t->last_input : since) + time;
    return tty_engine.now < *again;
}

static int64_t read_raw(struct terminal *t, uint64_t token, uint64_t size, uint64_t since,
                        bool *eof, uint64_t *again)
{
    if (must_wait(t, size, since, again))
        return 0;
    *again = 0;
    *eof = !bytes_used(&t->ready);
    return bytes_to_caller(&t->ready, token, size);
}

static int64_t read_line(struct terminal *t, uint64_t token, uint64_t size, bool *eof)
{
    if (!t->lines)
        return 0;
    bool end_of_file;
    uint32_t length = line_first(t, &end_of_file);
    int64_t n = size < length ? (int64_t)size : (int64_t)length;
    if (n && (n = bytes_to_caller(&t->ready, token, (uint64_t)n)) <= 0)
        return n;
    if (n == (int64_t)length) {
        t->lines--;
        t->ready.tail += end_of_file;
        *eof = n == 0;
    }
    return n;
}

int64_t terminal_read(struct terminal *t, uint64_t token, uint64_t size, uint64_t since, bool *eof,
                      uint64_t *again)
{
    *again = 0;
    t->before.in_tail = t->ready.tail;
    t->before.in_lines = t->lines;
    if (!size || (t->hung_up && !line_readable(t))) {
        *eof = true;
        return 0;
    }
    if (t->termios.lflag & ICANON)
        return read_line(t, token, size, eof);
    return read_raw(t, token, size, since, eof, again);
}

/* ---- writing ---- */

int64_t terminal_write(struct terminal *t, uint64_t token, uint64_t size)
{
    uint8_t piece[1024];
    uint64_t done = 0;
    t->before.out_head = t->out.head;
    t->before.column = t->column;
    if (t->hung_up)
        return -EIO;
    while (done < size) {
        uint64_t n = size - done < sizeof piece ? size - done : sizeof piece;
        if (n > output_room(t))
            n = output_room(t);
        if (!n)
            break;
        int64_t got = token_read(token, done, piece, n);
        if (got <= 0)
            return done ? (int64_t)done : got ? got : -EFAULT;
        for (int64_t i = 0; i < got; i++)
            output_put(t, piece[i]);
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

void terminal_undo(struct terminal *t, bool write)
{
    if (write) {
        t->out.head = t->before.out_head;
        t->column = t->before.column;
    } else {
        t->ready.tail = t->before.in_tail;
        t->lines = t->before.in_lines;
    }
}

uint32_t terminal_ready(const struct terminal *t)
{
    uint32_t events = 0;
    uint32_t least = t->termios.cc[VTIME] || !t->termios.cc[VMIN] ? 1 : t->termios.cc[VMIN];
    if (t->hung_up)
        return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLHUP;
    if (t->termios.lflag & ICANON ? t->lines != 0 : bytes_used(&t->ready) >= least)
        events |= POLLIN | POLLRDNORM;
    if (!t->stopped && bytes_free(&t->out) >= t->out.size / 4)
        events |= POLLOUT | POLLWRNORM;
    return events;
}

/* ---- the object of a terminal ---- */

static int64_t object_read(struct tty_object *o, uint64_t token, uint64_t size, uint64_t since,
                           bool *eof, uint64_t *again)
{
    return terminal_read(o->terminal, token, size, since, eof, again);
}

static int64_t object_write(struct tty_object *o, uint64_t token, uint64_t size)
{
    return terminal_write(o->terminal, token, size);
}

static void object_undo(struct tty_object *o, bool write)
{
    terminal_undo(o->terminal, write);
}

static int64_t object_control(struct tty_object *o, struct motor_event *ev, bool waited)
{
    return terminal_control(o->terminal, ev, waited);
}

static uint32_t object_ready(struct tty_object *o)
{
    return terminal_ready(o->terminal);
}

const struct tty_ops terminal_ops = {
    .read = object_read,
    .write = object_write,
    .undo = object_undo,
    .control = object_control,
    .ready = object_ready,
};
