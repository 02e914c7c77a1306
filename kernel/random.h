/* SPDX-License-Identifier: MIT */
/* The kernel's generator of random bytes. Never blocks. */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_init(void); /* before anything asks */
void random_fill(void *buffer, size_t n);
uint64_t random_u64(void);

#endif
