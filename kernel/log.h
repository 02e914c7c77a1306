/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own words on the serial line, and its end. Formats know %s %c %u %d %x (with l for
 * 64 bits, width and 0) and %%; nothing is allocated and nothing blocks. Not for hot paths.
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>

struct trap_frame;

/* always shown: errors, last words */
__attribute__((format(printf, 1, 2))) void klog(const char *format, ...);
/* shown with `debug` on the kernel command line */
__attribute__((format(printf, 1, 2))) void kdebug(const char *format, ...);

/* text as it is, for programs */
void log_write(const char *text, size_t n);
/* see MOTOR_SINFO_LOG; false: there is no such record yet */
struct motor_log_record;
bool log_read(struct motor_log_record *r);

/* Whether the kernel command line has this word. */
bool log_wanted(const char *word);

/* A broken invariant: registers, backtrace, all CPUs stopped, the VM ends with status. */
__attribute__((format(printf, 1, 2))) noreturn void panic(const char *format, ...);
noreturn void panic_frame(struct trap_frame *f, const char *why); /* with the registers of f */

/* State that only this kernel's own code can break. Never for what came from outside. */
#define KASSERT(condition) \
    do { \
        if (__builtin_expect(!(condition), 0)) { \
            panic("%s:%d: %s", __FILE__, __LINE__, #condition); \
        } \
    } while (0)

#endif
