/* SPDX-License-Identifier: MIT */
#ifndef PX_SYSV_H
#define PX_SYSV_H

#include <stdint.h>

/* Mappings of this range go: attached segments that lie in it are so no more. No lock held. */
void px_shm_forget(uint64_t start, uint64_t end);

#endif
