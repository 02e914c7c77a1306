/* SPDX-License-Identifier: MIT */
/*
 * Mappings come into being: where they are placed, and with what rights.
 */
#include "aspace_impl.h"
#include "vmo_impl.h"

#define REGION_FLAGS \
    (MOTOR_PROT_MASK | MOTOR_MAP_PRIVATE | MOTOR_MAP_NOFORK | MOTOR_MAP_WIPEFORK | MOTOR_MAP_PAGER)

/*
 * Below the cursor, else the highest gap anywhere. Large mappings are aligned for large pages. 0:
 * none.
 */
static uint64_t place(struct aspace *as, uint64_t length, bool large, struct region **before)
{
    uint64_t align = large ? LARGE_SIZE : PAGE_SIZE, limit = as->cursor;
    for (int pass = 0; pass < 2; pass++, limit = as->top) {
        while (limit > length + ASPACE_LOWEST) {
            uint64_t start = (limit - length) & ~(align - 1);
            struct region *r = region_floor(as, start + length - 1);
            if (!r || r->end <= start) {
                as->cursor = start;
                *before = r;
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
    if (!length || length > ASPACE_END || offset % PAGE_SIZE || offset + length < offset ||
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
int64_t insert_mapping(struct aspace *as, struct region *r, uint64_t address, uint64_t length,
                       uint32_t flags)
{
    bool fixed = flags & (MOTOR_MAP_FIXED | MOTOR_MAP_NOREPLACE);
    if (as->virtual_bytes + length > ASPACE_END) {
        return -MOTOR_ENOMEM;
    }
    struct region *before = NULL;
    bool free = address % PAGE_SIZE == 0 && region_range_free(as, address, length, &before);
    if (fixed && !free) {
        int64_t status = flags & MOTOR_MAP_NOREPLACE ? -MOTOR_EEXIST
                                                     : unmap_range(as, address, address + length);
        if (status < 0) {
            return status;
        }
        region_range_free(as, address, length, &before);
    }
    if (!fixed && !free) {
        address = place(as, length, length >= LARGE_SIZE && !r->vmo, &before);
        if (!address) {
            return -MOTOR_ENOMEM;
        }
    }
    r->end = address + length;
    as->virtual_bytes += length;
    region_insert_after(as, before, r, address);
    return (int64_t)address;
}

/* [as->lock] The first page of a mapping that nobody has touched yet is without access. */
static int64_t guard(struct aspace *as, uint64_t at)
{
    struct region *r = region_find(as, at);
    if (r->vmo) {
        return protect_range(as, at, at + PAGE_SIZE, 0);
    }
    if (!region_split_range(as, at, at + PAGE_SIZE)) {
        return -MOTOR_ENOMEM;
    }
    region_find(as, at)->flags &= ~(uint32_t)MOTOR_PROT_MASK;
    return 0;
}

int64_t aspace_map(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t address,
                   uint64_t length, uint32_t flags, uint32_t max_prot)
{
    length = page_round_up(length);
    if (v && v->seal && !(flags & MOTOR_MAP_PRIVATE)) {
        max_prot &= ~MOTOR_PROT_WRITE;
    }
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
        status = guard(as, (uint64_t)at);
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
        aspace_populate(as, (uint64_t)at, (uint64_t)at + length);
    }
    return status < 0 ? status : at;
}
