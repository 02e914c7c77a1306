/* SPDX-License-Identifier: MIT */
/*
 * Regions of an address space: the tree, cutting and joining, the lists of mappings that objects
 * keep. Everything with as->lock.
 */
#include "aspace_impl.h"
#include "frame.h"
#include "vmo_impl.h"

/* ---- the tree ---- */

struct region *region_of(struct tree_node *n)
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

bool region_range_free(struct aspace *as, uint64_t start, uint64_t length, struct region **before)
{
    if (start < ASPACE_LOWEST || start + length <= start || start + length > ASPACE_END) {
        return false;
    }
    *before = region_floor(as, start + length - 1);
    return !*before || (*before)->end <= start;
}

/* ---- lives ---- */

static inline void begin(struct region *r, struct aspace *as, struct vmo *v, uint64_t offset,
                         uint64_t end, uint32_t flags, uint32_t max_prot)
{
    *r = (struct region){.end = end,
                         .as = as,
                         .vmo = v,
                         .offset = offset,
                         .flags = flags,
                         .max_prot = max_prot,
                         .vmo_link = LIST_INIT(r->vmo_link),
                         .batch = 1};
    if (v) {
        object_get(&v->object);
    }
}

struct region *region_alloc(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t end,
                            uint32_t flags, uint32_t max_prot)
{
    struct region *r = kmalloc(sizeof(*r));
    if (r) {
        begin(r, as, v, offset, end, flags, max_prot);
    }
    return r;
}

void region_copy(struct region *r, struct aspace *as, const struct region *of)
{
    begin(r, as, of->vmo, of->offset, of->end, of->flags, of->max_prot);
}

void region_end(struct region *r)
{
    if (r->vmo && r->last) {
        vmo_unmapped(r->vmo);
    }
    if (r->vmo) {
        if (r->vmo->kind == VMO_PAGED) {
            vmo_paged_unused(r->vmo);
        }
        object_put(&r->vmo->object);
    }
}

void region_free(struct region *r)
{
    region_end(r);
    kfree(r);
}

void region_link(struct region *r)
{
    if (r->vmo) {
        vmo_mapping_add(r->vmo, r);
    }
}

void region_unlink(struct region *r)
{
    if (r->vmo) {
        vmo_mapping_remove(r->vmo, r);
    }
}

void region_insert(struct aspace *as, struct region *r, uint64_t start)
{
    tree_insert(&as->regions, &r->node, start);
    as->region_count++;
    region_link(r);
}

void region_remove(struct aspace *as, struct region *r)
{
    if (as->hint == r) {
        as->hint = NULL;
    }
    tree_remove(&as->regions, &r->node);
    as->region_count--;
    region_unlink(r);
}

/* ---- cutting and joining ---- */

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

bool region_split_range(struct aspace *as, uint64_t start, uint64_t end)
{
    struct region *r = region_floor(as, start);
    if (r && !region_split(as, r, start)) {
        return false;
    }
    if (!r || r->end < end) {
        r = region_floor(as, end - 1);
    }
    return !r || r->end <= end || region_split(as, r, end);
}

static bool may_merge(const struct region *a, const struct region *b)
{
    return a && b && a->end == region_start(b) && a->vmo == b->vmo && a->flags == b->flags &&
           a->max_prot == b->max_prot && !a->dying && !b->dying &&
           (!a->vmo || a->offset + (a->end - region_start(a)) == b->offset);
}

void region_insert_after(struct aspace *as, struct region *before, struct region *r, uint64_t start)
{
    r->node.key = start;
    if (may_merge(before, r)) {
        before->end = r->end;
        region_free(r); /* as below: not the object's last reference */
        r = before;
    } else {
        tree_insert_after(&as->regions, before ? &before->node : NULL, &r->node, start);
        as->region_count++;
        region_link(r);
    }
    struct region *next = region_next(r);
    if (may_merge(r, next)) {
        r->end = next->end;
        region_remove(as, next);
        region_free(next);
    }
}

void region_merge_range(struct aspace *as, uint64_t start, uint64_t end)
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
