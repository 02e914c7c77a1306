/* SPDX-License-Identifier: MIT */
/* Texts of the system: memory, processors, load, mounts, random names. */
#include "../../local/inotify_queue.h"
#include "../devices.h"
#include "proc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#define LL(x) ((unsigned long long)(x))

void text_meminfo(struct text *t)
{
    struct motor_memory_info m = {0};
    motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof m);
    put(t,
        "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\nBuffers:               0 kB\n"
        "Cached:         %8llu kB\nShmem:          %8llu kB\nSlab:           %8llu kB\nSwapTotal:             0 kB\n"
        "SwapFree:              0 kB\n",
        LL(m.total / 1024), LL(m.free / 1024), LL(m.free / 1024), LL(tmpfs_bytes_used() / 1024),
        LL(tmpfs_bytes_used() / 1024), LL(m.kernel / 1024));
}

void text_partitions(struct text *t)
{
    const struct device *d;
    put(t, "major minor  #blocks  name\n\n");
    for (uint32_t i = 0; (d = device_at(i)); i++)
        put(t, "%4u  %7u %10llu %s\n", DEVICE_MAJOR, device_minor(d), LL(d->block->size / 1024),
            d->block->name);
}

void text_inotify_instances(struct text *t)
{
    put(t, "%u\n", INOTIFY_INSTANCES);
}

void text_inotify_watches(struct text *t)
{
    put(t, "%u\n", INOTIFY_WATCHES);
}

void text_inotify_events(struct text *t)
{
    put(t, "%u\n", INOTIFY_EVENTS);
}

void text_cpuinfo(struct text *t)
{
    const struct motor_kinfo *k = kernel_info();
    uint32_t regs[12] = {0}, vendor[4] = {0}, a, b, c, d;
    __asm__("cpuid" : "=a"(a), "=b"(vendor[0]), "=c"(vendor[2]), "=d"(vendor[1]) : "a"(0));
    __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0x80000000u));
    for (uint32_t i = 0; i < 3 && a >= 0x80000004u; i++)
        __asm__("cpuid"
                : "=a"(regs[i * 4]), "=b"(regs[i * 4 + 1]), "=c"(regs[i * 4 + 2]),
                  "=d"(regs[i * 4 + 3])
                : "a"(0x80000002u + i));
    for (uint32_t i = 0; i < k->cpus; i++)
        put(t,
            "processor\t: %u\nvendor_id\t: %.12s\nmodel name\t: %.47s\ncpu MHz\t\t: %llu.%03llu\n\n",
            i, (char *)vendor, regs[0] ? (char *)regs : "x86-64", LL(k->tsc_hz / 1000000u),
            LL(k->tsc_hz / 1000u % 1000u));
}

/* ---- time ---- */

static uint64_t busy_ns(void)
{
    struct motor_counters c = {0};
    motor_system_info(MOTOR_SINFO_COUNTERS, &c, sizeof c);
    return c.busy_ns;
}

static uint64_t idle_ns(void)
{
    uint64_t all = clock_monotonic_ns() * kernel_info()->cpus, busy = busy_ns();
    return all > busy ? all - busy : 0;
}

void text_uptime(struct text *t)
{
    uint64_t up = ticks(clock_monotonic_ns()), idle = ticks(idle_ns());
    put(t, "%llu.%02llu %llu.%02llu\n", LL(up / 100), LL(up % 100), LL(idle / 100), LL(idle % 100));
}

/* ---- load ---- */

#define LOAD_STEP_NS 1000000000ull
#define LOAD_STEPS   1000u /* then it has decayed to what it is now */

/* Which processes there are, and how many of them want to run. */
static uint32_t count_runnable(uint32_t *total, uint32_t *last)
{
    uint32_t *pids, n = processes_list(&pids), runnable = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct process p;
        struct thread main;
        if (process_get(&p, pids[i], 0) < 0)
            continue;
        runnable += thread_get(&p, 1, &main) && !main.info.blocked;
        process_put(&p);
        *last = pids[i] > *last ? pids[i] : *last;
    }
    free(pids);
    *total = n;
    return runnable;
}

/*
 * Averages of the processors' use, decaying over 1, 5 and 15 minutes. Nothing samples while nobody
 * asks, so that an idle system sleeps: the time since the last question counts as one even stretch.
 */
