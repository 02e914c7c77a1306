/* SPDX-License-Identifier: MIT */
/* What memory there is, by the BIOS, and ACPI's root pointer. */
#include "mbr.h"

#define E820       0xe820u
#define SMAP       0x534d4150u
#define PAGE       4096u
#define LOW_LIMIT  (1ull << 32)
#define EBDA       0x40eu /* of the BIOS: the segment of its data, where the root pointer may be */
#define ROM_START  0xe0000u
#define ROM_END    0x100000u
#define RSDP_BYTES 20u /* of the first version, which the checksum covers */

struct e820 {
    uint64_t start, size;
    uint32_t type, attributes;
};

uint32_t memory_map(struct memory_entry *map)
{
    static struct e820 e;
    uint32_t count = 0, next = 0;
    do {
        e = (struct e820){.attributes = 1};
        struct bios_registers r = {
            .eax = E820, .ebx = next, .ecx = sizeof e, .edx = SMAP, .edi = (uint32_t)(uintptr_t)&e};
        bios_call(0x15, &r);
        if ((r.eflags & EFLAGS_CARRY) || r.eax != SMAP || r.ecx < 20)
            break;
        next = r.ebx;
        if (e.size && (r.ecx < sizeof e || (e.attributes & 1)))
            map[count++] = (struct memory_entry){.addr = e.start, .size = e.size, .type = e.type};
    } while (next && count < MEMORY_ENTRIES_MAX);
    return count;
}

static bool reserved_within(const struct memory_entry *map, uint32_t entries, uint64_t start,
                            uint64_t end)
{
    for (uint32_t i = 0; i < entries; i++)
        if (map[i].type != MEMORY_RAM && map[i].addr < end && start < map[i].addr + map[i].size)
            return true;
    return false;
}

bool memory_is_ram(const struct memory_entry *map, uint32_t entries, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < entries; i++)
        if (map[i].type == MEMORY_RAM && map[i].addr <= start && end - map[i].addr <= map[i].size)
            return !reserved_within(map, entries, start, end);
    return false;
}

uint32_t memory_place(const struct memory_entry *map, uint32_t entries, uint64_t size,
                      uint64_t from, uint64_t below)
{
    uint64_t best = 0;
    if (below > LOW_LIMIT)
        below = LOW_LIMIT;
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t end = map[i].addr + map[i].size;
        if (end > below)
            end = below;
        if (map[i].type != MEMORY_RAM || map[i].addr > end || size > end - map[i].addr)
            continue;
        uint64_t at = (end - size) & ~(uint64_t)(PAGE - 1);
        if (at >= from && at >= map[i].addr && at > best &&
            !reserved_within(map, entries, at, at + size))
            best = at;
    }
    return (uint32_t)best;
}

static uint32_t find_rsdp(uint32_t start, uint32_t end)
{
    for (uint32_t at = start; at + RSDP_BYTES <= end; at += 16) {
        const uint8_t *p = (const uint8_t *)at;
        uint8_t sum = 0;
        if (__builtin_memcmp(p, "RSD PTR ", 8))
            continue;
        for (uint32_t i = 0; i < RSDP_BYTES; i++)
            sum = (uint8_t)(sum + p[i]);
        if (!sum)
            return at;
    }
    return 0;
}

uint32_t memory_rsdp(void)
{
    uint32_t ebda = (uint32_t) * (const volatile uint16_t *)EBDA << 4;
    uint32_t at = ebda ? find_rsdp(ebda, ebda + 1024) : 0;
    return at ? at : find_rsdp(ROM_START, ROM_END);
}
