/* SPDX-License-Identifier: MIT */
/*
 * Clocks: from the kernel's information page and the TSC, without a kernel entry; CPU clocks ask
 * the kernel.
 */
#include "internal.h"

#define NS                1000000000ull
#define SYS_CLOCK_GETTIME 228

static inline uint64_t tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

__attribute__((always_inline)) static inline uint64_t read_clock(bool real)
{
    const volatile struct motor_kinfo *k = px_kinfo();
    for (;;) {
        uint32_t seq = __atomic_load_n(&k->seq, __ATOMIC_ACQUIRE);
        uint64_t ticks = tsc() - k->base_tsc;
        if ((int64_t)ticks < 0) {
            ticks = 0; /* another CPU's TSC is a little behind */
        }
        uint64_t ns = k->base_ns + (uint64_t)(((unsigned __int128)ticks * k->mult) >> 32);
        uint64_t offset = k->realtime_offset_ns;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(seq & 1) && seq == k->seq) {
            return real ? ns + offset : ns;
        }
    }
}

uint64_t px_now(void)
{
    return read_clock(false);
}

uint64_t px_realtime(void)
{
    return read_clock(true);
}

/* Out of line, so that the others need no frame. */
__attribute__((noinline)) static int ask_for_clock(int clock, struct px_timespec *time)
{
    return (int)px_entry(SYS_CLOCK_GETTIME, clock, time);
}

/*
 * For programs, by vdso.S: on the program's stack, outside of the runtime as it counts calls and
 * signals, and with the program's own fault if `time` is wrong. Other clocks are a call like any
 * other.
 */
__attribute__((section("px_program_code"))) int px_vdso_clock_gettime(int clock,
                                                                      struct px_timespec *time);
int px_vdso_clock_gettime(int clock, struct px_timespec *time)
{
    enum {
        REAL = 1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE,
        MONOTONIC = 1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW |
                    1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME
    };
    uint32_t bit = (unsigned)clock < 32 ? 1u << clock : 0;
    if (!(bit & (REAL | MONOTONIC))) {
        return ask_for_clock(clock, time);
    }
    uint64_t ns = read_clock(bit & REAL), sec = ns / NS;
    time->sec = (int64_t)sec;
    time->nsec = (int64_t)(ns - sec * NS);
    return 0;
}

/* ---- CPU time ---- */

uint64_t px_cpu_time(bool user_only)
{
    struct motor_process_info info = {0};
    motor_process_info(0, MOTOR_PINFO_BASIC, &info, sizeof(info));
    return info.user_ns + (user_only ? 0 : info.system_ns);
}

uint64_t px_thread_cpu_time(struct px_thread *t)
{
    int64_t ns = motor_thread_control(t == px_self() ? 0 : t->handle, MOTOR_THREAD_GET_CPU_TIME, 0);
    return ns < 0 ? 0 : (uint64_t)ns;
}

/* ---- timespecs and deadlines ---- */

long px_timespec_in(const void *user, struct px_timespec *t)
{
    if (px_copy_in(t, user, sizeof(*t)) < 0) {
        return -EFAULT;
    }
    return t->sec < 0 || t->nsec < 0 || t->nsec >= (int64_t)NS ? -EINVAL : 0;
}

long px_timespec_out(void *user, uint64_t ns)
{
    return px_store_pair(user, ns / NS, ns % NS);
}

uint64_t px_timespec_ns(const struct px_timespec *t)
{
    if ((uint64_t)t->sec > INT64_MAX / NS - 1) {
        return INT64_MAX;
    }
    return (uint64_t)t->sec * NS + (uint64_t)t->nsec;
}

uint64_t px_deadline_after(const struct px_timespec *t)
{
    return px_now() + px_timespec_ns(t); /* at most 2^63 + 2^63 - 2: below MOTOR_NEVER */
}

long px_deadline_in(const void *user, uint64_t *deadline)
{
    struct px_timespec t;
    if (!user) {
        *deadline = MOTOR_NEVER;
        return 0;
    }
    long status = px_timespec_in(user, &t);
    if (status == 0) {
        *deadline = px_deadline_after(&t);
    }
    return status;
}

uint64_t px_deadline_ms(int ms)
{
    return ms < 0 ? MOTOR_NEVER : px_now() + (uint64_t)ms * 1000000;
}

uint64_t px_deadline_realtime(uint64_t realtime_ns)
{
    uint64_t now = px_realtime();
    return realtime_ns <= now ? 0 : px_now() + (realtime_ns - now);
}

/* ---- calls ---- */

