/* SPDX-License-Identifier: MIT */
/*
 * The clocks, read from the kernel's information page without entering the kernel. Tests bring
 * their own clock.
 */
#include "engine.h"

static uint64_t tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static uint64_t read_clock(bool realtime)
{
    const volatile struct motor_kinfo *k = (const volatile struct motor_kinfo *)MOTOR_KINFO_ADDRESS;
    for (;;) {
        uint32_t seq = __atomic_load_n(&k->seq, __ATOMIC_ACQUIRE);
        uint64_t base_tsc = k->base_tsc, base_ns = k->base_ns, mult = k->mult;
        uint64_t offset = realtime ? k->realtime_offset_ns : 0;
        uint64_t ticks = tsc() - base_tsc;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(seq & 1) && seq == k->seq)
            return base_ns + (uint64_t)((unsigned __int128)ticks * mult >> 32) + offset;
    }
}

uint64_t clock_monotonic_ns(void)
{
    return read_clock(false);
}

uint64_t clock_realtime_ns(void)
{
    return read_clock(true);
}

const struct motor_kinfo *kernel_info(void)
{
    return (const struct motor_kinfo *)MOTOR_KINFO_ADDRESS;
}
