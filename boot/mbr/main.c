/* SPDX-License-Identifier: MIT */
/*
 * Loads kernel and bundle and enters the kernel as PVH says. Each step that can fail has a line on
 * the serial port; then the BIOS may try its next disk.
 */
#include "mbr.h"

#include "../load/kernel_file.h"

#define MIB 0x100000ull

static struct memory_entry map[MEMORY_ENTRIES_MAX];
static struct module bundle;
static struct start_info info;

static bool fail(const char *what, const char *why)
{
    say("motor: boot: ", what, ": ", why, "\n", NULL);
    return false;
}

/* Reads a piece of the disk to a place of its own below `below`. */
static uint32_t load(uint32_t disk, const char *name, uint64_t sector, uint64_t size,
                     uint64_t below)
{
    if (!sector || !size) {
        fail(name, "the image has none");
        return 0;
    }
    uint32_t at = memory_place(map, info.memmap_entries, size, MIB, below);
    if (!at) {
        fail(name, "not enough memory");
        return 0;
    }
    say("motor: boot: ", name, "\n", NULL);
    if (!disk_read(disk, sector, size, (void *)at)) {
        fail(name, "the disk cannot be read");
        return 0;
    }
    return at;
}

static bool place_kernel(uint32_t file, uint64_t size, struct kernel_file *k)
{
    const char *error = kernel_file_open((const void *)file, size, k);
    if (error)
        return fail("the kernel", error);
    if (k->end > file || !memory_is_ram(map, info.memmap_entries, k->start, k->end))
        return fail("the kernel", "there is no memory at its place");
    kernel_file_place(k, (void *)(uint32_t)k->start);
    return true;
}

void mbr_main(uint32_t disk)
{
    const struct mbr_config *c = &mbr_config;
    struct kernel_file kernel;
    say("motor: boot: from a disk, by the BIOS\n", NULL);
    info = (struct start_info){.magic = PVH_MAGIC,
                               .version = 1,
                               .nr_modules = 1,
                               .modlist = (uintptr_t)&bundle,
                               .cmdline = (uintptr_t)c->cmdline,
                               .memmap = (uintptr_t)map};
    info.memmap_entries = memory_map(map);
    if (!info.memmap_entries) {
        fail("memory", "the BIOS does not say what there is");
        return;
    }
    uint32_t at = load(disk, "the bundle", c->bundle_sector, c->bundle_size, ~0ull);
    if (!at)
        return;
    bundle = (struct module){.paddr = at, .size = c->bundle_size};
    at = load(disk, "the kernel", c->kernel_sector, c->kernel_size, at);
    if (!at || !place_kernel(at, c->kernel_size, &kernel))
        return;
    info.rsdp = memory_rsdp();
    say("motor: boot: starting\n", NULL);
    enter_kernel(kernel.entry, &info);
}
