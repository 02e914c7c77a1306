/* SPDX-License-Identifier: MIT */
/*
 * A manifest's lines: words between blanks; "..." makes one word of several, and a line whose first
 * word begins with # is a comment.
 */
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

void manifest_error(const struct manifest_line *line, const char *what)
{
    die("%s:%u: %s", line->file, line->number, what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The word at *from, in place; *from goes behind it. */
static char *take_word(const struct manifest_line *line, char **from)
{
    char *in = *from, *word = in, *out = in;
    bool quoted = false;
    for (; *in && (quoted || !is_blank(*in)); in++) {
        if (*in == '"')
            quoted = !quoted;
        else
            *out++ = *in;
    }
    if (quoted)
        manifest_error(line, "a quote is not closed");
    *from = *in ? in + 1 : in;
    *out = 0;
    return word;
}

void manifest_read(const char *file, char *text,
                   void (*each)(void *context, const struct manifest_line *line), void *context)
{
    char *words[WORDS_MAX + 1];
    struct manifest_line line = {.file = file, .words = words};
    for (char *next; text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = 0;
        line.number++;
        line.count = 0;
        while (text += strspn(text, " \t\r"), *text && (*text != '#' || line.count)) {
            if (line.count == WORDS_MAX)
                manifest_error(&line, "too many words");
            words[line.count++] = take_word(&line, &text);
        }
        words[line.count] = NULL;
        if (line.count)
            each(context, &line);
    }
}

uint64_t size_parse(const char *text)
{
    static const char units[] = "KMGT";
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (end == text || *text == '-' || (*end && (!unit || end[1])) || n > UINT64_MAX >> shift >> 1)
        return 0;
    return n << shift;
}
