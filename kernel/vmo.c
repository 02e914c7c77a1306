/* SPDX-License-Identifier: MIT */
/*
 * Memory objects: which page is where. Where pages hang: vmo_tree.c; objects whose pages a server
 * brings: vmo_paged.c.
 *
 * Removing pages: they leave the tree first, then every mapping is visited under its address
 * space's lock, and only then are they freed. A page fault holds the address space's lock from
 * asking for the page until it is mapped, so it either came before the removal (and is undone by
 * the visit) or finds the page gone.
 *
 * Lock order: aspace.lock, then vmo.lock, child before parent. Parents are at most DEPTH_MAX deep
 * and no longer change.
 */
#include "aspace_impl.h"
#include "endpoint.h"
#include "frame.h"
#include "log.h"
#include "sched.h"
#include "vmo_impl.h"

#define DEPTH_MAX      8u
#define SIZE_MAX_BYTES (1ull << 47)
#define REMOVE_BATCH   64u

static uint64_t pages_of(uint64_t size)
{
    return (size + PAGE_SIZE - 1) / PAGE_SIZE;
}

static bool has_tree(const struct vmo *v)
{
    return v->kind == VMO_ANONYMOUS || v->kind == VMO_CLONE || v->kind == VMO_PAGED;
}

/* ---- creation ---- */

static struct vmo *make(enum vmo_kind kind, uint64_t size)
{
    struct vmo *v = kzalloc(sizeof(*v));
    if (!v) {
        return NULL;
    }
    object_init(&v->object, OBJECT_VMO);
    v->kind = (uint8_t)kind;
    v->size = size;
    list_init(&v->mappings);
    return v;
}

/* One block, split into frames that hang in the tree as any others. */
static bool commit_contiguous(struct vmo *v)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < v->size) {
        order++;
    }
    uint64_t paddr = frame_alloc_order(order), n = pages_of(v->size);
    if (!paddr) {
        return false;
    }
    frame_split(paddr);
    for (uint64_t i = 0; i < 1ull << order; i++) {
        uint64_t *slot = i < n ? vmo_tree_slot(v, i) : NULL;
        if (slot) {
            page_zero(phys_to_virt(paddr + i * PAGE_SIZE));
            *slot = paddr + i * PAGE_SIZE;
            v->committed++;
        } else {
            frame_free(paddr + i * PAGE_SIZE);
        }
    }
    return v->committed == n;
}

struct vmo *vmo_create(uint64_t size, uint32_t flags)
{
    if (size > SIZE_MAX_BYTES || ((flags & MOTOR_VMO_CONTIGUOUS) && (flags & MOTOR_VMO_PAGED)) ||
        ((flags & MOTOR_VMO_CONTIGUOUS) && (!size || size > PAGE_SIZE << FRAME_ORDER_MAX))) {
        return NULL;
    }
    struct vmo *v = make(flags & MOTOR_VMO_PAGED ? VMO_PAGED : VMO_ANONYMOUS, size);
    if (v && (flags & MOTOR_VMO_CONTIGUOUS)) {
        v->contiguous = true;
        if (!commit_contiguous(v)) {
            object_put(&v->object);
            return NULL;
        }
    }
    return v;
}

struct vmo *vmo_create_fixed(uint64_t paddr, uint64_t size, bool device, uint32_t flags)
{
    struct vmo *v = make(device ? VMO_DEVICE : VMO_FIXED, size);
    if (v) {
        v->fixed = paddr;
        v->uncached = flags & MOTOR_VMO_UNCACHED;
    }
    return v;
}

int64_t vmo_clone(struct vmo *parent, uint64_t offset, uint64_t size, struct vmo **child)
{
    if (offset % PAGE_SIZE || parent->kind == VMO_DEVICE || parent->kind == VMO_PAGED ||
        parent->depth + 1u >= DEPTH_MAX || offset > SIZE_MAX_BYTES || size > SIZE_MAX_BYTES) {
        return -MOTOR_EINVAL;
    }
    struct vmo *v = make(VMO_CLONE, size);
    if (!v) {
        return -MOTOR_ENOMEM;
    }
    object_get(&parent->object);
    v->parent = parent;
    v->parent_offset = offset;
    v->depth = (uint8_t)(parent->depth + 1);
    *child = v;
    return 0;
}

