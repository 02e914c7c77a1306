/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: regions (sorted, balanced tree) over x86-64 page tables. Private pages (anonymous
 * memory and written copies of object pages) are owned by page table entries, marked with a
 * software bit, and counted in their frame; object pages are owned by the vmo. This makes fork
 * (sharing page-table pages), mremap and unmap walks over page tables alone.
 *
 * What changes the regions (map, unmap, protect, remap, advise) and fork exclude each other through
 * `changing`, so that long ones can drop the lock in between; faults and copies go on meanwhile.
 *
 * Every address space is charged for all private pages and page tables that it can reach, shared
 * with forked ones or not: a later copy on write changes no charge, and a limit that held at the
 * fork holds after it.
 */
#ifndef KERNEL_ASPACE_H
#define KERNEL_ASPACE_H

#include "object.h"
#include "spinlock.h"
#include "tree.h"

struct vmo;
struct hot;

struct aspace {
    struct spinlock lock;   /* regions and page tables */
    bool changing;          /* [lock] somebody changes the regions, or forks */
    bool forked;            /* [lock] page tables may be shared with others; never false again */
    uint32_t writers;       /* [lock to add; atomic] copies into pages of this space under way */
    uint32_t refs;          /* [atomic] */
    uint64_t root;          /* physical address of the PML4 */
    uint64_t cpus;          /* [atomic] CPUs that may hold translations */
    uint64_t private_bytes; /* [lock] committed private pages and page tables */
    uint64_t virtual_bytes; /* [lock] */
    uint64_t limit;         /* of private_bytes */
    struct tree regions;    /* [lock] struct region by start */
    uint64_t region_count;  /* [lock] */
    struct region *hint;    /* [lock] last region found */
    uint64_t top;           /* mappings without an address are placed below */
    uint64_t cursor;        /* [lock] first tried: below the last one placed */
    struct hot *hot;        /* [lock to set] pages written right after forks; NULL: none yet */
    bool hot_borrowed;      /* [lock] hot is that of whom it was forked from, not its own forks' */
    uint32_t hot_faults;    /* [lock] so many more of its faults are noted there, */
    uint32_t hot_fork;      /* [lock] as coming after this fork */
};

struct aspace *aspace_create(void); /* kernel half shared; kinfo page mapped. NULL: no memory */
struct aspace *aspace_create_empty(void); /* with nothing in it: for aspace_fork() */
/* What was just forked is no relative from now on: a random layout, hot pages of its own. */
void aspace_renew(struct aspace *as);
void aspace_get(struct aspace *as);
void aspace_put(struct aspace *as);      /* the last one frees everything, in pieces */
void aspace_activate(struct aspace *as); /* load on this CPU (arch context switch calls it) */
/* address or status; max_prot from the handle's rights */
int64_t aspace_map(struct aspace *as, struct vmo *v, uint64_t offset, uint64_t address,
                   uint64_t length, uint32_t flags, uint32_t max_prot);
int64_t aspace_unmap(struct aspace *as, uint64_t address, uint64_t length);
int64_t aspace_protect(struct aspace *as, uint64_t address, uint64_t length, uint32_t prot);
int64_t aspace_remap(struct aspace *as, uint64_t old, uint64_t old_length, uint64_t to,
                     uint64_t length, uint32_t flags);
/*
 * `child`, fresh from aspace_create_empty() and not yet run in by anyone, gets what `parent` has:
 * private memory copy-on-write, shared mappings shared, nothing where MOTOR_MAP_NOFORK, empty
 * memory where MOTOR_MAP_WIPEFORK; the limit and the random layout too. The work grows with the
 * mappings, is done in pieces, and the parent's other threads run meanwhile: what they write may
 * or may not be seen by the child, as with any race. May be called by a thread of any process; no
 * lock held. 0; or ENOMEM: the child is to be dropped with aspace_put().
 */
int64_t aspace_fork(struct aspace *parent, struct aspace *child);
int64_t aspace_advise(struct aspace *as, uint64_t address, uint64_t length, uint32_t advice);
/*
 * Copy between this kernel's memory and a possibly inactive address space, through the physmap,
 * faulting pages in. Bytes or status.
 */
int64_t aspace_read(struct aspace *as, uint64_t address, void *to, uint64_t n);
int64_t aspace_write(struct aspace *as, uint64_t address, const void *from, uint64_t n);
/*
 * The caller's bytes become the beginning of anonymous memory that was mapped just now; the rest of
 * their last page is zero. 0, or a status: EFAULT also if somebody has touched it.
 */
int64_t aspace_fill(struct aspace *as, uint64_t address, const void *user, uint64_t n);
/*
 * Between two address spaces, or an address space and an object, page by page without a bounce
 * buffer.
 */
int64_t aspace_copy(struct aspace *to, uint64_t to_address, struct aspace *from,
                    uint64_t from_address, uint64_t n);
int64_t aspace_copy_vmo(struct aspace *as, uint64_t address, struct vmo *v, uint64_t offset,
                        uint64_t n, bool to_vmo);
/*
 * Futex key of a shared word: the object and offset behind an address. A reference to the vmo is
 * not taken: the key is an identity. Private mappings give {as, address}.
 */
struct futex_key {
    const void *object;
    uint64_t offset;
};
int64_t aspace_futex_key(struct aspace *as, uint64_t address, struct futex_key *key);
/* for the current address space: user_load32 is faster */
int64_t aspace_load32(struct aspace *as, uint64_t address, uint32_t *value);

#endif
