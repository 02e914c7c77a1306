/* SPDX-License-Identifier: MIT */
/*
 * Physical memory: a buddy allocator of frames (order 0 = 4 KiB ... order 9 = 2 MiB) with a small
 * cache of single frames for each CPU, and a descriptor for each frame.
 */
#ifndef KERNEL_FRAME_H
#define KERNEL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_ORDER_MAX 9u
#define FRAME_SIZE      4096u

struct frame {     /* 16 bytes for each 4 KiB; the buddy links live here too */
    uint32_t refs; /* [atomic] page table entries (private pages) or owners that hold it */
    uint8_t order; /* of the block this frame heads */
    uint8_t state; /* free, allocated, reserved (firmware, kernel, holes): frame.c's */
    uint16_t flags;
    uint32_t next, prev; /* frame numbers: free lists; free for the owner's use when allocated */
};

/* from the boot memory map (arch_boot_memory()); the bundle, kernel and tables stay reserved */
void frame_init(void);
/* 0 when there is none. Physical addresses. Contents undefined unless zeroed. One reference. */
uint64_t frame_alloc(void);
uint64_t frame_alloc_zeroed(void); /* one that was given back as such, if there is any */
uint64_t frame_alloc_order(unsigned order);
void frame_free(uint64_t paddr);        /* any order: the head's */
void frame_free_zeroed(uint64_t paddr); /* a single frame whose bytes are all zero */
struct frame *frame_of(uint64_t paddr); /* NULL for addresses that are not managed RAM */

extern struct frame *frame_table; /* descriptor of frame number i; set once, by frame_init() */

/* Of what is known to be managed RAM: an allocated frame. */
static inline struct frame *frame_at(uint64_t paddr)
{
    return &frame_table[paddr / FRAME_SIZE];
}

static inline void frame_ref(uint64_t paddr)
{
    __atomic_fetch_add(&frame_at(paddr)->refs, 1, __ATOMIC_RELAXED);
}

/* as frame_unref(), but the caller, told that it was the last, frees */
static inline bool frame_drop(uint64_t paddr)
{
    return __atomic_sub_fetch(&frame_at(paddr)->refs, 1, __ATOMIC_ACQ_REL) == 0;
}

bool frame_unref(uint64_t paddr); /* frees at zero; true if it did */
/*
 * References to a block of order FRAME_ORDER_MAX as a whole. A split while there are several keeps
 * each of them whole: it is then a reference to every frame of the block, so that one holder can
 * give frames away singly while others still use the block.
 */
void frame_block_ref(uint64_t paddr);
void frame_block_unref(uint64_t paddr);
bool frame_block_alone(uint64_t paddr); /* not split, one reference */
/* an allocated block becomes single frames of as many references each; nothing if it is already */
void frame_split(uint64_t paddr);
uint64_t frame_total(void), frame_free_count(void); /* frames */
/*
 * The last part of memory is a reserve for the first process, which everybody's I/O depends on:
 * programs run out before it does. frame_plenty: there is more than that. frame_current_may: so, or
 * the first process runs. Asked before frames are taken for programs: pages, page tables, kernel
 * objects.
 */
bool frame_plenty(void), frame_current_may(void);
void page_zero(void *page);
void page_copy(void *to, const void *from);

/*
 * Kernel heap: slabs for sizes up to 2 KiB, frames above. NULL when memory is out. kzalloc zeroes.
 */
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *p); /* NULL is fine */
/* Some objects of at most 2000 bytes each, into to[]: how many; fewer: memory is out. */
unsigned kmalloc_many(size_t size, unsigned n, void **to);
void kfree_many(void *const *objects, unsigned n); /* no object above that size, no NULL */
uint64_t kmalloc_bytes(void);                      /* frames held by the heap, in bytes */

#endif
