/* SPDX-License-Identifier: MIT */
/* tsc: how many kHz this host's time stamp counter has, which guests under emulation see as theirs.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(void)
{
    uint64_t ns = now_ns(), tsc = __builtin_ia32_rdtsc();
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    tsc = __builtin_ia32_rdtsc() - tsc;
    ns = now_ns() - ns;
    printf("%llu\n", (unsigned long long)((double)tsc * 1e6 / (double)ns));
    return 0;
}
