/* SPDX-License-Identifier: MIT */
/*
 * The line discipline: what becomes of typed bytes (termios(3), Linux's N_TTY).
 *
 * In canonical mode a line is edited in `edit` and moves to `ready` when it ends; its last byte is
 * marked there. An end of file is a marked NUL, which nobody is given. In raw mode bytes go to
 * `ready` at once. `ready` always has room for `edit` and one byte more, so that a line that could
 * be typed can be ended.
 */
#include "terminal.h"

#include <signal.h>
#include <string.h>
#include <termios.h>

#define CONTROL(letter) ((letter) - '@')

static bool canonical(const struct terminal *t)
{
    return t->termios.lflag & ICANON;
}

static bool flag(const struct terminal *t, uint32_t lflag)
{
    return t->termios.lflag & lflag;
}

/* A control character of c_cc; NUL means that there is none. */
static bool is(const struct terminal *t, uint8_t byte, int index)
{
    return byte && byte == t->termios.cc[index];
}

/* ---- the buffer of what can be read ---- */

static bool marked(const struct terminal *t, uint32_t at)
{
    at &= TERMINAL_READY - 1;
    return t->marks[at / 8] >> at % 8 & 1;
}

static void mark(struct terminal *t, uint32_t at, bool on)
{
    at &= TERMINAL_READY - 1;
    t->marks[at / 8] = (uint8_t)((t->marks[at / 8] & ~(1u << at % 8)) | (uint32_t)on << at % 8);
}

static void ready_put(struct terminal *t, uint8_t byte, bool ends_line)
{
    mark(t, t->ready.head, ends_line);
    bytes_put(&t->ready, byte);
    t->lines += ends_line;
}

static void commit(struct terminal *t)
{
    for (uint32_t i = 0; i < t->edited; i++)
        ready_put(t, t->edit[i], i + 1 == t->edited);
    t->edited = 0;
}

bool line_readable(const struct terminal *t)
{
    return canonical(t) ? t->lines != 0 : bytes_used(&t->ready) != 0;
}

uint32_t line_first(const struct terminal *t, bool *eof)
{
    uint32_t used = bytes_used(&t->ready);
    *eof = false;
    for (uint32_t n = 0; n < used; n++) {
        uint32_t at = t->ready.tail + n;
        if (!marked(t, at))
            continue;
        *eof = t->ready.at[at & (TERMINAL_READY - 1)] == 0;
        return *eof ? n : n + 1;
    }
    return used;
}

uint32_t line_unread(const struct terminal *t)
{
    uint32_t used = bytes_used(&t->ready), n = 0;
    if (!canonical(t))
        return used;
    for (uint32_t i = 0, seen = 0; i < used && seen < t->lines; i++) {
        bool end = marked(t, t->ready.tail + i);
        seen += end;
        n += !(end && t->ready.at[(t->ready.tail + i) & (TERMINAL_READY - 1)] == 0);
    }
    return n;
}

void line_flush(struct terminal *t)
{
    t->edited = 0;
    t->literal = false;
    t->lines = 0;
    t->ready.tail = t->ready.head;
    t->changed(t, TERMINAL_FLUSHED_IN);
}

void line_mode_changed(struct terminal *t, const struct line_termios *old)
{
    bool was = old->lflag & ICANON;
    if (was == canonical(t))
        return;
    t->literal = false;
    if (was)
        commit(t);
    uint32_t used = bytes_used(&t->ready);
    for (uint32_t i = 0; i < used && !was; i++)
        mark(t, t->ready.tail + i, i + 1 == used);
    t->lines = 0;
    for (uint32_t i = 0; i < used; i++)
        t->lines += marked(t, t->ready.tail + i);
}

uint32_t line_room(const struct terminal *t)
{
    uint32_t free = bytes_free(&t->ready);
    if (canonical(t) && !t->lines)
        return TERMINAL_LINE; /* a line too long is cut, or its reader would wait for ever */
    return free > t->edited + 1 ? free - t->edited - 1 : 0;
}

/* ---- echo ---- */

static bool control_shown(const struct terminal *t, uint8_t byte)
{
    return flag(t, ECHOCTL) && (byte < 32 || byte == 127) && byte != '\t';
}

