/* SPDX-License-Identifier: MIT */
/*
 * From PVH's start info to boot_params. The start info, its memory map and its module list come
 * from outside and are read with bounds through the low 4 GiB that the boot page tables map;
 * everything is copied before the memory they lie in is given to the allocator.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/early.h"
#include "bootinfo.h"
#include "log.h"
#include "start_info.h"

#define LOW_LIMIT (1ull << 32)

struct boot_params boot_params;
extern uint64_t pvh_start_info;

static noreturn void fail(const char *why)
{
    klog("motor: boot: %s\n", why);
    arch_power(MOTOR_POWER_EXIT, 1);
}

/* The bytes at a physical address below 4 GiB; NULL if they are not all there. */
static const void *low(uint64_t paddr, uint64_t size)
{
    if (!paddr || paddr >= LOW_LIMIT || size > LOW_LIMIT - paddr) {
        return NULL;
    }
    return phys_to_virt(paddr);
}

static void copy_cmdline(uint64_t paddr)
{
    const char *from = low(paddr, 1);
    size_t n = 0;
    while (from && n + 1 < sizeof(boot_params.cmdline) && paddr + n < LOW_LIMIT && from[n]) {
        boot_params.cmdline[n] = from[n];
        n++;
    }
    boot_params.cmdline[n] = 0;
}

static void add_range(uint64_t start, uint64_t size, uint32_t type)
{
    uint64_t end = start + size;
    if (end < start || boot_params.ranges == BOOT_RANGES_MAX) {
        return;
    }
    bool ram = type == MEMORY_RAM;
    start = ram ? (start + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1) : start & ~(PAGE_SIZE - 1);
    end = ram ? end & ~(PAGE_SIZE - 1) : (end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    if (end > start) {
        boot_params.range[boot_params.ranges++] =
            (struct boot_range){start, end, ram ? BOOT_RAM : BOOT_RESERVED};
    }
}

static void sort_ranges(void)
{
    struct boot_range *r = boot_params.range;
    for (uint32_t i = 1; i < boot_params.ranges; i++) {
        struct boot_range moved = r[i];
        uint32_t at = i;
        for (; at && r[at - 1].start > moved.start; at--) {
            r[at] = r[at - 1];
        }
        r[at] = moved;
    }
}

/* Overlaps lose their RAM: what any entry reserves is not ours. Result: disjoint. */
static void separate_ranges(void)
{
    struct boot_range *r = boot_params.range;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < boot_params.ranges; i++) {
        struct boot_range next = r[i];
        while (kept && next.start < r[kept - 1].end) {
            struct boot_range *last = &r[kept - 1];
            if (last->kind != BOOT_RAM || next.kind != BOOT_RESERVED) {
                next.start = last->end;
            } else if (next.start > last->start) {
                last->end = next.start;
            } else {
                kept--; /* its start was moved up before: the one before it may overlap as well */
            }
        }
        if (next.end > next.start) {
            r[kept++] = next;
        }
    }
    boot_params.ranges = kept;
}

static void copy_memory_map(const struct start_info *info)
{
    const struct memory_entry *e = low(info->memmap, (uint64_t)info->memmap_entries * sizeof(*e));
    if (info->version < 1 || !e || info->memmap_entries > 4096) {
        fail("the loader gave no memory map");
    }
    for (uint32_t i = 0; i < info->memmap_entries; i++) {
        add_range(e[i].addr, e[i].size, e[i].type);
    }
    sort_ranges();
    separate_ranges();
}

/*
 * The pages of a module become RAM; false: they cannot be. What ran before may have left a
 * reservation that reaches into them: SeaBIOS keeps the memory of its disk drivers at the end of
 * RAM, and the loader puts the module over it. Nobody needs that any more. Believed is only what
 * begins in RAM and goes on, without a gap, into one reservation.
 */
static bool claim(uint64_t start, uint64_t end)
{
    struct boot_range *r = boot_params.range;
    uint32_t i = 0;
    while (i < boot_params.ranges && r[i].end <= start) {
        i++;
    }
    if (start >= end || i == boot_params.ranges || r[i].kind != BOOT_RAM || r[i].start > start) {
        return false;
    }
    if (end <= r[i].end) {
        return true;
    }
    struct boot_range *behind = i + 1 < boot_params.ranges ? &r[i + 1] : NULL;
    if (!behind || behind->kind != BOOT_RESERVED || behind->start != r[i].end ||
        behind->end < end) {
        return false;
    }
    r[i].end = behind->start = (end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    separate_ranges(); /* drops an empty one */
    return true;
}

static void copy_bundle(const struct start_info *info)
{
    const struct module *m = low(info->modlist, sizeof(*m));
    if (!info->nr_modules || !m) {
        return; /* kernel_main says that there is no bundle */
    }
    if (m->paddr % PAGE_SIZE || !low(m->paddr, m->size) || !claim(m->paddr, m->paddr + m->size)) {
        fail("the boot bundle is not at a page of memory below 4 GiB");
    }
    boot_params.bundle_start = m->paddr;
    boot_params.bundle_size = m->size;
}

noreturn void pvh_main(void)
{
    const struct start_info *info = low(pvh_start_info, sizeof(*info));
    arch_log_init();
    if (!info || info->magic != PVH_MAGIC) {
        fail("not started by PVH: the start info has the wrong magic");
    }
    copy_cmdline(info->cmdline);
    copy_memory_map(info);
    copy_bundle(info);
    boot_params.rsdp = low(info->rsdp, 36) ? info->rsdp : 0;
    arch_early_init();
    kernel_main();
}
