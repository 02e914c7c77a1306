/* SPDX-License-Identifier: MIT */
/*
 * A child process with several threads makes random system calls; whatever it does, only it may
 * suffer. Then costs.
 */
#include "ktest.h"
#include "tests.h"

enum { CALLS = 48 + 1, THREADS = 3 };

static uint64_t fuzz_seed;
static uint32_t fuzz_calls;
static uint64_t scratch[4096];

/* Arguments that get past the first checks about half of the time. */
static uint64_t pick(uint64_t *state)
{
    uint64_t r = random_next(state), v = r >> 8;
    switch (r & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        return v % 24; /* handles, operations, flags */
    case 4:
    case 5:
    case 6:
        return (uint64_t)&scratch[v % 4000];
    case 7:
        return (v % 64) * PAGE;
    case 8:
        return 1ull << (v % 64);
    case 9:
        return (uint64_t)scratch + v % sizeof(scratch);
    case 10:
        return v & 1 ? v % 4096 : 0x10000000 + v % (16 * PAGE);
    case 11:
        return (1ull << (v % 48)) - PAGE;
    case 12:
        return v;
    case 13:
        return 0xffff800000000000 | v;
    case 14:
        return now() + v % (2 * MS);
    default:
        return ~0ull - v % 16;
    }
}

/* A range of memory that the fuzzer can lose. */
static bool expendable(uint64_t address, uint64_t length)
{
    return address >= 0x10000000 && length < 0x10000000 && address + length < 0x20000000;
}

/* What would end the child at once is made seldom, so that it lives long enough. */
static bool allowed(uint64_t n, const uint64_t *a, bool seldom)
{
    switch (n + MOTOR_SYSCALL_BASE) {
    case MOTOR_SYS_debug_write:
        return false; /* noise */
    case MOTOR_SYS_thread_exit:
    case MOTOR_SYS_thread_resume:
    case MOTOR_SYS_process_exec:
    case MOTOR_SYS_process_exit:
    case MOTOR_SYS_process_stop:
    case MOTOR_SYS_process_fork:
        return seldom;
    case MOTOR_SYS_signal_send:
    case MOTOR_SYS_process_wait:
        return seldom || a[3] % 4 == 0;
    case MOTOR_SYS_process_set:
        return seldom ||
               ((uint32_t)a[1] > MOTOR_PSET_LINUX_ENTRY &&
                (uint32_t)a[1] != MOTOR_PSET_MEMORY_LIMIT && (uint32_t)a[1] != MOTOR_PSET_MEMORY);
    case MOTOR_SYS_thread_control:
        return seldom || (uint32_t)a[1] != MOTOR_THREAD_SET_FS;
    case MOTOR_SYS_thread_create:
        return seldom;
    case MOTOR_SYS_map:
        return seldom || !(a[5] & MOTOR_MAP_FIXED) || expendable(a[3], a[4]);
    case MOTOR_SYS_unmap:
    case MOTOR_SYS_protect:
        return seldom || expendable(a[1], a[2]);
    case MOTOR_SYS_advise:
        return seldom || expendable(a[0], a[1]);
    case MOTOR_SYS_remap:
        return seldom || (expendable(a[0], a[1]) && expendable(a[2], a[3]));
    default:
        return true;
    }
}

static void fuzz_loop(void *argument)
{
    uint64_t state = (uint64_t)argument;
    for (uint32_t i = 0; i < fuzz_calls; i++) {
        uint64_t a[6], n = random_next(&state) % (CALLS + 1);
        for (int k = 0; k < 6; k++) {
            a[k] = pick(&state);
        }
        for (int k = 0; k < 8; k++) {
            scratch[random_next(&state) % 4096] = pick(&state);
        }
        if (n + MOTOR_SYSCALL_BASE == MOTOR_SYS_serve ||
            n + MOTOR_SYSCALL_BASE == MOTOR_SYS_futex_wait) {
            /* let it come back */
            a[n + MOTOR_SYSCALL_BASE == MOTOR_SYS_serve ? 5 : 3] = now() + MS;
        }
        if (allowed(n, a, random_next(&state) % 512 == 0)) {
            motor_raw_syscall(MOTOR_SYSCALL_BASE + n, a[0], a[1], a[2], a[3], a[4], a[5]);
        }
    }
}

static void fuzz_child(uint64_t seed, motor_handle gate)
{
    static struct worker w[THREADS];
    (void)gate;
    motor_process_set(0, MOTOR_PSET_MEMORY_LIMIT, 8 << 20);
    /* handles 2 to 9: one of each kind */
    motor_handle endpoint = (motor_handle)motor_endpoint_create();
    motor_gate_create(endpoint, 1, 0);
    motor_handle v = (motor_handle)motor_vmo_create(16 * PAGE, 0);
    motor_vmo_clone(v, 0, 8 * PAGE);
    motor_process_create(0);
    motor_handle_dup(0, MOTOR_RIGHTS_ALL);
    motor_bind(7, 3);
    motor_map(0, v, 0, 0x10000000, 16 * PAGE, MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_FIXED);
    for (uint64_t i = 0; i < THREADS; i++) {
        worker_start(&w[i], fuzz_loop, (void *)(seed + i * 1000003));
    }
    pause_ns(300 * MS);
    motor_process_exit(0, 0);
}

