/* SPDX-License-Identifier: MIT */
/* Page tables of processes; see pagetable.h. Source: Intel SDM volume 3, chapter 4. */
#include "pagetable.h"
#include "aspace.h"
#include "early.h"
#include "frame.h"
#include "log.h"
#include "sched.h"

static uint64_t *table(uint64_t entry)
{
    return phys_to_virt(pte_page(entry));
}

static struct frame *frame_of_table(const void *entry)
{
    return frame_at(virt_to_phys(entry));
}

static uint32_t *used_count(const void *entry)
{
    return &frame_of_table(entry)->next;
}

/*
 * Most tables are nearly empty, so whole walks of one go by groups of entries: a bit of frame.prev
 * for each group in which an entry has ever been set.
 */
#define GROUP 16u

static uint32_t *groups(const void *entry)
{
    return &frame_of_table(entry)->prev;
}

static inline uint64_t any_of_four(const uint64_t *entry)
{
    return entry[0] | entry[1] | entry[2] | entry[3];
}

static uint32_t group_bit(const uint64_t *entry)
{
    return 1u << (uint64_t)entry % PAGE_SIZE / sizeof(*entry) / GROUP;
}

/* four: a pointer to each four entries that are not all empty, of which a group mostly has some. */
#define FOR_EACH_FOUR(four, t) \
    for (uint32_t left_ = *groups(t); left_; left_ &= left_ - 1) \
        for (uint64_t *four = (t) + GROUP * (unsigned)__builtin_ctz(left_), *end_ = four + GROUP; \
             four < end_; four += 4) \
            if (any_of_four(four))

/* e: a pointer to each entry in turn */
#define FOR_EACH_ENTRY(e, t) \
    FOR_EACH_FOUR(four_, t) \
    for (uint64_t *e = four_; e < four_ + 4; e++)

static unsigned index_of(uint64_t va, unsigned level)
{
    return va >> (12 + 9 * level) & 511;
}

static uint64_t table_alloc(void)
{
    uint64_t page = frame_current_may() ? frame_alloc_zeroed() : 0;
    if (page) {
        struct frame *f = frame_at(page);
        f->next = f->prev = 0;
    }
    return page;
}

/* A table whose entries have all been cleared: most are again wanted as such. */
static void table_free(uint64_t page)
{
    frame_free_zeroed(page);
}

/* A root that is free keeps the kernel's half, for the next process on its CPU. */
uint64_t pagetable_spare_root[CPUS_MAX];

uint64_t pagetable_create(void)
{
    uint64_t root = pagetable_spare_root[this_cpu()->id];
    if (root) {
        pagetable_spare_root[this_cpu()->id] = 0;
        struct frame *f = frame_at(root);
        f->next = f->prev = 0;
    } else if ((root = table_alloc())) {
        __builtin_memcpy((uint64_t *)phys_to_virt(root) + 256,
                         (uint64_t *)phys_to_virt(arch_kernel_root) + 256, PAGE_SIZE / 2);
    }
    return root;
}

static void root_free(uint64_t root)
{
    if (pagetable_spare_root[this_cpu()->id]) {
        frame_free(root);
    } else {
        pagetable_spare_root[this_cpu()->id] = root;
    }
}

/* ---- release ---- */

static void leaf_put(uint64_t entry, unsigned level)
{
    if (!(entry & PTE_OWNED)) {
        return;
    }
    if (level) {
        frame_block_unref(pte_page(entry));
    } else {
        frame_unref(pte_page(entry));
    }
}

void pagetable_put(uint64_t pages)
{
    uint64_t *t = phys_to_virt(pages);
    if (!frame_drop(pages)) {
        return;
    }
    FOR_EACH_FOUR(four, t)
    {
        for (unsigned i = 0; i < 4; i++) {
            if (four[i] & PTE_OWNED) {
                frame_unref(pte_page(four[i]));
            }
            four[i] = 0;
        }
    }
    table_free(pages);
}

