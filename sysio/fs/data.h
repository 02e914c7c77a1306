/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a memory file. `data` is in one of three states:
 *
 *   empty    vmo 0, in_bundle false: every byte is zero
 *   bundle   in_bundle: the bytes lie at `offset` in the bundle's object, shared with nobody who
 * could write them object   vmo: a memory object of its own, sparse, at least size bytes long,
 * page-granular
 *
 * bundle -> object by a copy-on-write clone, at the first change or mapping. Sizes here are the
 * file's; the caller keeps the account of pages (`data_pages`) against its limit.
 */
#ifndef SYSIO_FS_DATA_H
#define SYSIO_FS_DATA_H

#include "fs.h"

struct data {
    motor_handle vmo;
    bool in_bundle;
    /* mapped somewhere: the object must end with the file, so that access beyond it faults */
    bool exact;
    bool dense;  /* every page of [0, size) counts as committed */
    bool cloned; /* the object is a clone of the bundle's: pages lie there until they are written */
    bool shared; /* somebody may write through a mapping, and nobody tells */
    bool dirty;  /* a mapping may have written behind the end, in the last page */
    uint64_t offset;   /* in the bundle */
    uint64_t vmo_size; /* bytes the object spans */
};

extern motor_handle data_bundle; /* the bundle's object */

void data_init_empty(struct data *d);
void data_init_bundle(struct data *d, uint64_t offset);
void data_free(struct data *d);
int64_t data_read(struct data *d, struct transfer *t, uint64_t offset, uint64_t size,
                  uint64_t count);
/*
 * Makes [offset, offset + count) writable and the object large enough, then takes the caller's
 * bytes; may be short.
 */
int64_t data_write(struct data *d, struct transfer *t, uint64_t offset, uint64_t size,
                   uint64_t count);
int data_resize(struct data *d, uint64_t old_size, uint64_t new_size);
/* punch: pages inside are freed */
int data_zero(struct data *d, uint64_t size, uint64_t offset, uint64_t count);
int data_commit(struct data *d, uint64_t size, uint64_t offset, uint64_t count);
void data_trim(struct data *d, uint64_t size); /* the pages behind the end are not needed */
/* Bytes at the end, where the pages have been committed. */
int data_append(struct data *d, uint64_t size, const void *bytes, uint64_t count);
/*
 * Nobody changes the bytes from now on; all false: those who have them mapped may. -EBUSY: they are
 * mapped writable.
 */
int data_seal(struct data *d, uint64_t size, bool all);
int data_own(struct data *d, uint64_t size);            /* bundle or empty -> object, for mapping */
uint64_t data_committed(struct data *d, uint64_t size); /* bytes held; a bundle file holds none */
int64_t data_copy(struct data *from, uint64_t from_offset, struct data *to, uint64_t to_size,
                  uint64_t to_offset, uint64_t count);

#endif
