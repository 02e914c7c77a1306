/* SPDX-License-Identifier: MIT */
/*
 * Boots boot/pvh.c and acpi.c on made-up machines: sound tables first, then tables with bytes
 * changed (checksums put right again half of the time, so that what lies behind them is reached).
 * The low 4 GiB of the machine are a mapping at PHYSMAP_BASE, as the boot page tables make it; what
 * lies beyond is not readable. Whatever the tables say, the result keeps its promises
 * (check_result) and the readers end: an alarm ends the test if not.
 *
 * boot_fuzz [ROUNDS [SEED]]
 */
#include "arch/x86_64/early.h"
#include "log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOW     (1ull << 32)
#define BASE    0x10000u /* everything that is read lies in [BASE, BASE + SIZE) */
#define SIZE    0x2000u
#define INFO    0x10000u
#define MEMMAP  0x10100u
#define MODULES 0x10300u
#define CMDLINE 0x10400u
#define RSDP    0x10500u
#define XSDT    0x10600u
#define RSDT    0x10700u
#define MADT    0x10800u
#define FADT    0x10a00u
#define HPET    0x10c00u
#define DSDT    0x10d00u

#define REQUIRE(x) \
    do { \
        if (!(x)) { \
            fprintf(stderr, "boot_fuzz: round %lu: %s\n", (unsigned long)round_number, #x); \
            abort(); \
        } \
    } while (0)

uint64_t pvh_start_info;
static jmp_buf end;
static uint64_t round_number, state;
static bool refused;

/* ---- what the kernel would give ---- */

noreturn void pvh_main(void);

void klog(const char *format, ...)
{
    (void)format;
}
void arch_log_init(void) {}
noreturn void arch_power(uint32_t mode, uint32_t status)
{
    REQUIRE(mode == MOTOR_POWER_EXIT && status);
    refused = true;
    longjmp(end, 1);
}
void arch_early_init(void)
{
    acpi_init();
}
noreturn void kernel_main(void)
{
    longjmp(end, 1);
}
bool boot_is_ram(uint64_t start, uint64_t stop)
{
    for (uint32_t i = 0; i < boot_params.ranges; i++) {
        const struct boot_range *r = &boot_params.range[i];
        if (r->kind == BOOT_RAM && start >= r->start && stop <= r->end && start < stop) {
            return true;
        }
    }
    return false;
}

/* ---- a machine ---- */

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint8_t *at(uint64_t paddr)
{
    return phys_to_virt(paddr);
}

static void put(uint64_t paddr, unsigned bytes, uint64_t value)
{
    memcpy(at(paddr), &value, bytes);
}

static uint64_t get(uint64_t paddr, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, at(paddr), bytes);
    return value;
}

static void set_sum(uint64_t table, uint64_t length, uint64_t field)
{
    uint8_t sum = 0;
    put(field, 1, 0);
    for (uint64_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + *at(table + i));
    }
    put(field, 1, (uint8_t)-sum);
}

static void header(uint64_t table, const char *signature, uint32_t length)
{
    memcpy(at(table), signature, 4);
    put(table + 4, 4, length);
    put(table + 8, 1, 5);
}

static void set_sums(void)
{
    static const uint64_t tables[] = {XSDT, RSDT, MADT, FADT, HPET, DSDT};
    for (unsigned i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        uint64_t length = get(tables[i] + 4, 4);
        set_sum(tables[i], length <= SIZE ? length : 36, tables[i] + 9);
    }
    set_sum(RSDP, 20, RSDP + 8);
    set_sum(RSDP, 36, RSDP + 32);
}

static void make_start_info(void)
{
    static const uint64_t map[][3] = {
        {0, 0x9f000, 1}, {0xf0000, 0x10000, 2}, {0x100000, 0x3f00000, 1}, {LOW, 1ull << 31, 1}};
    put(INFO, 4, 0x336ec578);
    put(INFO + 4, 4, 1);
    put(INFO + 12, 4, 1);
    put(INFO + 16, 8, MODULES);
    put(INFO + 24, 8, CMDLINE);
    put(INFO + 32, 8, RSDP);
    put(INFO + 40, 8, MEMMAP);
    put(INFO + 48, 4, 4);
    for (unsigned i = 0; i < 4; i++) {
        put(MEMMAP + i * 24, 8, map[i][0]);
        put(MEMMAP + i * 24 + 8, 8, map[i][1]);
        put(MEMMAP + i * 24 + 16, 4, map[i][2]);
    }
    put(MODULES, 8, 0x300000);
    put(MODULES + 8, 8, 12345);
    strcpy((char *)at(CMDLINE), "debug motor");
}

