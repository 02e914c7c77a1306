/* SPDX-License-Identifier: MIT */
/*
 * Time: the TSC, whose rate comes from the hypervisor or CPUID if they tell, else from counting it
 * against a clock of known rate (HPET, ACPI PM timer, QEMU's APIC timer, PIT) for some
 * milliseconds; the local APIC timer is counted along. Real time from KVM's clock or the RTC.
 * Sources: SDM volume 3, 18.17 and 11.5.4; KVM's msr.rst; ACPI 6.5, 4.8.3.3; HPET 1.0a.
 */
#include "early.h"
#include "log.h"
#include "main.h"

#define CALIBRATE_NS        2000000ull
#define NS_PER_S            1000000000ull
#define PM_HZ               3579545ull
#define PIT_HZ              1193182ull
#define QEMU_TIMER_HZ       62500000ull /* QEMU's local APIC timer: 1 GHz, divided by 16 */
#define TSC_HZ_LEAST        1000000ull  /* less is nonsense */
#define MSR_TSC_DEADLINE    0x6e0u
#define MSR_KVM_WALL_CLOCK  0x4b564d00u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u
#define SAMPLES             5
#define READS_MAX           (1u << 20) /* a reference that does not move ends the wait for it */

static uint64_t base_tsc, mult; /* as in struct motor_kinfo */
static uint64_t tsc_hz, timer_hz;
static uint64_t tsc_per_ns; /* 32.32: deadlines to TSC */

uint64_t arch_now(void)
{
    return (uint64_t)(((unsigned __int128)(rdtsc() - base_tsc) * mult) >> 32);
}

/* a * b / c, all ones if that is too large. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    uint64_t low = (uint64_t)product, high = (uint64_t)(product >> 64);
    if (high >= c) {
        return ~0ull;
    }
    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(c) : "cc");
    return low;
}

/* ---- reference clocks: free-running counters of known rate ---- */

static struct {
    uint64_t (*read)(void);
    uint64_t hz, mask; /* the counter wraps at mask */
} reference;

struct sample {
    uint64_t count, tsc;
    uint32_t timer; /* counts down */
};
static struct sample first;

static volatile uint32_t *hpet;

static uint64_t hpet_count(void)
{
    return hpet[0xf0 / 4];
}

static uint64_t pm_count(void)
{
    return inl((uint16_t)acpi.pm_timer_port);
}

static uint64_t timer_count(void)
{
    return ~apic_timer_left();
}

static uint64_t pit_count(void)
{
    outb(0x43, 0x80); /* latch channel 2 */
    uint32_t low = inb(0x42);
    return 0xffff - (low | (uint32_t)inb(0x42) << 8); /* it counts down */
}

static bool moves(uint64_t (*read)(void))
{
    uint64_t start = read();
    for (int i = 0; i < 1000; i++) {
        if (read() != start) {
            return true;
        }
    }
    return false;
}

static bool hpet_use(void)
{
    hpet = acpi.hpet ? device_map(acpi.hpet, 1024) : NULL;
    uint32_t period = hpet ? hpet[1] : 0; /* femtoseconds */
    if (period == 0 || period > 100000000) {
        return false;
    }
    hpet[0x10 / 4] |= 1;
    reference.read = hpet_count;
    reference.hz = 1000000000000000ull / period;
    reference.mask = 0xffffffff;
    return moves(hpet_count);
}

static bool pm_use(void)
{
    reference.read = pm_count;
    reference.hz = PM_HZ;
    reference.mask = acpi.pm_timer_32 ? 0xffffffff : 0xffffff;
    return acpi.pm_timer_port && acpi.pm_timer_port < 0xffff && moves(pm_count);
}

/*
 * QEMU's emulator says so itself: its APIC timer's rate is known, and better than the PIT, which
 * wraps after 55 ms.
 */
static bool timer_use(void)
{
    reference.read = timer_count;
    reference.hz = QEMU_TIMER_HZ;
    reference.mask = 0xffffffff;
    return true;
}

static bool pit_use(void)
{
    outb(0x61, (uint8_t)((inb(0x61) & ~2) | 1)); /* channel 2's gate open, speaker off */
    outb(0x43, 0xb0);                            /* mode 0 */
    outb(0x42, 0xff);
    outb(0x42, 0xff);
    reference.read = pit_count;
    reference.hz = PIT_HZ;
    reference.mask = 0xffff;
    return moves(pit_count);
}

