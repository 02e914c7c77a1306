/* SPDX-License-Identifier: MIT */
/*
 * Where the start of the machine spends its time: lines on the console with `boottrace` on the
 * kernel's command line. sysio goes on with them (boot_trace() in sysio/base/engine.h).
 */
#ifndef KERNEL_BOOTTRACE_H
#define KERNEL_BOOTTRACE_H

void boottrace(const char *done); /* a part of the start is done; until the first process starts */
/* The lines, once the clocks are known. Times are the TSC's, which starts with the machine. */
void boottrace_print(void);

#endif
