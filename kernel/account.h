/* SPDX-License-Identifier: MIT */
/*
 * Who pays for the pages of memory objects: the process that made them, for as long as they are
 * committed, whoever maps them and whether or not it still lives. The limit is the process's memory
 * limit, counted apart from its private memory. The first process has no account: what it makes for
 * others it bounds itself.
 */
#ifndef KERNEL_ACCOUNT_H
#define KERNEL_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct account {
    uint32_t refs;         /* [atomic] the process, and each object */
    uint64_t bytes, limit; /* [atomic] */
};

struct account *account_create(uint64_t limit); /* one reference; NULL: no memory */
void account_get(struct account *a);
void account_put(struct account *a);                  /* NULL is fine */
bool account_take(struct account *a, uint64_t bytes); /* false: over the limit */
void account_give(struct account *a, uint64_t bytes); /* taken before */

#endif
