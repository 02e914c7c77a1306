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

void kfree(void *p)
{
    free(p);
}
