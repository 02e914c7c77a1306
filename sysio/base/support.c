/* SPDX-License-Identifier: MIT */
/*
 * What the engines share beside their loop: log lines, options of the kernel's command line,
 * counters.
 */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- log ---- */

static void log_line(const char *engine, const char *format, va_list args)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s: ", engine);
    n += vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    if ((size_t)n > sizeof line - 1)
        n = sizeof line - 1;
    line[n] = '\n';
    motor_debug_write(line, (size_t)n + 1);
}

void log_error(const char *engine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(engine, format, args);
    va_end(args);
}

void log_info(const char *engine, const char *format, ...)
{
    char value[8];
    if (boot_option("quiet", value, sizeof value))
        return;
    va_list args;
    va_start(args, format);
    log_line(engine, format, args);
    va_end(args);
}

void boot_trace(const char *done)
{
    char value[8];
    uint64_t per_us = kernel_info()->tsc_hz / 1000000;
    if (!per_us || !boot_option("boottrace", value, sizeof value))
        return;
    uint64_t us = __builtin_ia32_rdtsc() / per_us;
    log_error("boot", "%5llu.%03llu ms %s", (unsigned long long)us / 1000,
              (unsigned long long)us % 1000, done);
}

/* ---- boot options ---- */

const struct motor_boot_info *boot_info(void)
{
    static struct motor_boot_info info;
    static bool read; /* first done by the main thread, before there are others */
    if (!read) {
        if (motor_system_info(MOTOR_SINFO_BOOT, &info, sizeof info) < 0)
            memset(&info, 0, sizeof info);
        info.cmdline[sizeof info.cmdline - 1] = 0;
        read = true;
    }
    return &info;
}

bool boot_option(const char *name, char *buffer, size_t size)
{
    size_t length = strlen(name);
    for (const char *p = boot_info()->cmdline; *p;) {
        p += strspn(p, " ");
        size_t word = strcspn(p, " ");
        if (word >= length && !memcmp(p, name, length) && (word == length || p[length] == '=')) {
            const char *value = p + length + (word > length);
            size_t n = word - (size_t)(value - p);
            if (n > size - 1)
                n = size - 1;
            memcpy(buffer, value, n);
            buffer[n] = 0;
            return true;
        }
        p += word;
    }
    return false;
}

/* ---- memory ---- */

#define MEMORY_LOOK_EVERY 32u
/* the most that the kernel keeps for us (or a 32nd); as much again stays for programs */
#define MEMORY_RESERVE    (4u << 20)

bool memory_low(void)
{
    static uint32_t calls;
    static bool low;
    if (low || __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) % MEMORY_LOOK_EVERY == 0) {
        struct motor_memory_info m;
        bool now = motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof m) >= 0 &&
                   m.free < 2 * (m.total / 32 < MEMORY_RESERVE ? m.total / 32 : MEMORY_RESERVE);
        __atomic_store_n(&low, now, __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&low, __ATOMIC_RELAXED);
}

/* ---- counters ---- */

static struct counter {
    const char *engine, *name;
    const uint64_t *value;
} counters[256];
static unsigned counters_used;

void counter_register(const char *engine, const char *name, const uint64_t *value)
{
    unsigned i = __atomic_fetch_add(&counters_used, 1, __ATOMIC_RELAXED);
    if (i < sizeof counters / sizeof *counters)
        counters[i] = (struct counter){engine, name, value};
}

void counters_each(void (*show)(const char *engine, const char *name, uint64_t value,
                                void *context),
                   void *context)
{
    for (unsigned i = 0; i < counters_used && i < sizeof counters / sizeof *counters; i++)
        if (counters[i].value)
            show(counters[i].engine, counters[i].name,
                 __atomic_load_n(counters[i].value, __ATOMIC_RELAXED), context);
}