/* All clocks at one moment: of several tries the one that took the least time. */
static struct sample sample(void)
{
    struct sample s = {0};
    uint64_t best = ~0ull;
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t before = rdtsc(), count = reference.read(), took = rdtsc() - before;
        uint32_t timer = apic_timer_left();
        if (took < best) {
            best = took;
            s = (struct sample){count, before + took / 2, timer};
        }
    }
    return s;
}

/* From the first sample to now, which is at least CALIBRATE_NS later. */
static void calibrate(void)
{
    uint64_t want = reference.hz * (CALIBRATE_NS / 1000) / 1000000;
    for (uint32_t i = 0;
         i < READS_MAX && ((reference.read() - first.count) & reference.mask) < want; i++) {
        __builtin_ia32_pause();
    }
    struct sample last = sample();
    uint64_t elapsed = (last.count - first.count) & reference.mask;
    apic_timer_start(0);
    if (elapsed < want) {
        klog("motor: no clock of known rate answers; the time is a guess\n");
        elapsed = want ? want : 1;
    }
    if (!tsc_hz) {
        tsc_hz = scale(last.tsc - first.tsc, reference.hz, elapsed);
    }
    timer_hz = scale(first.timer - last.timer, reference.hz, elapsed);
}

/* ---- what a hypervisor tells ---- */

static struct {
    uint32_t version, pad;
    uint64_t tsc, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad2[2];
} __attribute__((aligned(64))) kvm_time;
static struct {
    uint32_t version, seconds, ns;
} __attribute__((aligned(16))) kvm_wall;
static bool have_kvm_time;

static void hypervisor_ask(void)
{
    uint32_t r[4], f[4];
    cpuid(1, 0, r);
    if (!(r[2] >> 31 & 1)) {
        return;
    }
    cpuid(0x40000000u, 0, r);
    bool kvm = r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d;
    if (r[0] >= 0x40000010u && r[0] < 0x40010000u) {
        cpuid(0x40000010u, 0, f);
        tsc_hz = (uint64_t)f[0] * 1000;
    }
    if (!kvm) {
        return;
    }
    cpuid(0x40000001u, 0, f);
    if (!(f[0] >> 3 & 1)) {
        return;
    }
    wrmsr(MSR_KVM_SYSTEM_TIME, ((uint64_t)&kvm_time - KERNEL_BASE) | 1);
    wrmsr(MSR_KVM_WALL_CLOCK, (uint64_t)&kvm_wall - KERNEL_BASE);
    if (kvm_time.mul) {
        uint64_t hz = (NS_PER_S << 32) / kvm_time.mul;
        tsc_hz = kvm_time.shift < 0 ? hz << -kvm_time.shift : hz >> kvm_time.shift;
        have_kvm_time = true;
    }
}

/* The crystal and its ratio, where the CPU names both. */
static void cpuid_ask(void)
{
    uint32_t r[4];
    cpuid(0, 0, r);
    if (r[0] < 0x15) {
        return;
    }
    cpuid(0x15, 0, r);
    if (r[0] && r[1] && r[2]) {
        tsc_hz = (uint64_t)r[2] * r[1] / r[0];
    }
}

/* ---- real time ---- */

