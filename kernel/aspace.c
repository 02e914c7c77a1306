/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: their lives, and what all that changes them needs: the exclusion of changes, and
 * the gathering of what they free. Each kind of change has its file: aspace_map.c, aspace_unmap.c,
 * aspace_protect.c, aspace_remap.c, aspace_advise.c, aspace_fork.c; faults are in aspace_fault.c,
 * copies in aspace_copy.c.
 */
#include "aspace_impl.h"
#include "frame.h"
#include "hot.h"
#include "main.h"
#include "random.h"
#include "sched.h"

#define ENTROPY_PAGES (1ull << 28)
#define BATCH         16u /* regions that are freed in a row */

/* ---- lives ---- */

void aspace_renew(struct aspace *as)
{
    as->top = ASPACE_END - (random_u64() % ENTROPY_PAGES) * PAGE_SIZE;
    as->cursor = as->top;
    as->hot_borrowed = as->hot != NULL;
}

uint64_t aspace_kinfo_tables;

struct aspace *aspace_create_empty(void)
{
    struct aspace *as = kzalloc(sizeof(*as));
    if (!as || !(as->root = pagetable_create())) {
        kfree(as);
        return NULL;
    }
    as->refs = 1;
    as->limit = MOTOR_NEVER;
    return as;
}

/* The first address space, which nobody shares yet, makes the tables that the others adopt. */
static bool map_kinfo(struct aspace *as)
{
    if (aspace_kinfo_tables) {
        return pagetable_adopt(as, MOTOR_KINFO_ADDRESS, 2, aspace_kinfo_tables);
    }
    uint64_t *page = pagetable_make(as, MOTOR_KINFO_ADDRESS, 0);
    if (!page) {
        return false;
    }
    pagetable_set(page, kinfo_frame | page_flags(MOTOR_PROT_READ));
    uint64_t *tables = pagetable_make(as, MOTOR_KINFO_ADDRESS, 2);
    *tables &= ~PTE_WRITE;
    aspace_kinfo_tables = pte_page(*tables);
    frame_ref(aspace_kinfo_tables);
    as->private_bytes -= 2 * PAGE_SIZE; /* they are nobody's */
    return true;
}

struct aspace *aspace_create(void)
{
    struct aspace *as = aspace_create_empty();
    if (!as) {
        return NULL;
    }
    aspace_renew(as);
    if (!map_kinfo(as)) {
        aspace_put(as);
        return NULL;
    }
    return as;
}

void aspace_get(struct aspace *as)
{
    __atomic_fetch_add(&as->refs, 1, __ATOMIC_RELAXED);
}

bool aspace_try_get(struct aspace *as)
{
    uint32_t refs = __atomic_load_n(&as->refs, __ATOMIC_RELAXED);
    while (refs && !__atomic_compare_exchange_n(&as->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE,
                                                __ATOMIC_RELAXED)) {
    }
    return refs != 0;
}

/* Nobody else can reach them from here. */
static void destroy_regions(struct aspace *as)
{
    struct region *r;
    void *batch[BATCH];
    unsigned n = 0;
    while ((r = region_of(tree_drain(&as->regions)))) {
        region_unlink(r);
        region_end(r);
        batch[n++] = r;
        if (n == BATCH) {
            kfree_many(batch, n);
            n = 0;
            sched_preempt_point();
        }
    }
    kfree_many(batch, n);
}

void aspace_put(struct aspace *as)
{
    if (__atomic_sub_fetch(&as->refs, 1, __ATOMIC_ACQ_REL)) {
        return;
    }
    arch_tlb_shootdown(as, 0, USER_END); /* refs is 0: CPUs that still have it loaded leave it */
    pagetable_destroy(as->root);
    destroy_regions(as);
    hot_put(as->hot);
    kfree(as);
}

void aspace_activate(struct aspace *as)
{
    struct cpu *c = this_cpu();
    struct aspace *old = c->aspace;
    uint64_t bit = 1ull << c->id;
    if (old == as) {
        return;
    }
    CPU_COUNT(space_switches);
    __atomic_fetch_or(&as->cpus, bit, __ATOMIC_SEQ_CST);
    c->aspace = as;
    __asm__ volatile("mov %0, %%cr3" : : "r"(as->root) : "memory");
    if (old) {
        __atomic_fetch_and(&old->cpus, ~bit, __ATOMIC_RELEASE);
    }
}

/* ---- who may change regions ---- */

void layout_begin(struct aspace *as)
{
    spin_lock(&as->lock);
    while (as->changing) {
        spin_unlock(&as->lock);
        sched_preempt_point();
        sched_yield();
        spin_lock(&as->lock);
    }
    as->changing = true;
}

void layout_end(struct aspace *as)
{
    as->changing = false;
    spin_unlock(&as->lock);
}

/* A copy holds no lock and interrupts are off: it ends soon. */
void await_writers(struct aspace *as)
{
    while (__atomic_load_n(&as->writers, __ATOMIC_ACQUIRE)) {
        arch_relax();
    }
}

/* ---- gathering ---- */

void gather_begin(struct gather *g, struct aspace *as)
{
    g->as = as;
    g->start = ~0ull;
    g->end = 0;
    g->n = 0;
    g->tables = false;
}

void gather_range(struct gather *g, uint64_t start, uint64_t end)
{
    g->start = start < g->start ? start : g->start;
    g->end = end > g->end ? end : g->end;
}

void gather_finish(struct gather *g)
{
    if (g->tables && g->as->cpus) {
        arch_tlb_shootdown_tables(g->as, g->start, g->end);
    } else if (g->start < g->end && g->as->cpus) {
        arch_tlb_shootdown(g->as, g->start, g->end);
    }
    for (unsigned i = 0; i < g->n; i++) {
        uint64_t page = g->frame[i] & ~(PAGE_SIZE - 1);
        if (g->frame[i] & GATHER_BLOCK) {
            frame_block_unref(page);
        } else if (g->frame[i] & GATHER_TABLE) {
            pagetable_put(page);
        } else {
            frame_unref(page);
        }
    }
    gather_begin(g, g->as);
}

void gather_frame(struct gather *g, uint64_t page)
{
    g->frame[g->n++] = page;
}

void gather_table(void *gather, uint64_t page)
{
    struct gather *g = gather;
    g->tables = true;
    gather_frame(g, page);
}
