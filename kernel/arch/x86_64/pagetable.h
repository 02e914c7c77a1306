/* SPDX-License-Identifier: MIT */
/*
 * Page tables of a process: four levels, 4 KiB pages at level 0 and 2 MiB pages at level 1.
 * Everything with aspace.lock.
 *
 * An entry is empty (0), a page, or a kept page that may not be accessed (PROT_NONE: not present to
 * the CPU, PTE_KEPT). PTE_OWNED marks pages that the address space owns (private memory), whose
 * frames are counted; others belong to an object. Each table's frame counts its used entries in
 * frame.next, so that a table is freed when its last entry goes; frame.prev is in use, too.
 *
 * Tables below the root are shared after a fork: frame.refs counts the entries that point to a
 * table. An entry with PTE_WRITE points to a table that only this address space uses, provided the
 * same holds for the tables above it; one without points to a table that may be shared, so that the
 * CPU takes everything below as read-only. A shared table changes in two ways only, both right for
 * every user of it: its entries lose PTE_WRITE when somebody makes a copy, and pages of an object
 * are removed when the object gives them up (pagetable_forget()). For any other change the tables
 * on the path are made the address space's own first (pagetable_own()).
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
/*
 * Free the tables and what they own, but for what others share. Nobody uses them; in pieces, no
 * lock held.
 */
void pagetable_destroy(uint64_t root);
/* one for each CPU that has one, 0: none; what it needs memory for, and what tests count */
extern uint64_t pagetable_spare_root[CPUS_MAX];
/* entries of a root: 512 GiB of addresses each */
struct root_slots {
    uint64_t bits[4];
};
/*
 * Both roots point to the same tables from now on in the slots named; `to` is empty. The other
 * slots have no private memory, and stay empty; result: bytes of their tables. The caller flushes
 * what CPUs know of `from`. No CPU uses `to`.
 */
uint64_t pagetable_share(uint64_t from, uint64_t to, const struct root_slots *slots);
/*
 * Make the tables on the path to va this address space's own, down to the one that holds the entry
 * of this level; missing ones stay missing. CPUs are told. false: no memory, nothing is different.
 */
bool pagetable_own(struct aspace *as, uint64_t va, unsigned level);
/*
 * The entry of the page for va, if no table on the path to it is used by anybody else (any more):
 * they are the address space's own then. Nothing is copied. NULL: some are, or are missing.
 */
uint64_t *pagetable_reclaim(struct aspace *as, uint64_t va);
/*
 * An empty entry of this level comes to point to a table that all address spaces share, which
 * thereby has one more reference. false: no memory.
 */
bool pagetable_adopt(struct aspace *as, uint64_t va, unsigned level, uint64_t table);
/*
 * The entry of the page table for va, if that is shared. The tables above are the address space's
 * own. NULL: none, or not shared.
 */
uint64_t *pagetable_shared(struct aspace *as, uint64_t va);
uint64_t pagetable_owned_pages(uint64_t table); /* of a table of pages: entries with PTE_OWNED */
void pagetable_put(uint64_t table);             /* a reference to a table of pages */

/*
 * The entry that maps va, and at which level; NULL if a table above is missing, then *skip is an
 * address past the hole, before which there is nothing.
 */
uint64_t *pagetable_find(struct aspace *as, uint64_t va, unsigned *level, uint64_t *skip);
/* After the entry of the page for va: the address of the next that is not empty, or of the next
 * table. */
uint64_t pagetable_next(const uint64_t *entry, uint64_t va);
/*
 * The place for an entry of this level, with tables made as needed; the tables on the path are the
 * address space's own then. A large page in the way is split. NULL: no memory.
 */
uint64_t *pagetable_make(struct aspace *as, uint64_t va, unsigned level);
void pagetable_set(uint64_t *entry, uint64_t value); /* an empty one becomes used */
/*
 * Empty an entry; tables that this leaves without any entry are freed through release(), deepest
 * first.
 */
void pagetable_clear(struct aspace *as, uint64_t va, uint64_t *entry, unsigned level,
                     void (*release)(void *, uint64_t), void *context);
/* The same for an entry that is empty already: tables may be left without any. */
void pagetable_prune(struct aspace *as, uint64_t va, uint64_t *entry, unsigned level,
                     void (*release)(void *, uint64_t), void *context);
/*
 * An object's page goes from a table that may be shared: the entry is emptied, the table stays.
 * False if it was empty or holds private memory.
 */
bool pagetable_forget(uint64_t *entry);
/* a large page becomes a table of 512; false: no memory */
bool pagetable_split(struct aspace *as, uint64_t *entry);

#endif
