/* SPDX-License-Identifier: MIT */
/*
 * Entropy for the kernel's generator: what the CPU's own generator gives (SDM volume 1, 7.3.17),
 * always mixed with how long port accesses take, which under emulation and on a busy host no other
 * guest can foresee.
 */
#include "early.h"

#define JITTER_SAMPLES 8
#define MULTIPLIER     0x9e3779b97f4a7c15ull

static uint64_t rdseed(void)
{
    uint64_t v;
    bool ok;
    __asm__ volatile("rdseed %0" : "=r"(v), "=@ccc"(ok));
    return ok ? v : 0;
}

static uint64_t rdrand(void)
{
    uint64_t v;
    bool ok;
    __asm__ volatile("rdrand %0" : "=r"(v), "=@ccc"(ok));
    return ok ? v : 0;
}

static uint64_t jitter(void)
{
    static uint64_t pool;
    for (int i = 0; i < JITTER_SAMPLES; i++) {
        inb(0x61);
        pool = (pool ^ rdtsc()) * MULTIPLIER;
        pool ^= pool >> 29;
    }
    return pool;
}

uint64_t arch_entropy(void)
{
    uint32_t r[4], max[4], features[4] = {0};
    uint64_t v = jitter();
    cpuid(0, 0, max);
    cpuid(1, 0, r);
    if (max[0] >= 7) {
        cpuid(7, 0, features);
    }
    if (r[2] >> 30 & 1) {
        v ^= rdrand();
    }
    if (features[1] >> 18 & 1) {
        v ^= rdseed();
    }
    return v;
}