/* destroys: nobody else has seen these tables for long, no lock is held */
static void directory_put(uint64_t directory, bool destroys)
{
    uint64_t *t = phys_to_virt(directory);
    if (!frame_drop(directory)) {
        return;
    }
    FOR_EACH_ENTRY(e, t)
    {
        if (*e & PTE_LARGE) {
            leaf_put(*e, 1);
        } else if (*e) {
            pagetable_put(pte_page(*e));
        }
        if (*e && destroys) {
            sched_preempt_point();
        }
        *e = 0;
    }
    table_free(directory);
}

static void directory_pointers_put(uint64_t pointers, bool destroys)
{
    uint64_t *t = phys_to_virt(pointers);
    if (!frame_drop(pointers)) {
        return;
    }
    FOR_EACH_ENTRY(e, t)
    {
        if (*e) {
            directory_put(pte_page(*e), destroys);
        }
        *e = 0;
    }
    table_free(pointers);
}

static void table_put(uint64_t page, unsigned level)
{
    if (level == 0) {
        pagetable_put(page);
    } else if (level == 1) {
        directory_put(page, false);
    } else {
        directory_pointers_put(page, false);
    }
}

void pagetable_destroy(uint64_t root)
{
    uint64_t *pml4 = phys_to_virt(root);
    FOR_EACH_ENTRY(e, pml4)
    {
        if (*e) {
            directory_pointers_put(pte_page(*e), true);
        }
        *e = 0;
    }
    root_free(root);
}

/* ---- sharing ---- */

/* Of a table of directories, without large pages below. */
static uint64_t count_tables(uint64_t pointers)
{
    uint64_t *t = phys_to_virt(pointers), n = 1;
    FOR_EACH_ENTRY(e, t)
    {
        n += *e ? 1 + *used_count(table(*e)) : 0;
    }
    return n;
}

uint64_t pagetable_share(uint64_t from, uint64_t to, const struct root_slots *slots)
{
    uint64_t *a = phys_to_virt(from), *b = phys_to_virt(to), left_out = 0;
    FOR_EACH_ENTRY(e, a)
    {
        uint64_t i = (uint64_t)(e - a);
        if (!*e) {
            continue;
        }
        if (!(slots->bits[i / 64] >> i % 64 & 1)) {
            left_out += count_tables(pte_page(*e)) * PAGE_SIZE;
            continue;
        }
        frame_ref(pte_page(*e));
        *e &= ~PTE_WRITE;
        b[i] = *e;
        *used_count(b) += 1;
    }
    *groups(b) = *groups(a);
    return left_out;
}

/*
 * An entry of a table that gets a copy: what it points to has one more user. Private pages and
 * tables become read-only in both; an object's page keeps its rights.
 */
static inline uint64_t entry_copy(uint64_t *from, uint64_t e, unsigned level)
{
    bool table = level && !(e & PTE_LARGE);
    if (!table && !(e & PTE_OWNED)) {
        return e;
    }
    if (level && !table) {
        frame_block_ref(pte_page(e));
    } else {
        frame_ref(pte_page(e));
    }
    if (e & PTE_WRITE) {
        __atomic_fetch_and(from, ~PTE_WRITE, __ATOMIC_RELAXED);
    }
    return e & ~PTE_WRITE;
}

/* How many there are. */
static inline __attribute__((always_inline)) uint32_t entries_copy(uint64_t *from, uint64_t *to,
                                                                   unsigned level)
{
    uint32_t used = 0;
    FOR_EACH_FOUR(four, from)
    {
        for (unsigned i = 0; i < 4; i++) {
            uint64_t e = __atomic_load_n(&four[i], __ATOMIC_RELAXED);
            if (e) {
                to[&four[i] - from] = entry_copy(&four[i], e, level);
                used++;
            }
        }
    }
    return used;
}

/* A copy of a shared table whose entries are at this level. 0: no memory. */
static __attribute__((noinline)) uint64_t table_copy(uint64_t from, unsigned level)
{
    uint64_t page = table_alloc(), *old = phys_to_virt(from), *new = phys_to_virt(page);
    uint32_t used;
    if (!page) {
        return 0;
    }
    if (level == 0) {
        used = entries_copy(old, new, 0);
    } else {
        used = entries_copy(old, new, level);
    }
    *used_count(new) = used;
    *groups(new) = *groups(old);
    return page;
}

/*
 * The table below an entry becomes our own. *replaced: the shared one that it was copied from, or
 * 0; its reference is ours to put when no CPU uses it for us any more.
 */
