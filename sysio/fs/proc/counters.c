/* SPDX-License-Identifier: MIT */
/* What only this system has: /proc/motor/counters of the kernel and of every engine. */
#include "proc.h"

static void show_counter(const char *engine, const char *name, uint64_t value, void *context)
{
    put(context, "%s.%s %llu\n", engine, name, (unsigned long long)value);
}

void text_counters(struct text *t)
{
    struct motor_counters c = {0};
    struct motor_memory_info m = {0};
    motor_system_info(MOTOR_SINFO_COUNTERS, &c, sizeof c);
    motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof m);
#define SHOW(where, field) put(t, "kernel.%s %llu\n", #field, (unsigned long long)where.field)
    SHOW(c, syscalls);
    SHOW(c, switches);
    SHOW(c, space_switches);
    SHOW(c, ipis);
    SHOW(c, faults);
    SHOW(c, tlb_flushes);
    SHOW(c, interrupts);
    SHOW(c, timer_interrupts);
    SHOW(c, calls);
    SHOW(c, direct_switches);
    SHOW(c, notifies);
    SHOW(c, futex_waits);
    SHOW(c, futex_wakes);
    SHOW(c, upcalls);
    SHOW(c, pager_calls);
    SHOW(c, copied_bytes);
    SHOW(c, frames_zeroed);
    SHOW(c, busy_ns);
    SHOW(m, total);
    SHOW(m, free);
    SHOW(m, kernel);
    SHOW(m, processes);
    SHOW(m, threads);
    SHOW(m, vmos);
    SHOW(m, endpoints);
    SHOW(m, gates);
    SHOW(m, handles);
    SHOW(m, regions);
    SHOW(m, groups);
#undef SHOW
    counters_each(show_counter, t);
}
