/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2). Of this process: taking a right away from a page in use makes the kernel
 * interrupt, and wait for, every CPU that runs it. Of all processes, which may share memory: the
 * calling thread runs on each CPU in turn, where whatever ran before has been switched away.
 */
#include "internal.h"

#define CMD_QUERY             0
#define CMD_GLOBAL            1
#define CMD_GLOBAL_EXPEDITED  2
#define CMD_REGISTER_GLOBAL   4
#define CMD_PRIVATE           8
#define CMD_REGISTER_PRIVATE  16
#define CMD_PRIVATE_CORE      32
#define CMD_REGISTER_CORE     64
#define CMD_GET_REGISTRATIONS 512
#define COMMANDS \
    (CMD_GLOBAL | CMD_GLOBAL_EXPEDITED | CMD_REGISTER_GLOBAL | CMD_PRIVATE | \
     CMD_REGISTER_PRIVATE | CMD_PRIVATE_CORE | CMD_REGISTER_CORE | CMD_GET_REGISTRATIONS)

static long of_this_process(void)
{
    uint64_t *page = px_map(MOTOR_PAGE_SIZE);
    if (!page) {
        return -ENOMEM;
    }
    __atomic_store_n(page, 1, __ATOMIC_SEQ_CST);
    long status = px_errno(motor_protect(0, (uint64_t)page, MOTOR_PAGE_SIZE, MOTOR_PROT_READ));
    px_unmap(page, MOTOR_PAGE_SIZE);
    return status;
}

static uint32_t this_cpu(void)
{
    uint32_t cpu = 0;
    motor_system_info(MOTOR_SINFO_CPU, &cpu, sizeof(cpu));
    return cpu;
}

static long of_all(void)
{
    int64_t before = motor_thread_control(0, MOTOR_THREAD_GET_AFFINITY, 0);
    int64_t status = 0;
    for (uint32_t cpu = 0; cpu < px_kinfo()->cpus && status >= 0; cpu++) {
        do { /* again: another thread may have set something else meanwhile */
            status = motor_thread_control(0, MOTOR_THREAD_SET_AFFINITY, 1ull << cpu);
        } while (status >= 0 && this_cpu() != cpu);
    }
    motor_thread_control(0, MOTOR_THREAD_SET_AFFINITY, (uint64_t)before);
    return px_errno(status);
}

/* The others have come back from an interrupt, which serialises. */
static long of_cores(void)
{
    uint32_t a = 0, b, c = 0, d;
    long status = of_this_process();
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
    return status;
}

static long use(uint8_t registration, long (*barrier)(void))
{
    uint8_t has = __atomic_load_n(&px_proc()->attributes.barriers, __ATOMIC_RELAXED);
    return has & registration ? barrier() : -EPERM;
}

long px_sys_membarrier(int command, unsigned flags, int cpu)
{
    uint8_t *registered = &px_proc()->attributes.barriers;
    (void)cpu;
    if (flags) {
        return -EINVAL;
    }
    switch (command) {
    case CMD_QUERY:
        return COMMANDS;
    case CMD_GLOBAL:
    case CMD_GLOBAL_EXPEDITED:
        return of_all();
    case CMD_PRIVATE:
        return use(CMD_REGISTER_PRIVATE, of_this_process);
    case CMD_PRIVATE_CORE:
        return use(CMD_REGISTER_CORE, of_cores);
    case CMD_REGISTER_GLOBAL:
    case CMD_REGISTER_PRIVATE:
    case CMD_REGISTER_CORE:
        __atomic_fetch_or(registered, (uint8_t)command, __ATOMIC_RELAXED);
        return 0;
    case CMD_GET_REGISTRATIONS:
        return __atomic_load_n(registered, __ATOMIC_RELAXED);
    default:
        return -EINVAL;
    }
}
