/* SPDX-License-Identifier: MIT */
/*
 * termcap(3) for libedit, without a data base. Terminals that people have today all understand the
 * control sequences of ECMA-48 as the VT100 did, and what an editor of lines needs of them is the
 * same in all; so there is one entry, for names that begin with one of `families`. Any other
 * terminal, and "dumb", has none, and programs do without.
 */
#include "termcap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const families[] = {"xterm", "vt1",   "vt2",       "vt3",    "vt4",  "vt5",
                                       "linux", "ansi",  "rxvt",      "screen", "tmux", "konsole",
                                       "gnome", "putty", "alacritty", "kitty",  "foot", "st-"};

static const struct {
    char name[3];
    const char *string;
} strings[] = {
    {"AL", "\033[%dL"},   {"DC", "\033[%dP"},     {"DL", "\033[%dM"},
    {"DO", "\033[%dB"},   {"IC", "\033[%d@"},     {"LE", "\033[%dD"},
    {"RI", "\033[%dC"},   {"UP", "\033[%dA"},     {"al", "\033[L"},
    {"bl", "\007"},       {"cd", "\033[J"},       {"ce", "\033[K"},
    {"ch", "\033[%i%dG"}, {"cl", "\033[H\033[J"}, {"cm", "\033[%i%d;%dH"},
    {"cr", "\r"},         {"dc", "\033[P"},       {"dl", "\033[M"},
    {"do", "\n"},         {"ei", "\033[4l"},      {"ho", "\033[H"},
    {"im", "\033[4h"},    {"kD", "\033[3~"},      {"kI", "\033[2~"},
    {"kb", "\177"},       {"kd", "\033[B"},       {"kh", "\033[H"},
    {"kl", "\033[D"},     {"kr", "\033[C"},       {"ku", "\033[A"},
    {"@7", "\033[F"},     {"le", "\b"},           {"mb", "\033[5m"},
    {"md", "\033[1m"},    {"me", "\033[m"},       {"mr", "\033[7m"},
    {"nd", "\033[C"},     {"se", "\033[27m"},     {"so", "\033[7m"},
    {"ta", "\t"},         {"ue", "\033[24m"},     {"up", "\033[A"},
    {"us", "\033[4m"},
};

static int known; /* tgetent() has found the entry */

int tgetent(char *buffer, const char *name)
{
    (void)buffer;
    known = 0;
    for (size_t i = 0; name && i < sizeof families / sizeof *families; i++)
        known |= !strncmp(name, families[i], strlen(families[i]));
    return known;
}

int tgetnum(const char *capability)
{
    if (known && !strcmp(capability, "co"))
        return 80;
    return known && !strcmp(capability, "li") ? 24 : -1;
}

/* am: the cursor wraps at the margin; xn: but only when the next character comes */
int tgetflag(const char *capability)
{
    return known && (!strcmp(capability, "am") || !strcmp(capability, "xn"));
}

char *tgetstr(const char *capability, char **area)
{
    (void)area;
    for (size_t i = 0; known && i < sizeof strings / sizeof *strings; i++)
        if (!strcmp(capability, strings[i].name))
            return (char *)strings[i].string;
    return NULL;
}

char *tgoto(const char *string, int column, int row)
{
    static char result[64];
    int value[] = {row, column}, next = 0;
    size_t used = 0;
    for (const char *c = string; *c && used < sizeof result - 12; c++) {
        if (*c != '%') {
            result[used++] = *c;
        } else if (*++c == 'i') {
            value[0]++, value[1]++;
        } else if (*c == 'd' && next < 2) {
            used += (size_t)snprintf(result + used, 12, "%d", value[next++]);
        } else {
            result[used++] = *c;
        }
    }
    result[used] = 0;
    return result;
}

int tputs(const char *string, int lines, int (*put)(int))
{
    (void)lines;
    for (; string && *string; string++)
        if (put((unsigned char)*string) < 0)
            return -1;
    return 0;
}