long px_sys_clock_gettime(int clock, void *time)
{
    uint64_t ns;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        ns = px_realtime();
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        ns = px_now();
        break;
    case CLOCK_PROCESS_CPUTIME_ID:
        ns = px_cpu_time(false);
        break;
    case CLOCK_THREAD_CPUTIME_ID:
        ns = px_thread_cpu_time(px_self());
        break;
    default:
        if (clock >= 0) {
            return -EINVAL;
        }
        if (clock & 4) { /* pthread_getcpuclockid: ~tid << 3 | 6 */
            struct px_process *p = px_proc();
            uint32_t tid = ~(uint32_t)(clock >> 3);
            px_lock(&p->signals->lock);
            struct px_thread *t = px_thread_find(p, tid);
            ns = t ? px_thread_cpu_time(t) : 0;
            px_unlock(&p->signals->lock);
            if (!t) {
                return -EINVAL;
            }
        } else { /* clock_getcpuclockid: ~pid << 3 | 2 */
            uint32_t pid = ~(uint32_t)(clock >> 3);
            if (pid != px_proc()->pid && pid != 0) {
                return -EINVAL;
            }
            ns = px_cpu_time(false);
        }
    }
    return px_timespec_out(time, ns);
}

long px_sys_clock_getres(int clock, void *resolution)
{
    if (clock > CLOCK_TAI || clock == 10) {
        return -EINVAL;
    }
    if (clock < 0) {
        uint32_t id = ~(uint32_t)(clock >> 3);
        if (!(clock & 4) && id != px_proc()->pid && id != 0) {
            return -EINVAL;
        }
    }
    return resolution ? px_timespec_out(resolution, 1) : 0;
}

long px_sys_clock_settime(int clock, const void *time)
{
    struct px_timespec t;
    long status = px_timespec_in(time, &t);
    if (status < 0) {
        return status;
    }
    return clock == CLOCK_REALTIME ? -EPERM : -EINVAL;
}

long px_sys_settimeofday(const void *time, const void *zone)
{
    (void)time;
    (void)zone;
    return -EPERM;
}

long px_sys_adjtimex(void *buffer)
{
    (void)buffer;
    return -EPERM;
}

long px_sys_clock_adjtime(int clock, void *buffer)
{
    (void)clock;
    (void)buffer;
    return -EPERM;
}

long px_sys_gettimeofday(void *time, void *zone)
{
    if (time) {
        uint64_t ns = px_realtime();
        struct px_timespec t = {(int64_t)(ns / NS), (int64_t)(ns % NS / 1000)};
        if (px_copy_out(time, &t, sizeof(t)) < 0) {
            return -EFAULT;
        }
    }
    return zone ? px_zero_out(zone, 8) : 0;
}

long px_sys_time(void *time)
{
    int64_t now = (int64_t)(px_realtime() / NS);
    if (time && px_copy_out(time, &now, sizeof(now)) < 0) {
        return -EFAULT;
    }
    return now;
}

#define TICK_NS 10000000ull /* AT_CLKTCK 100 */

long px_sys_times(void *buffer)
{
    struct motor_process_info info = {0};
    motor_process_info(0, MOTOR_PINFO_BASIC, &info, sizeof(info));
    int64_t t[4] = {(int64_t)(info.user_ns / TICK_NS), (int64_t)(info.system_ns / TICK_NS),
                    (int64_t)(info.children_user_ns / TICK_NS),
                    (int64_t)(info.children_system_ns / TICK_NS)};
    if (buffer && px_copy_out(buffer, t, sizeof(t)) < 0) {
        return -EFAULT;
    }
    return (long)(px_now() / TICK_NS);
}

long px_sys_getrusage(int who, void *usage)
{
    struct motor_process_info info = {0};
    int64_t u[18] = {0}; /* utime, stime as timevals, maxrss, ... */
    uint64_t user, system = 0;
    if (who < -1 || who > 1) {
        return -EINVAL;
    }
    motor_process_info(0, MOTOR_PINFO_BASIC, &info, sizeof(info));
    user = who == -1 ? info.children_user_ns : info.user_ns;
    system = who == -1 ? info.children_system_ns : info.system_ns;
    if (who == 1) { /* RUSAGE_THREAD */
        user = px_thread_cpu_time(px_self());
        system = 0;
    }
    u[0] = (int64_t)(user / NS);
    u[1] = (int64_t)(user % NS / 1000);
    u[2] = (int64_t)(system / NS);
    u[3] = (int64_t)(system % NS / 1000);
    u[4] = (int64_t)((who == -1 ? info.children_memory_max : info.memory_max) / 1024);
    return px_copy_out(usage, u, sizeof(u));
}
