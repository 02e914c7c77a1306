/* SPDX-License-Identifier: MIT */
/*
 * The net engine's memory: PCBs, segments, header pbufs, sockets, receive buffers. Size classes in
 * slabs of 64 KiB; free cells are reused last-in first-out, empty slabs go back to the system (all
 * but one of a class). All of it can be reached by the device: net_heap_physical_in() tells where.
 * Memory is committed before it is handed out, so running out is a NULL here and never a fault
 * later.
 */
#ifndef NET_HEAP_H
#define NET_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool net_heap_init(uint64_t limit); /* bytes of address space and memory it may ever use */
/* at most 64 KiB less a header; 16-byte aligned (page-aligned for whole pages of 4 KiB or more) */
void *net_heap_alloc(size_t size);
void *net_heap_zalloc(size_t count, size_t size);
void net_heap_free(void *p);
/* Where the device finds a byte at or after the beginning of an allocation. */
uint64_t net_heap_physical_in(const void *allocation, const void *p);
uint64_t net_heap_used(void); /* bytes committed */

#endif
