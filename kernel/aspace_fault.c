/* SPDX-License-Identifier: MIT */
/*
 * Page faults: what should be at an address, brought there. A fault is dear (a thousand
 * instructions around the page itself), so one brings neighbours too: anonymous memory that is
 * touched in order comes in batches that double, up to BATCH_MAX pages and then by 2 MiB pages;
 * objects bring the committed pages around.
 *
 * Two CPUs may fault on one page: the second finds the entry there and returns.
 */
#include "aspace_impl.h"
#include "frame.h"
#include "hot.h"
#include "pager.h"
#include "process.h"
#include "vmo_impl.h"

#define BATCH_MAX    16u
#define AROUND_BYTES (16u * PAGE_SIZE) /* of an object, aligned */
#define RUN_MAX      32u               /* pages at once, with the lock held */

static bool may_take(struct aspace *as, uint64_t bytes)
{
    if (!frame_plenty() && (!first_process || as != first_process->aspace)) {
        return false;
    }
    return as->limit == MOTOR_NEVER || as->private_bytes + bytes <= as->limit;
}

static uint64_t entry_for(const struct region *r, uint64_t page, bool owned, bool write)
{
    return page | page_flags(r->flags & MOTOR_PROT_MASK) | (owned ? PTE_OWNED : 0) |
           (write ? PTE_WRITE : 0);
}

/* ---- anonymous memory ---- */

static bool anonymous_page(struct aspace *as, const struct region *r, uint64_t *entry)
{
    uint64_t page = may_take(as, PAGE_SIZE) ? frame_alloc_zeroed() : 0;
    if (!page) {
        return false;
    }
    as->private_bytes += PAGE_SIZE;
    pagetable_set(entry, entry_for(r, page, true, r->flags & MOTOR_PROT_WRITE));
    return true;
}

/* A whole 2 MiB page, when the toucher came here in order and memory is plentiful. */
static bool large_page(struct aspace *as, struct region *r, uint64_t address)
{
    uint64_t start = address & ~(LARGE_SIZE - 1);
    if (address != start || r->fault_next != start || r->batch < BATCH_MAX ||
        r->end - start < LARGE_SIZE || !may_take(as, LARGE_SIZE) ||
        frame_free_count() < frame_total() / 4) {
        return false;
    }
    uint64_t *entry = pagetable_make(as, start, 1);
    uint64_t block = entry && !*entry ? frame_alloc_order(FRAME_ORDER_MAX) : 0;
    if (!block) {
        return false;
    }
    for (uint64_t at = 0; at < LARGE_SIZE; at += PAGE_SIZE) {
        page_zero(phys_to_virt(block + at));
    }
    as->private_bytes += LARGE_SIZE;
    pagetable_set(entry, entry_for(r, block, true, r->flags & MOTOR_PROT_WRITE) | PTE_LARGE);
    r->fault_next = start + LARGE_SIZE;
    return true;
}

static int64_t anonymous_fault(struct aspace *as, struct region *r, uint64_t address,
                               uint64_t *entry)
{
    r->batch = (uint8_t)(r->fault_next != address ? 1
                         : r->batch < BATCH_MAX   ? r->batch * 2
                                                  : BATCH_MAX);
    if (!anonymous_page(as, r, entry)) {
        return -MOTOR_ENOMEM;
    }
    uint64_t last = (address | (LARGE_SIZE - 1)) + 1; /* the end of this page table */
    last = last < r->end ? last : r->end;
    uint64_t at = address + PAGE_SIZE;
    for (unsigned n = 1; n < r->batch && at < last && !*++entry; n++, at += PAGE_SIZE) {
        if (!anonymous_page(as, r, entry)) {
            break;
        }
    }
    r->fault_next = at;
    return 0;
}

/* ---- objects ---- */

/* Map committed neighbours, read-only: a later write finds its way here. */
static void map_around(struct region *r, uint64_t address, uint64_t *entry)
{
    uint64_t pages[AROUND_BYTES / PAGE_SIZE];
    uint64_t first = address & ~(AROUND_BYTES - 1), last = first + AROUND_BYTES;
    first = first < region_start(r) ? region_start(r) : first;
    last = last < r->end ? last : r->end;
    entry -= (address - first) / PAGE_SIZE;
    unsigned n = (unsigned)((last - first) / PAGE_SIZE);
    vmo_present_run(r->vmo, r->offset + (first - region_start(r)), pages, n);
    for (unsigned i = 0; i < n; i++, entry++) {
        if (pages[i] && !*entry) {
            pagetable_set(entry, entry_for(r, pages[i], false, false));
        }
    }
}