static bool own_below(uint64_t *entry, unsigned level, uint64_t *replaced)
{
    uint64_t shared = pte_page(*entry), page = shared;
    *replaced = 0;
    if (*entry & PTE_WRITE) {
        return true;
    }
    if (__atomic_load_n(&frame_at(shared)->refs, __ATOMIC_ACQUIRE) != 1) {
        page = table_copy(shared, level - 1);
        if (!page) {
            return false;
        }
        *replaced = shared;
    }
    __atomic_store_n(entry, page | PTE_PRESENT | PTE_WRITE | PTE_USER, __ATOMIC_RELEASE);
    return true;
}

/* From the table on whose entries are at level `from`; those above are our own. */
static __attribute__((noinline)) bool own_from(struct aspace *as, uint64_t *t, uint64_t va,
                                               unsigned from, unsigned level)
{
    uint64_t replaced[3] = {0};
    bool ok = true, copied = false;
    for (unsigned l = from; ok && l > level; l--) {
        uint64_t *entry = &t[index_of(va, l)];
        if (!*entry || (l == 1 && (*entry & PTE_LARGE))) {
            break;
        }
        ok = own_below(entry, l, &replaced[l - 1]);
        copied = copied || replaced[l - 1];
        t = table(*entry);
    }
    if (copied) { /* any page of it: CPUs forget all tables they know the way through */
        va &= ~(PAGE_SIZE - 1);
        arch_tlb_shootdown_tables(as, va, va + PAGE_SIZE);
    }
    for (unsigned l = 0; copied && l < 3; l++) {
        if (replaced[l]) {
            table_put(replaced[l], l);
        }
    }
    return ok;
}

/* The way through tables that are our own is short. */
bool pagetable_own(struct aspace *as, uint64_t va, unsigned level)
{
    uint64_t *t = phys_to_virt(as->root);
    for (unsigned l = 3, shift = 39; l > level; l--, shift -= 9) {
        uint64_t entry = t[va >> shift & 511];
        if (!(entry & PTE_WRITE)) {
            return !entry || own_from(as, t, va, l, level);
        }
        if (entry & PTE_LARGE) {
            break;
        }
        t = table(entry);
    }
    return true;
}

uint64_t *pagetable_reclaim(struct aspace *as, uint64_t va)
{
    uint64_t *t = phys_to_virt(as->root);
    for (unsigned l = 3; l > 0; l--) {
        uint64_t *entry = &t[index_of(va, l)];
        if (!*entry || (*entry & PTE_LARGE) ||
            __atomic_load_n(&frame_at(pte_page(*entry))->refs, __ATOMIC_ACQUIRE) != 1) {
            return NULL;
        }
        __atomic_fetch_or(entry, PTE_WRITE, __ATOMIC_RELEASE);
        t = table(*entry);
    }
    return &t[index_of(va, 0)];
}

bool pagetable_adopt(struct aspace *as, uint64_t va, unsigned level, uint64_t table)
{
    uint64_t *entry = pagetable_make(as, va, level);
    if (entry) {
        frame_ref(table);
        pagetable_set(entry, table | PTE_PRESENT | PTE_USER);
    }
    return entry;
}

uint64_t *pagetable_shared(struct aspace *as, uint64_t va)
{
    uint64_t *t = phys_to_virt(as->root);
    for (unsigned l = 3; l > 1; l--) {
        uint64_t entry = t[index_of(va, l)];
        if (!entry) {
            return NULL;
        }
        KASSERT(entry & PTE_WRITE);
        t = table(entry);
    }
    uint64_t *entry = &t[index_of(va, 1)];
    return *entry && !(*entry & (PTE_LARGE | PTE_WRITE)) ? entry : NULL;
}

uint64_t pagetable_owned_pages(uint64_t pages)
{
    uint64_t *t = phys_to_virt(pages), n = 0;
    FOR_EACH_ENTRY(e, t)
    {
        n += (*e & PTE_OWNED) != 0;
    }
    return n;
}

/* ---- entries ---- */

/* After an empty entry of this level: the first address that is not empty, as far as the table
 * goes. */
