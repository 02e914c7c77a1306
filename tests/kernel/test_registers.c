/* SPDX-License-Identifier: MIT */
/*
 * A thread's registers are its own: x87, SSE and AVX state and bases survive other threads' turns,
 * moves between CPUs and system calls; a new thread starts with the initial state and sees nothing
 * of another's.
 */
#include "ktest.h"
#include "tests.h"

#define TURNS 400

static bool has_avx(void)
{
    return ((struct motor_kinfo *)MOTOR_KINFO_ADDRESS)->xsave_mask & 4;
}

struct registers {
    uint64_t xmm[16][2];
    uint64_t ymm_high[16][2];
    uint32_t mxcsr;
    uint16_t fcw;
};

#define EACH(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static void load(const struct registers *r)
{
    __asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(r->mxcsr), "m"(r->fcw));
#define X(n) __asm__ volatile("movdqu %0, %%xmm" #n : : "m"(r->xmm[n]));
    EACH(X)
#undef X
    if (has_avx()) {
#define X(n) __asm__ volatile("vinsertf128 $1, %0, %%ymm" #n ", %%ymm" #n : : "m"(r->ymm_high[n]));
        EACH(X)
#undef X
    }
}

static void store(struct registers *r)
{
    *r = (struct registers){0};
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(r->mxcsr), "=m"(r->fcw));
#define X(n) __asm__ volatile("movdqu %%xmm" #n ", %0" : "=m"(r->xmm[n]));
    EACH(X)
#undef X
    if (has_avx()) {
#define X(n) __asm__ volatile("vextractf128 $1, %%ymm" #n ", %0" : "=m"(r->ymm_high[n]));
        EACH(X)
#undef X
    }
}

static void fill(struct registers *r, uint64_t seed)
{
    *r = (struct registers){0};
    for (int i = 0; i < 16; i++) {
        r->xmm[i][0] = random_next(&seed);
        r->xmm[i][1] = random_next(&seed);
        r->ymm_high[i][0] = has_avx() ? random_next(&seed) : 0;
        r->ymm_high[i][1] = has_avx() ? random_next(&seed) : 0;
    }
    r->mxcsr = 0x1f80 | (uint32_t)(seed & 3) << 13; /* rounding */
    r->fcw = (uint16_t)(0x37f | (seed >> 2 & 3) << 10);
}

static bool initial(const struct registers *r)
{
    static const struct registers zero;
    return r->mxcsr == 0x1f80 && r->fcw == 0x37f && memcmp(r->xmm, zero.xmm, sizeof(r->xmm)) == 0 &&
           memcmp(r->ymm_high, zero.ymm_high, sizeof(r->ymm_high)) == 0;
}

/* Every third worker uses the registers in some turns only. */
static void keep(void *argument)
{
    uint64_t seed = (uint64_t)argument * 0x9e3779b97f4a7c15ull + 1;
    struct registers mine, seen;
    uint32_t cpus = ((struct motor_kinfo *)MOTOR_KINFO_ADDRESS)->cpus;
    store(&seen);
    CHECK(initial(&seen));
    fill(&mine, seed);
    load(&mine);
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        if (turn % 50 == 49) {
            motor_thread_control(0, MOTOR_THREAD_SET_AFFINITY, 1ull << (seed + turn) % cpus);
        } else {
            motor_thread_yield();
        }
        if ((uint64_t)argument % 3 == 0 && turn % 7) {
            continue;
        }
        store(&seen);
        if (memcmp(&seen, &mine, sizeof(mine)) != 0) {
            CHECK(!"registers changed");
            return;
        }
        if (turn % 5 == 0) {
            fill(&mine, ++seed);
            load(&mine);
        }
    }
}

void test_registers(void)
{
    enum { COUNT = 9 };
    static struct worker w[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        worker_start(&w[i], keep, (void *)i);
    }
    for (int i = 0; i < COUNT; i++) {
        worker_join(&w[i]);
    }
}
