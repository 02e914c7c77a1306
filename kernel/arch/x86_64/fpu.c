/* SPDX-License-Identifier: MIT */
/*
 * FPU, SSE and AVX state of user threads. The kernel does not use these registers. A thread's state
 * is saved when it is switched out and loaded when it comes back, unless this CPU's registers still
 * hold it (a wake-up from idle).
 *
 * Under emulation saving and loading cost as much as the rest of a switch, and CR0.TS next to
 * nothing; on hardware it is the other way round, and registers left in place could be read by
 * speculation (CVE-2018-3665). So only under emulation a thread starts its turn without its
 * registers, and the trap at their first use loads them; one that used them in each of some turns
 * in a row gets them at once for a while. Sources: Intel SDM volume 1, chapter 13; volume 3, 2.5
 * (CR0.TS) and chapter 13.
 *
 * Invariant: owner[cpu] == t and t's area.cpu_plus_1 == cpu + 1 means: the CPU's registers are t's
 * newest state; if t's area is not live, its memory is too.
 */
#include "early.h"
#include "frame.h"
#include "log.h"
#include "main.h"
#include "thread.h"

#define LEGACY_SIZE 512u
#define HEADER_SIZE 64u /* of an XSAVE area, behind the legacy part */
#define CR0_TS      8u

#define STREAK      3u /* turns with a trap in a row, until a thread is given its registers at once */
#define EAGER_TURNS 32u /* for so many turns */
/*
 * How a thread begins. The emulator translates code once for CR0.TS set and once for it clear,
 * which a program that has just started pays for most.
 */
#define FIRST_TURNS 255u

struct fpu_area {        /* struct thread.fpu */
    void *block;         /* what was allocated */
    uint32_t cpu_plus_1; /* where its registers were last loaded; 0: nowhere */
    bool live;           /* it runs, and may have changed its registers */
    uint8_t streak, eager_turns;
};

static bool has_xsave, has_xsaveopt, lazy;
static bool trapping[CPUS_MAX]; /* CR0.TS */
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
    lazy = cpu_is_emulated();
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

static void state_init(struct thread *t)
{
    uint8_t *state = state_of(t);
    /* what the header does not name is not looked at */
    __builtin_memset(state, 0, has_xsave ? LEGACY_SIZE + HEADER_SIZE : LEGACY_SIZE);
    *(uint16_t *)state = 0x37f;         /* FCW: all exceptions masked, extended precision */
    *(uint32_t *)(state + 24) = 0x1f80; /* MXCSR: all exceptions masked */
    if (has_xsave) {
        *(uint64_t *)(state + 512) = 3; /* XSTATE_BV: x87 and SSE as above, the rest initial */
    }
}

void arch_fpu_init_thread(struct thread *t)
{
    char *block = kmalloc(area_size + 128);
    if (!block) {
        t->fpu = NULL;
        return;
    }
    struct fpu_area *a = (struct fpu_area *)(((uint64_t)block + 63) & ~63ull);
    *a = (struct fpu_area){.block = block, .eager_turns = FIRST_TURNS};
    t->fpu = a;
    state_init(t);
}

void arch_fpu_free_thread(struct thread *t)
{
    struct fpu_area *a = t->fpu;
    for (uint32_t i = 0; i < cpu_count; i++) {
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
        __asm__ volatile("xsaveopt64 (%0)"
                         :
                         : "r"(state), "a"(0xffffffffu), "d"(0xffffffffu)
                         : "memory");
    } else if (has_xsave) {
        __asm__ volatile("xsave64 (%0)"
                         :
                         : "r"(state), "a"(0xffffffffu), "d"(0xffffffffu)
                         : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" : : "r"(state) : "memory");
    }
}

static void load(const void *state)
{
    if (has_xsave) {
        __asm__ volatile("xrstor64 (%0)"
                         :
                         : "r"(state), "a"(0xffffffffu), "d"(0xffffffffu)
                         : "memory");
    } else {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(state) : "memory");
    }
}

static void set_trap(uint32_t cpu, bool on)
{
    if (trapping[cpu] == on) {
        return;
    }
    trapping[cpu] = on;
    if (on) {
        uint64_t cr0;
        __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
        __asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_TS) : "memory");
    } else {
        __asm__ volatile("clts" : : : "memory");
    }
}

/* The registers are t's from here on. */
static void give(struct thread *t, uint32_t cpu)
{
    struct fpu_area *a = t->fpu;
    set_trap(cpu, false);
    if (owner[cpu] != t || a->cpu_plus_1 != cpu + 1) {
        load(state_of(t));
        owner[cpu] = t;
        a->cpu_plus_1 = cpu + 1;
    }
    a->live = true;
}

void arch_fpu_copy(struct thread *to)
{
    struct thread *from = this_cpu()->current;
    if (((struct fpu_area *)from->fpu)->live) {
        save(state_of(from));
    }
    __builtin_memcpy(state_of(to), state_of(from), area_size);
}

void fpu_switch(struct thread *from, struct thread *to)
{
    uint32_t cpu = this_cpu()->id;
    struct fpu_area *old = from->process ? from->fpu : NULL, *new = to->process ? to->fpu : NULL;
    if (old && old->live) {
        save(state_of(from));
        old->live = false;
    } else if (old) {
        old->streak = 0;
    }
    if (!new) {
        return; /* idle: the registers stay as they are */
    }
    if (!lazy) {
        give(to, cpu);
    } else if (new->eager_turns) {
        new->eager_turns--;
        give(to, cpu);
    } else {
        set_trap(cpu, true);
    }
}

/* Vector 7: the running thread uses registers that it was not given yet. */
void fpu_trap(void)
{
    struct thread *t = this_cpu()->current;
    struct fpu_area *a = t->fpu;
    give(t, this_cpu()->id);
    if (++a->streak >= STREAK) {
        a->streak = STREAK - 1; /* afterwards one more trap is enough */
        a->eager_turns = EAGER_TURNS;
    }
}

void fpu_reset(void)
{
    struct thread *t = this_cpu()->current;
    struct fpu_area *a = t->fpu;
    state_init(t);
    a->cpu_plus_1 = 0;
    give(t, this_cpu()->id);
}
