/* SPDX-License-Identifier: MIT */
/*
 * A terminal, as termios(3) describes it: what is typed goes through the line discipline into a
 * buffer that programs read, what they write goes through output processing into a ring that the
 * driver (the serial port, or the master of a pty) drains.
 *
 *   terminal.c  reads, writes, undo, readiness
 *   line.c      input: editing, echo, signals, flow control
 *   output.c    output processing and the column
 *   control.c   ioctl
 *   job.c       controlling terminals, foreground and background
 */
#ifndef SYSIO_TERMINAL_H
#define SYSIO_TERMINAL_H

#include "tty.h"

#include <sys/ioctl.h>

#define TERMINAL_LINE  4096u /* longest line being typed, as on Linux */
#define TERMINAL_READY 8192u /* bytes typed and not yet read */
#define TERMINAL_ECHO  256u  /* of the output ring, kept for echo */

struct line_termios { /* Linux's struct termios of ioctls */
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line, cc[19];
};
_Static_assert(sizeof(struct line_termios) == 36, "Linux");

struct terminal {
    struct line_termios termios;
    struct winsize window;

    /* input */
    uint8_t edit[TERMINAL_LINE]; /* the line being typed */
    uint32_t edited, edit_column;
    bool literal; /* VLNEXT was typed: the next byte has no meaning */
    struct bytes ready;
    uint8_t
        marks[TERMINAL_READY / 8]; /* bit: this byte of `ready` ends a line; a NUL: end of file */
    uint32_t lines;                /* marks in it */
    uint64_t last_input;           /* monotonic ns, for VTIME */

    /* output */
    struct bytes out;
    uint32_t column;
    bool stopped; /* by VSTOP or TCOOFF: nothing leaves the ring */
    bool hung_up; /* the other side has gone: reads end, writes fail */
    bool pty;     /* the other side is a program: what is in `out` has arrived there */

    /* jobs: see job.c */
    uint64_t rdev;                /* st_rdev of its device */
    uint32_t session, foreground; /* 0: none */
    struct leader *leader;        /* watches the session's leader */
    struct terminal *next;        /* list of those with a session */

    /* Something is in `out`, or `stopped` or `ready` changed. */
    void (*changed)(struct terminal *t, uint32_t what);
    struct {
        uint32_t out_head, column, in_tail, in_lines;
    } before; /* the last read or write */
};
#define TERMINAL_FLUSHED_IN  1u /* as TIOCPKT_* */
#define TERMINAL_FLUSHED_OUT 2u
#define TERMINAL_STOPPED     4u
#define TERMINAL_STARTED     8u

/* All output has been transmitted: tcdrain(3). */
static inline bool terminal_drained(const struct terminal *t)
{
    return t->pty || t->hung_up || !bytes_used(&t->out);
}

bool terminal_init(struct terminal *t, uint32_t out_size); /* false: no memory */
void terminal_free(struct terminal *t);

/* ---- terminal.c ---- */

/*
 * A read(2) of `size` that began at `since`; as tty_object.read. *again: with 0 bytes and no eof,
 * when to try again whatever happens (VTIME), or 0.
 */
int64_t terminal_read(struct terminal *t, uint64_t token, uint64_t size, uint64_t since, bool *eof,
                      uint64_t *again);
int64_t terminal_write(struct terminal *t, uint64_t token, uint64_t size);
void terminal_undo(struct terminal *t, bool write);
uint32_t terminal_ready(const struct terminal *t); /* POLL* */

/* ---- line.c ---- */

void line_input(struct terminal *t, uint8_t byte);
/* Bytes that line_input() takes now without losing one; the driver holds back the others. */
uint32_t line_room(const struct terminal *t);
bool line_readable(const struct terminal *t);
/* In canonical mode: bytes up to the end of the first line; *eof: an end of file follows them. */
uint32_t line_first(const struct terminal *t, bool *eof);
uint32_t line_unread(const struct terminal *t); /* FIONREAD */
void line_flush(struct terminal *t);
/* The mode has changed from that of `old`: what was typed in one mode is readable in the other. */
void line_mode_changed(struct terminal *t, const struct line_termios *old);

/* ---- output.c ---- */

/* Room in the ring for `n` more bytes and what they may become? For echo: all of the ring. */
uint32_t output_room(const struct terminal *t);
void output_put(struct terminal *t, uint8_t byte);
void output_echo(struct terminal *t, uint8_t byte); /* dropped when the ring is full */
/* Echo that is not processed, and moves the cursor by `columns`. */
void output_raw(struct terminal *t, uint8_t byte, int columns);
void output_flush(struct terminal *t);
void output_stop(struct terminal *t, bool stop);

/* ---- control.c ---- */

#define CONTROL_DRAIN \
    (-4096) /* put it aside until `out` is empty, then terminal_control() again \
             */
int64_t terminal_control(struct terminal *t, struct motor_event *ev, bool waited);

/* ---- job.c ---- */

/* The caller may not read (or, with TOSTOP, write, or change the terminal) now. */
bool job_background(const struct terminal *t, const struct motor_event *ev);
void job_signal(const struct terminal *t, int signal); /* to the foreground group */
int64_t job_control(struct terminal *t, struct motor_event *ev);
void job_hang_up(struct terminal *t);
/* The controlling terminal of a session, or NULL. */
struct terminal *job_terminal_of(uint32_t session);
/*
 * Process `pid` of `session` has opened the terminal without O_NOCTTY: a session leader without a
 * controlling terminal takes it, if it is nobody's.
 */
void job_opened(struct terminal *t, uint32_t pid, uint32_t session);
/* A session's leader has ended; the badge is of the gate that says so. */
void job_leader_ended(uint64_t badge);

#endif
