/* SPDX-License-Identifier: MIT */
/*
 * Structures of one kind that were given back, for the next ones that are wanted: what most calls
 * take and give back again costs a few instructions so, instead of some hundred in the heap. A few
 * are kept; sanitizers see every one come and go.
 */
#ifndef SYSIO_SPARE_H
#define SYSIO_SPARE_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SPARES_MAX 16u
#ifdef __SANITIZE_ADDRESS__
#define SPARES_KEPT 0
#else
#define SPARES_KEPT 1
#endif

struct spares {
    size_t size; /* of each; set by whoever defines it */
    unsigned count;
    void *kept[SPARES_MAX];
};

/* One that is all zeros; NULL: no memory. */
static inline void *spare_take(struct spares *s)
{
    return s->count ? memset(s->kept[--s->count], 0, s->size) : calloc(1, s->size);
}

static inline void spare_give(struct spares *s, void *object)
{
    if (SPARES_KEPT && s->count < SPARES_MAX)
        s->kept[s->count++] = object;
    else
        free(object);
}

#endif