static void make_tables(void)
{
    memcpy(at(RSDP), "RSD PTR ", 8);
    put(RSDP + 15, 1, 2);
    put(RSDP + 16, 4, RSDT);
    put(RSDP + 20, 4, 36);
    put(RSDP + 24, 8, XSDT);
    header(XSDT, "XSDT", 36 + 24);
    header(RSDT, "RSDT", 36 + 12);
    for (unsigned i = 0; i < 3; i++) {
        put(XSDT + 36 + i * 8, 8, (const uint64_t[]){MADT, FADT, HPET}[i]);
        put(RSDT + 36 + i * 4, 4, (const uint64_t[]){MADT, FADT, HPET}[i]);
    }
    header(MADT, "APIC", 44 + 8 + 8 + 12 + 10 + 16 + 12);
    put(MADT + 36, 4, 0xfee00000);
    memcpy(at(MADT + 44),
           "\0\10\0\0\1\0\0\0"
           "\0\10\1\1\1\0\0\0"
           "\1\14\0\0\0\0\300\376\0\0\0\0"
           "\2\12\0\0\2\0\0\0\5\0"
           "\11\20\0\0\2\0\0\0\1\0\0\0\2\0\0\0"
           "\5\14\0\0\0\0\340\376\0\0\0\0",
           66);
    header(FADT, "FACP", 268);
    put(FADT + 40, 4, DSDT);
    put(FADT + 64, 4, 0x604);
    put(FADT + 76, 4, 0x608);
    put(FADT + 112, 4, 1 << 10);
    put(FADT + 116, 1, 1);
    put(FADT + 120, 8, 0xcf9);
    put(FADT + 128, 1, 15);
    header(HPET, "HPET", 56);
    put(HPET + 44, 8, 0xfed00000);
    header(DSDT, "DSDT", 36 + 14);
    memcpy(at(DSDT + 36), "\10_S5_\22\12\4\12\5\12\6\0\0", 14);
}

/*
 * Bytes, or fields that name places and lengths, get values that are random, extreme, or off by a
 * little.
 */
static void mutate(void)
{
    static const uint64_t fields[] = {INFO + 16, INFO + 24,   INFO + 32,   INFO + 40,   INFO + 48,
                                      MEMMAP,    MEMMAP + 8,  MEMMAP + 24, MEMMAP + 32, MEMMAP + 56,
                                      MODULES,   MODULES + 8, RSDP + 16,   RSDP + 24,   XSDT + 4,
                                      RSDT + 4,  MADT + 4,    MADT + 45,   FADT + 4,    FADT + 40,
                                      HPET + 4,  DSDT + 4,    DSDT + 42,   XSDT + 36,   XSDT + 44};
    static const uint64_t values[] = {0,       1,        0xff, 0xffff, 0xffffffff, ~0ull,
                                      LOW - 1, LOW - 36, LOW,  INFO,   1ull << 63};
    for (uint64_t n = next() % 6; n; n--) {
        if (next() % 2) {
            put(BASE + next() % (DSDT + 64 - BASE), 1, next());
        } else {
            uint64_t field = fields[next() % (sizeof(fields) / sizeof(*fields))];
            uint64_t value = next() % 2 ? values[next() % (sizeof(values) / sizeof(*values))]
                                        : get(field, 8) + next() % 9 - 4;
            put(field, next() % 2 ? 4 : 8, value);
        }
    }
    if (next() % 2) {
        set_sums();
    }
}

/* ---- */

