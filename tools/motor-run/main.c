/* SPDX-License-Identifier: MIT */
/*
 * motor-run: run a program in a Motor VM as if it were a local command.
 *
 *   options -> bundle (base system + PROGRAM + files + what to start) -> QEMU -> pump of the
 * channel -> exit status
 *
 * Nothing of motor-run's own ever goes to stdout, so that a shell can pipe through a Motor program.
 */
#include "run.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void die(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("motor-run: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(status);
}

int main(int argc, char **argv)
{
    struct run_options options = {0};
    struct vm vm;

    options_parse(&options, argc, argv);
    signal(SIGPIPE, SIG_IGN); /* writes to a consumer that left are seen as EPIPE, in pump.c */
    int bundle = package_build(&options);
    vm_start(&vm, &options, bundle);
    close(bundle);
    int status = pump(&vm, &options);
    vm_kill(&vm);
    return status;
}