static void echo_shown(struct terminal *t, uint8_t byte)
{
    if (control_shown(t, byte)) {
        output_raw(t, '^', 1);
        output_raw(t, byte ^ 64, 1);
    } else {
        output_echo(t, byte);
    }
}

static void echo(struct terminal *t, uint8_t byte)
{
    if (!flag(t, ECHO) && !(byte == '\n' && flag(t, ECHONL) && canonical(t)))
        return;
    if (byte == '\n')
        output_echo(t, byte);
    else
        echo_shown(t, byte);
}

static void bell(struct terminal *t)
{
    if (t->termios.iflag & IMAXBEL)
        output_echo(t, '\a');
}

/* ---- editing ---- */

static bool utf8_tail(const struct terminal *t, uint8_t byte)
{
    return (t->termios.iflag & IUTF8) && (byte & 0xc0) == 0x80;
}

/* Columns that the first n bytes of the line take, tabs by where they stand. */
static uint32_t columns(const struct terminal *t, uint32_t n)
{
    uint32_t column = t->edit_column;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t byte = t->edit[i];
        if (byte == '\t')
            column += 8 - (column & 7);
        else if (byte < 32 || byte == 127)
            column += control_shown(t, byte) ? 2 : 0;
        else
            column += !utf8_tail(t, byte);
    }
    return column - t->edit_column;
}

/* Takes the last character off the line; false: there is none that is whole. */
static bool take_last(struct terminal *t)
{
    uint32_t n = t->edited;
    while (n && utf8_tail(t, t->edit[n - 1]))
        n--;
    if (!n)
        return false;
    t->edited = n - 1;
    return true;
}

/* Takes a character off the line and off the screen. */
static bool wipe_one(struct terminal *t)
{
    uint32_t before = columns(t, t->edited);
    if (!take_last(t))
        return false;
    if (!flag(t, ECHO))
        return true;
    bool tab = t->edit[t->edited] == '\t';
    for (uint32_t n = before - columns(t, t->edited); n; n--) {
        if (tab) {
            output_raw(t, '\b', -1);
            continue;
        }
        output_echo(t, '\b');
        output_echo(t, ' ');
        output_echo(t, '\b');
    }
    return true;
}

static void erase_one(struct terminal *t)
{
    if (flag(t, ECHOE))
        wipe_one(t);
    else if (take_last(t) && flag(t, ECHO))
        echo_shown(t, t->termios.cc[VERASE]);
}

static bool word_byte(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || byte == '_' || byte >= 0xc0;
}

/* The first byte of the last character. */
static uint8_t last_character(const struct terminal *t)
{
    uint32_t n = t->edited - 1;
    while (n && utf8_tail(t, t->edit[n]))
        n--;
    return t->edit[n];
}

static void erase_word(struct terminal *t)
{
    bool seen = false;
    while (t->edited) {
        bool word = word_byte(last_character(t));
        if ((seen && !word) || !wipe_one(t))
            return;
        seen |= word;
    }
}

static void erase_line(struct terminal *t)
{
    if (!t->edited)
        return;
    if (flag(t, ECHO) && flag(t, ECHOK) && flag(t, ECHOKE) && flag(t, ECHOE)) {
        while (wipe_one(t))
            ;
        return;
    }
    t->edited = 0;
    if (!flag(t, ECHO))
        return;
    echo_shown(t, t->termios.cc[VKILL]);
    if (flag(t, ECHOK))
        output_echo(t, '\n');
}

static void reprint(struct terminal *t)
{
    echo_shown(t, t->termios.cc[VREPRINT]);
    output_echo(t, '\n');
    for (uint32_t i = 0; i < t->edited; i++)
        echo_shown(t, t->edit[i]);
}

/* ---- input ---- */

static void append(struct terminal *t, uint8_t byte)
{
    uint32_t room = bytes_free(&t->ready);
    if (t->edited + 1 >= TERMINAL_LINE || t->edited + 1 >= room) {
        bell(t);
        return;
    }
    if (flag(t, ECHO)) {
        if (!t->edited)
            t->edit_column = t->column;
        echo_shown(t, byte);
    }
    t->edit[t->edited++] = byte;
}

