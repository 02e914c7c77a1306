/* SPDX-License-Identifier: MIT */
/* Memory: pages for what is loaded, and the firmware's map in the form that PVH has. */
#include "loader.h"

#define BELOW_4G    0xffffffffull
#define MAP_BYTES   (64u << 10) /* of the firmware's map: ten times what is usual */
#define ENTRIES_MAX 1024u

static unsigned char *raw; /* as the firmware tells it */
static struct memory_entry *made;

void *memory_take(UINT64 size, EFI_MEMORY_TYPE type)
{
    EFI_PHYSICAL_ADDRESS at = BELOW_4G;
    UINTN pages = (size + PAGE - 1) / PAGE;
    if (EFI_ERROR(system_table->BootServices->AllocatePages(AllocateMaxAddress, type, pages, &at)))
        return NULL;
    return (void *)at;
}

BOOLEAN memory_take_at(UINT64 start, UINT64 end)
{
    EFI_PHYSICAL_ADDRESS at = start & ~(UINT64)(PAGE - 1);
    UINTN pages = (end - at + PAGE - 1) / PAGE;
    return !EFI_ERROR(
        system_table->BootServices->AllocatePages(AllocateAddress, EfiLoaderData, pages, &at));
}

BOOLEAN memory_prepare(void)
{
    raw = memory_take(MAP_BYTES, EfiLoaderData);
    made = memory_take(ENTRIES_MAX * sizeof *made, EfiLoaderData);
    return raw && made;
}

/* What is free once the firmware's services have ended is RAM; its runtime's memory stays its own.
 */
static UINT32 kind(UINT32 type)
{
    switch (type) {
    case EfiLoaderCode:
    case EfiLoaderData:
    case EfiBootServicesCode:
    case EfiBootServicesData:
    case EfiConventionalMemory:
        return MEMORY_RAM;
    case EfiACPIReclaimMemory:
        return MEMORY_ACPI_TABLES;
    case EfiACPIMemoryNVS:
        return MEMORY_ACPI_NVS;
    default:
        return MEMORY_RESERVED;
    }
}

/* Adds a piece; one that goes on where the last ended makes that longer. FALSE: no room. */
static BOOLEAN add(UINT32 *count, UINT64 start, UINT64 size, UINT32 type)
{
    struct memory_entry *last = *count ? &made[*count - 1] : NULL;
    if (last && last->type == type && last->addr + last->size == start) {
        last->size += size;
        return TRUE;
    }
    if (*count == ENTRIES_MAX)
        return FALSE;
    made[(*count)++] = (struct memory_entry){.addr = start, .size = size, .type = type};
    return TRUE;
}

BOOLEAN memory_map(struct memory_entry **map, UINT32 *entries, UINTN *key)
{
    UINTN size = MAP_BYTES, step;
    UINT32 version, count = 0;
    if (EFI_ERROR(system_table->BootServices->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)raw, key,
                                                           &step, &version)) ||
        step < sizeof(EFI_MEMORY_DESCRIPTOR))
        return FALSE;
    for (UINTN at = 0; at + step <= size; at += step) {
        const EFI_MEMORY_DESCRIPTOR *d = (const void *)(raw + at);
        if (!add(&count, d->PhysicalStart, d->NumberOfPages * PAGE, kind(d->Type)))
            return FALSE;
    }
    *map = made;
    *entries = count;
    return TRUE;
}
