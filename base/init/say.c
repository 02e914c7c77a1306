/* SPDX-License-Identifier: MIT */
/*
 * Messages: a line of the system's log, which the console shows, or of the console alone. The log
 * is opened anew for each, since a child before exec may be the one that speaks, in our memory.
 */
#include "service.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void say(const char *format, ...)
{
    char line[512];
    va_list args;
    int n = snprintf(line, sizeof line, "init: ");
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    if (n > (int)sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (write(log < 0 ? 2 : log, line, (size_t)n) < 0 && log >= 0)
        write(2, line, (size_t)n);
    if (log >= 0)
        close(log);
}
