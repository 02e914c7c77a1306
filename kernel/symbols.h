/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own symbol table, made by kernel/tools/symbols.awk between two links: functions by
 * address.
 */
#ifndef KERNEL_SYMBOLS_H
#define KERNEL_SYMBOLS_H

#include <stdint.h>

extern const uint32_t kernel_symbol_count;
extern const uint64_t kernel_symbol_address[]; /* ascending */
extern const uint32_t kernel_symbol_name[];    /* offsets in kernel_symbol_text */
extern const char kernel_symbol_text[];

#endif
