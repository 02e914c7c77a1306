/* SPDX-License-Identifier: MIT */
/*
 * Page tables of a process: four levels, 4 KiB pages at level 0 and 2 MiB pages at level 1.
 * Everything with aspace.lock.
 *
 * An entry is empty (0), a page, or a kept page that may not be accessed (PROT_NONE: not present to
 * the CPU, PTE_KEPT). PTE_OWNED marks pages that the address space owns (private memory), whose
 * frames are counted; others belong to an object. Each table's frame counts its used entries in
 * frame.next, so that a table is freed when its last entry goes.
 */
#ifndef KERNEL_PAGETABLE_H
#define KERNEL_PAGETABLE_H

#include "arch.h"

#define PTE_PRESENT  1ull
#define PTE_WRITE    2ull
#define PTE_USER     4ull
#define PTE_UNCACHED 0x18ull
#define PTE_LARGE    0x80ull
#define PTE_OWNED    (1ull << 9)
#define PTE_KEPT     (1ull << 10)
#define PTE_NX       (1ull << 63)
#define PTE_ADDRESS  0x000ffffffffff000ull

#define LARGE_SIZE (1ull << 21)

static inline uint64_t pte_page(uint64_t entry)
{
    return entry & PTE_ADDRESS;
}

static inline uint64_t page_flags(uint32_t prot)
{
    uint64_t f = prot & MOTOR_PROT_MASK ? PTE_PRESENT | PTE_USER : PTE_KEPT;
    return f | (prot & MOTOR_PROT_EXEC ? 0 : PTE_NX);
}

/* physical address of a PML4 with the kernel's half; 0: no memory */
uint64_t pagetable_create(void);
void pagetable_destroy(uint64_t root); /* tables only: every page is gone */

/*
 * The entry that maps va, and at which level; NULL if a table above is missing, then *skip is the
 * first address past the hole.
 */
uint64_t *pagetable_find(struct aspace *as, uint64_t va, unsigned *level, uint64_t *skip);
/*
 * The place for an entry of this level, with tables made as needed. A large page in the way is
 * split. NULL: no memory.
 */
uint64_t *pagetable_make(struct aspace *as, uint64_t va, unsigned level);
void pagetable_set(uint64_t *entry, uint64_t value); /* an empty one becomes used */
/*
 * Empty an entry; tables that this leaves without any entry are freed through release(), deepest
 * first.
 */
void pagetable_clear(struct aspace *as, uint64_t va, uint64_t *entry, unsigned level,
                     void (*release)(void *, uint64_t), void *context);
/* a large page becomes a table of 512; false: no memory, or not now */
bool pagetable_split(struct aspace *as, uint64_t *entry);

#endif
