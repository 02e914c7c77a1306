/* SPDX-License-Identifier: MIT */
/*
 * What tests/system/motor-run.sh drives: one behaviour for each first argument.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void copy(int from, int to)
{
    static char bytes[70001];
    ssize_t n;
    while ((n = read(from, bytes, sizeof bytes)) > 0)
        for (ssize_t done = 0, k; done < n; done += k)
            if ((k = write(to, bytes + done, (size_t)(n - done))) <= 0)
                _exit(9);
    if (n < 0)
        _exit(8);
}

static void dump(char **strings)
{
    for (; *strings; strings++) {
        fputs(*strings, stdout);
        fputc(0, stdout);
    }
}

/* Names that a backtrace must show. */
__attribute__((noinline)) static int crash_here(volatile int *p)
{
    *p = 1;
    return 0;
}
__attribute__((noinline)) static int crash_caller(volatile int *p)
{
    return crash_here(p) + 1;
}

static volatile int never = 1;
__attribute__((noinline)) static int recurse(int n)
{
    volatile char frame[4096];
    frame[n % 4096] = (char)n;
    return never ? recurse(n + 1) + frame[n % 4096] : 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "exit"))
        return atoi(argv[2]);
    if (!strcmp(what, "signal"))
        raise(atoi(argv[2]));
    else if (!strcmp(what, "abort"))
        abort();
    else if (!strcmp(what, "cat"))
        copy(0, 1);
    else if (!strcmp(what, "both"))
        return printf("to stdout\n") < 0 || fprintf(stderr, "to stderr\n") < 0;
    else if (!strcmp(what, "args"))
        dump(argv + 2);
    else if (!strcmp(what, "env"))
        dump(environ);
    else if (!strcmp(what, "file")) {
        int fd = open(argv[2], O_RDONLY);
        if (fd < 0) {
            perror(argv[2]);
            return 1;
        }
        copy(fd, 1);
    } else if (!strcmp(what, "mode")) {
        struct stat st;
        return stat(argv[2], &st) < 0 || printf("%o\n", st.st_mode & 07777) < 0;
    } else if (!strcmp(what, "sleep"))
        sleep((unsigned)atoi(argv[2]));
    else if (!strcmp(what, "spin"))
        for (;;)
            ;
    else if (!strcmp(what, "null"))
        return crash_caller((volatile int *)8);
    else if (!strcmp(what, "recurse"))
        return recurse(0);
    else if (!strcmp(what, "privileged"))
        __asm__ volatile("hlt");
    else if (!strcmp(what, "eof"))
        return read(0, &(char){0}, 1) == 0 ? 7 : 1;
    else if (!strcmp(what, "closed"))
        return close(0) || close(1) || close(2) ? 1 : 5;
    else if (!strcmp(what, "missing"))
        return fanotify_init(0, 0) < 0 && errno == ENOSYS ? 3 : 0;
    else
        return 64;
    return 0;
}