int64_t vmo_charge_to(struct vmo *v, struct account *a)
{
    if (!account_take(a, v->committed * PAGE_SIZE)) {
        return -MOTOR_ENOMEM;
    }
    account_get(a);
    v->account = a;
    return 0;
}

uint64_t vmo_size(struct vmo *v)
{
    return __atomic_load_n(&v->size, __ATOMIC_RELAXED);
}

uint64_t vmo_committed(struct vmo *v)
{
    return __atomic_load_n(&v->committed, __ATOMIC_RELAXED) * PAGE_SIZE;
}

/* ---- pages ---- */

/*
 * What an absent page of a clone shows: some ancestor's page, or 0 for zeros. [child's lock held]
 */
static uint64_t inherited(const struct vmo *v, uint64_t offset)
{
    while (v->kind == VMO_CLONE) {
        offset += v->parent_offset;
        v = v->parent;
        if (offset >= vmo_size((struct vmo *)v)) {
            return 0;
        }
        uint64_t page =
            v->kind == VMO_FIXED ? v->fixed + offset : vmo_tree_get(v, offset / PAGE_SIZE);
        if (page) {
            return page;
        }
    }
    return 0;
}

/* shown: what it becomes a copy of; 0: zeros */
uint64_t vmo_commit_page(struct vmo *v, uint64_t offset, uint64_t shown, int64_t *status)
{
    bool may = frame_plenty() && (!v->account || account_take(v->account, PAGE_SIZE));
    uint64_t *slot = may ? vmo_tree_slot(v, offset / PAGE_SIZE) : NULL,
             page = slot ? (shown ? frame_alloc() : frame_alloc_zeroed()) : 0;
    if (!page) {
        if (may && v->account) {
            account_give(v->account, PAGE_SIZE);
        }
        *status = -MOTOR_ENOMEM;
        return 0;
    }
    if (shown) {
        page_copy(phys_to_virt(page), phys_to_virt(shown));
    }
    *slot = page;
    v->committed++;
    return page;
}

static uint64_t page_locked(struct vmo *v, uint64_t offset, bool write, int64_t *status)
{
    offset &= ~(PAGE_SIZE - 1);
    if (offset >= v->size) {
        *status = -MOTOR_EGONE;
        return 0;
    }
    if (v->kind == VMO_DEVICE || (v->kind == VMO_FIXED && !write)) {
        return v->fixed + offset;
    }
    if (v->kind == VMO_FIXED) {
        *status = -MOTOR_EACCESS;
        return 0;
    }
    if (v->kind == VMO_PAGED) {
        return vmo_paged_page(v, offset, write, status);
    }
    uint64_t page = vmo_tree_get(v, offset / PAGE_SIZE);
    if (page) {
        return page;
    }
    uint64_t shown = inherited(v, offset);
    return shown && !write ? shown : vmo_commit_page(v, offset, shown, status);
}

uint64_t vmo_page(struct vmo *v, uint64_t offset, bool write, int64_t *status)
{
    spin_lock(&v->lock);
    uint64_t page = page_locked(v, offset, write, status);
    spin_unlock(&v->lock);
    return page;
}

/* Bytes of the object from an offset on. */
static uint64_t left_from(const struct vmo *v, uint64_t offset)
{
    uint64_t size = __atomic_load_n(&v->size, __ATOMIC_RELAXED);
    return offset < size ? size - offset : 0;
}

/* The page at an offset below the size. [v's lock, or that of a clone of it] */
static uint64_t present_locked(const struct vmo *v, uint64_t offset)
{
    if (v->kind == VMO_FIXED || v->kind == VMO_DEVICE) {
        return v->kind == VMO_FIXED ? v->fixed + offset : 0;
    }
    uint64_t entry = vmo_tree_get(v, offset / PAGE_SIZE);
    uint64_t page = entry & VMO_ENTRY_FILLING ? 0 : entry & VMO_ENTRY_PAGE;
    return page || v->kind != VMO_CLONE ? page : inherited(v, offset);
}