void text_loadavg(struct text *t)
{
    static uint64_t seen_ns, seen_busy, load[3]; /* load: of 2^20 */
    static const uint32_t minutes[3] = {1, 5, 15};
    uint64_t now = clock_monotonic_ns(), busy = busy_ns();
    uint32_t total = 0, last = 0, runnable = count_runnable(&total, &last);
    if (now - seen_ns >= LOAD_STEP_NS) {
        uint64_t steps = (now - seen_ns) / LOAD_STEP_NS;
        uint64_t use = ((busy - seen_busy) / 1000 << 20) / ((now - seen_ns) / 1000);
        for (int i = 0; i < 3; i++) {
            uint64_t period = minutes[i] * 60;
            for (uint64_t s = 0; s < steps && s < LOAD_STEPS * minutes[i]; s++)
                load[i] = (load[i] * (period - 1) + use) / period;
        }
        seen_ns = now;
        seen_busy = busy;
    }
    for (int i = 0; i < 3; i++)
        put(t, "%llu.%02llu ", LL(load[i] >> 20), LL((load[i] & 0xfffff) * 100 >> 20));
    put(t, "%u/%u %u\n", runnable, total, last);
}

void text_system_stat(struct text *t)
{
    struct motor_counters c = {0};
    uint32_t total = 0, last = 0, runnable = count_runnable(&total, &last);
    motor_system_info(MOTOR_SINFO_COUNTERS, &c, sizeof c);
    put(t,
        "cpu  %llu 0 0 %llu 0 0 0 0 0 0\nintr %llu\nctxt %llu\nbtime %llu\nprocesses %u\n"
        "procs_running %u\nprocs_blocked 0\n",
        LL(ticks(c.busy_ns)), LL(ticks(idle_ns())), LL(c.interrupts), LL(c.switches),
        LL((clock_realtime_ns() - clock_monotonic_ns()) / 1000000000u), last, runnable);
}

void text_vmstat(struct text *t)
{
    struct motor_counters c = {0};
    struct motor_memory_info m = {0};
    motor_system_info(MOTOR_SINFO_COUNTERS, &c, sizeof c);
    motor_system_info(MOTOR_SINFO_MEMORY, &m, sizeof m);
    put(t, "nr_free_pages %llu\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault %llu\n",
        LL(m.free / MOTOR_PAGE_SIZE), LL(c.faults));
}

/* ---- mounts ---- */

static int64_t mount_path(const struct mount *m, char *path, size_t size)
{
    int64_t n = vfs_path(m->root, path, size - 1, true);
    path[n > 0 ? n : 0] = 0;
    return n;
}

static void put_options(struct text *t, const struct mount *m)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {{MS_NOSUID, ",nosuid"},
                 {MS_NODEV, ",nodev"},
                 {MS_NOEXEC, ",noexec"},
                 {MS_SYNCHRONOUS, ",sync"},
                 {MS_NODIRATIME, ",nodiratime"}};
    put(t, "%s", m->read_only ? "ro" : "rw");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (m->flags & names[i].flag)
            put(t, "%s", names[i].name);
    put(t, "%s", m->flags & MS_NOATIME ? ",noatime" : ",relatime");
}

void text_mounts(struct text *t)
{
    char path[256];
    for (struct mount *m = mounts; m; m = m->next)
        if (mount_path(m, path, sizeof path) > 0) {
            put(t, "%s %s %s ", m->source, path, m->type);
            put_options(t, m);
            put(t, " 0 0\n");
        }
}

void text_mountinfo(struct text *t)
{
    char path[256];
    for (struct mount *m = mounts; m; m = m->next)
        if (mount_path(m, path, sizeof path) > 0) {
            put(t, "%u %u 0:%u / %s ", m->id, m->covered ? m->covered->mount->id : 0, m->id, path);
            put_options(t, m);
            put(t, " - %s %s %s\n", m->type, m->source, m->read_only ? "ro" : "rw");
        }
}

/* ---- names ---- */

static void put_uuid(struct text *t, const uint8_t *u)
{
    put(t, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n", u[0], u[1],
        u[2], u[3], u[4], u[5], (u[6] & 15) | 64, u[7], (u[8] & 63) | 128, u[9], u[10], u[11],
        u[12], u[13], u[14], u[15]);
}

void text_uuid(struct text *t)
{
    uint8_t bytes[16] = {0};
    motor_random(bytes, sizeof bytes, 0);
    put_uuid(t, bytes);
}

void text_boot_id(struct text *t)
{
    static uint8_t bytes[16];
    if (!bytes[0] && !bytes[1])
        motor_random(bytes, sizeof bytes, 0);
    put_uuid(t, bytes);
}

/* N's net engine; absent in tests of this engine alone. */
__attribute__((weak)) const char *net_resolv_conf(void);

void text_resolv_conf(struct text *t)
{
    if (net_resolv_conf)
        put(t, "%s", net_resolv_conf());
}

void text_kernel_cmdline(struct text *t)
{
    put(t, "%s\n", boot_info()->cmdline);
}
