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
#define REGION_FLAGS  (MOTOR_PROT_MASK | MOTOR_MAP_PRIVATE | MOTOR_MAP_NOFORK)

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

static void region_insert(struct aspace *as, struct region *r, uint64_t start)
{
    tree_insert(&as->regions, &r->node, start);
    as->region_count++;
    if (r->vmo) {
        spin_lock(&r->vmo->lock);
        list_append(&r->vmo->mappings, &r->vmo_link);
        spin_unlock(&r->vmo->lock);
    }
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

static struct region *region_alloc(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t end,
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
    return a && b && !a->vmo && !b->vmo && a->end == region_start(b) && a->flags == b->flags &&
           a->max_prot == b->max_prot && !a->dying && !b->dying;
}

/*
 * Join r with anonymous neighbours that are alike. Returns a region that became free memory, or
 * NULL.
 */
static void region_merge(struct aspace *as, struct region *r)
{
    struct region *next = region_next(r), *before = region_floor(as, region_start(r) - 1);
    if (may_merge(r, next)) {
        r->end = next->end;
        region_remove(as, next);
        kfree(next);
    }
    if (may_merge(before, r)) {
        before->end = r->end;
        region_remove(as, r);
        kfree(r);
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
        frame_unref(g->frame[i]);
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
        if (g->n + 4 > GATHER_MAX || ++looked > 2048) {
            return false;
        }
        if (level == 1 && (*at % LARGE_SIZE || end - *at < LARGE_SIZE)) {
            if (!pagetable_split(as, entry)) {
                /* tried again when there is memory: the caller frees what it gathered first */
                return false;
            }
            gather_range(g, *at & ~(LARGE_SIZE - 1), *at + PAGE_SIZE);
            continue;
        }
        uint64_t old = *entry, size = level ? LARGE_SIZE : PAGE_SIZE;
        if (old) {
            gather_range(g, *at, *at + size);
            if (old & PTE_OWNED) {
                as->private_bytes -= size;
                gather_frame(g, pte_page(old));
            }
            pagetable_clear(as, *at, entry, level, gather_frame, g);
            *at += size; /* the table may be gone */
        } else {
            *at = next_page(entry, *at, end);
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
    struct gather g;
    gather_begin(&g, as);
    for (;;) { /* what the regions held, in pieces; nobody else can reach this address space now */
        struct region *r = region_of(as->regions.first);
        if (!r) {
            break;
        }
        uint64_t at = region_start(r);
        while (!unmap_entries(&g, &at, r->end)) {
            gather_finish(&g);
            sched_preempt_point();
        }
        region_remove(as, r);
        region_free(r);
    }
    gather_finish(&g); /* a full gather would stop the next step */
    uint64_t at = MOTOR_KINFO_ADDRESS;
    unmap_entries(&g, &at, MOTOR_KINFO_ADDRESS + PAGE_SIZE);
    gather_finish(&g);
    pagetable_destroy(as->root);
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

static struct region *first_dying(struct aspace *as, uint64_t start, uint64_t end)
{
    struct region *r = region_first_in(as, start, end);
    while (r && !r->dying) {
        r = region_next(r);
        if (r && region_start(r) >= end) {
            return NULL;
        }
    }
    return r;
}

/* Space that was freed where the next placement looks is used again. */
static void cursor_recede(struct aspace *as, uint64_t start, uint64_t end)
{
    if (as->cursor == start) {
        struct region *next = region_first_in(as, end, as->top);
        as->cursor = next ? region_start(next) : as->top;
    }
}

static void finish_dying(struct aspace *as, uint64_t start, uint64_t end)
{
    struct gather g;
    gather_begin(&g, as);
    spin_lock(&as->lock);
    for (;;) {
        struct region *r = first_dying(as, start, end);
        if (!r) {
            break;
        }
        uint64_t at = region_start(r);
        if (at < start) {
            at = start;
        }
        bool done = unmap_entries(&g, &at, r->end);
        if (done) {
            uint64_t from = region_start(r), to = r->end;
            gather_finish(&g);
            as->virtual_bytes -= to - from;
            region_remove(as, r);
            cursor_recede(as, from, to);
            spin_unlock(&as->lock);
            region_free(r);
        } else {
            gather_finish(&g);
            spin_unlock(&as->lock);
            sched_preempt_point();
        }
        spin_lock(&as->lock);
    }
    spin_unlock(&as->lock);
}

int64_t aspace_unmap(struct aspace *as, uint64_t address, uint64_t length)
{
    length = round_up(length);
    if (!range_ok(address, length)) {
        return -MOTOR_EINVAL;
    }
    spin_lock(&as->lock);
    if (!split_range(as, address, address + length)) {
        spin_unlock(&as->lock);
        return -MOTOR_ENOMEM;
    }
    for (struct region *r = region_first_in(as, address, address + length);
         r && region_start(r) < address + length; r = region_next(r)) {
        r->dying = true;
    }
    spin_unlock(&as->lock);
    finish_dying(as, address, address + length);
    return 0;
}

/* ---- map ---- */

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
        (fixed && !range_ok(address, length))) {
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

/* The lowest page of a stack's range stays without access. */
static int64_t guard_page(struct aspace *as, uint64_t address, uint32_t flags)
{
    return flags & MOTOR_MAP_STACK ? aspace_protect(as, address, PAGE_SIZE, 0) : 0;
}

static int64_t insert_mapping(struct aspace *as, struct region *r, uint64_t address,
                              uint64_t length, uint32_t flags)
{
    for (;;) {
        spin_lock(&as->lock);
        if (as->virtual_bytes + length > MOTOR_KINFO_ADDRESS) {
            spin_unlock(&as->lock);
            return -MOTOR_ENOMEM;
        }
        bool fixed = flags & (MOTOR_MAP_FIXED | MOTOR_MAP_NOREPLACE);
        bool free = address % PAGE_SIZE == 0 && address && range_free(as, address, length);
        if (!fixed && !free) {
            address = place(as, length, length >= LARGE_SIZE && !r->vmo);
            free = address != 0;
        }
        if (free) {
            r->end = address + length;
            as->virtual_bytes += length;
            region_insert(as, r, address);
            if (!r->vmo && !(flags & MOTOR_MAP_STACK)) {
                region_merge(as, r);
            }
            spin_unlock(&as->lock);
            return (int64_t)address;
        }
        spin_unlock(&as->lock);
        if (!fixed) {
            return -MOTOR_ENOMEM;
        }
        if (flags & MOTOR_MAP_NOREPLACE) {
            return -MOTOR_EEXIST;
        }
        int64_t status = aspace_unmap(as, address, length);
        if (status < 0) {
            return status;
        }
    }
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
    int64_t at = insert_mapping(as, r, address, length, flags);
    if (at < 0) {
        region_free(r);
        return at;
    }
    status = guard_page(as, (uint64_t)at, flags);
    if (status == 0 && (flags & MOTOR_MAP_POPULATE)) {
        aspace_advise(as, (uint64_t)at, length, MOTOR_ADVISE_POPULATE);
    }
    if (status < 0) {
        aspace_unmap(as, (uint64_t)at, length);
        return status;
    }
    return at;
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

static bool protect_entries(struct aspace *as, uint64_t start, uint64_t end, uint32_t prot,
                            struct gather *g)
{
    for (uint64_t at = start; at < end;) {
        unsigned level;
        uint64_t skip, *entry = pagetable_find(as, at, &level, &skip);
        if (!entry) {
            at = skip;
            continue;
        }
        if (level == 1 && (at % LARGE_SIZE || end - at < LARGE_SIZE)) {
            if (!pagetable_split(as, entry)) {
                return false;
            }
            gather_range(g, at & ~(LARGE_SIZE - 1), at + PAGE_SIZE);
            continue;
        }
        uint64_t size = level ? LARGE_SIZE : PAGE_SIZE,
                 changed = *entry ? entry_protect(*entry, prot) : 0;
        if (changed != *entry) {
            gather_range(g, at, at + size);
            __atomic_store_n(entry, changed, __ATOMIC_RELAXED);
        }
        at = level ? at + size : next_page(entry, at, end);
    }
    return true;
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

int64_t aspace_protect(struct aspace *as, uint64_t address, uint64_t length, uint32_t prot)
{
    struct gather g;
    length = round_up(length);
    if (!range_ok(address, length) || (prot & ~MOTOR_PROT_MASK)) {
        return -MOTOR_EINVAL;
    }
    if ((prot & MOTOR_PROT_WRITE) && (prot & MOTOR_PROT_EXEC)) {
        return -MOTOR_EACCESS;
    }
    uint64_t end = address + length;
    gather_begin(&g, as);
    spin_lock(&as->lock);
    int64_t status = protect_check(as, address, end, prot);
    if (status == 0 && !split_range(as, address, end)) {
        status = -MOTOR_ENOMEM;
    }
    struct region *r = status == 0 ? region_first_in(as, address, end) : NULL;
    while (r && region_start(r) < end) {
        if ((r->flags & MOTOR_PROT_MASK) != prot) {
            if (!protect_entries(as, region_start(r), r->end, prot, &g)) {
                status = -MOTOR_ENOMEM;
                break;
            }
            r->flags = (r->flags & ~MOTOR_PROT_MASK) | prot;
        }
        r = region_next(r);
    }
    gather_finish(&g);
    spin_unlock(&as->lock);
    return status;
}

/* ---- remap ---- */

/*
 * Move entries to addresses that are free; both ranges are regions of this address space.
 * [as->lock]
 */
static bool move_entries(struct aspace *as, uint64_t from, uint64_t to, uint64_t length,
                         struct gather *g)
{
    for (uint64_t at = 0; at < length;) {
        unsigned level;
        uint64_t skip, *entry = pagetable_find(as, from + at, &level, &skip);
        if (!entry) {
            at = skip - from;
            continue;
        }
        if (level == 1) {
            if (!pagetable_split(as, entry)) {
                return false;
            }
            continue;
        }
        uint64_t value = *entry;
        if (value) {
            uint64_t *target = pagetable_make(as, to + at, 0);
            if (!target) {
                return false;
            }
            if (g->n + 4 > GATHER_MAX) {
                gather_finish(g);
            }
            gather_range(g, from + at, from + at + PAGE_SIZE);
            pagetable_clear(as, from + at, entry, 0, gather_frame, g);
            pagetable_set(target, value);
        }
        at += PAGE_SIZE;
    }
    return true;
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

static int64_t move_mapping(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                            uint64_t length, uint32_t flags)
{
    struct gather g;
    spin_lock(&as->lock);
    struct region *r = remap_source(as, old, old_length);
    if (!r) {
        spin_unlock(&as->lock);
        return -MOTOR_EFAULT;
    }
    struct vmo *v = r->vmo;
    uint64_t offset = r->offset + (old - region_start(r));
    uint32_t kept = r->flags, max_prot = r->max_prot;
    if (v) {
        object_get(&v->object);
    }
    spin_unlock(&as->lock);
    struct region *target = region_alloc(as, v, offset, 0, kept, max_prot);
    if (v) {
        object_put(&v->object);
    }
    if (!target) {
        return -MOTOR_ENOMEM;
    }
    int64_t at =
        insert_mapping(as, target, flags & MOTOR_REMAP_FIXED ? to : 0, length,
                       (flags & MOTOR_REMAP_FIXED ? MOTOR_MAP_FIXED : 0) | MOTOR_MAP_STACK);
    if (at < 0) {
        region_free(target);
        return at;
    }
    gather_begin(&g, as);
    spin_lock(&as->lock);
    bool moved = remap_source(as, old, old_length) &&
                 move_entries(as, old, (uint64_t)at, old_length < length ? old_length : length, &g);
    gather_finish(&g);
    spin_unlock(&as->lock);
    if (!moved) {
        spin_lock(&as->lock);
        /* their tables are still there */
        move_entries(as, (uint64_t)at, old, old_length < length ? old_length : length, &g);
        gather_finish(&g);
        spin_unlock(&as->lock);
        aspace_unmap(as, (uint64_t)at, length);
        return -MOTOR_ENOMEM;
    }
    aspace_unmap(as, old, old_length);
    return at;
}

int64_t aspace_remap(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                     uint64_t length, uint32_t flags)
{
    old_length = round_up(old_length);
    length = round_up(length);
    if (!range_ok(old, old_length) || !length ||
        (flags & ~(MOTOR_REMAP_MAYMOVE | MOTOR_REMAP_FIXED)) ||
        ((flags & MOTOR_REMAP_FIXED) && (!(flags & MOTOR_REMAP_MAYMOVE) || !range_ok(to, length) ||
                                         (to < old + old_length && old < to + length)))) {
        return -MOTOR_EINVAL;
    }
    if (!(flags & MOTOR_REMAP_FIXED)) {
        spin_lock(&as->lock);
        struct region *r = remap_source(as, old, old_length);
        bool stays = r && (length <= old_length || grow_in_place(as, r, old, old_length, length));
        spin_unlock(&as->lock);
        if (!r) {
            return -MOTOR_EFAULT;
        }
        if (stays) {
            int64_t status =
                length < old_length ? aspace_unmap(as, old + length, old_length - length) : 0;
            return status < 0 ? status : (int64_t)old;
        }
        if (!(flags & MOTOR_REMAP_MAYMOVE)) {
            return -MOTOR_ENOMEM;
        }
    }
    return move_mapping(as, old, old_length, to, length, flags);
}

/* ---- advise ---- */

static int64_t discard(struct aspace *as, uint64_t start, uint64_t end)
{
    struct gather g;
    uint64_t at = start;
    bool done = false;
    gather_begin(&g, as);
    while (!done) {
        spin_lock(&as->lock);
        done = unmap_entries(&g, &at, end);
        gather_finish(&g);
        spin_unlock(&as->lock);
        sched_preempt_point();
    }
    return 0;
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

int64_t aspace_advise(struct aspace *as, uint64_t address, uint64_t length, uint32_t advice)
{
    length = round_up(length);
    if (!range_ok(address, length)) {
        return -MOTOR_EINVAL;
    }
    spin_lock(&as->lock);
    int64_t status = protect_check(as, address, address + length, 0);
    spin_unlock(&as->lock);
    if (status < 0) {
        return status;
    }
    switch (advice) {
    case MOTOR_ADVISE_DONTNEED:
    case MOTOR_ADVISE_FREE:
        return discard(as, address, address + length);
    case MOTOR_ADVISE_POPULATE:
        return populate(as, address, address + length);
    default:
        return -MOTOR_EINVAL;
    }
}

/* ---- for memory objects ---- */

void aspace_forget_pages(struct aspace *as, struct vmo *v, uint64_t start, uint64_t end)
{
    struct gather g;
    gather_begin(&g, as);
    spin_lock(&as->lock);
    for (struct region *r = region_of(as->regions.first); r; r = region_next(r)) {
        if (r->vmo != v) {
            continue;
        }
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
            if (*entry && !(*entry & PTE_OWNED)) {
                if (g.n + 4 > GATHER_MAX) {
                    gather_finish(&g);
                }
                gather_range(&g, va, va + PAGE_SIZE);
                pagetable_clear(as, va, entry, level, gather_frame, &g);
            }
            at += PAGE_SIZE;
        }
    }
    gather_finish(&g);
    spin_unlock(&as->lock);
}
