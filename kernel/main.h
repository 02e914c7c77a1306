/* SPDX-License-Identifier: MIT */
/* What start-up leaves behind for everyone. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include <motor/abi.h>

extern struct motor_kinfo *kinfo; /* kernel's own view of the information page */
/* its physical address, mapped read-only into every process by aspace_create() */
extern uint64_t kinfo_frame;

#endif