static void end_line(struct terminal *t, uint8_t byte)
{
    if (t->edited >= bytes_free(&t->ready)) {
        bell(t);
        return;
    }
    t->edit[t->edited++] = byte;
    echo(t, byte);
    commit(t);
}

/* What only canonical mode knows; false: an ordinary byte. */
static bool edit(struct terminal *t, uint8_t byte)
{
    bool extended = flag(t, IEXTEN);
    if (is(t, byte, VERASE)) {
        erase_one(t);
    } else if (is(t, byte, VKILL)) {
        erase_line(t);
    } else if (is(t, byte, VWERASE) && extended) {
        erase_word(t);
    } else if (is(t, byte, VREPRINT) && extended && flag(t, ECHO)) {
        reprint(t);
    } else if (byte == '\n' || is(t, byte, VEOL) || (is(t, byte, VEOL2) && extended)) {
        end_line(t, byte);
    } else if (is(t, byte, VEOF)) {
        if (!t->edited && bytes_free(&t->ready))
            ready_put(t, 0, true);
        commit(t);
    } else {
        return false;
    }
    return true;
}

static bool signal_typed(struct terminal *t, uint8_t byte)
{
    int signal = is(t, byte, VINTR)   ? SIGINT
                 : is(t, byte, VQUIT) ? SIGQUIT
                 : is(t, byte, VSUSP) ? SIGTSTP
                                      : 0;
    if (!signal || !flag(t, ISIG))
        return false;
    if (t->termios.iflag & IXON)
        output_stop(t, false);
    if (!flag(t, NOFLSH)) {
        line_flush(t);
        if (signal != SIGTSTP)
            output_flush(t);
    }
    echo(t, byte);
    job_signal(t, signal);
    return true;
}

/* VSTOP and VSTART; with IXANY any byte starts again, and is itself input. */
static bool flow_typed(struct terminal *t, uint8_t byte)
{
    if (!(t->termios.iflag & IXON))
        return false;
    if (is(t, byte, VSTART)) {
        output_stop(t, false);
        return true;
    }
    if (is(t, byte, VSTOP)) {
        output_stop(t, true);
        return true;
    }
    if (t->stopped && (t->termios.iflag & IXANY))
        output_stop(t, false);
    return false;
}

static uint8_t stripped(const struct terminal *t, uint8_t byte)
{
    if (t->termios.iflag & ISTRIP)
        byte &= 0x7f;
    bool upper = (byte >= 'A' && byte <= 'Z') || (byte >= 0xc0 && byte < 0xdf && byte != 0xd7);
    if ((t->termios.iflag & IUCLC) && flag(t, IEXTEN) && upper)
        byte = (uint8_t)(byte + 32);
    return byte;
}

static bool mapped_away(const struct terminal *t, uint8_t *byte)
{
    uint32_t iflag = t->termios.iflag;
    if (*byte == '\r') {
        if (iflag & IGNCR)
            return true;
        if (iflag & ICRNL)
            *byte = '\n';
    } else if (*byte == '\n' && (iflag & INLCR)) {
        *byte = '\r';
    }
    return false;
}

void line_input(struct terminal *t, uint8_t byte)
{
    t->last_input = tty_engine.now;
    byte = stripped(t, byte);
    if (t->literal) {
        t->literal = false;
        append(t, byte);
        return;
    }
    uint8_t typed = byte;
    if (flow_typed(t, byte) || signal_typed(t, byte) || mapped_away(t, &byte))
        return;
    if (!canonical(t)) {
        if (flag(t, ECHO) && byte == '\n' && typed != byte)
            output_echo(t, byte);
        else if (flag(t, ECHO))
            echo_shown(t, byte);
        if (bytes_free(&t->ready))
            ready_put(t, byte, false);
        else
            bell(t);
        return;
    }
    if (is(t, byte, VLNEXT) && flag(t, IEXTEN)) {
        t->literal = true;
        if (flag(t, ECHO) && flag(t, ECHOCTL))
            output_echo(t, '^'), output_echo(t, '\b');
        return;
    }
    if (!edit(t, byte))
        append(t, byte);
}