void vmo_present_run(struct vmo *v, uint64_t offset, uint64_t *pages, unsigned n)
{
    spin_lock(&v->lock);
    const struct vmo *shown = v;
    uint64_t left = left_from(shown, offset);
    while (shown->kind == VMO_CLONE && !shown->tree) { /* it shows its parent's, all of them */
        offset += shown->parent_offset;
        shown = shown->parent;
        left = left_from(shown, offset) < left ? left_from(shown, offset) : left;
    }
    for (uint64_t i = 0; i < n; i++) {
        pages[i] = i * PAGE_SIZE < left ? present_locked(shown, offset + i * PAGE_SIZE) : 0;
    }
    spin_unlock(&v->lock);
}

uint64_t vmo_present(struct vmo *v, uint64_t offset)
{
    uint64_t page;
    vmo_present_run(v, offset, &page, 1);
    return page;
}

uint64_t vmo_page_ref(struct vmo *v, uint64_t offset, bool write, int64_t *status)
{
    spin_lock(&v->lock);
    uint64_t page = page_locked(v, offset, write, status);
    if (page && frame_of(page)) {
        frame_ref(page);
    }
    spin_unlock(&v->lock);
    return page;
}

void vmo_page_unref(struct vmo *v, uint64_t page)
{
    (void)v;
    if (frame_of(page)) {
        frame_unref(page);
    }
}

int64_t vmo_commit(struct vmo *v, uint64_t offset, uint64_t length)
{
    int64_t status = 0;
    if (offset > v->size || length > v->size - offset) {
        return -MOTOR_EINVAL;
    }
    for (uint64_t at = offset & ~(PAGE_SIZE - 1); at < offset + length; at += PAGE_SIZE) {
        if (!vmo_page(v, at, v->kind != VMO_FIXED, &status)) {
            return status;
        }
        if (at % (REMOVE_BATCH * PAGE_SIZE) == 0) {
            sched_preempt_point();
        }
    }
    return 0;
}

/* ---- mappings ---- */

static bool may_write(const struct region *r)
{
    return (r->max_prot & MOTOR_PROT_WRITE) && !(r->flags & MOTOR_MAP_PRIVATE);
}

void vmo_mapping_add(struct vmo *v, struct region *r)
{
    spin_lock(&v->lock);
    if (v->seal == SEAL_ALL && may_write(r)) { /* sealed since it was asked for */
        r->max_prot &= ~MOTOR_PROT_WRITE;
        r->flags &= ~MOTOR_PROT_WRITE;
    }
    list_append(v->mappings.next, &r->vmo_link);
    v->mapped++;
    v->writable += may_write(r);
    vmo_paged_use(v, r, true);
    spin_unlock(&v->lock);
}

void vmo_mapping_remove(struct vmo *v, struct region *r)
{
    spin_lock(&v->lock);
    if (!list_empty(&r->vmo_link)) { /* else a fork failed before it came to it */
        list_remove(&r->vmo_link);
        v->writable -= may_write(r);
        vmo_paged_use(v, r, false);
        r->last = --v->mapped == 0;
    }
    spin_unlock(&v->lock);
}

uint32_t vmo_mappings(struct vmo *v)
{
    return __atomic_load_n(&v->mapped, __ATOMIC_RELAXED);
}

int64_t vmo_seal(struct vmo *v, bool all)
{
    int64_t status = 0;
    spin_lock(&v->lock);
    if (all && v->writable) {
        status = -MOTOR_EBUSY;
    } else if (all) {
        v->seal = SEAL_ALL;
    } else if (v->seal == SEAL_NONE) {
        v->seal = SEAL_NEW;
    }
    spin_unlock(&v->lock);
    return status;
}

/* ---- removal ---- */

void vmo_mapping_visited(struct vmo *v, struct region *r, uint64_t epoch)
{
    spin_lock(&v->lock);
    if (!list_empty(&r->vmo_link)) { /* else a fork has not come to it yet */
        r->visited = epoch;
        list_remove(&r->vmo_link);
        list_append(&v->mappings, &r->vmo_link);
    }
    spin_unlock(&v->lock);
}

