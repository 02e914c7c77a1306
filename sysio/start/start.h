/* SPDX-License-Identifier: MIT */
/* The first program: reads MOTOR_BUNDLE_RUN, starts it, and ends the machine when it ends. */
#ifndef SYSIO_START_H
#define SYSIO_START_H

#include "../base/engine.h"

#include <motor/start.h>

struct start_run { /* a checked struct motor_run */
    uint32_t flags, argc, envc;
    const char *path;
    const char *args; /* argc strings, then envc */
    uint64_t args_size;
};

/*
 * Finds and checks a file of this name in the mapped bundle; a message when there is none to run.
 */
const char *start_read(const void *bundle, uint64_t size, const char *name, struct start_run *run);

/*
 * Starts it and its companions (MOTOR_BUNDLE_RUN.1 and so on), and waits; ends the machine. In the
 * main thread, when all engines run.
 */
_Noreturn void start_program(const void *bundle, uint64_t bundle_size, const struct start_run *run,
                             motor_handle net);
/* Reports that nothing could be started, and ends the machine. */
_Noreturn void start_failed(uint32_t flags, const char *message);

/*
 * entropy.c: feeds the kernel's generator from virtio-rng, if there is one; notified through the
 * endpoint of `e`.
 */
void entropy_init(struct engine *e, uint64_t badge);
void entropy_ready(void);

#endif
