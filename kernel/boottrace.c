/* SPDX-License-Identifier: MIT */
/* The trace of the start: see boottrace.h. Noted first, since early there is no clock to tell by.
 */
#include "boottrace.h"
#include "log.h"
#include "main.h"

#define NOTES_MAX 12u

static struct {
    const char *done;
    uint64_t tsc;
} note[NOTES_MAX];
static uint32_t notes;

void boottrace(const char *done)
{
    if (notes < NOTES_MAX) {
        note[notes].done = done;
        note[notes++].tsc = __builtin_ia32_rdtsc();
    }
}

void boottrace_print(void)
{
    uint64_t per_us = kinfo->tsc_hz / 1000000;
    for (uint32_t i = 0; log_wanted("boottrace") && per_us && i < notes; i++) {
        uint64_t us = note[i].tsc / per_us;
        klog("boot: %5lu.%03lu ms %s\n", us / 1000, us % 1000, note[i].done);
    }
}
