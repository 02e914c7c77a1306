/* SPDX-License-Identifier: MIT */
/* ioctl on a terminal: ioctl_tty(2). A structure goes in or out by the request's own size. */
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <termios.h>

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

static int64_t give_int(struct motor_event *ev, uint32_t value)
{
    return give(ev, &value, sizeof value);
}

struct line_termio { /* System V's, which has the lower halves of the flags and eight characters */
    uint16_t iflag, oflag, cflag, lflag;
    uint8_t line, cc[8];
};
_Static_assert(sizeof(struct line_termio) == 18, "Linux");

static int64_t give_termio(const struct terminal *t, struct motor_event *ev)
{
    const struct line_termios *now = &t->termios;
    struct line_termio old = {.iflag = (uint16_t)now->iflag,
                              .oflag = (uint16_t)now->oflag,
                              .cflag = (uint16_t)now->cflag,
                              .lflag = (uint16_t)now->lflag,
                              .line = now->line};
    memcpy(old.cc, now->cc, sizeof old.cc);
    return give(ev, &old, sizeof old);
}

/* What it does not have stays. */
static int64_t take_termio(struct motor_event *ev, struct line_termios *to)
{
    struct line_termio from;
    int64_t error = take(ev, &from, sizeof from);
    if (error < 0)
        return error;
    to->iflag = (to->iflag & 0xffff0000u) | from.iflag;
    to->oflag = (to->oflag & 0xffff0000u) | from.oflag;
    to->cflag = (to->cflag & 0xffff0000u) | from.cflag;
    to->lflag = (to->lflag & 0xffff0000u) | from.lflag;
    to->line = from.line;
    memcpy(to->cc, from.cc, sizeof from.cc);
    return 0;
}

static bool is_termio(uint64_t request)
{
    return request == TCSETA || request == TCSETAW || request == TCSETAF;
}

static int64_t set_termios(struct terminal *t, struct motor_event *ev)
{
    struct line_termios new = t->termios, old = t->termios;
    int64_t error = is_termio(ev->word[0]) ? take_termio(ev, &new) : take(ev, &new, sizeof new);
    if (error < 0)
        return error;
    t->termios = new;
    line_mode_changed(t, &old);
    if (!(new.iflag &IXON))
        output_stop(t, false);
    return 0;
}

static int64_t set_window(struct terminal *t, struct motor_event *ev)
{
    struct winsize new;
    int64_t error = take(ev, &new, sizeof new);
    if (error < 0 || !memcmp(&new, &t->window, sizeof new))
        return error;
    t->window = new;
    job_signal(t, SIGWINCH);
    return 0;
}

static int64_t flush(struct terminal *t, uint64_t queue)
{
    if (queue > TCIOFLUSH)
        return -EINVAL;
    if (queue != TCOFLUSH)
        line_flush(t);
    if (queue != TCIFLUSH)
        output_flush(t);
    return 0;
}

static int64_t flow(struct terminal *t, uint64_t action)
{
    switch (action) {
    case TCOOFF:
    case TCOON:
        output_stop(t, action == TCOOFF);
        return 0;
    case TCIOFF:
    case TCION:
        output_echo(t, t->termios.cc[action == TCIOFF ? VSTOP : VSTART]);
        return 0;
    default:
        return -EINVAL;
    }
}

/* Requests that change the terminal, so that a background process asks first (SIGTTOU). */
static bool changes(uint64_t request)
{
    switch (request) {
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
    case TCSETA:
    case TCSETAW:
    case TCSETAF:
    case TCSBRK:
    case TCSBRKP:
    case TCXONC:
    case TCFLSH:
    case TIOCSPGRP:
        return true;
    default:
        return false;
    }
}

int64_t terminal_control(struct terminal *t, struct motor_event *ev, bool waited)
{
    uint64_t request = ev->word[0];
    uint32_t discipline;
    if (t->hung_up)
        return -EIO;
    if (changes(request) && !ev->word[2] && job_background(t, ev))
        return -IO_EBACKGROUND;
    switch (request) {
    case TCGETS:
        return give(ev, &t->termios, sizeof t->termios);
    case TCGETA:
        return give_termio(t, ev);
    case TCSETSF:
    case TCSETSW:
    case TCSETAF:
    case TCSETAW:
        if (!waited && !terminal_drained(t))
            return CONTROL_DRAIN;
        if (request == TCSETSF || request == TCSETAF)
            line_flush(t);
        return set_termios(t, ev);
    case TCSETS:
    case TCSETA:
        return set_termios(t, ev);
    case TCSBRK: /* argument not 0: tcdrain(); a break itself nobody could see */
    case TCSBRKP:
        return waited || terminal_drained(t) ? 0 : CONTROL_DRAIN;
    case TIOCSBRK:
    case TIOCCBRK:
        return 0;
    case TCXONC:
        return flow(t, ev->word[1]);
    case TCFLSH:
        return flush(t, ev->word[1]);
    case TIOCGWINSZ:
        return give(ev, &t->window, sizeof t->window);
    case TIOCSWINSZ:
        return set_window(t, ev);
    case FIONREAD:
        return give_int(ev, line_unread(t));
    case TIOCOUTQ:
        return give_int(ev, bytes_used(&t->out));
    case TIOCGETD:
        return give_int(ev, 0);
    case TIOCSETD:
        return take(ev, &discipline, sizeof discipline) < 0 ? -EFAULT : discipline ? -EINVAL : 0;
    default:
        return job_control(t, ev);
    }
}
