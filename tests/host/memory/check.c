/* SPDX-License-Identifier: MIT */
/* Counts everything the memory code counts a second time, from the page tables up. */
#include "host.h"

#include <string.h>

static uint32_t *expected;  /* references of each frame, from entries of all tables */
static unsigned char *seen; /* tables that were visited */
static uint64_t frames_used;

static uint64_t number(uint64_t page)
{
    return page / PAGE_SIZE;
}

static void expect(uint64_t page, uint64_t size)
{
    frames_used += expected[number(page)]++ == 0 ? size / PAGE_SIZE : 0;
}

static void visit_block(uint64_t e)
{
    uint64_t page = pte_page(e);
    if (frame_of(page)->order) {
        expect(page, LARGE_SIZE);
        REQUIRE(!(e & PTE_WRITE) || frame_of(page)->refs == 1);
        return;
    }
    for (uint64_t at = page; at < page + LARGE_SIZE; at += PAGE_SIZE) {
        expect(at, PAGE_SIZE);
        REQUIRE(!(e & PTE_WRITE) || frame_of(at)->refs == 1);
    }
}

/* Tables are at most four deep. */
static void visit(uint64_t table, unsigned level)
{
    const uint64_t *t = phys_to_virt(table);
    uint32_t used = 0;
    if (seen[number(table)]) {
        return;
    }
    seen[number(table)] = 1;
    for (unsigned i = 0; i < (level == 3 ? 256u : 512u); i++) {
        uint64_t e = t[i];
        used += e != 0;
        if (!e) {
            continue;
        }
        REQUIRE(frame_of(table)->prev & 1u << i / 16); /* known to what walks tables by groups */
        if (level && !(e & PTE_LARGE)) {
            expect(pte_page(e), PAGE_SIZE);
            REQUIRE(!(e & PTE_WRITE) || frame_of(pte_page(e))->refs == 1);
            visit(pte_page(e), level - 1);
        } else if ((e & PTE_OWNED) && level) {
            visit_block(e);
        } else if (e & PTE_OWNED) {
            expect(pte_page(e), PAGE_SIZE);
            REQUIRE(!(e & PTE_WRITE) || frame_of(pte_page(e))->refs == 1);
        }
    }
    REQUIRE(level == 3 || frame_of(table)->next == used);
}

/* What is reachable through a table, itself included, shared or not. */
static uint64_t charge(uint64_t table, unsigned level)
{
    const uint64_t *t = phys_to_virt(table);
    uint64_t sum = level == 3 ? 0 : PAGE_SIZE;
    for (unsigned i = 0; i < (level == 3 ? 256u : 512u); i++) {
        if (level == 2 && pte_page(t[i]) == aspace_kinfo_tables) {
            continue; /* everybody's */
        }
        if (t[i] && level && !(t[i] & PTE_LARGE)) {
            sum += charge(pte_page(t[i]), level - 1);
        } else if (t[i] & PTE_OWNED) {
            sum += level ? LARGE_SIZE : PAGE_SIZE;
        }
    }
    return sum;
}

/* Entries of an object's pages show what the object has there now. */
static void check_objects(struct aspace *as, const struct region *r)
{
    for (uint64_t at = region_start(r); at < r->end;) {
        unsigned level;
        uint64_t skip, *entry = pagetable_find(as, at, &level, &skip);
        if (entry && *entry && !(*entry & PTE_OWNED)) {
            REQUIRE(vmo_present(r->vmo, r->offset + (at - region_start(r))) == pte_page(*entry));
        }
        at = entry ? at + PAGE_SIZE : skip;
    }
}

static void check_regions(struct aspace *as)
{
    uint64_t sum = 0, count = 0, end = 0;
    for (struct region *r = region_first_in(as, 0, USER_END); r; r = region_next(r)) {
        REQUIRE(!r->dying && r->as == as && region_start(r) >= end && r->end > region_start(r));
        if (r->vmo) {
            check_objects(as, r);
        }
        sum += r->end - region_start(r);
        end = r->end;
        count++;
    }
    REQUIRE(sum == as->virtual_bytes && count == as->region_count);
    REQUIRE(!as->changing && !as->writers && !spin_held(&as->lock));
}

/* Each region of the object is in its list, and no other. */
static void check_mappings(struct aspace *const *spaces, unsigned n, struct vmo *v)
{
    uint64_t regions = 0, links = 0;
    for (unsigned i = 0; i < n; i++) {
        for (struct region *r = region_first_in(spaces[i], 0, USER_END); r; r = region_next(r)) {
            regions += r->vmo == v;
        }
    }
    for (const struct list *l = v->mappings.next; l != &v->mappings; l = l->next) {
        REQUIRE(container_of(l, struct region, vmo_link)->vmo == v);
        links++;
    }
    REQUIRE(links == regions);
}

void check_all(struct aspace *const *spaces, unsigned n, struct vmo *const *vmos, unsigned m)
{
    uint64_t frames = frame_total() + 8192;
    expected = calloc(frames, sizeof(*expected));
    seen = calloc(frames, 1);
    frames_used = 0;
    frames_used += pagetable_spare_root[0] != 0;
    if (aspace_kinfo_tables) {
        expect(aspace_kinfo_tables, PAGE_SIZE); /* a reference of its own */
        visit(aspace_kinfo_tables, 1);
    }
    for (unsigned i = 0; i < n; i++) {
        check_regions(spaces[i]);
        mmu_check(spaces[i]);
        frames_used++; /* the root */
        visit(spaces[i]->root, 3);
        REQUIRE(charge(spaces[i]->root, 3) == spaces[i]->private_bytes);
    }
    for (uint64_t i = 0; i < frames; i++) {
        REQUIRE(!expected[i] || frame_of(i * PAGE_SIZE)->refs == expected[i]);
    }
    for (unsigned i = 0; i < m; i++) {
        frames_used += vmo_committed(vmos[i]) / PAGE_SIZE;
        REQUIRE(!spin_held(&vmos[i]->lock) && !vmos[i]->removing);
        check_mappings(spaces, n, vmos[i]);
    }
    static uint64_t others; /* the kernel's own, known from the first time, when there is nothing */
    uint64_t allocated = frame_total() - frame_free_count();
    others = others ? others : allocated - frames_used;
    REQUIRE(allocated == frames_used + others);
    free(expected);
    free(seen);
}
