/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <stdlib.h>
#include <string.h>
#include <termios.h>

#define READY_SIZE            4096u
#define LINE_COUNT_NEWLINE(b) ((b) == '\n')

bool line_init(struct line *l, void (*echo)(uint8_t byte))
{
    memset(l, 0, sizeof *l);
    l->ready = (struct bytes){.at = malloc(READY_SIZE), .size = READY_SIZE};
    l->echo = echo;
    l->termios = (struct line_termios){
        .iflag = ICRNL | IXON,
        .oflag = OPOST | ONLCR,
        .cflag = B115200 | CS8 | CREAD | CLOCAL,
        .lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    };
    l->termios.cc[VINTR] = 3;
    l->termios.cc[VQUIT] = 28;
    l->termios.cc[VERASE] = 127;
    l->termios.cc[VKILL] = 21;
    l->termios.cc[VEOF] = 4;
    l->termios.cc[VMIN] = 1;
    l->termios.cc[VSUSP] = 26;
    l->termios.cc[VWERASE] = 23;
    l->termios.cc[VLNEXT] = 22;
    return l->ready.at;
}

static bool canonical(const struct line *l)
{
    return l->termios.lflag & ICANON;
}

static void echo(struct line *l, uint8_t byte)
{
    if (!(l->termios.lflag & ECHO))
        return;
    if (byte < 32 && byte != '\n' && byte != '\t' && (l->termios.lflag & ECHOCTL)) {
        l->echo('^');
        l->echo((uint8_t)(byte + 64));
    } else {
        l->echo(byte);
    }
}

static void erase_one(struct line *l)
{
    if (!l->edited)
        return;
    uint8_t byte = l->edit[--l->edited];
    for (int columns = byte < 32 ? 2 : 1; columns && (l->termios.lflag & ECHO); columns--) {
        l->echo('\b');
        l->echo(' ');
        l->echo('\b');
    }
}

/*
 * The typed line becomes readable. What has no room is lost, as on any terminal whose reader never
 * reads.
 */
static void commit(struct line *l)
{
    if (l->edited <= bytes_free(&l->ready)) {
        for (uint32_t i = 0; i < l->edited; i++)
            bytes_put(&l->ready, l->edit[i]);
        l->ends++;
    }
    l->edited = 0;
}

static void input_canonical(struct line *l, uint8_t byte)
{
    const uint8_t *cc = l->termios.cc;
    if (byte == cc[VERASE] || byte == '\b') {
        erase_one(l);
    } else if (byte == cc[VKILL]) {
        while (l->edited)
            erase_one(l);
    } else if (byte == cc[VEOF]) {
        if (l->edited)
            commit(l);
        else
            l->eof = true;
    } else if (byte == '\n') {
        echo(l, byte);
        if (l->edited < sizeof l->edit)
            l->edit[l->edited++] = byte;
        commit(l);
    } else if (l->edited < sizeof l->edit - 1) {
        echo(l, byte);
        l->edit[l->edited++] = byte;
    }
}

void line_input(struct line *l, uint8_t byte)
{
    if (byte == '\r' && (l->termios.iflag & IGNCR))
        return;
    if (byte == '\r' && (l->termios.iflag & ICRNL))
        byte = '\n';
    else if (byte == '\n' && (l->termios.iflag & INLCR))
        byte = '\r';
    if (canonical(l)) {
        input_canonical(l, byte);
        return;
    }
    echo(l, byte);
    if (bytes_free(&l->ready))
        bytes_put(&l->ready, byte);
}

bool line_readable(const struct line *l)
{
    return l->eof || (canonical(l) ? l->ends != 0 : bytes_used(&l->ready) != 0);
}

int64_t line_read(struct line *l, uint64_t token, uint64_t size, bool *eof)
{
    if (!line_readable(l))
        return 0;
    if (!bytes_used(&l->ready)) {
        *eof = l->eof;
        l->eof = false;
        l->ends = 0;
        return 0;
    }
    if (!canonical(l))
        return bytes_to_caller(&l->ready, token, size);
    uint32_t length = 0;
    while (length < bytes_used(&l->ready) && length < size)
        if (LINE_COUNT_NEWLINE(l->ready.at[(l->ready.tail + length++) & (l->ready.size - 1)]))
            break;
    bool ended = l->ready.at[(l->ready.tail + length - 1) & (l->ready.size - 1)] == '\n' ||
                 length == bytes_used(&l->ready);
    int64_t n = bytes_to_caller(&l->ready, token, length);
    if (n == (int64_t)length && ended && l->ends)
        l->ends--;
    return n;
}
