/* SPDX-License-Identifier: MIT */
/*
 * What the kernel needs of the ACPI tables: CPUs, interrupt controllers and overrides (MADT),
 * timers (HPET, FADT), and the ways to end the machine (FADT, and _S5 found in the DSDT). Source:
 * ACPI 6.5, chapters 5 and 16.
 *
 * The tables come from outside: each is used only if it lies whole in the low 4 GiB (which the boot
 * page tables map), its length is sane and its checksum right. Loops are bounded by lengths that
 * were checked.
 */
#include "early.h"
#include "log.h"

#define LOW_LIMIT  (1ull << 32)
#define TABLE_MAX  (1u << 20)
#define TABLES_MAX 64u

struct acpi_info acpi;

struct header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[26];
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 36, "ACPI");

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    __builtin_memcpy(&v, p, 8);
    return v;
}

static bool sum_is_zero(const uint8_t *p, uint32_t n)
{
    uint8_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum = (uint8_t)(sum + p[i]);
    }
    return sum == 0;
}

static const uint8_t *low(uint64_t paddr, uint64_t n)
{
    return paddr && paddr < LOW_LIMIT && n <= LOW_LIMIT - paddr ? phys_to_virt(paddr) : NULL;
}

/* A whole, checked table, or NULL. */
static const struct header *table_at(uint64_t paddr)
{
    const struct header *h = (const struct header *)low(paddr, sizeof(*h));
    if (!h || h->length < sizeof(*h) || h->length > TABLE_MAX || !low(paddr, h->length)) {
        return NULL;
    }
    return sum_is_zero((const uint8_t *)h, h->length) ? h : NULL;
}

/* ---- MADT ---- */

static void madt_cpu(uint32_t id, uint32_t flags)
{
    if ((flags & 1) && acpi.cpus < CPUS_MAX) {
        acpi.cpu_apic_id[acpi.cpus++] = id;
    }
}

static void madt_entry(const uint8_t *e, uint8_t length)
{
    switch (e[0]) {
    case 0: /* local APIC */
        if (length >= 8) {
            madt_cpu(e[3], get32(e + 4));
        }
        break;
    case 1: /* I/O APIC */
        if (length >= 12 && acpi.ioapics < 4) {
            acpi.ioapic[acpi.ioapics].address = get32(e + 4);
            acpi.ioapic[acpi.ioapics++].gsi = get32(e + 8);
        }
        break;
    case 2: /* interrupt source override of an ISA line */
        if (length >= 10 && e[2] == 0 && e[3] < 16) {
            acpi.isa[e[3]].gsi = get32(e + 4);
            acpi.isa[e[3]].flags = (uint16_t)(e[8] | e[9] << 8);
            acpi.isa[e[3]].set = true;
        }
        break;
    case 9: /* local x2APIC */
        if (length >= 16) {
            madt_cpu(get32(e + 4), get32(e + 8));
        }
        break;
    }
}

static void madt_read(const struct header *h)
{
    const uint8_t *p = (const uint8_t *)h;
    if (h->length < 44) {
        return;
    }
    for (uint32_t at = 44; at + 2 <= h->length && p[at + 1] >= 2 && at + p[at + 1] <= h->length;
         at += p[at + 1]) {
        madt_entry(p + at, p[at + 1]);
    }
}

/* ---- FADT and DSDT ---- */

/* An integer of AML at p (bounded by end): Zero, One, BytePrefix. */
static const uint8_t *aml_byte(const uint8_t *p, const uint8_t *end, uint8_t *value)
{
    if (p < end && *p <= 1) {
        *value = *p;
        return p + 1;
    }
    if (end - p >= 2 && *p == 0x0a) {
        *value = p[1];
        return p + 2;
    }
    return NULL;
}

/*
 * Name (_S5, Package () {a, b, ...}): 08 '_S5_' 12 length count a b; found by its bytes, as no AML
 * is interpreted here.
 */
static void dsdt_find_s5(const struct header *h)
{
    const uint8_t *p = (const uint8_t *)h, *end = p + h->length;
    for (p += sizeof(*h); end - p >= 12; p++) {
        if (__builtin_memcmp(p, "_S5_\x12", 5)) {
            continue;
        }
        const uint8_t *q = p + 5;
        q += (*q >> 6) + 1; /* PkgLength */
        q += 1;             /* element count */
        if (q < end && (q = aml_byte(q, end, &acpi.s5_a)) && aml_byte(q, end, &acpi.s5_b)) {
            acpi.s5 = true;
        }
        return;
    }
}

static void fadt_read(const struct header *h)
{
    const uint8_t *p = (const uint8_t *)h;
    if (h->length < 116) {
        return;
    }
    uint32_t flags = get32(p + 112);
    const struct header *dsdt = table_at(get32(p + 40));
    acpi.pm1a_control = get32(p + 64);
    acpi.pm1b_control = get32(p + 68);
    acpi.pm_timer_port = get32(p + 76);
    acpi.pm_timer_32 = flags >> 8 & 1;
    if (h->length >= 129 && (flags >> 10 & 1)) {
        acpi.reset_space = p[116];
        acpi.reset_address = get64(p + 120);
        acpi.reset_value = p[128];
    }
    if (!dsdt && h->length >= 148) {
        dsdt = table_at(get64(p + 140));
    }
    if (dsdt) {
        dsdt_find_s5(dsdt);
    }
    /* hardware-reduced: sleep control register in memory */
    if ((flags >> 20 & 1) && h->length >= 256 && p[244] == 0) {
        acpi.sleep_control = get64(p + 248);
        acpi.pm1a_control = acpi.pm1b_control = acpi.pm_timer_port = 0;
    }
}

static void hpet_read(const struct header *h)
{
    if (h->length >= 52) {
        acpi.hpet = get64((const uint8_t *)h + 44);
    }
}

static void table_read(uint64_t paddr)
{
    const struct header *h = table_at(paddr);
    if (!h) {
        return;
    }
    if (!__builtin_memcmp(h->signature, "APIC", 4)) {
        madt_read(h);
    } else if (!__builtin_memcmp(h->signature, "FACP", 4)) {
        fadt_read(h);
    } else if (!__builtin_memcmp(h->signature, "HPET", 4)) {
        hpet_read(h);
    }
}

static void root_read(uint64_t paddr, unsigned width)
{
    const struct header *h = table_at(paddr);
    if (!h) {
        return;
    }
    const uint8_t *p = (const uint8_t *)h + sizeof(*h);
    uint32_t n = (h->length - sizeof(*h)) / width;
    acpi.have = true;
    for (uint32_t i = 0; i < n && i < TABLES_MAX; i++, p += width) {
        table_read(width == 8 ? get64(p) : get32(p));
    }
}

void acpi_init(void)
{
    const uint8_t *r = low(boot_params.rsdp, 36);
    if (!r || __builtin_memcmp(r, "RSD PTR ", 8) || !sum_is_zero(r, 20)) {
        return; /* one CPU, the usual addresses: apic.c */
    }
    if (r[15] >= 2 && sum_is_zero(r, 36)) {
        root_read(get64(r + 24), 8);
    }
    if (!acpi.have) {
        root_read(get32(r + 16), 4);
    }
}
