/* SPDX-License-Identifier: MIT */
/* See account.h. Nothing is locked. */
#include "account.h"
#include "frame.h"

struct account *account_create(uint64_t limit)
{
    struct account *a = kzalloc(sizeof(*a));
    if (a) {
        a->refs = 1;
        a->limit = limit;
    }
    return a;
}

void account_get(struct account *a)
{
    __atomic_fetch_add(&a->refs, 1, __ATOMIC_RELAXED);
}

void account_put(struct account *a)
{
    if (a && __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        kfree(a);
    }
}

bool account_take(struct account *a, uint64_t bytes)
{
    uint64_t had = __atomic_load_n(&a->bytes, __ATOMIC_RELAXED);
    do {
        uint64_t limit = __atomic_load_n(&a->limit, __ATOMIC_RELAXED);
        if (had > limit || bytes > limit - had) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&a->bytes, &had, had + bytes, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

void account_give(struct account *a, uint64_t bytes)
{
    __atomic_fetch_sub(&a->bytes, bytes, __ATOMIC_RELAXED);
}