/* charge: what the copy adds to private_bytes; nothing if it takes a private page's place */
static int64_t private_copy(struct aspace *as, struct region *r, uint64_t from, uint64_t *entry,
                            uint64_t address, uint64_t charge)
{
    uint64_t page = may_take(as, charge) ? frame_alloc() : 0;
    if (!page) {
        return -MOTOR_ENOMEM;
    }
    page_copy(phys_to_virt(page), phys_to_virt(from));
    bool replaces = *entry != 0;
    as->private_bytes += charge;
    pagetable_set(entry, entry_for(r, page, true, true));
    if (replaces) {
        arch_tlb_shootdown(as, address, address + PAGE_SIZE);
    }
    return 0;
}

static int64_t object_fault(struct aspace *as, struct region *r, uint64_t address, bool write,
                            uint64_t *entry)
{
    struct vmo *v = r->vmo;
    uint64_t offset = r->offset + (address - region_start(r));
    bool private = r->flags & MOTOR_MAP_PRIVATE;
    int64_t status = -MOTOR_ENOMEM;
    /*
     * A shared mapping of a clone gets the clone's own page at once, so that a write elsewhere is
     * seen here.
     */
    bool own_page = !private && (write || v->kind == VMO_CLONE);
    bool pager = r->flags & MOTOR_MAP_PAGER;
    uint64_t page = pager ? vmo_present(v, offset) : vmo_page(v, offset, own_page, &status);
    if (!page) {
        return pager ? -MOTOR_EGONE : status;
    }
    if (private && write) {
        return private_copy(as, r, page, entry, address, PAGE_SIZE);
    }
    uint64_t value = entry_for(r, page, false, write) |
                     (v->kind == VMO_DEVICE && v->uncached ? PTE_UNCACHED : 0);
    uint64_t old = *entry;
    pagetable_set(entry, value);
    if (old && pte_page(old) != page) {
        arch_tlb_shootdown(as, address, address + PAGE_SIZE);
    }
    if (!old && v->kind != VMO_DEVICE && (private || v->kind != VMO_CLONE)) {
        map_around(r, address, entry);
    }
    return 0;
}

/* ---- a present page, written ---- */

static int64_t owned_write(struct aspace *as, struct region *r, uint64_t address, uint64_t *entry,
                           unsigned level)
{
    await_writers(as); /* they must not be left with a page that is ours no longer */
    if (level && frame_block_alone(pte_page(*entry))) {
        __atomic_store_n(entry, *entry | PTE_WRITE, __ATOMIC_RELAXED);
        return 0;
    }
    if (level) {
        uint64_t skip;
        if (!pagetable_split(as, entry)) {
            return -MOTOR_ENOMEM;
        }
        entry = pagetable_find(as, address, &level, &skip); /* the small page's, in the new table */
    }
    uint64_t page = pte_page(*entry);
    hot_fault(as, address);
    if (__atomic_load_n(&frame_at(page)->refs, __ATOMIC_ACQUIRE) == 1) {
        __atomic_store_n(entry, *entry | PTE_WRITE, __ATOMIC_RELAXED);
        return 0;
    }
    int64_t status = private_copy(as, r, page, entry, address, 0);
    if (status == 0) {
        frame_unref(page);
    }
    return status;
}

int64_t fault_locked(struct aspace *as, uint64_t address, uint32_t access)
{
    struct region *r = region_find(as, address);
    address &= ~(PAGE_SIZE - 1);
    if (!r) {
        return -MOTOR_ENOENT;
    }
    if (r->dying) {
        return 0; /* touched again, it is gone or replaced */
    }
    if (!(r->flags & access) || ((access & MOTOR_PROT_WRITE) && !(r->flags & MOTOR_PROT_WRITE))) {
        /* x86 cannot forbid reading alone */
        if (!(access == MOTOR_PROT_READ && (r->flags & MOTOR_PROT_MASK))) {
            return -MOTOR_EACCESS;
        }
    }
    bool write = access & MOTOR_PROT_WRITE;
    unsigned level;
    if (as->forked && !pagetable_own(as, address, 0)) {
        return -MOTOR_ENOMEM;
    }
    uint64_t skip, *entry = pagetable_find(as, address, &level, &skip);
    if (entry && (*entry & PTE_PRESENT) && (!write || (*entry & PTE_WRITE))) {
        if (write) { /* maybe only the way to it was shared, to a page that stays so */
            hot_fault(as, address);
        }
        arch_tlb_flush_page(address); /* another CPU was first, or rights grew */
        return 0;
    }
    if (entry && (*entry & PTE_PRESENT) && (*entry & PTE_OWNED)) {
        return owned_write(as, r, address, entry, level);
    }
    if (!r->vmo && large_page(as, r, address)) {
        return 0;
    }
    if (!entry && !(entry = pagetable_make(as, address, 0))) {
        return -MOTOR_ENOMEM;
    }
    return r->vmo ? object_fault(as, r, address, write, entry)
                  : anonymous_fault(as, r, address, entry);
}

