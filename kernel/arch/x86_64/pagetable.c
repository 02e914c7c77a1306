/* SPDX-License-Identifier: MIT */
/* Page tables of processes; see pagetable.h. Source: Intel SDM volume 3, chapter 4. */
#include "pagetable.h"
#include "aspace.h"
#include "early.h"
#include "frame.h"
#include "log.h"

static uint64_t *table(uint64_t entry)
{
    return phys_to_virt(pte_page(entry));
}

static uint32_t *used_count(const void *entry)
{
    return &frame_of(virt_to_phys(entry) & ~(PAGE_SIZE - 1))->next;
}

static unsigned index_of(uint64_t va, unsigned level)
{
    return va >> (12 + 9 * level) & 511;
}

static uint64_t table_alloc(void)
{
    uint64_t page = frame_current_may() ? frame_alloc_zeroed() : 0;
    if (page) {
        frame_of(page)->next = 0;
    }
    return page;
}

uint64_t pagetable_create(void)
{
    uint64_t root = table_alloc();
    if (root) {
        __builtin_memcpy((uint64_t *)phys_to_virt(root) + 256,
                         (uint64_t *)phys_to_virt(arch_kernel_root) + 256, PAGE_SIZE / 2);
    }
    return root;
}

/* Tables that were made for a page which then could not be had may be left; they are empty. */
static void destroy_directory(uint64_t *directory)
{
    for (unsigned i = 0; i < 512; i++) {
        if (directory[i]) {
            KASSERT(!(directory[i] & PTE_LARGE) && !*used_count(table(directory[i])));
            frame_free(pte_page(directory[i]));
        }
    }
}

void pagetable_destroy(uint64_t root)
{
    uint64_t *pml4 = phys_to_virt(root);
    for (unsigned i = 0; i < 256; i++) {
        if (!pml4[i]) {
            continue;
        }
        uint64_t *pdpt = table(pml4[i]);
        for (unsigned j = 0; j < 512; j++) {
            if (pdpt[j]) {
                destroy_directory(table(pdpt[j]));
                frame_free(pte_page(pdpt[j]));
            }
        }
        frame_free(pte_page(pml4[i]));
    }
    frame_free(root);
}

uint64_t *pagetable_find(struct aspace *as, uint64_t va, unsigned *level, uint64_t *skip)
{
    uint64_t *t = phys_to_virt(as->root);
    for (unsigned l = 3;; l--) {
        uint64_t *entry = &t[index_of(va, l)];
        if (l == 0 || (l == 1 && (*entry & PTE_LARGE))) {
            *level = l;
            return entry;
        }
        if (!*entry) {
            uint64_t size = 1ull << (12 + 9 * l);
            *skip = (va & ~(size - 1)) + size;
            return NULL;
        }
        t = table(*entry);
    }
}

void pagetable_set(uint64_t *entry, uint64_t value)
{
    if (!*entry) {
        ++*used_count(entry);
    }
    __atomic_store_n(entry, value, __ATOMIC_RELAXED);
}

bool pagetable_split(struct aspace *as, uint64_t *entry)
{
    uint64_t old = *entry;
    if ((old & PTE_OWNED) &&
        __atomic_load_n(&frame_of(pte_page(old))->refs, __ATOMIC_ACQUIRE) != 1) {
        return false; /* a copy holds the block for a moment */
    }
    uint64_t page = table_alloc();
    if (!page) {
        return false;
    }
    uint64_t *t = phys_to_virt(page), flags = old & ~(PTE_ADDRESS | PTE_LARGE);
    if (old & PTE_OWNED) {
        frame_split(pte_page(old));
    }
    for (unsigned i = 0; i < 512; i++) {
        t[i] = (pte_page(old) + i * PAGE_SIZE) | flags;
    }
    *used_count(t) = 512;
    as->private_bytes += PAGE_SIZE;
    __atomic_store_n(entry, page | PTE_PRESENT | PTE_WRITE | PTE_USER, __ATOMIC_RELEASE);
    return true;
}

uint64_t *pagetable_make(struct aspace *as, uint64_t va, unsigned level)
{
    uint64_t *t = phys_to_virt(as->root);
    for (unsigned l = 3; l > level; l--) {
        uint64_t *entry = &t[index_of(va, l)];
        if (l == 1 && (*entry & PTE_LARGE) && !pagetable_split(as, entry)) {
            return NULL;
        }
        if (!*entry) {
            uint64_t page = table_alloc();
            if (!page) {
                return NULL;
            }
            as->private_bytes += PAGE_SIZE;
            pagetable_set(entry, page | PTE_PRESENT | PTE_WRITE | PTE_USER);
        }
        t = table(*entry);
    }
    return &t[index_of(va, level)];
}

void pagetable_clear(struct aspace *as, uint64_t va, uint64_t *entry, unsigned level,
                     void (*release)(void *, uint64_t), void *context)
{
    __atomic_store_n(entry, 0, __ATOMIC_RELAXED);
    /* tables of pages and of page tables; the top two stay */
    while (--*used_count(entry) == 0 && level < 2) {
        uint64_t page = virt_to_phys(entry) & ~(PAGE_SIZE - 1), *t = phys_to_virt(as->root);
        level++;
        for (unsigned l = 3; l > level; l--) {
            t = table(t[index_of(va, l)]);
        }
        entry = &t[index_of(va, level)];
        __atomic_store_n(entry, 0, __ATOMIC_RELAXED);
        as->private_bytes -= PAGE_SIZE;
        release(context, page);
    }
}