static uint8_t cmos(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static uint32_t from_bcd(uint8_t v, bool binary)
{
    return binary ? v : (uint32_t)(v >> 4) * 10 + (v & 15);
}

/* Days since 1970-01-01 of a Gregorian date (days-from-civil, with the year beginning in March). */
static uint64_t days_of(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t y = month <= 2 ? year - 1 : year;
    uint32_t era_year = y % 400;
    uint32_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    uint64_t day_of_era = era_year * 365ull + era_year / 4 - era_year / 100 + day_of_year;
    return (uint64_t)(y / 400) * 146097 + day_of_era - 719468;
}

uint64_t clock_rtc_seconds(void)
{
    uint8_t v[7], again[7];
    static const uint8_t reg[7] = {0, 2, 4, 7, 8, 9, 0x32};
    for (int tries = 0; tries < 10; tries++) {
        for (int i = 0; i < 2000 && (cmos(10) & 0x80); i++) { /* an update runs: 244 us at most */
        }
        for (int i = 0; i < 7; i++) {
            v[i] = cmos(reg[i]);
        }
        for (int i = 0; i < 7; i++) {
            again[i] = cmos(reg[i]);
        }
        if (!__builtin_memcmp(v, again, sizeof(v))) {
            break;
        }
    }
    uint8_t format = cmos(11);
    bool binary = format & 4, pm = !(format & 2) && (v[2] & 0x80);
    uint32_t hour = from_bcd(v[2] & 0x7f, binary), century = from_bcd(v[6], binary);
    if (!(format & 2)) {
        hour = hour % 12 + (pm ? 12 : 0);
    }
    uint32_t year = (century >= 19 && century < 30 ? century * 100 : 2000) + from_bcd(v[5], binary);
    uint32_t month = from_bcd(v[4], binary), day = from_bcd(v[3], binary);
    if (month < 1 || month > 12 || day < 1 || day > 31 || year < 1970) {
        return 0;
    }
    return ((days_of(year, month, day) * 24 + hour) * 60 + from_bcd(v[1], binary)) * 60 +
           from_bcd(v[0], binary);
}

static uint64_t realtime_offset(void)
{
    if (have_kvm_time && kvm_wall.seconds) {
        uint64_t ticks = rdtsc() - kvm_time.tsc;
        ticks = kvm_time.shift < 0 ? ticks >> -kvm_time.shift : ticks << kvm_time.shift;
        uint64_t up =
            kvm_time.system_time + (uint64_t)(((unsigned __int128)ticks * kvm_time.mul) >> 32);
        return kvm_wall.seconds * NS_PER_S + kvm_wall.ns + up - arch_now();
    }
    return clock_rtc_seconds() * NS_PER_S - arch_now();
}

void fpu_fill_kinfo(struct motor_kinfo *k);
extern bool cpu_has_fsgsbase;

/*
 * Early in the boot: start counting, unless all is known. The kernel's own start-up then takes much
 * of the time that counting needs; only the PIT, which wraps too soon, is read from clock_init()
 * on.
 */
void clock_begin(void)
{
    base_tsc = rdtsc();
    hypervisor_ask();
    if (!tsc_hz) {
        cpuid_ask();
    }
    if (tsc_hz && apic_has_deadline) {
        return;
    }
    apic_timer_start(~0u);
    if (hpet_use() || pm_use() || (cpu_is_emulated() && timer_use())) {
        first = sample();
    } else {
        reference.read = NULL;
    }
}

void clock_init(void)
{
    if (!tsc_hz || !apic_has_deadline) {
        if (!reference.read) {
            apic_timer_start(~0u);
            if (!pit_use()) {
                timer_use(); /* QEMU's and KVM's have this rate */
            }
            first = sample();
        }
        calibrate();
    }
    tsc_hz = tsc_hz < TSC_HZ_LEAST ? NS_PER_S : tsc_hz;
    timer_hz = timer_hz ? timer_hz : QEMU_TIMER_HZ;
    mult = (NS_PER_S << 32) / tsc_hz;
    tsc_per_ns = scale(tsc_hz, 1ull << 32, NS_PER_S);
    kinfo->base_tsc = base_tsc;
    kinfo->base_ns = 0;
    kinfo->mult = mult;
    kinfo->tsc_hz = tsc_hz;
    kinfo->realtime_offset_ns = realtime_offset();
    kinfo->flags |= cpu_has_fsgsbase ? MOTOR_KINFO_FSGSBASE : 0;
    fpu_fill_kinfo(kinfo);
    kdebug("clock: TSC %lu Hz, APIC timer %lu Hz\n", tsc_hz, timer_hz);
}

/* ---- the one-shot timer ---- */

void arch_timer_arm(uint64_t deadline)
{
    if (apic_has_deadline) {
        uint64_t tsc =
            deadline == MOTOR_NEVER
                ? 0
                : base_tsc + (uint64_t)(((unsigned __int128)deadline * tsc_per_ns) >> 32) + 1;
        wrmsr(MSR_TSC_DEADLINE, tsc);
        return;
    }
    if (deadline == MOTOR_NEVER) {
        apic_timer_start(0);
        return;
    }
    uint64_t now = arch_now(), ns = deadline > now ? deadline - now : 0;
    /* longer ones are armed again */
    uint64_t ticks = ns > 4 * NS_PER_S ? timer_hz * 4 : ns * timer_hz / NS_PER_S + 1;
    apic_timer_start(ticks > ~0u ? ~0u : (uint32_t)ticks);
}