/* ---- many at once ---- */

/*
 * Pages of an object, into entries that are empty. Their number, up to the first that needs more
 * than that: it is not there, or must become the object's own.
 */
static unsigned object_run(struct aspace *as, struct region *r, uint64_t at, uint64_t *entry,
                           unsigned n)
{
    uint64_t pages[RUN_MAX];
    bool private = r->flags & MOTOR_MAP_PRIVATE, write = r->flags & MOTOR_PROT_WRITE;
    if ((r->flags & MOTOR_MAP_PAGER) || (!private && (write || r->vmo->kind == VMO_CLONE))) {
        return 0;
    }
    vmo_present_run(r->vmo, r->offset + (at - region_start(r)), pages, n);
    for (unsigned i = 0; i < n; i++, entry++, at += PAGE_SIZE) {
        if ((*entry & PTE_PRESENT) && (!write || (*entry & PTE_WRITE))) {
            continue;
        }
        if (*entry || !pages[i]) {
            return i;
        }
        if (!write) {
            pagetable_set(entry, entry_for(r, pages[i], false, false));
        } else if (private_copy(as, r, pages[i], entry, at, PAGE_SIZE) < 0) {
            return i;
        }
    }
    return n;
}

static unsigned present_run(const struct region *r, const uint64_t *entry, unsigned n)
{
    uint64_t wanted = PTE_PRESENT | (r->flags & MOTOR_PROT_WRITE ? PTE_WRITE : 0);
    unsigned i = 0;
    while (i < n && (entry[i] & wanted) == wanted) {
        i++;
    }
    return i;
}

uint64_t fault_run(struct aspace *as, uint64_t at, uint64_t end)
{
    struct region *r = region_find(as, at);
    uint64_t last = (at | (LARGE_SIZE - 1)) + 1; /* the end of this page table */
    unsigned level;
    if (!r || r->dying || !(r->flags & MOTOR_PROT_MASK) ||
        (as->forked && !pagetable_own(as, at, 0))) {
        return at;
    }
    end = end < r->end ? end : r->end;
    end = end < last ? end : last;
    end = end < at + RUN_MAX * PAGE_SIZE ? end : at + RUN_MAX * PAGE_SIZE;
    uint64_t skip, *entry = pagetable_find(as, at, &level, &skip);
    if (!entry && r->vmo) {
        entry = pagetable_make(as, at, level = 0);
    }
    if (!entry || level) {
        return at;
    }
    unsigned n = (unsigned)((end - at) / PAGE_SIZE);
    return at + PAGE_SIZE * (r->vmo ? object_run(as, r, at, entry, n) : present_run(r, entry, n));
}

int64_t fault_place(struct aspace *as, uint64_t at, uint64_t page)
{
    struct region *r = region_find(as, at);
    if (!r || r->dying || r->vmo) {
        return -MOTOR_EFAULT;
    }
    uint64_t *entry = may_take(as, PAGE_SIZE) ? pagetable_make(as, at, 0) : NULL;
    if (!entry || *entry) {
        return entry ? -MOTOR_EFAULT : -MOTOR_ENOMEM;
    }
    as->private_bytes += PAGE_SIZE;
    pagetable_set(entry, entry_for(r, page, true, r->flags & MOTOR_PROT_WRITE));
    return 0;
}

/* ---- with help ---- */

/* [as->lock] The object of a page that its pager has to bring, with a reference; NULL. */
static struct vmo *wanted(struct aspace *as, uint64_t address, uint64_t *offset, bool *write)
{
    struct region *r = region_find(as, address);
    if (!r || !r->vmo) {
        return NULL;
    }
    *offset = r->offset + ((address & ~(PAGE_SIZE - 1)) - region_start(r));
    *write = *write && !(r->flags & MOTOR_MAP_PRIVATE);
    object_get(&r->vmo->object);
    return r->vmo;
}

int64_t aspace_fault(struct aspace *as, uint64_t address, uint32_t access)
{
    bool write = access & MOTOR_PROT_WRITE;
    uint64_t offset = 0;
    spin_lock(&as->lock);
    int64_t status = fault_locked(as, address, access);
    struct vmo *v = status == -MOTOR_EABSENT ? wanted(as, address, &offset, &write) : NULL;
    spin_unlock(&as->lock);
    if (v) {
        status = pager_ask(v, offset, write);
        status = status ? status : 1;
        object_put(&v->object);
    } else if (status == -MOTOR_ENOMEM) {
        status = pager_reclaim();
        status = status ? status : 1;
    }
    pager_check_memory();
    return status;
}