static uint64_t hole_end(const uint64_t *entry, uint64_t va, unsigned level)
{
    const uint64_t *t = (const uint64_t *)((uint64_t)entry & ~(PAGE_SIZE - 1));
    uint32_t set = *groups(entry);
    unsigned i = index_of(va, level) + 1;
    while (i < 512) {
        if (!(set >> i / GROUP & 1)) {
            i = (i / GROUP + 1) * GROUP;
        } else if (i % 4 == 0 && !any_of_four(&t[i])) {
            i += 4;
        } else if (t[i]) {
            break;
        } else {
            i++;
        }
    }
    uint64_t size = 1ull << (12 + 9 * level);
    return (va & ~(size * 512 - 1)) + i * size;
}

uint64_t *pagetable_find(struct aspace *as, uint64_t va, unsigned *level, uint64_t *skip)
{
    uint64_t *t = phys_to_virt(as->root);
    unsigned l = 3;
    for (unsigned shift = 39; l > 0; l--, shift -= 9) {
        uint64_t *entry = &t[va >> shift & 511];
        if (!*entry) {
            *skip = hole_end(entry, va, l);
            return NULL;
        }
        if (*entry & PTE_LARGE) {
            *level = l;
            return entry;
        }
        t = table(*entry);
    }
    *level = 0;
    return &t[va >> 12 & 511];
}

uint64_t pagetable_next(const uint64_t *entry, uint64_t va)
{
    return hole_end(entry, va, 0);
}

void pagetable_set(uint64_t *entry, uint64_t value)
{
    if (!*entry) {
        struct frame *f = frame_of_table(entry);
        f->next++;
        f->prev |= group_bit(entry);
    }
    __atomic_store_n(entry, value, __ATOMIC_RELAXED);
}

bool pagetable_split(struct aspace *as, uint64_t *entry)
{
    uint64_t old = *entry, page = table_alloc();
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
    *groups(t) = ~0u;
    as->private_bytes += PAGE_SIZE;
    __atomic_store_n(entry, page | PTE_PRESENT | PTE_WRITE | PTE_USER, __ATOMIC_RELEASE);
    return true;
}

uint64_t *pagetable_make(struct aspace *as, uint64_t va, unsigned level)
{
    uint64_t *t = phys_to_virt(as->root);
    if (as->forked && !pagetable_own(as, va, level)) {
        return NULL;
    }
    unsigned shift = 39;
    for (unsigned l = 3; l > level; l--, shift -= 9) {
        uint64_t *entry = &t[va >> shift & 511];
        if ((*entry & PTE_LARGE) && !pagetable_split(as, entry)) {
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
    return &t[va >> shift & 511];
}

void pagetable_prune(struct aspace *as, uint64_t va, uint64_t *entry, unsigned level,
                     void (*release)(void *, uint64_t), void *context)
{
    /* tables of pages and of page tables; the top two stay */
    while (*used_count(entry) == 0 && level < 2) {
        uint64_t page = virt_to_phys(entry) & ~(PAGE_SIZE - 1), *t = phys_to_virt(as->root);
        level++;
        for (unsigned l = 3; l > level; l--) {
            t = table(t[index_of(va, l)]);
        }
        entry = &t[index_of(va, level)];
        __atomic_store_n(entry, 0, __ATOMIC_RELAXED);
        --*used_count(entry);
        as->private_bytes -= PAGE_SIZE;
        release(context, page);
    }
}

void pagetable_clear(struct aspace *as, uint64_t va, uint64_t *entry, unsigned level,
                     void (*release)(void *, uint64_t), void *context)
{
    KASSERT(frame_of_table(entry)->refs == 1);
    __atomic_store_n(entry, 0, __ATOMIC_RELAXED);
    --*used_count(entry);
    pagetable_prune(as, va, entry, level, release, context);
}

bool pagetable_forget(uint64_t *entry)
{
    uint64_t e = __atomic_load_n(entry, __ATOMIC_RELAXED);
    while (e && !(e & PTE_OWNED)) {
        if (__atomic_compare_exchange_n(entry, &e, 0, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            __atomic_fetch_sub(used_count(entry), 1, __ATOMIC_RELAXED);
            return true;
        }
    }
    return false;
}
