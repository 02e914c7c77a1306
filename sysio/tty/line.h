/* SPDX-License-Identifier: MIT */
/*
 * The line discipline of a terminal's input: editing and echo in canonical mode, bytes as they come
 * in raw mode.
 */
#ifndef SYSIO_LINE_H
#define SYSIO_LINE_H

#include "tty.h"

struct line_termios { /* Linux's struct termios of ioctls */
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line, cc[19];
};
_Static_assert(sizeof(struct line_termios) == 36, "Linux");

struct line {
    struct line_termios termios;
    uint8_t edit[1024]; /* the line being typed */
    uint32_t edited;
    struct bytes ready;         /* what may be read */
    uint32_t ends;              /* canonical lines and EOFs in it: see line_read */
    bool eof;                   /* the next read says end of file */
    void (*echo)(uint8_t byte); /* goes through output processing */
};

bool line_init(struct line *l, void (*echo)(uint8_t byte));
void line_input(struct line *l, uint8_t byte);
/* As read(2) does: in canonical mode at most one line. */
int64_t line_read(struct line *l, uint64_t token, uint64_t size, bool *eof);
bool line_readable(const struct line *l);

#endif
