/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: their lives, their regions, and what a program asks of them: map, unmap, protect,
 * move, advise. Faults are in aspace_fault.c, copies in aspace_copy.c.
 *
 * Long unmappings run in pieces: the regions are cut out and marked dying first, which keeps their
 * addresses taken; then entries go in batches with the lock dropped in between; then the regions.
 */
#include "aspace_impl.h"
#include "frame.h"
#include "log.h"
#include "main.h"
#include "random.h"
#include "sched.h"
#include "vmo_impl.h"

#define LOWEST        0x10000ull /* null pointers with offsets stay faults */
#define ENTROPY_PAGES (1ull << 28)
#define REGION_FLAGS  (MOTOR_PROT_MASK | MOTOR_MAP_PRIVATE | MOTOR_MAP_NOFORK | MOTOR_MAP_WIPEFORK)

/* ---- regions [as->lock] ---- */

static struct region *region_of(struct tree_node *n)
{
    return n ? container_of(n, struct region, node) : NULL;
}

struct region *region_floor(struct aspace *as, uint64_t address)
{
    struct tree_node *n = as->regions.root, *best = NULL;
    while (n) {
        if (n->key <= address) {
            best = n;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return region_of(best);
}

struct region *region_find(struct aspace *as, uint64_t address)
{
    struct region *r = as->hint;
    if (r && region_start(r) <= address && address < r->end) {
        return r;
    }
    r = region_floor(as, address);
    if (!r || address >= r->end) {
        return NULL;
    }
    as->hint = r;
    return r;
}

struct region *region_next(struct region *r)
{
    return region_of(tree_next(&r->node));
}

struct region *region_first_in(struct aspace *as, uint64_t start, uint64_t end)
{
    struct region *r = region_floor(as, start);
    if (!r || r->end <= start) {
        r = r ? region_next(r) : region_of(as->regions.first);
    }
    return r && region_start(r) < end ? r : NULL;
}

void region_link(struct region *r)
{
    if (r->vmo) {
        spin_lock(&r->vmo->lock);
        list_append(r->vmo->mappings.next, &r->vmo_link);
        spin_unlock(&r->vmo->lock);
    }
}

static void region_insert(struct aspace *as, struct region *r, uint64_t start)
{
    tree_insert(&as->regions, &r->node, start);
    as->region_count++;
    region_link(r);
}

/*
 * Out of the tree and the object's list; the caller drops the object's reference and the memory
 * outside the lock.
 */
static void region_remove(struct aspace *as, struct region *r)
{
    if (as->hint == r) {
        as->hint = NULL;
    }
    tree_remove(&as->regions, &r->node);
    as->region_count--;
    if (r->vmo) {
        spin_lock(&r->vmo->lock);
        list_remove(&r->vmo_link);
        spin_unlock(&r->vmo->lock);
    }
}

static void region_free(struct region *r)
{
    if (r->vmo) {
        object_put(&r->vmo->object);
    }
    kfree(r);
}

struct region *region_alloc(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t end,
                            uint32_t flags, uint32_t max_prot)
{
    struct region *r = kzalloc(sizeof(*r));
    if (!r) {
        return NULL;
    }
    r->as = as;
    r->vmo = v;
    r->offset = offset;
    r->end = end;
    r->flags = flags;
    r->max_prot = max_prot;
    r->batch = 1;
    list_init(&r->vmo_link);
    if (v) {
        object_get(&v->object);
    }
    return r;
}

/* Cut r at an address inside it: r keeps the front. */
static bool region_split(struct aspace *as, struct region *r, uint64_t at)
{
    uint64_t start = region_start(r);
    if (at <= start || at >= r->end) {
        return true;
    }
    struct region *back =
        region_alloc(as, r->vmo, r->offset + (at - start), r->end, r->flags, r->max_prot);
    if (!back) {
        return false;
    }
    back->dying = r->dying;
    r->end = at;
    region_insert(as, back, at);
    return true;
}

/* Cut at both ends of a range. */
static bool split_range(struct aspace *as, uint64_t start, uint64_t end)
{
    struct region *r = region_floor(as, start);
    if (r && !region_split(as, r, start)) {
        return false;
    }
    r = region_floor(as, end - 1);
    return !r || r->end <= end || region_split(as, r, end);
}

static bool may_merge(const struct region *a, const struct region *b)
{
    return a && b && a->end == region_start(b) && a->vmo == b->vmo && a->flags == b->flags &&
           a->max_prot == b->max_prot && !a->dying && !b->dying &&
           (!a->vmo || a->offset + (a->end - region_start(a)) == b->offset);
}

/* Join neighbours that are alike, around and in a range. */
static void merge_range(struct aspace *as, uint64_t start, uint64_t end)
{
    struct region *r = region_floor(as, start - 1), *next;
    r = r ? r : region_first_in(as, start, end);
    while (r && (next = region_next(r)) && region_start(next) <= end) {
        if (!may_merge(r, next)) {
            r = next;
            continue;
        }
        r->end = next->end;
        region_remove(as, next);
        region_free(next); /* not the object's last reference: r has one */
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
}

void gather_range(struct gather *g, uint64_t start, uint64_t end)
{
    g->start = start < g->start ? start : g->start;
    g->end = end > g->end ? end : g->end;
}

void gather_finish(struct gather *g)
{
    if (g->start < g->end && g->as->cpus) {
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

static void gather_frame(void *context, uint64_t page)
{
    struct gather *g = context;
    g->frame[g->n++] = page;
}

/*
 * The page after that of a leaf entry, or a later one if the entries between are empty; the same
 * table, so at most 512.
 */
static uint64_t next_page(const uint64_t *entry, uint64_t at, uint64_t end)
{
    for (at += PAGE_SIZE; at < end && at % LARGE_SIZE && !*++entry; at += PAGE_SIZE) {
    }
    return at;
}

/*
 * Own the entries at an address and after it, as far as the address space's next table; one step of
 * own_range(). *at moves past that table, or past a hole.
 */
static bool own_step(struct aspace *as, uint64_t *at, uint64_t end, bool all)
{
    unsigned level;
    uint64_t skip, va = *at, *entry = pagetable_find(as, va, &level, &skip);
    if (!entry) {
        *at = skip;
        return true;
    }
    *at = (va & ~(LARGE_SIZE - 1)) + LARGE_SIZE;
    bool whole = va % LARGE_SIZE == 0 && *at <= end;
    if (as->forked && !pagetable_own(as, va, whole && !all ? 1 : 0)) {
        return false;
    }
    entry = pagetable_find(as, va, &level, &skip);
    return level == 0 || whole || pagetable_split(as, entry);
}

int64_t own_range(struct aspace *as, uint64_t start, uint64_t end, bool all)
{
    uint64_t at = start, last = end & ~(LARGE_SIZE - 1);
    bool ok = own_step(as, &at, end, all);
    for (unsigned n = 1; ok && as->forked && at < end; n++) {
        if (n % 32 == 0) {
            spin_unlock(&as->lock);
            sched_preempt_point();
            spin_lock(&as->lock);
        }
        ok = own_step(as, &at, end, all);
    }
    if (ok && !as->forked && at <= last && last < end) { /* only the ends can matter */
        ok = own_step(as, &last, end, all);
    }
    return ok ? 0 : -MOTOR_ENOMEM;
}

/*
 * The whole page table at an address goes from this address space, which shares it with others. Its
 * pages are not looked at but for what they were charged.
 */
static void unmap_shared(struct gather *g, uint64_t va, uint64_t *directory_entry)
{
    struct aspace *as = g->as;
    uint64_t pages = pte_page(*directory_entry);
    gather_range(g, va, va + LARGE_SIZE);
    as->private_bytes -= (pagetable_owned_pages(pages) + 1) * PAGE_SIZE;
    gather_frame(g, pages | GATHER_TABLE);
    pagetable_clear(as, va, directory_entry, 1, gather_frame, g);
}

/* At the first entry of a table that may be shared: true if that table is gone, *at after it. */
static bool unmap_if_shared(struct gather *g, uint64_t *at, uint64_t end)
{
    if (*at % LARGE_SIZE || end - *at < LARGE_SIZE) {
        return false;
    }
    uint64_t *entry = pagetable_shared(g->as, *at);
    if (entry) {
        unmap_shared(g, *at, entry);
        *at += LARGE_SIZE;
    }
    return entry;
}

bool unmap_entries(struct gather *g, uint64_t *at, uint64_t end)
{
    struct aspace *as = g->as;
    unsigned looked = 0;
    while (*at < end) {
        unsigned level;
        uint64_t skip, *entry = pagetable_find(as, *at, &level, &skip);
        if (!entry) {
            *at = skip;
            continue;
        }
        if (gather_full(g) || ++looked > 2048) {
            return false;
        }
        if (as->forked && unmap_if_shared(g, at, end)) {
            looked += 512;
            continue;
        }
        if (level == 1 && (*at % LARGE_SIZE || end - *at < LARGE_SIZE)) {
            if (!pagetable_split(as, entry)) {
                return false; /* a large page that came after own_range() */
            }
            gather_range(g, *at & ~(LARGE_SIZE - 1), *at + PAGE_SIZE);
            continue;
        }
        uint64_t old = *entry, size = level ? LARGE_SIZE : PAGE_SIZE;
        if (old) {
            gather_range(g, *at, *at + size);
            if (old & PTE_OWNED) {
                as->private_bytes -= size;
                gather_frame(g, pte_page(old) | (level ? GATHER_BLOCK : 0));
            }
            pagetable_clear(as, *at, entry, level, gather_frame, g);
            *at += size; /* the table may be gone */
        } else {
            uint64_t va = *at;
            *at = next_page(entry, va, end);
            pagetable_prune(as, va, entry, level, gather_frame, g);
        }
    }
    return true;
}

/* ---- lives ---- */

struct aspace *aspace_create(void)
{
    struct aspace *as = kzalloc(sizeof(*as));
    if (!as || !(as->root = pagetable_create())) {
        kfree(as);
        return NULL;
    }
    as->refs = 1;
    as->limit = MOTOR_NEVER;
    as->top = MOTOR_KINFO_ADDRESS - PAGE_SIZE - (random_u64() % ENTROPY_PAGES) * PAGE_SIZE;
    as->cursor = as->top;
    uint64_t *entry = pagetable_make(as, MOTOR_KINFO_ADDRESS, 0);
    if (!entry) {
        aspace_put(as);
        return NULL;
    }
    pagetable_set(entry, kinfo_frame | page_flags(MOTOR_PROT_READ));
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

void aspace_put(struct aspace *as)
{
    if (__atomic_sub_fetch(&as->refs, 1, __ATOMIC_ACQ_REL)) {
        return;
    }
    arch_tlb_shootdown(as, 0, USER_END); /* refs is 0: CPUs that still have it loaded leave it */
    pagetable_destroy(as->root);
    struct region *r;
    while ((r = region_of(as->regions.first))) { /* nobody else can reach this address space now */
        region_remove(as, r);
        region_free(r);
        sched_preempt_point();
    }
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

/* ---- unmap ---- */

static bool range_ok(uint64_t address, uint64_t length)
{
    return address % PAGE_SIZE == 0 && length && address >= LOWEST &&
           length <= MOTOR_KINFO_ADDRESS && address <= MOTOR_KINFO_ADDRESS - length;
}

static uint64_t round_up(uint64_t length)
{
    return (length + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

/* Space that was freed where the next placement looks is used again. */
static void cursor_recede(struct aspace *as, uint64_t start, uint64_t end)
{
    if (as->cursor == start) {
        struct region *next = region_first_in(as, end, as->top);
        as->cursor = next ? region_start(next) : as->top;
    }
}

/*
 * Entries of the range, all of whose regions are dying, in pieces; then the regions. [as->lock,
 * dropped in between; as->changing]
 */
static void finish_dying(struct aspace *as, uint64_t start, uint64_t end)
{
    struct region *r;
    struct gather g;
    uint64_t at = start;
    gather_begin(&g, as);
    while (!unmap_entries(&g, &at, end)) {
        gather_finish(&g);
        spin_unlock(&as->lock);
        sched_preempt_point();
        spin_lock(&as->lock);
    }
    gather_finish(&g);
    while ((r = region_first_in(as, start, end))) {
        uint64_t from = region_start(r), to = r->end;
        as->virtual_bytes -= to - from;
        region_remove(as, r);
        cursor_recede(as, from, to);
        spin_unlock(&as->lock);
        region_free(r);
        spin_lock(&as->lock);
    }
}

/* [as->lock, dropped in between; as->changing] */
static int64_t unmap_range(struct aspace *as, uint64_t start, uint64_t end)
{
    if (!region_first_in(as, start, end)) {
        return 0;
    }
    int64_t status = split_range(as, start, end) ? own_range(as, start, end, false) : -MOTOR_ENOMEM;
    if (status < 0) {
        merge_range(as, start, end);
        return status;
    }
    for (struct region *r = region_first_in(as, start, end); r && region_start(r) < end;
         r = region_next(r)) {
        r->dying = true;
    }
    finish_dying(as, start, end);
    return 0;
}

int64_t aspace_unmap(struct aspace *as, uint64_t address, uint64_t length)
{
    length = round_up(length);
    if (!range_ok(address, length)) {
        return -MOTOR_EINVAL;
    }
    layout_begin(as);
    int64_t status = unmap_range(as, address, address + length);
    layout_end(as);
    return status;
}

/* ---- map ---- */

static int64_t protect_range(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot);

static bool range_free(struct aspace *as, uint64_t start, uint64_t length)
{
    return start >= LOWEST && start + length > start && start + length <= MOTOR_KINFO_ADDRESS &&
           !region_first_in(as, start, start + length);
}

/*
 * Below the cursor, else the highest gap anywhere. Large mappings are aligned for large pages. 0:
 * none.
 */
static uint64_t place(struct aspace *as, uint64_t length, bool large)
{
    uint64_t align = large ? LARGE_SIZE : PAGE_SIZE, limit = as->cursor;
    for (int pass = 0; pass < 2; pass++, limit = as->top) {
        while (limit > length + LOWEST) {
            uint64_t start = (limit - length) & ~(align - 1);
            struct region *r = region_floor(as, start + length - 1);
            if (!r || r->end <= start) {
                as->cursor = start;
                return start;
            }
            limit = region_start(r);
        }
    }
    return 0;
}

static int64_t check_map(const struct vmo *v, uint64_t offset, uint64_t address, uint64_t length,
                         uint32_t flags, uint32_t max_prot)
{
    uint32_t prot = flags & MOTOR_PROT_MASK;
    bool fixed = flags & (MOTOR_MAP_FIXED | MOTOR_MAP_NOREPLACE);
    if (!length || length > MOTOR_KINFO_ADDRESS || offset % PAGE_SIZE || offset + length < offset ||
        (flags & ~(REGION_FLAGS | MOTOR_MAP_FIXED | MOTOR_MAP_NOREPLACE | MOTOR_MAP_STACK |
                   MOTOR_MAP_POPULATE)) ||
        (v && (flags & MOTOR_MAP_WIPEFORK)) || (fixed && !range_ok(address, length))) {
        return -MOTOR_EINVAL;
    }
    if ((prot & MOTOR_PROT_WRITE) && (prot & MOTOR_PROT_EXEC)) {
        return -MOTOR_EACCESS;
    }
    if (v && (prot & ~max_prot & ~((flags & MOTOR_MAP_PRIVATE) ? MOTOR_PROT_WRITE : 0u))) {
        return -MOTOR_ERIGHTS;
    }
    return 0;
}

/* [as->lock, dropped in between; as->changing] The address, or a status: then r is still free. */
static int64_t insert_mapping(struct aspace *as, struct region *r, uint64_t address,
                              uint64_t length, uint32_t flags)
{
    bool fixed = flags & (MOTOR_MAP_FIXED | MOTOR_MAP_NOREPLACE);
    if (as->virtual_bytes + length > MOTOR_KINFO_ADDRESS) {
        return -MOTOR_ENOMEM;
    }
    if (fixed && !range_free(as, address, length)) {
        int64_t status = flags & MOTOR_MAP_NOREPLACE ? -MOTOR_EEXIST
                                                     : unmap_range(as, address, address + length);
        if (status < 0) {
            return status;
        }
    }
    if (!fixed && (address % PAGE_SIZE || !range_free(as, address, length))) {
        address = place(as, length, length >= LARGE_SIZE && !r->vmo);
        if (!address) {
            return -MOTOR_ENOMEM;
        }
    }
    r->end = address + length;
    as->virtual_bytes += length;
    region_insert(as, r, address);
    merge_range(as, address, r->end);
    return (int64_t)address;
}

int64_t aspace_map(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t address,
                   uint64_t length, uint32_t flags, uint32_t max_prot)
{
    length = round_up(length);
    int64_t status = check_map(v, offset, address, length, flags, max_prot);
    if (status < 0) {
        return status;
    }
    uint32_t kept = (flags & REGION_FLAGS) | (v ? 0 : MOTOR_MAP_PRIVATE);
    uint32_t allowed =
        v ? max_prot | (kept & MOTOR_MAP_PRIVATE ? MOTOR_PROT_WRITE : 0) : MOTOR_PROT_MASK;
    struct region *r = region_alloc(as, v, offset, 0, kept, allowed);
    if (!r) {
        return -MOTOR_ENOMEM;
    }
    layout_begin(as);
    int64_t at = insert_mapping(as, r, address, length, flags);
    if (at >= 0 && (flags & MOTOR_MAP_STACK)) { /* the lowest page stays without access */
        status = protect_range(as, (uint64_t)at, (uint64_t)at + PAGE_SIZE, 0);
        if (status < 0) {
            unmap_range(as, (uint64_t)at, (uint64_t)at + length);
        }
    }
    layout_end(as);
    if (at < 0) {
        region_free(r);
        return at;
    }
    if (status == 0 && (flags & MOTOR_MAP_POPULATE)) {
        aspace_advise(as, (uint64_t)at, length, MOTOR_ADVISE_POPULATE);
    }
    return status < 0 ? status : at;
}

/* ---- protect ---- */

/*
 * An entry under new rights. Write comes back by a fault, which knows whether the page is shared.
 */
static uint64_t entry_protect(uint64_t entry, uint32_t prot)
{
    uint64_t kept = entry & (PTE_ADDRESS | PTE_OWNED | PTE_UNCACHED | PTE_LARGE);
    return kept | page_flags(prot) | (prot & MOTOR_PROT_WRITE ? entry & PTE_WRITE : 0);
}

/* Entries of a range that is owned; in pieces. [as->lock, dropped in between] */
static void protect_entries(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot)
{
    struct gather g;
    unsigned looked = 0;
    gather_begin(&g, as);
    for (uint64_t at = start; at < end;) {
        unsigned level;
        uint64_t skip, *entry = pagetable_find(as, at, &level, &skip);
        if (!entry) {
            at = skip;
            continue;
        }
        uint64_t size = level ? LARGE_SIZE : PAGE_SIZE,
                 changed = *entry ? entry_protect(*entry, prot) : 0;
        if (changed != *entry) {
            gather_range(&g, at, at + size);
            __atomic_store_n(entry, changed, __ATOMIC_RELAXED);
        }
        at = level ? at + size : next_page(entry, at, end);
        if (++looked % 2048 == 0) {
            gather_finish(&g);
            spin_unlock(&as->lock);
            sched_preempt_point();
            spin_lock(&as->lock);
        }
    }
    gather_finish(&g);
}

/* Whole range mapped, and the new rights allowed everywhere? [as->lock] */
static int64_t protect_check(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot)
{
    uint64_t at = start;
    while (at < end) {
        struct region *r = region_find(as, at);
        if (!r || r->dying) {
            return -MOTOR_ENOENT;
        }
        if (prot & ~r->max_prot) {
            return -MOTOR_EACCESS;
        }
        at = r->end;
    }
    return 0;
}

/* [as->lock, dropped in between; as->changing] */
static int64_t protect_range(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot)
{
    int64_t status = protect_check(as, start, end, prot);
    if (status < 0) {
        return status;
    }
    status = split_range(as, start, end) ? own_range(as, start, end, true) : -MOTOR_ENOMEM;
    struct region *r = status == 0 ? region_first_in(as, start, end) : NULL;
    for (; r && region_start(r) < end; r = region_next(r)) {
        if ((r->flags & MOTOR_PROT_MASK) != prot) {
            r->flags = (r->flags & ~MOTOR_PROT_MASK) | prot; /* faults go by the new rights */
            protect_entries(as, region_start(r), r->end, prot);
        }
    }
    merge_range(as, start, end);
    return status;
}

int64_t aspace_protect(struct aspace *as, uint64_t address, uint64_t length, uint32_t prot)
{
    length = round_up(length);
    if (!range_ok(address, length) || (prot & ~MOTOR_PROT_MASK)) {
        return -MOTOR_EINVAL;
    }
    if ((prot & MOTOR_PROT_WRITE) && (prot & MOTOR_PROT_EXEC)) {
        return -MOTOR_EACCESS;
    }
    layout_begin(as);
    int64_t status = protect_range(as, address, address + length, prot);
    layout_end(as);
    return status;
}

/* ---- remap ---- */

/*
 * One entry on its way from from + *at to to + *at, or (make) only the tables that it needs there.
 * Without memory for them: false. [as->lock]
 */
static bool move_entry(struct gather *g, uint64_t from, uint64_t to, uint64_t length, uint64_t *at,
                       bool make)
{
    struct aspace *as = g->as;
    unsigned level;
    uint64_t skip, va = from + *at, *entry = pagetable_find(as, va, &level, &skip);
    if (!entry || !*entry) {
        *at = (entry ? next_page(entry, va, from + length) : skip) - from;
        return true;
    }
    uint64_t size = level ? LARGE_SIZE : PAGE_SIZE, value = *entry;
    bool fits = !level || ((va | (to + *at)) % size == 0 && length - *at >= size);
    uint64_t *slot = fits ? pagetable_make(as, to + *at, level) : NULL;
    if (fits && !slot) {
        return false;
    }
    if (!fits || (level && *slot)) { /* a table is in the way of the large page */
        return pagetable_split(as, entry);
    }
    if (!make) {
        gather_range(g, va, va + size);
        pagetable_clear(as, va, entry, level, gather_frame, g);
        pagetable_set(slot, value);
    }
    *at += size;
    return true;
}

/* [as->lock, dropped in between] */
static bool move_entries(struct aspace *as, uint64_t from, uint64_t to, uint64_t length, bool make)
{
    struct gather g;
    unsigned looked = 0;
    bool ok = true;
    gather_begin(&g, as);
    for (uint64_t at = 0; ok && at < length;) {
        ok = move_entry(&g, from, to, length, &at, make);
        if (gather_full(&g)) {
            gather_finish(&g);
        }
        if (++looked % 512 == 0) {
            gather_finish(&g);
            spin_unlock(&as->lock);
            sched_preempt_point();
            spin_lock(&as->lock);
        }
    }
    gather_finish(&g);
    return ok;
}

/* [as->lock] The one region that holds [old, old + length); NULL otherwise. */
static struct region *remap_source(struct aspace *as, uint64_t old, uint64_t length)
{
    struct region *r = region_find(as, old);
    return r && !r->dying && r->end - old >= length ? r : NULL;
}

static bool grow_in_place(struct aspace *as, struct region *r, uint64_t old, uint64_t old_length,
                          uint64_t length)
{
    if (r->end != old + old_length || !range_free(as, r->end, length - old_length)) {
        return false;
    }
    r->end += length - old_length;
    as->virtual_bytes += length - old_length;
    return true;
}

/*
 * The target is a region from the start, both are dying during the move, so that a fault neither
 * fills what is taken away nor what is about to come. First everything that needs memory, then the
 * entries. [as->lock, dropped in between; as->changing]
 */
static int64_t move_mapping(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                            uint64_t length, bool fixed)
{
    uint64_t moved = old_length < length ? old_length : length;
    struct region *source = region_find(as, old);
    struct region *target =
        region_alloc(as, source->vmo, source->offset, 0, source->flags, source->max_prot);
    if (!target) {
        return -MOTOR_ENOMEM;
    }
    target->dying = true;
    int64_t at = insert_mapping(as, target, fixed ? to : 0, length, fixed ? MOTOR_MAP_FIXED : 0);
    if (at < 0) {
        region_free(target);
        return at;
    }
    source->dying = true;
    if (!move_entries(as, old, (uint64_t)at, moved, true)) {
        source->dying = false;
        unmap_range(as, (uint64_t)at, (uint64_t)at + length);
        return -MOTOR_ENOMEM;
    }
    move_entries(as, old, (uint64_t)at, moved, false);
    target->dying = false;
    unmap_range(as, old, old + old_length);
    merge_range(as, (uint64_t)at, (uint64_t)at + length);
    return at;
}

/* The range as a region of its own, its tables owned, moves. [as->lock, dropped in between] */
static int64_t move_range(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                          uint64_t length, bool fixed)
{
    uint64_t end = old + old_length;
    int64_t status = split_range(as, old, end) ? own_range(as, old, end, true) : -MOTOR_ENOMEM;
    if (status == 0) {
        status = move_mapping(as, old, old_length, to, length, fixed);
    }
    if (status < 0) {
        merge_range(as, old, end);
    }
    return status;
}

/* [as->lock, dropped in between; as->changing] */
static int64_t remap_range(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                           uint64_t length, uint32_t flags)
{
    struct region *r = remap_source(as, old, old_length);
    bool fixed = flags & MOTOR_REMAP_FIXED;
    if (!r) {
        return -MOTOR_EFAULT;
    }
    if (!fixed && length <= old_length) {
        int64_t status = length < old_length ? unmap_range(as, old + length, old + old_length) : 0;
        return status < 0 ? status : (int64_t)old;
    }
    if (!fixed && grow_in_place(as, r, old, old_length, length)) {
        return (int64_t)old;
    }
    return flags & MOTOR_REMAP_MAYMOVE ? move_range(as, old, old_length, to, length, fixed)
                                       : -MOTOR_ENOMEM;
}

int64_t aspace_remap(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                     uint64_t length, uint32_t flags)
{
    old_length = round_up(old_length);
    length = round_up(length);
    if (!range_ok(old, old_length) || !length || length > MOTOR_KINFO_ADDRESS ||
        (flags & ~(MOTOR_REMAP_MAYMOVE | MOTOR_REMAP_FIXED)) ||
        ((flags & MOTOR_REMAP_FIXED) && (!(flags & MOTOR_REMAP_MAYMOVE) || !range_ok(to, length) ||
                                         (to < old + old_length && old < to + length)))) {
        return -MOTOR_EINVAL;
    }
    layout_begin(as);
    int64_t status = remap_range(as, old, old_length, to, length, flags);
    layout_end(as);
    return status;
}

/* ---- advise ---- */

/* [as->lock, dropped in between; as->changing] */
static int64_t discard(struct aspace *as, uint64_t start, uint64_t end)
{
    struct gather g;
    gather_begin(&g, as);
    int64_t status = own_range(as, start, end, false);
    for (uint64_t at = start, before = start; status == 0; before = at) {
        bool done = unmap_entries(&g, &at, end), stuck = !done && at == before && !gather_full(&g);
        gather_finish(&g);
        if (done || stuck) { /* at a large page that came just now, without memory to split it */
            return done ? 0 : -MOTOR_ENOMEM;
        }
        spin_unlock(&as->lock);
        sched_preempt_point();
        spin_lock(&as->lock);
    }
    return status;
}

/* What a fork does with a range from now on. [as->lock; as->changing] */
static int64_t set_fork(struct aspace *as, uint64_t start, uint64_t end, uint32_t clear,
                        uint32_t set)
{
    for (struct region *r = region_first_in(as, start, end); r && region_start(r) < end;
         r = region_next(r)) {
        if ((set & MOTOR_MAP_WIPEFORK) && r->vmo) {
            return -MOTOR_EINVAL; /* it would show the object's bytes, not zeros */
        }
    }
    bool split = split_range(as, start, end);
    struct region *r = split ? region_first_in(as, start, end) : NULL;
    for (; r && region_start(r) < end; r = region_next(r)) {
        r->flags = (r->flags & ~clear) | set;
    }
    merge_range(as, start, end);
    return split ? 0 : -MOTOR_ENOMEM;
}

static int64_t populate(struct aspace *as, uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end; at += PAGE_SIZE) {
        spin_lock(&as->lock);
        struct region *r = region_find(as, at);
        int64_t status =
            r ? fault_locked(as, at,
                             r->flags & MOTOR_PROT_WRITE ? MOTOR_PROT_WRITE : MOTOR_PROT_READ)
              : -MOTOR_ENOENT;
        spin_unlock(&as->lock);
        if (status < 0) {
            return status;
        }
        if (at % LARGE_SIZE == 0) {
            sched_preempt_point();
        }
    }
    return 0;
}

/* [as->lock, dropped in between; as->changing] */
static int64_t advise_range(struct aspace *as, uint64_t start, uint64_t end, uint32_t advice)
{
    int64_t status = protect_check(as, start, end, 0);
    if (status < 0) {
        return status;
    }
    switch (advice) {
    case MOTOR_ADVISE_DONTNEED:
    case MOTOR_ADVISE_FREE:
        return discard(as, start, end);
    case MOTOR_ADVISE_NOFORK:
        return set_fork(as, start, end, 0, MOTOR_MAP_NOFORK);
    case MOTOR_ADVISE_FORK:
        return set_fork(as, start, end, MOTOR_MAP_NOFORK, 0);
    case MOTOR_ADVISE_WIPEFORK:
        return set_fork(as, start, end, 0, MOTOR_MAP_WIPEFORK);
    case MOTOR_ADVISE_KEEPFORK:
        return set_fork(as, start, end, MOTOR_MAP_WIPEFORK, 0);
    case MOTOR_ADVISE_POPULATE:
        return 0;
    default:
        return -MOTOR_EINVAL;
    }
}

int64_t aspace_advise(struct aspace *as, uint64_t address, uint64_t length, uint32_t advice)
{
    length = round_up(length);
    if (!range_ok(address, length)) {
        return -MOTOR_EINVAL;
    }
    layout_begin(as);
    int64_t status = advise_range(as, address, address + length, advice);
    layout_end(as);
    return status == 0 && advice == MOTOR_ADVISE_POPULATE ? populate(as, address, address + length)
                                                          : status;
}

/* ---- for memory objects ---- */

void aspace_forget_pages(struct aspace *as, struct vmo *v, uint64_t start, uint64_t end,
                         uint64_t epoch)
{
    struct gather g;
    gather_begin(&g, as);
    spin_lock(&as->lock);
    for (struct region *r = region_of(as->regions.first); r; r = region_next(r)) {
        if (r->vmo != v) {
            continue;
        }
        vmo_mapping_visited(v, r, epoch);
        uint64_t size = r->end - region_start(r), from = start > r->offset ? start - r->offset : 0;
        uint64_t to = end > r->offset ? end - r->offset : 0;
        to = to < size ? to : size;
        for (uint64_t at = from; at < to;) {
            unsigned level;
            uint64_t skip, va = region_start(r) + at,
                           *entry = pagetable_find(as, va, &level, &skip);
            if (!entry) {
                at = skip - region_start(r);
                continue;
            }
            /* an entry may have gone for another space that shares the table, but not for our CPUs
             */
            if (pagetable_forget(entry) || as->forked) {
                gather_range(&g, va, va + PAGE_SIZE);
            }
            at += PAGE_SIZE;
        }
    }
    gather_finish(&g);
    spin_unlock(&as->lock);
}
