/* SPDX-License-Identifier: MIT */
/*
 * The CPU's side of page tables: a walk that combines the rights of all levels, a cache of
 * translations for each address space, and a cache of the tables of pages (which INVLPG of any
 * address empties). What the kernel changes without telling is used as it was.
 */
#include "host.h"

#include <string.h>

#define SPACES_MAX 64u
#define WAYS       128u

struct translation {
    uint64_t va, page; /* va + 1, so that 0 is none */
    bool write;
};

struct mmu {
    const struct aspace *as;
    struct translation tlb[WAYS], table[WAYS]; /* table: of 2 MiB; its table of pages */
};

static struct mmu mmus[SPACES_MAX];
static struct mmu *current; /* whose aspace the CPU runs */

static struct mmu *mmu_of(const struct aspace *as)
{
    struct mmu *empty = NULL;
    for (struct mmu *m = mmus; m < mmus + SPACES_MAX; m++) {
        if (m->as == as) {
            return m;
        }
        empty = !m->as ? m : empty;
    }
    REQUIRE(empty);
    empty->as = as;
    return empty;
}

void mmu_forget(struct aspace *as)
{
    *mmu_of(as) = (struct mmu){0};
}

static struct translation *way(struct translation *t, uint64_t va, uint64_t size)
{
    return &t[va / size % WAYS];
}

/*
 * The tables' word: page and rights of an address. *table: of the 2 MiB around, if it has one. The
 * walk begins there if start is not NULL.
 */
static bool walk(const struct aspace *as, uint64_t va, const struct translation *start,
                 struct translation *found, struct translation *table)
{
    bool write = !start || start->write;
    uint64_t at = start ? start->page : as->root;
    table->va = 0;
    for (unsigned l = start ? 0 : 3;; l--) {
        uint64_t e = ((uint64_t *)phys_to_virt(at))[va >> (12 + 9 * l) & 511];
        if (!(e & PTE_PRESENT)) {
            return false;
        }
        REQUIRE(e & PTE_USER);
        write = write && (e & PTE_WRITE);
        at = pte_page(e);
        if (l == 0 || (l == 1 && (e & PTE_LARGE))) {
            uint64_t within = l ? va & (LARGE_SIZE - 1) & ~(PAGE_SIZE - 1) : 0;
            *found = (struct translation){(va & ~(PAGE_SIZE - 1)) + 1, at + within, write};
            return true;
        }
        if (l == 1) {
            *table = (struct translation){(va & ~(LARGE_SIZE - 1)) + 1, at, write};
        }
    }
}

static bool translate(struct mmu *m, uint64_t va, bool write, uint64_t *page)
{
    struct translation *t = way(m->tlb, va, PAGE_SIZE), *d = way(m->table, va, LARGE_SIZE), found,
                       table;
    if (t->va != (va & ~(PAGE_SIZE - 1)) + 1) {
        bool known = d->va == (va & ~(LARGE_SIZE - 1)) + 1;
        bool ok = walk(m->as, va, known ? d : NULL, &found, &table);
        if (table.va) {
            *d = table;
        }
        if (!ok) {
            return false;
        }
        *t = found;
    }
    *page = t->page;
    return !write || t->write;
}

static int64_t access_page(struct aspace *as, uint64_t va, bool write, uint64_t **word)
{
    current = mmu_of(as);
    as->cpus = 1;
    for (unsigned tries = 0; tries < 4; tries++) {
        uint64_t page;
        if (translate(current, va, write, &page)) {
            *word = (uint64_t *)((char *)phys_to_virt(page) + va % PAGE_SIZE);
            return 0;
        }
        arch_tlb_flush_page(va); /* the CPU itself forgets what it faulted on */
        int64_t status = aspace_fault(as, va, write ? MOTOR_PROT_WRITE : MOTOR_PROT_READ);
        if (status < 0) {
            return status;
        }
    }
    host_fail(__FILE__, __LINE__, "a fault is resolved again and again");
}

int64_t mmu_load(struct aspace *as, uint64_t va, uint64_t *value)
{
    uint64_t *word;
    int64_t status = access_page(as, va, false, &word);
    if (status == 0) {
        *value = *word;
    }
    return status;
}

int64_t mmu_store(struct aspace *as, uint64_t va, uint64_t value)
{
    uint64_t *word;
    int64_t status = access_page(as, va, true, &word);
    if (status == 0) {
        *word = value;
    }
    return status;
}

void mmu_check(struct aspace *as)
{
    struct mmu *m = mmu_of(as);
    for (unsigned i = 0; i < WAYS; i++) {
        struct translation *t = &m->tlb[i], *d = &m->table[i], found, table;
        if (t->va) {
            REQUIRE(walk(as, t->va - 1, NULL, &found, &table));
            REQUIRE(found.page == t->page && (found.write || !t->write));
        }
        if (d->va) {
            walk(as, d->va - 1, NULL, &found, &table);
            REQUIRE(table.page == d->page && table.va && (table.write || !d->write));
        }
    }
}

/* ---- what the kernel says ---- */

void arch_tlb_shootdown(struct aspace *as, uint64_t start, uint64_t end)
{
    struct mmu *m = as->cpus ? mmu_of(as) : NULL;
    if (!m) {
        return;
    }
    memset(m->table, 0, sizeof(m->table));
    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t va = m->tlb[i].va - 1;
        if (m->tlb[i].va && va >= (start & ~(PAGE_SIZE - 1)) && va < end) {
            m->tlb[i].va = 0;
        }
    }
}

void arch_tlb_shootdown_tables(struct aspace *as, uint64_t start, uint64_t end)
{
    arch_tlb_shootdown(as, start, end);
}

void arch_tlb_flush_page(uint64_t va)
{
    if (current) {
        memset(current->table, 0, sizeof(current->table));
        struct translation *t = way(current->tlb, va, PAGE_SIZE);
        t->va = t->va == (va & ~(PAGE_SIZE - 1)) + 1 ? 0 : t->va;
    }
}
