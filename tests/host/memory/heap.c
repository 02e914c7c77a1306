/* SPDX-License-Identifier: MIT */
/* The kernel's heap as the host's, so that the sanitizers know each object. */
#include "host.h"

void *kmalloc(size_t size)
{
    return host_fails() ? NULL : malloc(size);
}

void *kzalloc(size_t size)
{
    return host_fails() ? NULL : calloc(1, size);
}

unsigned kmalloc_many(size_t size, unsigned n, void **to)
{
    unsigned got = 0;
    while (got < n && (to[got] = kmalloc(size))) {
        got++;
    }
    return got;
}

void kfree_many(void *const *objects, unsigned n)
{
    while (n--) {
        free(objects[n]);
    }
}

void kfree(void *p)
{
    free(p);
}