/*
 * Of one address space after the other, under its lock, so that it does not matter what becomes of
 * its regions before and after.
 */
void vmo_unmap_everywhere(struct vmo *v, uint64_t first, uint64_t last)
{
    spin_lock(&v->lock);
    while (v->removing) { /* who has visited what is known of one removal only */
        spin_unlock(&v->lock);
        sched_preempt_point();
        sched_yield();
        spin_lock(&v->lock);
    }
    v->removing = true;
    uint64_t epoch = ++v->epoch;
    while (!list_empty(&v->mappings)) {
        struct region *r = container_of(v->mappings.next, struct region, vmo_link);
        struct aspace *as = r->as;
        if (r->visited == epoch) {
            break;
        }
        bool live = aspace_try_get(as);
        if (!live) { /* being torn down: its tables go as a whole */
            r->visited = epoch;
            list_remove(&r->vmo_link);
            list_append(&v->mappings, &r->vmo_link);
            continue;
        }
        spin_unlock(&v->lock);
        aspace_forget_pages(as, v, first * PAGE_SIZE, last * PAGE_SIZE, epoch);
        aspace_put(as);
        spin_lock(&v->lock);
    }
    v->removing = false;
    spin_unlock(&v->lock);
}

static void remove_pages(struct vmo *v, uint64_t first, uint64_t end)
{
    uint64_t batch[REMOVE_BATCH], page = first;
    while (page < end) {
        unsigned n = 0;
        uint64_t from = page;
        spin_lock(&v->lock);
        while (n < REMOVE_BATCH && page < end) {
            uint64_t taken = vmo_tree_take_next(v, &page, end);
            if (taken) {
                batch[n++] = taken & VMO_ENTRY_PAGE;
                v->committed--;
                page++;
            }
        }
        bool mapped = !list_empty(&v->mappings);
        spin_unlock(&v->lock);
        if (n && mapped) {
            vmo_unmap_everywhere(v, from, page);
        }
        for (unsigned i = 0; i < n; i++) {
            frame_unref(batch[i]);
        }
        if (v->account) {
            account_give(v->account, n * PAGE_SIZE);
        }
        sched_preempt_point();
    }
}

int64_t vmo_decommit(struct vmo *v, uint64_t offset, uint64_t length)
{
    if (!has_tree(v)) {
        return -MOTOR_EINVAL;
    }
    uint64_t size = vmo_size(v);
    if (offset > size) {
        return -MOTOR_EINVAL;
    }
    length = length < size - offset ? length : size - offset;
    remove_pages(v, pages_of(offset),
                 (offset + length) / PAGE_SIZE + (offset + length == size && size % PAGE_SIZE));
    return 0;
}

int64_t vmo_resize(struct vmo *v, uint64_t size)
{
    if (!has_tree(v) || v->contiguous || size > SIZE_MAX_BYTES) {
        return -MOTOR_EINVAL;
    }
    spin_lock(&v->lock);
    uint64_t old = v->size;
    v->size = size;
    spin_unlock(&v->lock);
    if (size >= old) {
        return 0;
    }
    /* what lies behind the end in its last page reads as zero if the object grows again */
    if (size % PAGE_SIZE) {
        int64_t status = 0;
        uint64_t last = size & ~(PAGE_SIZE - 1);
        uint64_t page = vmo_present(v, last) ? vmo_page_ref(v, last, true, &status) : 0;
        if (page) {
            __builtin_memset((char *)phys_to_virt(page) + size % PAGE_SIZE, 0,
                             PAGE_SIZE - size % PAGE_SIZE);
            vmo_page_unref(v, page);
        }
    }
    remove_pages(v, pages_of(size), pages_of(old));
    if (v->kind == VMO_CLONE) { /* pages of the parent are mapped, too */
        vmo_unmap_everywhere(v, pages_of(size), pages_of(old));
    }
    return 0;
}

