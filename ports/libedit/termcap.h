/* SPDX-License-Identifier: MIT */
/* The termcap library, as POSIX's predecessors had it: see termcap.c. */
#ifndef TERMCAP_H
#define TERMCAP_H

/* Reads the entry of terminal `name`; buffer is not used. 1; 0: there is none. */
int tgetent(char *buffer, const char *name);
/* A capability of the entry by its two letters: a number, or -1; 1 or 0; a string, or NULL. */
int tgetnum(const char *capability);
int tgetflag(const char *capability);
char *tgetstr(const char *capability, char **area); /* area is not used */
/* A string with its parameters put in, until the next call. */
char *tgoto(const char *string, int column, int row);
/* Writes a string by put(). Terminals need no padding any more: lines is not used. */
int tputs(const char *string, int lines, int (*put)(int));

#endif
