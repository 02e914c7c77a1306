/* SPDX-License-Identifier: MIT */
/*
 * Memory objects. A vmo is a sparse array of pages, found through a radix tree; absent pages read
 * as zero and are committed on first touch. Kinds: anonymous; clone (absent pages are the parent's,
 * copied on first write); bundle (a fixed physical range of RAM, read-only); physical (device
 * memory). A vmo keeps the list of its mappings so that freeing its pages can remove them
 * everywhere.
 */
#ifndef KERNEL_VMO_H
#define KERNEL_VMO_H

#include "object.h"

struct account;
struct vmo;

/* one reference, NULL: no memory */
struct vmo *vmo_create(uint64_t size, uint32_t flags);
/* RAM of the bundle, or device memory */
struct vmo *vmo_create_fixed(uint64_t paddr, uint64_t size, bool device, uint32_t flags);
int64_t vmo_clone(struct vmo *parent, uint64_t offset, uint64_t size, struct vmo **child);
/* its pages are paid by an account from now on; before others know it. ENOMEM: over the limit */
int64_t vmo_charge_to(struct vmo *v, struct account *a);
uint64_t vmo_size(struct vmo *v);
uint32_t vmo_mappings(struct vmo *v); /* how many there are */
/*
 * Nobody writes to it from now on; all false: who has it mapped still may. EBUSY: somebody has it
 * mapped so that he could.
 */
int64_t vmo_seal(struct vmo *v, bool all);
int64_t vmo_resize(struct vmo *v, uint64_t size);
int64_t vmo_decommit(struct vmo *v, uint64_t offset, uint64_t length);
int64_t vmo_commit(struct vmo *v, uint64_t offset, uint64_t length);
uint64_t vmo_committed(struct vmo *v);
struct gate;
/* g becomes a paged object's pager; of others: it is notified when the last mapping goes. EEXIST */
int64_t vmo_bind(struct vmo *v, struct gate *g);
/* Of paged objects: see vmo_paged.c and MOTOR_VMO_*. */
int64_t vmo_supply(struct vmo *v, uint64_t offset, uint64_t length, const void *user);
int64_t vmo_prepare(struct vmo *v, uint64_t offset, uint64_t *pages, unsigned n); /* how many */
int64_t vmo_filled(struct vmo *v, uint64_t offset, uint64_t length);
int64_t vmo_allow(struct vmo *v, uint64_t offset);
int64_t vmo_clean(struct vmo *v, uint64_t offset, uint64_t length);
int64_t vmo_users(struct vmo *v);
/*
 * The page at a byte offset. write: a page of its own (clones copy), committed. 0: status in
 * *status (EGONE beyond the end, ENOMEM, EABSENT). The vmo keeps it while mapped by its rules.
 */
uint64_t vmo_page(struct vmo *v, uint64_t offset, bool write, int64_t *status);
/* bytes, short at the end */
int64_t vmo_read(struct vmo *v, uint64_t offset, void *kernel_buffer, uint64_t n);
int64_t vmo_write(struct vmo *v, uint64_t offset, const void *kernel_buffer, uint64_t n);
/* the same from the memory of the caller: no lock is held */
int64_t vmo_write_user(struct vmo *v, uint64_t offset, const void *user, uint64_t n);
/* commit, pin for ever, addresses */
int64_t vmo_physical(struct vmo *v, uint64_t offset, uint64_t length, uint64_t *pages,
                     uint64_t max);

#endif