void vmo_destroy(struct object *o)
{
    struct vmo *v = (struct vmo *)o;
    KASSERT(list_empty(&v->mappings));
    if (has_tree(v)) {
        remove_pages(v, 0,
                     pages_of(v->size) > 1ull << v->height * VMO_TREE_BITS
                         ? 1ull << v->height * VMO_TREE_BITS
                         : pages_of(v->size));
        vmo_tree_free_nodes(v);
    }
    if (v->parent) {
        object_put(&v->parent->object);
    }
    if (v->pager) {
        object_handle_put((struct object *)v->pager);
    }
    account_put(v->account);
    if (v->watcher) {
        object_put(&v->watcher->object);
    }
    kfree(v);
}

/* ---- bytes ---- */

/* Absent pages of anonymous objects are read as zeros without committing them. */
static int64_t read_page(struct vmo *v, uint64_t offset, void *to, uint64_t n)
{
    int64_t status = 0;
    if (v->kind == VMO_DEVICE) {
        return -MOTOR_EINVAL;
    }
    if (v->kind != VMO_PAGED && !vmo_present(v, offset & ~(PAGE_SIZE - 1))) {
        __builtin_memset(to, 0, n);
        return 0;
    }
    uint64_t page = vmo_page_ref(v, offset, false, &status);
    if (!page) {
        return status;
    }
    __builtin_memcpy(to, (char *)phys_to_virt(page) + offset % PAGE_SIZE, n);
    vmo_page_unref(v, page);
    return 0;
}

/* user: from the caller's memory, which may have to be waited for */
static int64_t write_page(struct vmo *v, uint64_t offset, const void *from, uint64_t n, bool user)
{
    int64_t status = 0;
    if (v->seal) {
        return -MOTOR_EACCESS;
    }
    uint64_t page = v->kind == VMO_DEVICE ? 0 : vmo_page_ref(v, offset, true, &status);
    if (!page) {
        return status ? status : -MOTOR_EINVAL;
    }
    char *to = (char *)phys_to_virt(page) + offset % PAGE_SIZE;
    if (!user) {
        __builtin_memcpy(to, from, n);
    } else if (copy_from_user(to, from, n) < 0) {
        status = -MOTOR_EFAULT;
    }
    vmo_page_unref(v, page);
    return status;
}

static uint64_t piece(uint64_t offset, uint64_t left)
{
    uint64_t n = PAGE_SIZE - offset % PAGE_SIZE;
    return n < left ? n : left;
}

int64_t vmo_read(struct vmo *v, uint64_t offset, void *to, uint64_t n)
{
    uint64_t size = vmo_size(v), done = 0;
    n = offset >= size ? 0 : n < size - offset ? n : size - offset;
    while (done < n) {
        uint64_t k = piece(offset + done, n - done);
        int64_t status = read_page(v, offset + done, (char *)to + done, k);
        if (status < 0) {
            return done ? (int64_t)done : status;
        }
        done += k;
    }
    return (int64_t)done;
}

static int64_t write_pages(struct vmo *v, uint64_t offset, const void *from, uint64_t n, bool user)
{
    uint64_t size = vmo_size(v), done = 0;
    n = offset >= size ? 0 : n < size - offset ? n : size - offset;
    while (done < n) {
        uint64_t k = piece(offset + done, n - done);
        int64_t status = write_page(v, offset + done, (const char *)from + done, k, user);
        if (status < 0) {
            return done ? (int64_t)done : status;
        }
        done += k;
    }
    return (int64_t)done;
}

int64_t vmo_write(struct vmo *v, uint64_t offset, const void *from, uint64_t n)
{
    return write_pages(v, offset, from, n, false);
}

int64_t vmo_write_user(struct vmo *v, uint64_t offset, const void *user, uint64_t n)
{
    return write_pages(v, offset, user, n, true);
}

int64_t vmo_physical(struct vmo *v, uint64_t offset, uint64_t length, uint64_t *pages, uint64_t max)
{
    uint64_t n = 0;
    int64_t status = 0;
    if (offset % PAGE_SIZE || offset > v->size || length > v->size - offset) {
        return -MOTOR_EINVAL;
    }
    for (uint64_t at = offset; at < offset + length && n < max; at += PAGE_SIZE) {
        pages[n] = vmo_page(v, at, has_tree(v), &status);
        if (!pages[n++]) {
            return status;
        }
    }
    v->pinned = true;
    return (int64_t)n;
}
