/* SPDX-License-Identifier: MIT */
/*
 * FPU, SSE and AVX state of user threads. The kernel does not use these registers. State is saved whenever a thread is
 * switched out and loaded when it comes back, unless this CPU's registers still hold it (a wake-up from idle, or a
 * server that the kernel alone ran in between).
 */
#include "early.h"
#include "frame.h"
#include "log.h"
#include "main.h"
#include "thread.h"

#define LEGACY_SIZE 512u

struct fpu_area { /* struct thread.fpu */
    void *block;       /* what was allocated */
    uint32_t cpu_plus_1; /* where its registers were last loaded; 0: nowhere */
};

static bool has_xsave, has_xsaveopt;
static uint32_t area_size = LEGACY_SIZE;
static uint64_t xcr0;
static struct thread *owner[CPUS_MAX]; /* whose state the CPU's registers hold */
static uint32_t offset_to_state = 64;

static void *state_of(const struct thread *t)
{
    return (char *)t->fpu + offset_to_state;
}

/* x87, SSE, AVX and AVX-512: components whose user state is nothing but registers. */
static void choose_features(void)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    has_xsave = r[2] >> 26 & 1;
    if (!has_xsave) {
        return;
    }
    cpuid(0xd, 0, r);
    xcr0 = r[0] & 0xe7;
    if ((xcr0 & 4) == 0) {
        xcr0 &= 3;
    }
    if ((xcr0 & 0xe0) != 0xe0) {
        xcr0 &= 7;
    }
    cpuid(0xd, 1, r);
    has_xsaveopt = r[0] & 1;
}

void fpu_init_cpu(void)
{
    static bool chosen;
    uint32_t r[4];
    if (!chosen) {
        choose_features();
        chosen = true;
    }
    if (has_xsave) {
        uint64_t cr4;
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
        __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1u << 18)); /* OSXSAVE */
        __asm__ volatile("xsetbv" : : "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32)), "c"(0));
        cpuid(0xd, 0, r);
        area_size = r[1] > LEGACY_SIZE ? r[1] : LEGACY_SIZE + 64;
    }
    __asm__ volatile("fninit");
}

void fpu_fill_kinfo(struct motor_kinfo *k)
{
    k->xsave_size = has_xsave ? area_size : LEGACY_SIZE;
    k->xsave_mask = has_xsave ? xcr0 : 0;
}

void arch_fpu_init_thread(struct thread *t)
{
    char *block = kzalloc(area_size + 128);
    if (!block) {
        t->fpu = NULL;
        return;
    }
    struct fpu_area *a = (struct fpu_area *)(((uint64_t)block + 63) & ~63ull);
    a->block = block;
    t->fpu = a;
    uint8_t *state = state_of(t);
    *(uint16_t *)state = 0x37f;         /* FCW: all exceptions masked, extended precision */
    *(uint32_t *)(state + 24) = 0x1f80; /* MXCSR: all exceptions masked */
    if (has_xsave) {
        *(uint64_t *)(state + 512) = 3; /* XSTATE_BV: x87 and SSE as above, the rest initial */
    }
}

void arch_fpu_free_thread(struct thread *t)
{
    struct fpu_area *a = t->fpu;
    for (uint32_t i = 0; i < CPUS_MAX; i++) {
        if (__atomic_load_n(&owner[i], __ATOMIC_RELAXED) == t) {
            __atomic_store_n(&owner[i], NULL, __ATOMIC_RELAXED);
        }
    }
    if (a) {
        kfree(a->block);
        t->fpu = NULL;
    }
}

static void save(void *state)
{
    if (has_xsaveopt) {
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(state), "a"(0xffffffffu), "d"(0xffffffffu) : "memory");
    } else if (has_xsave) {
        __asm__ volatile("xsave64 (%0)" : : "r"(state), "a"(0xffffffffu), "d"(0xffffffffu) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" : : "r"(state) : "memory");
    }
}

static void load(const void *state)
{
    if (has_xsave) {
        __asm__ volatile("xrstor64 (%0)" : : "r"(state), "a"(0xffffffffu), "d"(0xffffffffu) : "memory");
    } else {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(state) : "memory");
    }
}

void fpu_switch(struct thread *from, struct thread *to)
{
    uint32_t cpu = this_cpu()->id;
    if (from->process && from->fpu) { /* idle threads have no state worth keeping */
        save(state_of(from));
    }
    if (!to->process || !to->fpu) {
        return;
    }
    struct fpu_area *a = to->fpu;
    if (owner[cpu] == to && a->cpu_plus_1 == cpu + 1) {
        return;
    }
    load(state_of(to));
    owner[cpu] = to;
    a->cpu_plus_1 = cpu + 1;
}
