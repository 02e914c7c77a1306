/* SPDX-License-Identifier: MIT */
/* What the system tells about itself, the log for programs, and the switch. */
#include "arch/x86_64/arch.h"
#include "bootinfo.h"
#include "frame.h"
#include "groups.h"
#include "handle.h"
#include "log.h"
#include "pid.h"
#include "process.h"
#include "sched.h"
#include "syscall.h"

#define PIDS_PIECE 64u
#define LOG_PIECE  256u
#define LOG_MAX    65536u

static int64_t store(void *buffer, size_t size, const void *info, size_t info_size)
{
    if (size != info_size) {
        return -MOTOR_EINVAL;
    }
    return copy_to_user(buffer, info, info_size);
}

static int64_t memory_info(void *buffer, size_t size)
{
    struct motor_memory_info info = {
        .total = frame_total() * PAGE_SIZE,
        .free = frame_free_count() * PAGE_SIZE,
        .kernel = kmalloc_bytes(),
        .processes = object_count(OBJECT_PROCESS),
        .threads = object_count(OBJECT_THREAD),
        .vmos = object_count(OBJECT_VMO),
        .endpoints = object_count(OBJECT_ENDPOINT),
        .gates = object_count(OBJECT_GATE),
    };
    info.groups = groups_live();
    process_totals(&info.handles, &info.regions);
    return store(buffer, size, &info, sizeof(info));
}

static int64_t counters_info(void *buffer, size_t size)
{
    struct motor_counters sum = {0};
    uint64_t *to = (uint64_t *)&sum;
    for (uint32_t c = 0; c < cpu_count; c++) {
        const uint64_t *from = (const uint64_t *)&cpus[c]->counters;
        for (size_t i = 0; i < sizeof(sum) / sizeof(*to); i++) {
            to[i] += from[i];
        }
    }
    return store(buffer, size, &sum, sizeof(sum));
}

static int64_t boot_info(struct motor_boot_info *buffer, size_t size)
{
    if (!this_cpu()->current->process->first) {
        return -MOTOR_EACCESS;
    }
    if (size != sizeof(*buffer)) {
        return -MOTOR_EINVAL;
    }
    int64_t status = copy_to_user(&buffer->rsdp, &boot_params.rsdp, sizeof(buffer->rsdp));
    if (status == 0) {
        status = copy_to_user(&buffer->bundle_size, &boot_params.bundle_size,
                              sizeof(buffer->bundle_size));
    }
    if (status == 0) {
        status = copy_to_user(buffer->cmdline, boot_params.cmdline, sizeof(buffer->cmdline));
    }
    return status;
}

static int64_t log_info(struct motor_log_record *buffer, size_t size)
{
    struct motor_log_record r;
    if (!this_cpu()->current->process->first) {
        return -MOTOR_EACCESS;
    }
    if (size != sizeof(r)) {
        return -MOTOR_EINVAL;
    }
    int64_t status = copy_from_user(&r.sequence, &buffer->sequence, sizeof(r.sequence));
    if (status < 0) {
        return status;
    }
    return log_read(&r) ? copy_to_user(buffer, &r, sizeof(r)) : -MOTOR_ENOENT;
}

/* Ascending pids; the result is how many there are, also when fewer fit. */
static int64_t processes_info(uint32_t *buffer, size_t size)
{
    uint32_t pids[PIDS_PIECE], from = 1, n;
    uint64_t total = 0, room = size / sizeof(*buffer);
    do {
        n = process_pids(from, pids, PIDS_PIECE);
        uint64_t fit = total < room ? room - total : 0;
        uint64_t copy = n < fit ? n : fit;
        if (copy && copy_to_user(buffer + total, pids, copy * sizeof(*pids)) < 0) {
            return -MOTOR_EFAULT;
        }
        total += n;
        from = n ? pids[n - 1] + 1 : from;
        sched_preempt_point();
    } while (n == PIDS_PIECE);
    return (int64_t)total;
}

int64_t sys_system_info(uint32_t what, void *buffer, size_t size)
{
    uint32_t cpu = this_cpu()->id;
    switch (what) {
    case MOTOR_SINFO_MEMORY:
        return memory_info(buffer, size);
    case MOTOR_SINFO_COUNTERS:
        return counters_info(buffer, size);
    case MOTOR_SINFO_BOOT:
        return boot_info(buffer, size);
    case MOTOR_SINFO_CPU:
        return store(buffer, size, &cpu, sizeof(cpu));
    case MOTOR_SINFO_LOG:
        return log_info(buffer, size);
    case MOTOR_SINFO_PROCESSES:
        return processes_info(buffer, size);
    default:
        return -MOTOR_ENOSYS;
    }
}

/* The log and the serial line are everybody's, and writing there is slow: root's processes only. */
int64_t sys_debug_write(const char *text, size_t size)
{
    char piece[LOG_PIECE];
    if (__atomic_load_n(&this_cpu()->current->process->uid, __ATOMIC_RELAXED)) {
        return -MOTOR_EPERM;
    }
    if (size > LOG_MAX) {
        return -MOTOR_EINVAL;
    }
    for (size_t done = 0; done < size;) {
        size_t n = size - done < sizeof(piece) ? size - done : sizeof(piece);
        if (copy_from_user(piece, text + done, n) < 0) {
            return -MOTOR_EFAULT;
        }
        log_write(piece, n);
        done += n;
        sched_preempt_point();
    }
    return (int64_t)size;
}

int64_t sys_power(motor_handle hardware, uint32_t mode, uint32_t status)
{
    struct object *o;
    int64_t result = handle_lookup(hardware, OBJECT_HARDWARE, MOTOR_RIGHT_MANAGE, &o, NULL);
    if (result < 0) {
        return result;
    }
    object_put(o);
    if (mode > MOTOR_POWER_EXIT) {
        return -MOTOR_EINVAL;
    }
    arch_power(mode, status);
}