static void reply_to_fuzz(motor_handle endpoint, uint64_t until)
{
    static struct motor_event e[8];
    static struct motor_reply r[8];
    uint32_t n = 0;
    while (now() < until) {
        int64_t got = motor_serve(endpoint, r, n, e, 8, now() + 20 * MS);
        n = 0;
        for (int64_t i = 0; i < got; i++) {
            for (uint32_t k = 0; k < e[i].nhandles; k++) {
                motor_handle_close(e[i].handle[k]);
            }
            if (e[i].kind == MOTOR_EVENT_CALL) {
                r[n++] = (struct motor_reply){.token = e[i].token, .data = e, .size = 100};
            }
        }
    }
}

/* How often: "fuzz=N" on the kernel's command line, else 8; each takes a third of a second. */
static uint32_t fuzz_rounds(void)
{
    static struct motor_boot_info boot;
    uint32_t n = 0;
    motor_system_info(MOTOR_SINFO_BOOT, &boot, sizeof(boot));
    for (const char *p = boot.cmdline; *p; p++) {
        if (memcmp(p, "fuzz=", 5) == 0) {
            for (p += 5; *p >= '0' && *p <= '9'; p++) {
                n = n * 10 + (uint32_t)(*p - '0');
            }
            return n;
        }
    }
    return 8;
}

/*
 * What the fuzzers have forked: one may be stopped, or wait for ever for another. Again and again,
 * since one may fork while its elders are killed.
 */
static void kill_others(uint32_t processes)
{
    const struct motor_signal kill = {.signo = 9};
    struct motor_memory_info info;
    for (int i = 0; i < 1000; i++) {
        motor_signal_send(MOTOR_TO_ALL, 0, &kill);
        motor_system_info(MOTOR_SINFO_MEMORY, &info, sizeof(info));
        if (info.processes <= processes) {
            return;
        }
        pause_ns(MS);
    }
}

void test_fuzz(void)
{
    struct motor_memory_info begin;
    motor_system_info(MOTOR_SINFO_MEMORY, &begin, sizeof(begin));
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 5, 0));
    fuzz_calls = 20000;
    fuzz_seed = now();
    struct motor_counters before, after;
    motor_system_info(MOTOR_SINFO_COUNTERS, &before, sizeof(before));
    for (uint32_t round = 0, rounds = fuzz_rounds(); round < rounds; round++) {
        motor_handle p = spawn(fuzz_child, fuzz_seed + round, gate, NULL);
        reply_to_fuzz(endpoint, now() + 350 * MS);
        motor_process_exit(p, 9);
        wait_dead(p);
        motor_handle_close(p);
        kill_others(begin.processes);
    }
    motor_system_info(MOTOR_SINFO_COUNTERS, &after, sizeof(after));
    say("  seed %lu: %lu system calls, %lu faults\n", fuzz_seed, after.syscalls - before.syscalls,
        after.faults - before.faults);
    motor_handle_close(gate);
    motor_handle_close(endpoint);
}

/* ---- costs: instructions, under qemu -icount shift=0, where the TSC counts them ---- */

enum { ROUNDS = 1000 };
static uint32_t ping, pong;

static void echo_futex(void *unused)
{
    (void)unused;
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        while (__atomic_load_n(&ping, __ATOMIC_SEQ_CST) != i) {
            motor_futex_wait(&ping, i - 1, 0, NEVER, 0);
        }
        __atomic_store_n(&pong, i, __ATOMIC_SEQ_CST);
        motor_futex_wake(&pong, 1, 0);
    }
}

static void echo_call(void *argument)
{
    motor_handle endpoint = *(motor_handle *)argument;
    static struct motor_event e;
    struct motor_reply r = {0};
    uint32_t n = 0;
    while (motor_serve(endpoint, &r, n, &e, 1, NEVER) == 1 && e.kind == MOTOR_EVENT_CALL) {
        n = 1;
        r.token = e.token;
    }
}

static void cost_futex(void)
{
    struct worker w;
    ping = pong = 0;
    worker_start(&w, echo_futex, NULL);
    uint64_t start = tsc();
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        __atomic_store_n(&ping, i, __ATOMIC_SEQ_CST);
        motor_futex_wake(&ping, 1, 0);
        while (__atomic_load_n(&pong, __ATOMIC_SEQ_CST) != i) {
            motor_futex_wait(&pong, i - 1, 0, NEVER, 0);
        }
    }
    say("  cost: futex round trip %lu\n", (tsc() - start) / ROUNDS);
    worker_join(&w);
}

static void cost_call(void)
{
    struct worker w;
    motor_handle endpoint = (motor_handle)CHECK_OK(motor_endpoint_create());
    motor_handle gate = (motor_handle)CHECK_OK(motor_gate_create(endpoint, 5, 0));
    worker_start(&w, echo_call, &endpoint);
    struct motor_msg m = {.deadline = NEVER};
    motor_call(gate, &m);
    uint64_t start = tsc();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        motor_call(gate, &m);
    }
    say("  cost: call round trip %lu\n", (tsc() - start) / ROUNDS);
    motor_handle_close(gate);
    worker_join(&w);
    motor_handle_close(endpoint);
}

static void nothing(void *unused)
{
    (void)unused;
}

void test_costs(void)
{
    uint64_t start = tsc();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        motor_notify(0);
    }
    say("  cost: smallest call that fails %lu\n", (tsc() - start) / ROUNDS);
    start = tsc();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        motor_raw_syscall(39, 0, 0, 0, 0, 0, 0);
    }
    say("  cost: foreign call %lu\n", (tsc() - start) / ROUNDS);
    cost_futex();
    cost_call();
    struct worker w;
    start = tsc();
    for (uint32_t i = 0; i < 50; i++) {
        worker_start(&w, nothing, NULL);
        worker_join(&w);
    }
    say("  cost: thread start and join %lu\n", (tsc() - start) / 50);
}