static void check_result(void)
{
    uint64_t before = 0;
    REQUIRE(boot_params.ranges <= BOOT_RANGES_MAX);
    for (uint32_t i = 0; i < boot_params.ranges; i++) {
        const struct boot_range *r = &boot_params.range[i];
        REQUIRE(r->start % PAGE_SIZE == 0 && r->end % PAGE_SIZE == 0);
        REQUIRE(r->start >= before && r->end > r->start);
        REQUIRE(r->kind == BOOT_RAM || r->kind == BOOT_RESERVED);
        before = r->end;
    }
    uint64_t size = boot_params.bundle_size;
    REQUIRE(!size || boot_is_ram(boot_params.bundle_start, boot_params.bundle_start + size));
    REQUIRE(memchr(boot_params.cmdline, 0, sizeof(boot_params.cmdline)));
    REQUIRE(acpi.cpus <= CPUS_MAX && acpi.ioapics <= 4);
}

/* RAM up to 0x3ffd000; a reservation behind it, from there or later, to 0x4000000; and a module. */
static void reserve_end(uint64_t reserved, uint64_t module_end)
{
    put(MEMMAP + 2 * 24 + 8, 8, 0x3ffd000 - 0x100000);
    put(MEMMAP + 3 * 24, 8, reserved);
    put(MEMMAP + 3 * 24 + 8, 8, 0x4000000 - reserved);
    put(MEMMAP + 3 * 24 + 16, 4, 2);
    put(MODULES, 8, 0x3f00000);
    put(MODULES + 8, 8, module_end - 0x3f00000);
}
static void reserve_under_module(void)
{
    reserve_end(0x3ffd000, 0x3ffefff);
}
static void reserve_all_under_module(void)
{
    reserve_end(0x3ffd000, 0x4000000);
}
static void module_beyond(void)
{
    reserve_end(0x3ffd000, 0x4000001);
}
static void hole_under_module(void)
{
    reserve_end(0x3ffe000, 0x3ffefff);
}

static void boot(void (*change)(void))
{
    memset(at(BASE), 0, SIZE);
    make_start_info();
    make_tables();
    set_sums();
    if (change) {
        change();
    }
    memset(&boot_params, 0, sizeof(boot_params));
    memset(&acpi, 0, sizeof(acpi));
    pvh_start_info = INFO;
    refused = false;
    alarm(20);
    if (!setjmp(end)) {
        pvh_main();
    }
    if (!refused) {
        check_result();
    }
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 50000;
    state = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x243f6a8885a308d3ull;
    void *low = mmap((void *)PHYSMAP_BASE, LOW, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    REQUIRE(low == (void *)PHYSMAP_BASE);
    REQUIRE(mmap((char *)low + LOW, LOW, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
                 0) != MAP_FAILED);
    boot(NULL);
    REQUIRE(!refused && boot_params.ranges == 4 && boot_params.bundle_size == 12345 &&
            boot_params.rsdp == RSDP);
    REQUIRE(!strcmp(boot_params.cmdline, "debug motor"));
    REQUIRE(acpi.cpus == 3 && acpi.ioapics == 1 && acpi.isa[0].set && acpi.isa[0].gsi == 2);
    REQUIRE(acpi.s5 && acpi.s5_a == 5 && acpi.s5_b == 6 && acpi.hpet == 0xfed00000 &&
            acpi.pm_timer_port == 0x608);
    REQUIRE(acpi.reset_address == 0xcf9 && acpi.reset_value == 15);
    boot(reserve_under_module);
    REQUIRE(!refused && boot_params.ranges == 4 && boot_params.range[2].end == 0x3fff000 &&
            boot_params.range[3].start == 0x3fff000 && boot_params.range[3].end == 0x4000000);
    boot(reserve_all_under_module);
    REQUIRE(!refused && boot_params.ranges == 3 && boot_params.range[2].end == 0x4000000);
    boot(module_beyond);
    REQUIRE(refused);
    boot(hole_under_module);
    REQUIRE(refused);
    uint64_t accepted = 0;
    for (round_number = 1; round_number <= rounds; round_number++) {
        boot(mutate);
        accepted += !refused;
    }
    printf("boot_fuzz: %lu rounds, %lu booted\n", (unsigned long)rounds, (unsigned long)accepted);
    return 0;
}
