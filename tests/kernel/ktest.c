/* SPDX-License-Identifier: MIT */
/* The runner: each test is a function; a test that leaks objects or memory fails too. */
#include "ktest.h"
#include "tests.h"

static int failures;
static bool failed;

void check_failed(const char *file, int line, const char *what, int64_t got)
{
    say("FAIL %s:%d: %s (got %ld)\n", file, line, what, got);
    failed = true;
}

/* Deaths are finished by the last thread after it has told: give the system a moment to settle. */
static struct motor_memory_info settle(const struct motor_memory_info *before)
{
    struct motor_memory_info info;
    for (int i = 0; i < 200; i++) {
        motor_system_info(MOTOR_SINFO_MEMORY, &info, sizeof(info));
        if (!before || (info.processes <= before->processes && info.threads <= before->threads &&
                        info.handles <= before->handles && info.free + 64 * PAGE >= before->free)) {
            break;
        }
        pause_ns(5 * MS);
    }
    return info;
}

static void check_leaks(const struct motor_memory_info *before)
{
    struct motor_memory_info after = settle(before);
    CHECK_EQ(after.processes, before->processes);
    CHECK_EQ(after.threads, before->threads);
    CHECK_EQ(after.vmos, before->vmos);
    CHECK_EQ(after.endpoints, before->endpoints);
    CHECK_EQ(after.gates, before->gates);
    CHECK_EQ(after.handles, before->handles);
    CHECK_EQ(after.regions, before->regions);
    CHECK_EQ(after.groups, before->groups);
    if (after.free + 512 * 1024 < before->free) {
        check_failed(__FILE__, __LINE__, "free memory fell by (bytes)",
                     (int64_t)(before->free - after.free));
    }
}

static void run(const struct test *t)
{
    struct motor_memory_info before = settle(NULL);
    uint64_t start = now();
    failed = false;
    t->run();
    check_leaks(&before);
    say("%s %s (%lu ms)\n", failed ? "FAIL" : "ok", t->name, (now() - start) / MS);
    failures += failed;
}

__attribute__((used)) static void begin(void)
{
    static char tcb_page[8192] __attribute__((aligned(4096)));
    struct motor_tcb *tcb = (struct motor_tcb *)tcb_page;
    tcb->self = (uint64_t)tcb;
    tcb->upcall_stack = (uint64_t)tcb_page + sizeof(tcb_page);
    motor_thread_control(0, MOTOR_THREAD_SET_GS, (uint64_t)tcb);
    motor_process_set(0, MOTOR_PSET_UPCALL_ENTRY, (uint64_t)upcall_entry);
    volatile struct motor_kinfo *kinfo = (void *)MOTOR_KINFO_ADDRESS;
    say("ktest: %u CPUs, %lu MiB\n", kinfo->cpus, kinfo->memory_total >> 20);
    extern volatile char data_start[], data_end[];
    for (volatile char *page = data_start; page < data_end; page += PAGE) {
        *page = *page; /* ours from the start, so that no test seems to keep it */
    }
    make_template();
    failures += failed;
    for (const struct test *t = tests; t->name; t++) {
        run(t);
    }
    say("ktest: %s\n", failures ? "FAILED" : "passed");
    motor_power(MOTOR_BOOT_HARDWARE, failures ? MOTOR_POWER_EXIT : MOTOR_POWER_OFF,
                failures ? 1 : 0);
    for (;;) {
    }
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n and $-16, %rsp\n call begin\n ud2\n");
